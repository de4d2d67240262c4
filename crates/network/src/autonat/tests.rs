//! Questions and answers over pipes in memory, with a dialer that dials nothing.

use super::{
    DIAL_DATA_LEN_MIN, Outcome,
    client::{Expected, answer_dial_back, exchange},
    server::{Dialer, Rules, answer, chosen, tell},
    throttle::Throttle,
    wire::{self, DialDataResponse, DialRequest, DialStatus, Message, ResponseStatus},
};
use crate::{AutonatConfig, Filters, Multiaddr, PeerId, pipe::pipe};
use cairn_runtime::Clock;
use futures::{FutureExt as _, future::BoxFuture};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

const SEEN: &str = "/ip4/8.8.8.8/tcp/5000";

fn rules(settings: AutonatConfig) -> Rules {
    let filtered = ["/ip4/9.9.9.0/ipcidr/24".parse().unwrap()].to_vec();
    Rules {
        private_addrs: settings.private_addrs,
        dial_wait_max: Duration::ZERO,
        filters: Filters::new(filtered),
        throttle: Throttle::new(settings, Clock::system()),
    }
}

/// Notes what it is to dial; tells the number if it is to reach the asker.
struct Noted {
    dialled: Mutex<Vec<Multiaddr>>,
    asker: Option<Expected>,
    says: DialStatus,
}

impl Noted {
    fn new(asker: Option<Expected>, says: DialStatus) -> Self {
        Self { dialled: Mutex::default(), asker, says }
    }

    fn dialled(&self) -> Vec<String> {
        self.dialled.lock().unwrap().iter().map(ToString::to_string).collect()
    }
}

impl Dialer for Noted {
    fn dial_back(&self, _: PeerId, addr: Multiaddr, nonce: u64) -> BoxFuture<'_, DialStatus> {
        async move {
            self.dialled.lock().unwrap().push(addr);
            if let Some(expected) = &self.asker {
                let (mut theirs, mut ours) = pipe();
                let (told, heard) =
                    futures::join!(tell(&mut theirs, nonce), answer_dial_back(&mut ours, expected));
                assert!(told.is_ok() && heard.unwrap());
            }
            self.says
        }
        .boxed()
    }
}

/// One question about `addr`, and what both sides made of it.
async fn asked(addr: &str, dialer: &Noted) -> (Outcome, ResponseStatus) {
    let expected = dialer.asker.clone().unwrap_or_default();
    let (mut ours, mut theirs) = pipe();
    let rules = rules(AutonatConfig::default());
    let seen: Multiaddr = SEEN.parse().unwrap();
    let addr: Multiaddr = addr.parse().unwrap();
    let (outcome, response) = futures::join!(
        exchange(&mut ours, &expected, addr.to_vec()),
        answer(&mut theirs, (PeerId::random(), &seen), &rules, dialer),
    );
    (outcome.unwrap(), response.unwrap().status())
}

#[tokio::test]
async fn an_address_is_reached_when_its_number_arrives() {
    for addr in ["/ip4/8.8.8.8/tcp/4001", "/ip4/7.7.7.7/udp/4001/quic-v1"] {
        let dialer = Noted::new(Some(Expected::default()), DialStatus::Ok);
        assert_eq!(asked(addr, &dialer).await, (Outcome::Reached, ResponseStatus::Ok));
        assert_eq!(dialer.dialled(), [addr]);
    }
}

#[tokio::test]
async fn a_server_that_only_says_so_is_not_believed() {
    let addr = "/ip4/8.8.8.8/tcp/4001";
    let rows = [
        (DialStatus::Ok, Outcome::Unanswered),
        (DialStatus::DialBackError, Outcome::Unanswered),
        (DialStatus::DialError, Outcome::NotReached),
    ];
    for (says, expected) in rows {
        let dialer = Noted::new(None, says);
        assert_eq!(asked(addr, &dialer).await.0, expected, "{says:?}");
    }
}

#[tokio::test]
async fn nothing_is_dialled_that_is_not_public() {
    let peer = PeerId::random();
    let rows = [
        "/ip4/127.0.0.1/tcp/22",
        "/ip4/10.0.0.1/tcp/4001",
        "/ip4/169.254.169.254/tcp/80",
        "/ip4/100.64.0.1/tcp/4001",
        "/ip6/::1/tcp/4001",
        "/ip6/::ffff:10.0.0.1/tcp/4001",
        "/ip6/fd00::1/tcp/4001",
        "/dns4/localhost/tcp/4001",
        "/dnsaddr/example.com",
        "/ip4/9.9.9.9/tcp/4001",
        &format!("/ip4/8.8.8.8/tcp/4001/p2p/{peer}/p2p-circuit"),
        &format!("/ip4/8.8.8.8/tcp/4001/p2p/{peer}"),
    ];
    for addr in rows {
        let dialer = Noted::new(None, DialStatus::Ok);
        let answer = asked(addr, &dialer).await;
        assert_eq!(answer, (Outcome::Unanswered, ResponseStatus::DialRefused), "{addr}");
        assert!(dialer.dialled().is_empty(), "{addr}");
    }
}

#[test]
fn the_first_address_that_may_be_dialled_is_chosen() {
    let addrs = ["/ip4/10.0.0.1/tcp/1", "/ip4/8.8.4.4/tcp/2", "/ip4/8.8.8.8/tcp/3"];
    let mut bytes: Vec<Vec<u8>> = vec![b"nonsense".to_vec()];
    bytes.extend(addrs.map(|addr| addr.parse::<Multiaddr>().unwrap().to_vec()));
    let found = chosen(&bytes, PeerId::random(), &rules(AutonatConfig::default()));
    assert_eq!(found, Some((2, addrs[1].parse().unwrap())));
}

#[tokio::test]
async fn a_dial_elsewhere_costs_more_than_it_causes() {
    let (mut ours, mut theirs) = pipe();
    let rules = rules(AutonatConfig::default());
    let dialer = Arc::new(Noted::new(None, DialStatus::DialError));
    let seen: Multiaddr = SEEN.parse().unwrap();
    let victim: Multiaddr = "/ip4/7.7.7.7/tcp/4001".parse().unwrap();
    let attacker = async {
        let request = DialRequest { addrs: vec![victim.to_vec()], nonce: 1 };
        let request = Some(request);
        wire::write(&mut ours, &Message { request, ..Message::default() }).await?;
        let asked: Message = wire::read(&mut ours).await?;
        let len = asked.data_request.unwrap().len;
        assert!(len >= DIAL_DATA_LEN_MIN as u64, "{len}");
        // Less than was asked for, and then nothing of use.
        for data in [vec![0; 4096], Vec::new()] {
            let data = Some(DialDataResponse { data });
            wire::write(&mut ours, &Message { data, ..Message::default() }).await?;
        }
        Ok::<_, io::Error>(())
    };
    let (sent, answered) =
        futures::join!(attacker, answer(&mut theirs, (PeerId::random(), &seen), &rules, &*dialer));
    assert!(sent.is_ok() && answered.is_err());
    assert!(dialer.dialled().is_empty(), "the victim was dialled");
}

#[tokio::test]
async fn who_comes_over_a_relay_or_too_often_is_rejected() {
    let settings = AutonatConfig { peer_limit: 1, ..AutonatConfig::default() };
    let (rules, peer) = (rules(settings), PeerId::random());
    let dialer = Noted::new(None, DialStatus::DialError);
    let relayed = format!("/ip4/8.8.8.8/tcp/1/p2p/{peer}/p2p-circuit");
    let rows = [
        (relayed.as_str(), ResponseStatus::RequestRejected),
        (SEEN, ResponseStatus::Ok),
        (SEEN, ResponseStatus::RequestRejected),
    ];
    let addr: Multiaddr = "/ip4/8.8.8.8/tcp/4001".parse().unwrap();
    for (seen, expected) in rows {
        let (mut ours, mut theirs) = pipe();
        let (expecting, seen) = (Expected::default(), seen.parse().unwrap());
        let (_, answered) = futures::join!(
            exchange(&mut ours, &expecting, addr.to_vec()),
            answer(&mut theirs, (peer, &seen), &rules, &dialer),
        );
        assert_eq!(answered.unwrap().status(), expected);
    }
    assert_eq!(dialer.dialled().len(), 1);
}

#[test]
fn only_numbers_that_are_waited_for_are_heard() {
    let expected = Expected::default();
    expected.expect(7);
    assert!(!expected.heard(8));
    assert!(expected.heard(7) && expected.heard(7));
    assert!(expected.end(7) && !expected.end(7) && !expected.heard(7));
}
