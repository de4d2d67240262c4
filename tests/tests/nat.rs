//! Behind routers: two networks that translate addresses, and a relay between them.
//!
//! ```text
//!   alice ── router ── public network with the relay ── router ── bob
//! ```
//! Every machine is a network namespace; routers translate and refuse what nobody inside has asked
//! for, as those at home do. It needs root, `ip` and `nft`, and is left out without them. Public
//! addresses are from a range that routers take for public and nobody here reaches.
//! Not here: the same without routers (`relay.rs`).

use cairn_tests::{Daemon, Home, Outcome, Running, run, say_skipped, tree::Random, until};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{self, Command},
    thread,
    time::Duration,
};

/// The public address of the relay.
const RELAY: &str = "11.0.0.1";

/// The machines, which go with this.
struct World {
    prefix: String,
}

impl World {
    /// Both networks; `None`, after saying so, where that is not allowed.
    fn new(name: &str) -> Option<Self> {
        let world = Self { prefix: format!("cairn-{}-{name}", process::id()) };
        let has = |program: &str| run(Command::new(program).arg("--version")).code == Some(0);
        let is_allowed = has("nft") && try_ip(&["netns", "add", &world.of("relay")]);
        if !is_allowed {
            say_skipped("routers need root, iproute2 and nftables");
            return None;
        }
        world.inside("relay", "ip link add br0 type bridge");
        world.inside("relay", &format!("ip addr add {RELAY}/24 dev br0"));
        world.inside("relay", "ip link set br0 up");
        world.inside("relay", "ip link set lo up");
        for (number, host) in [(2, "alice"), (3, "bob")] {
            world.network(number, host);
        }
        Some(world)
    }

    /// A router with the public address that ends in `number`, and a machine behind it.
    fn network(&self, number: u32, host: &str) {
        let router = format!("{host}-router");
        for name in [host, &router] {
            ip(&["netns", "add", &self.of(name)]);
            self.inside(name, "ip link set lo up");
        }
        let (relay, there, here) = (self.of("relay"), self.of(&router), self.of(host));
        let port = format!("port{number}");
        ip(&[
            "link", "add", "wan", "netns", &there, "type", "veth", "peer", &port, "netns", &relay,
        ]);
        ip(&[
            "link", "add", "lan", "netns", &there, "type", "veth", "peer", "eth0", "netns", &here,
        ]);
        self.inside("relay", &format!("ip link set {port} master br0"));
        self.inside("relay", &format!("ip link set {port} up"));
        self.inside(&router, &format!("ip addr add 11.0.0.{number}/24 dev wan"));
        self.inside(&router, &format!("ip addr add 10.{number}.0.1/24 dev lan"));
        self.inside(host, &format!("ip addr add 10.{number}.0.2/24 dev eth0"));
        for link in ["wan", "lan"] {
            self.inside(&router, &format!("ip link set {link} up"));
        }
        self.inside(host, "ip link set eth0 up");
        self.inside(host, &format!("ip route add default via 10.{number}.0.1"));
        self.inside(&router, "sysctl -qw net.ipv4.ip_forward=1");
        let rules = [
            "add table ip r",
            "add chain ip r nat { type nat hook postrouting priority 100; }",
            "add rule ip r nat oifname wan masquerade",
            "add chain ip r input { type filter hook input priority 0; }",
            "add rule ip r input iifname wan ct state != { established, related } drop",
            "add chain ip r forward { type filter hook forward priority 0; }",
            "add rule ip r forward iifname wan ct state != { established, related } drop",
        ];
        for rule in rules {
            let mut command = self.command(&router, Path::new("nft"));
            run(command.arg(rule)).text();
        }
    }

    fn of(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn command(&self, name: &str, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.of(name)]).arg(program);
        command
    }

    /// Runs words on a machine.
    fn inside(&self, name: &str, words: &str) {
        let mut words = words.split(' ');
        let program = words.next().expect("a program");
        run(self.command(name, Path::new(program)).args(words)).text();
    }
}

fn try_ip(args: &[&str]) -> bool {
    run(Command::new("ip").args(args)).code == Some(0)
}

fn ip(args: &[&str]) {
    run(Command::new("ip").args(args)).text();
}

impl Drop for World {
    fn drop(&mut self) {
        for name in ["alice", "bob", "alice-router", "bob-router", "relay"] {
            try_ip(&["netns", "del", &self.of(name)]);
        }
    }
}

/// A node on one of the machines.
struct Node<'a> {
    world: &'a World,
    name: &'static str,
    home: Home,
}

impl<'a> Node<'a> {
    fn new(world: &'a World, name: &'static str, edit: impl FnOnce(&mut Value)) -> Self {
        let home = Home::new();
        home.edit_config(|config| {
            let listen = ["/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1"];
            config["Addresses"]["Swarm"] = json!(listen);
            config["Routing"]["Type"] = json!("none");
            edit(config);
        });
        Self { world, name, home }
    }

    fn command(&self) -> Command {
        let mut command = self.home.command_of(Path::new("ip"));
        command.args(["netns", "exec", &self.world.of(self.name)]).arg(cairn_tests::binary());
        command
    }

    fn daemon(&self) -> Daemon {
        let mut command = self.command();
        Daemon::start(command.arg("daemon"))
    }

    fn run(&self, args: &[&str]) -> Outcome {
        run(self.command().args(args))
    }

    fn id(&self) -> String {
        self.home.config()["Identity"]["PeerID"].as_str().expect("a peer ID").to_owned()
    }

    /// The addresses by which it is connected with another.
    fn connected(&self, id: &str) -> Vec<String> {
        let peers = self.run(&["swarm", "peers"]).text();
        peers.lines().filter(|line| line.ends_with(id)).map(str::to_owned).collect()
    }
}

#[test]
fn two_nodes_behind_routers_find_a_direct_way() {
    let Some(world) = World::new("holes") else { return };
    let relay = Node::new(&world, "relay", |_| {});
    let relay_id = relay.id();
    let known = format!("/ip4/{RELAY}/tcp/4001/p2p/{relay_id}");
    let hidden = |name| {
        let bootstrap = json!([known]);
        Node::new(&world, name, |config| {
            config["Bootstrap"] = bootstrap;
            config["Cairn"] = json!({"Bandwidth": {"Out": "8MB"}});
        })
    };
    let (alice, bob) = (hidden("alice"), hidden("bob"));
    let _daemons = [relay.daemon(), alice.daemon(), bob.daemon()];

    // Nobody was told what can be reached: they find out by asking each other.
    until("the relay is found to be reachable", || {
        relay.run(&["swarm", "addrs", "autonat"]).text().contains("Reachability: Public")
    });
    let id = alice.id();
    let circuit = format!("{known}/p2p-circuit/p2p/{id}");
    until("alice has a reservation", || {
        alice.run(&["id"]).text().contains(&format!("{known}/p2p-circuit"))
    });
    bob.run(&["swarm", "connect", &circuit]).text();
    until("a hole, and no circuit any more", || {
        let addrs = bob.connected(&id);
        !addrs.is_empty() && addrs.iter().all(|addr| addr.starts_with("/ip4/11.0.0.2/"))
    });

    // Far more than the relay would carry, and in the middle of it the network breaks.
    let bytes = Random::new(35).bytes(48 << 20);
    let cid = alice.home.file("a", &bytes);
    let cid = alice.run(&["add", "-Q", &cid.display().to_string()]).text();
    let target = bob.home.path("b");
    let mut command = bob.command();
    command.args(["get", &cid, "-o"]).arg(&target);
    let mut transfer = Running::start(&mut command);
    until("a part has arrived", || bob.received() > 8 << 20);
    world.inside("alice-router", "ip link set wan down");
    thread::park_timeout(Duration::from_secs(4));
    world.inside("alice-router", "ip link set wan up");
    let status = transfer.wait(Duration::from_mins(2)).expect("the transfer ends");
    assert!(status.success(), "{status}");
    assert!(fs::read(&target).expect("the file") == bytes, "the bytes differ");

    // It takes three dials that nobody answers.
    until("alice is found not to be", || {
        let told = alice.run(&["swarm", "addrs", "autonat"]).text();
        told.contains("Reachability: Private") && told.contains("11.0.0.2")
    });
}

impl Node<'_> {
    /// Bytes received in all.
    fn received(&self) -> u64 {
        let told = self.run(&["stats", "bw", "--enc=json"]).text();
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        told["TotalIn"].as_u64().unwrap_or_default()
    }
}
