//! The answering side.
//!
//! Spec: libp2p AutoNAT v2, "Amplification Attack Prevention" and the requirements for the
//! statuses, pinned in `spec/PINS.toml`.
//! Invariants: one address is dialled a question, the first that may be; names are not dialled,
//! since they may lead anywhere; a question that is not answered truthfully (too many, nothing to
//! dial) gets a status that says nothing about the address.
//! Not here: the dial itself (`swarm/reachability.rs`).

use super::{
    ANSWERS_MAX, DIAL_BACK, DIAL_DATA_LEN_MAX, DIAL_DATA_LEN_MIN, PROBE_TIMEOUT,
    throttle::Throttle,
    wire::{
        self, DialBack, DialBackResponse, DialDataRequest, DialRequest, DialResponse, DialStatus,
        Message, ResponseStatus,
    },
};
use crate::{Filters, Multiaddr, PeerId, dht::scope::Scope, streams::Inbound, swarm};
use futures::{
    AsyncRead, AsyncWrite, AsyncWriteExt as _, FutureExt as _, StreamExt as _, future::BoxFuture,
    stream::FuturesUnordered,
};
use libp2p::multiaddr::Protocol;
use rand::Rng as _;
use std::{io, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use tracing::debug;

/// Addresses of one question that are looked at.
const ADDRS_MAX: usize = 16;

/// Longest that a dial, and telling the number after it, takes.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest wait before a dial that was paid for: it spreads the dials that many servers make at
/// once for the same asker.
pub(super) const DIAL_WAIT_MAX: Duration = Duration::from_secs(3);

/// What this node dials for others.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) private_addrs: bool,
    /// Longest wait before a dial that was paid for.
    pub(super) dial_wait_max: Duration,
    pub(super) filters: Filters,
    pub(super) throttle: Throttle,
}

/// Dials, and tells a number there.
pub(super) trait Dialer: Send + Sync {
    /// How it went.
    fn dial_back(&self, peer: PeerId, addr: Multiaddr, nonce: u64) -> BoxFuture<'_, DialStatus>;
}

/// Answers streams as long as the swarm hands them over.
pub(super) async fn run(
    swarm: mpsc::Sender<swarm::Command>,
    rules: Arc<Rules>,
    mut inbound: mpsc::Receiver<Inbound>,
) {
    let dialer = Arc::new(SwarmDialer(swarm));
    let mut answers: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = answers.next() => {}
            next = inbound.recv() => match next {
                Some(next) if answers.len() < ANSWERS_MAX => {
                    answers.push(serve(Arc::clone(&dialer), Arc::clone(&rules), next).boxed());
                }
                Some(_) => debug!("too many questions: one is dropped"),
                None => return,
            },
        }
    }
}

async fn serve(dialer: Arc<SwarmDialer>, rules: Arc<Rules>, inbound: Inbound) {
    let Inbound { peer, addr, mut stream } = inbound;
    let answered = timeout(PROBE_TIMEOUT, answer(&mut stream, (peer, &addr), &rules, &*dialer));
    match answered.await {
        Ok(Ok(answer)) => debug!(%peer, ?answer, "answered whether it can be reached"),
        Ok(Err(error)) => debug!(%peer, %error, "a question broke off"),
        Err(_) => debug!(%peer, "a question took too long"),
    }
}

/// Answers the question on a stream; `seen` is who asks, and from where.
pub(super) async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    seen: (PeerId, &Multiaddr),
    rules: &Rules,
    dialer: &impl Dialer,
) -> io::Result<DialResponse> {
    let message: Message = wire::read(stream).await?;
    let response = match message.request {
        Some(request) => respond(stream, request, seen, (rules, dialer)).await?,
        None => DialResponse::without_dial(ResponseStatus::RequestRejected),
    };
    wire::write(stream, &Message { response: Some(response), ..Message::default() }).await?;
    stream.close().await?;
    Ok(response)
}

async fn respond(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: DialRequest,
    (peer, seen_at): (PeerId, &Multiaddr),
    (rules, dialer): (&Rules, &impl Dialer),
) -> io::Result<DialResponse> {
    // Who comes over a relay is not seen anywhere.
    let Some(seen_ip) = direct_ip(seen_at) else {
        return Ok(DialResponse::without_dial(ResponseStatus::RequestRejected));
    };
    let Some((index, addr)) = chosen(&request.addrs, peer, rules) else {
        return Ok(DialResponse::without_dial(ResponseStatus::DialRefused));
    };
    if !rules.throttle.admits(peer) {
        return Ok(DialResponse::without_dial(ResponseStatus::RequestRejected));
    }
    if direct_ip(&addr) != Some(seen_ip) {
        take_payment(stream, index).await?;
        sleep(rules.dial_wait_max.mul_f64(rand::random())).await;
    }
    let status = dialer.dial_back(peer, addr, request.nonce).await;
    Ok(DialResponse::of_dial(index, status))
}

/// The first address that this node dials for `peer`.
pub(super) fn chosen(addrs: &[Vec<u8>], peer: PeerId, rules: &Rules) -> Option<(u32, Multiaddr)> {
    let read = addrs.iter().take(ADDRS_MAX).enumerate().filter_map(|(index, addr)| {
        let addr = Multiaddr::try_from(addr.clone()).ok()?;
        Some((u32::try_from(index).ok()?, addr))
    });
    read.into_iter().find(|(_, addr)| {
        let is_public = Scope::Wan.admits(addr) || rules.private_addrs;
        let others = addr.iter().any(|part| matches!(part, Protocol::P2p(id) if id != peer));
        is_public && !others && direct_ip(addr).is_some() && !rules.filters.blocks(addr)
    })
}

/// The IP address of an address that is dialled without anybody in between.
fn direct_ip(addr: &Multiaddr) -> Option<IpAddr> {
    if addr.iter().any(|part| part == Protocol::P2pCircuit) {
        return None;
    }
    match addr.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        _ => None,
    }
}

/// Has the asker send more than the dial will cost the dialled.
async fn take_payment(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    addr_index: u32,
) -> io::Result<()> {
    let len = rand::rng().random_range(DIAL_DATA_LEN_MIN..=DIAL_DATA_LEN_MAX);
    let data_request = Some(DialDataRequest { addr_index, len: len as u64 });
    wire::write(stream, &Message { data_request, ..Message::default() }).await?;
    let mut paid = 0;
    while paid < len {
        let part: Message = wire::read(stream).await?;
        let part = part.data.map(|part| part.data.len()).filter(|len| *len > 0);
        paid += part.ok_or_else(|| io::Error::other("no data where data was asked for"))?;
    }
    Ok(())
}

/// Dials by the swarm.
struct SwarmDialer(mpsc::Sender<swarm::Command>);

impl Dialer for SwarmDialer {
    fn dial_back(&self, peer: PeerId, addr: Multiaddr, nonce: u64) -> BoxFuture<'_, DialStatus> {
        self.dial(peer, addr, nonce).boxed()
    }
}

impl SwarmDialer {
    async fn dial(&self, peer: PeerId, addr: Multiaddr, nonce: u64) -> DialStatus {
        let (reply, dialled) = oneshot::channel();
        if self.0.send(swarm::Outward::DialBack(peer, addr, reply).into()).await.is_err() {
            return DialStatus::DialError;
        }
        let Ok(Ok(Some(connection))) = timeout(DIAL_TIMEOUT, dialled).await else {
            return DialStatus::DialError;
        };
        let (reply, opened) = oneshot::channel();
        let open = swarm::Command::OpenStreamOn((peer, connection), DIAL_BACK, reply);
        let told = timeout(DIAL_TIMEOUT, async {
            self.0.send(open).await.ok()?;
            let mut stream = opened.await.ok()?.ok()?;
            tell(&mut stream, nonce).await.ok()
        });
        let told = told.await.ok().flatten();
        // It was made for this alone; when the swarm is gone, so is the connection.
        drop(self.0.send(swarm::Outward::Close(connection).into()).await);
        if told.is_some() { DialStatus::Ok } else { DialStatus::DialBackError }
    }
}

/// Tells the number, and hears that it was heard.
pub(super) async fn tell(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    nonce: u64,
) -> io::Result<()> {
    wire::write(stream, &DialBack { nonce }).await?;
    let DialBackResponse { .. } = wire::read(stream).await?;
    Ok(())
}
