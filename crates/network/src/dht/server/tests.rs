//! Hostile requests: floods, lies and lengths, each against its limit.

use super::{
    super::{
        Dht,
        records::PENDING_MAX,
        tests::{World, node},
    },
    Allowances, From, Refused,
};
use crate::{
    PeerId,
    dht::{
        scope::Contact,
        wire::{KEY_LEN_MAX, Kind, Message},
    },
};
use cairn_names::RECORD_LEN_MAX;
use std::sync::Arc;

fn server() -> Dht {
    node(&Arc::new(World::default()), 1)
}

fn stranger() -> From {
    From { peer: PeerId::random(), addr: "/ip4/9.9.9.9/tcp/9".parse().unwrap() }
}

fn announcement(from: &From, number: u64) -> Message {
    let own = Contact { peer: from.peer, addrs: vec![from.addr.clone()] };
    Message::add_provider(&[&[0x12, 8], &number.to_le_bytes()[..]].concat(), &own)
}

async fn providers(dht: &Dht, key: &[u8]) -> usize {
    let request = Message::ask(Kind::GetProviders, key);
    let answer = dht.answer(&stranger(), request, &Allowances::default()).await.unwrap().unwrap();
    answer.providers.len()
}

#[tokio::test]
async fn a_flood_of_announcements_ends_at_the_peers_allowance() {
    let (dht, allowances, flooder) = (server(), Allowances::default(), stranger());
    let many = 20_000;
    for number in 0..many {
        let request = announcement(&flooder, number);
        assert_eq!(dht.answer(&flooder, request, &allowances).await, Ok(None));
    }
    dht.shared.records.write().await;
    let kept = dht.shared.records.provider_count();
    assert!(kept < 6000, "{kept} of {many}");
    let honest = stranger();
    let request = announcement(&honest, 1 << 40);
    let key = request.key.clone();
    dht.answer(&honest, request, &allowances).await.unwrap();
    assert_eq!(providers(&dht, &key).await, 1, "others are served meanwhile");
}

#[tokio::test]
async fn a_flood_by_many_peers_ends_at_what_may_wait() {
    let (dht, allowances) = (server(), Allowances::default());
    for number in 0..2 * PENDING_MAX as u64 {
        let request = announcement(&stranger(), number);
        let from = stranger();
        let own = Contact { peer: from.peer, addrs: vec![from.addr.clone()] };
        let request = Message::add_provider(&request.key, &own);
        assert_eq!(dht.answer(&from, request, &allowances).await, Ok(None));
    }
    dht.shared.records.write().await;
    let kept = dht.shared.records.provider_count();
    assert!(kept <= PENDING_MAX as u64, "{kept}");
}

#[tokio::test]
async fn nobody_announces_for_others() {
    let (dht, allowances) = (server(), Allowances::default());
    let (liar, victim) = (stranger(), stranger());
    let request = announcement(&victim, 1);
    let key = request.key.clone();
    assert_eq!(dht.answer(&liar, request, &allowances).await, Ok(None));
    assert_eq!(providers(&dht, &key).await, 0);
    // Without an address that counts, the connection's own is taken.
    let own = Contact { peer: liar.peer, addrs: vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()] };
    dht.answer(&liar, Message::add_provider(&key, &own), &allowances).await.unwrap();
    let found = dht.shared.records.providers(super::Place::of_key(&key), 20).await;
    assert_eq!(found, [Contact { peer: liar.peer, addrs: vec![liar.addr.clone()] }]);
}

#[tokio::test]
async fn keys_and_values_that_make_no_sense_are_refused() {
    let (dht, allowances, from) = (server(), Allowances::default(), stranger());
    for kind in
        [Kind::FindNode, Kind::GetProviders, Kind::AddProvider, Kind::GetValue, Kind::PutValue]
    {
        for key in [vec![], vec![7; KEY_LEN_MAX + 1], vec![7; 30_000]] {
            let request = Message::ask(kind, &key);
            let answer = dht.answer(&from, request, &allowances).await;
            assert_eq!(answer, Err(Refused::Malformed), "{kind:?} {}", key.len());
        }
    }
    let unknown = Message { kind: 99, ..Message::ask(Kind::Ping, b"key") };
    assert_eq!(dht.answer(&from, unknown, &allowances).await, Err(Refused::Malformed));
    let name = [b"/ipns/", &from.peer.to_bytes()[..]].concat();
    let rows = [
        (Message::ask(Kind::PutValue, &name), Refused::Malformed),
        (Message { key: name.clone(), ..Message::put_value(b"other", b"x") }, Refused::Malformed),
        (Message::put_value(&name, b""), Refused::Value),
        (Message::put_value(&name, b"nonsense"), Refused::Value),
        (Message::put_value(&name, &vec![1; RECORD_LEN_MAX + 1]), Refused::Value),
        (Message::put_value(b"/other/namespace", b"x"), Refused::Value),
    ];
    for (request, expected) in rows {
        assert_eq!(dht.answer(&from, request, &allowances).await, Err(expected));
    }
    assert_eq!(dht.shared.records.value_count(), 0);
}

#[tokio::test]
async fn a_flood_of_values_ends_at_the_peers_allowance() {
    let (dht, allowances, flooder) = (server(), Allowances::default(), stranger());
    let mut refused = 0;
    for number in 0..10_000_u64 {
        let request = Message::put_value(&number.to_le_bytes(), b"x");
        refused +=
            usize::from(dht.answer(&flooder, request, &allowances).await == Err(Refused::Full));
    }
    assert!(refused > 4000, "{refused}");
}

#[tokio::test]
async fn answers_name_the_nearest_but_never_who_asks() {
    let world = Arc::new(World::default());
    let nodes = super::super::tests::nodes(&world, 40).await;
    let asker = From { peer: nodes[3].shared.own, addr: "/ip4/9.9.9.9/tcp/9".parse().unwrap() };
    let request = Message::ask(Kind::FindNode, &asker.peer.to_bytes());
    let answer = nodes[0].answer(&asker, request, &Allowances::default()).await.unwrap().unwrap();
    assert_eq!(answer.closer.len(), 20);
    let ends = [nodes[0].shared.own, nodes[3].shared.own].map(PeerId::to_bytes);
    assert!(answer.closer.iter().all(|peer| !ends.contains(&peer.id)));
}
