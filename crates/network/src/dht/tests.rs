//! Many DHT nodes in one process, over a transport that calls them directly.
//!
//! Not here: real connections (`tests/dht.rs`), the answering side's limits (`server/tests.rs`).

use super::{
    Dht, DhtMode, LAN_PROTOCOL, Parts, WAN_PROTOCOL,
    rpc::{Rpc, RpcError},
    scope::{Contact, Scope},
    server::{Allowances, From},
    wire::Message,
};
use crate::{Multiaddr, PeerId, RoutingError, generate_ed25519};
use cairn_names::{Name, Record, RecordContent};
use cairn_runtime::Clock;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// All nodes that can reach each other.
#[derive(Default)]
pub(crate) struct World {
    nodes: Mutex<HashMap<PeerId, (Dht, Arc<Allowances>)>>,
    pub(crate) asked: AtomicUsize,
    pub(crate) told: AtomicUsize,
}

/// One node's way into the world.
struct Direct {
    world: Arc<World>,
    own: OnceLock<Contact>,
}

impl World {
    fn node(&self, peer: &PeerId) -> Result<(Dht, Arc<Allowances>), RpcError> {
        let node = self.nodes.lock().unwrap().get(peer).cloned();
        node.ok_or_else(|| RpcError::Unreachable { reason: "gone".to_owned() })
    }

    pub(crate) fn remove(&self, peer: &PeerId) {
        self.nodes.lock().unwrap().remove(peer);
    }
}

impl Rpc for Direct {
    fn ask<'a>(
        &'a self,
        to: &'a Contact,
        request: Message,
    ) -> BoxFuture<'a, Result<Message, RpcError>> {
        async move {
            self.world.asked.fetch_add(1, Ordering::Relaxed);
            let own = self.own.get().unwrap();
            let from = From { peer: own.peer, addr: own.addrs[0].clone() };
            let (node, allowances) = self.world.node(&to.peer)?;
            match node.answer(&from, request, &allowances).await {
                Ok(Some(answer)) => Ok(answer),
                other => Err(RpcError::Broken { reason: format!("{other:?}") }),
            }
        }
        .boxed()
    }

    fn own_addrs(&self) -> BoxFuture<'_, Vec<Multiaddr>> {
        async { self.own.get().unwrap().addrs.clone() }.boxed()
    }

    fn tell<'a>(
        &'a self,
        to: &'a Contact,
        messages: Vec<Message>,
    ) -> BoxFuture<'a, Result<(), RpcError>> {
        async move {
            self.world.told.fetch_add(messages.len(), Ordering::Relaxed);
            let own = self.own.get().unwrap();
            let from = From { peer: own.peer, addr: own.addrs[0].clone() };
            let (node, allowances) = self.world.node(&to.peer)?;
            for message in messages {
                node.answer(&from, message, &allowances).await.unwrap();
            }
            Ok(())
        }
        .boxed()
    }
}

/// A node that everybody in `world` can reach; each lies in a range of addresses of its own.
pub(crate) fn node(world: &Arc<World>, number: usize) -> Dht {
    let peer = PeerId::random();
    let (a, b) = (11 + number / 250 % 80, number % 250);
    let addr = format!("/ip4/{a}.{b}.0.1/tcp/{}", 1 + number).parse().unwrap();
    let contact = Contact { peer, addrs: vec![addr] };
    let rpc = Direct { world: Arc::clone(world), own: OnceLock::from(contact) };
    let (protocol, mode) = (WAN_PROTOCOL, DhtMode::Server);
    let parts = Parts { name: "wan", protocol, scope: Scope::Wan, mode, file: None };
    let dht = Dht::new(peer, parts, Arc::new(rpc), Clock::system());
    world.nodes.lock().unwrap().insert(peer, (dht.clone(), Arc::default()));
    dht
}

/// `count` nodes that know each other as well as their tables allow.
pub(crate) async fn nodes(world: &Arc<World>, count: usize) -> Vec<Dht> {
    let nodes: Vec<Dht> = (0..count).map(|number| node(world, number)).collect();
    for dht in &nodes {
        for other in &nodes {
            dht.add(other.own_contact().await.unwrap());
        }
    }
    nodes
}

/// So many nodes that each knows its neighbours, and some far away.
pub(crate) async fn crowd(world: &Arc<World>, count: usize) -> Vec<Dht> {
    const NEIGHBOURS: usize = 30;
    const FAR: usize = 150;
    let mut nodes: Vec<Dht> = (0..count).map(|number| node(world, number)).collect();
    nodes.sort_by_key(|dht| super::Place::of_peer(&dht.shared.own));
    let mut contacts = Vec::new();
    for dht in &nodes {
        contacts.push(dht.own_contact().await.unwrap());
    }
    for (number, dht) in nodes.iter().enumerate() {
        let near =
            (number.saturating_sub(NEIGHBOURS)..number + NEIGHBOURS).map(|near| near % count);
        let far = (0..FAR).map(|step| (number * 31 + step * step * 97 + step) % count);
        for other in near.chain(far) {
            dht.add(contacts[other].clone());
        }
    }
    nodes
}

fn key(number: u64) -> Vec<u8> {
    cairn_hash::Multihash::sha2_256(cairn_hash::sha256(&number.to_le_bytes())).to_bytes()
}

async fn found(dht: &Dht, key: &[u8]) -> Vec<PeerId> {
    let found = dht.find_providers(key.to_vec(), None).map(|contact| contact.peer);
    found.collect().await
}

#[tokio::test]
async fn what_one_announces_everybody_finds() {
    let world = Arc::new(World::default());
    let nodes = nodes(&world, 120).await;
    for number in 0..10 {
        let told = nodes[number].provide(&key(number as u64), None).await.unwrap();
        assert_eq!(told, 20, "the twenty nearest keep it");
        let found = found(&nodes[100 + number], &key(number as u64)).await;
        assert_eq!(found, [nodes[number].shared.own]);
    }
    assert_eq!(found(&nodes[0], &key(1000)).await, []);
}

#[tokio::test]
async fn a_newcomer_who_knows_one_finds_all_and_is_found() {
    let world = Arc::new(World::default());
    let nodes = nodes(&world, 60).await;
    let new = node(&world, 61);
    assert_eq!(new.find_peer(nodes[3].shared.own, None).await, Err(RoutingError::NoPeers));
    new.add(nodes[0].own_contact().await.unwrap());
    super::upkeep::look_around(&new).await;
    assert!(new.size() >= 20, "{}", new.size());
    let wanted = nodes[37].own_contact().await.unwrap();
    assert_eq!(new.find_peer(wanted.peer, None).await, Ok(wanted));
    nodes[5].provide(&key(5), None).await.unwrap();
    assert_eq!(found(&new, &key(5)).await, [nodes[5].shared.own]);
    assert_eq!(new.find_peer(PeerId::random(), None).await, Err(RoutingError::NotFound));
}

#[tokio::test]
async fn half_of_the_nodes_may_go_without_a_word() {
    let world = Arc::new(World::default());
    let nodes = nodes(&world, 100).await;
    nodes[0].provide(&key(1), None).await.unwrap();
    for gone in nodes[2..].iter().step_by(2) {
        world.remove(&gone.shared.own);
    }
    assert_eq!(found(&nodes[1], &key(1)).await, [nodes[0].shared.own]);
    let before = nodes[1].size();
    for number in 0..5 {
        found(&nodes[1], &key(number)).await;
    }
    assert!(nodes[1].size() < before, "those who do not answer leave the table");
}

#[tokio::test]
async fn the_best_value_is_found_and_no_invalid_one_is_kept_or_believed() {
    let world = Arc::new(World::default());
    let nodes = nodes(&world, 50).await;
    let keypair = generate_ed25519();
    let name = Name::of_key(&keypair.public()).routing_key();
    let end = Clock::system().now() + Duration::from_hours(1);
    let record = |sequence| {
        let content = RecordContent::new(b"/ipfs/a".into(), end.into(), sequence, Duration::ZERO);
        Record::create(&keypair, &content, true).unwrap().encode()
    };
    assert_eq!(nodes[0].put_value(&name, &record(1), None).await, Ok(20));
    assert_eq!(nodes[9].get_value(&name, None).await, Ok(record(1)));
    assert_eq!(nodes[1].put_value(&name, &record(3), None).await, Ok(20));
    assert_eq!(nodes[9].get_value(&name, None).await, Ok(record(3)));
    // Only a neighbour that had none yet may take an older one; nobody goes back.
    let old = nodes[2].put_value(&name, &record(2), None).await;
    assert!(old.unwrap_or_default() <= 2);
    assert_eq!(nodes[9].get_value(&name, None).await, Ok(record(3)));
    let forged = nodes[2].put_value(&name, b"anything", None).await;
    assert_eq!(forged, Err(RoutingError::NotStored));
    // Servers that were made to keep nonsense are not believed.
    for dht in &nodes {
        let place = super::Place::of_key(&name);
        dht.shared.records.put_value(place, b"nonsense".to_vec(), None).unwrap();
    }
    assert_eq!(nodes[9].get_value(&name, None).await, Err(RoutingError::NotFound));
}

#[tokio::test]
async fn dropping_a_search_ends_its_requests() {
    let world = Arc::new(World::default());
    let nodes = nodes(&world, 200).await;
    let mut search = nodes[0].find_providers(key(1), None);
    assert!(futures::poll!(search.next()).is_pending());
    drop(search);
    let asked = world.asked.load(Ordering::Relaxed);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.asked.load(Ordering::Relaxed), asked);
}

#[tokio::test]
async fn a_node_answers_when_it_is_told_that_it_can_be_reached() {
    let auto = |protocol, scope| {
        let rpc = Direct { world: Arc::default(), own: OnceLock::new() };
        let parts = Parts { name: "", protocol, scope, mode: DhtMode::Auto, file: None };
        Dht::new(PeerId::random(), parts, Arc::new(rpc), Clock::system())
    };
    let wan = auto(WAN_PROTOCOL, Scope::Wan);
    assert!(!wan.is_serving());
    wan.reachable_at(&"/ip4/192.168.1.2/tcp/4001".parse().unwrap());
    assert!(!wan.is_serving(), "a private address proves nothing in public");
    wan.reachable_at(&"/ip4/8.8.8.8/tcp/4001".parse().unwrap());
    assert!(wan.is_serving());
    let lan = auto(LAN_PROTOCOL, Scope::Lan { loopback: false });
    lan.reachable_at(&"/ip4/127.0.0.1/tcp/4001".parse().unwrap());
    assert!(!lan.is_serving());
}
