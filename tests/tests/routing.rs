//! A private DHT on loopback: five of our nodes and Kubo's own core.
//!
//! The nodes know one of them each; who has what they find by asking.
//! Not here: the rules of the DHT (`crates/network/src/dht`).

use cairn_tests::{Daemon, Home, Peer, http, peers, tree, until};
use serde_json::{Value, json};
use std::path::Path;

/// A node with its repository.
struct Node {
    home: Home,
    daemon: Daemon,
}

impl Node {
    /// Starts a node that dials `bootstrap` first.
    fn start(bootstrap: &[String]) -> Self {
        let home = Home::new();
        home.edit_config(|config| config["Bootstrap"] = json!(bootstrap));
        let daemon = home.daemon();
        Self { home, daemon }
    }

    fn id(&self) -> String {
        self.daemon.rpc("id")["ID"].as_str().expect("a node has an ID").to_owned()
    }

    /// How many peers its local routing table has.
    fn table_len(&self) -> usize {
        let stat = self.daemon.rpc("stats/dht?arg=lan");
        let buckets = stat["Buckets"].as_array().expect("a table has buckets").iter();
        buckets.filter_map(|bucket| bucket["Peers"].as_array()).map(Vec::len).sum()
    }
}

/// Nodes that each know the first, and by now each other.
fn network(count: usize) -> Vec<Node> {
    let mut nodes = vec![Node::start(&[])];
    for _ in 1..count {
        let known = nodes[0].daemon.tcp_addr();
        nodes.push(Node::start(&[known]));
    }
    for node in &nodes {
        until("all nodes know each other", || node.table_len() >= count - 1);
    }
    nodes
}

/// The JSON lines of one command.
fn events(node: &Node, args: &[&str]) -> Vec<Value> {
    let args = ["--enc=json"].iter().chain(args);
    let text = node.home.run(args).text();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn what_one_node_announces_others_find_and_fetch() {
    let nodes = network(5);
    let source = nodes[1].home.path("source");
    tree::make(&source, 41);
    let root = nodes[1].home.add(&source);
    nodes[1].home.run(["routing", "provide", &root]).text();
    let found = nodes[4].home.run(["routing", "findprovs", &root]).text();
    assert_eq!(found, nodes[1].id());
    let steps = events(&nodes[4], &["routing", "findprovs", &root]);
    assert!(steps.iter().any(|step| step["Type"] == 0), "{steps:?}");
    let provider = steps.iter().find(|step| step["Type"] == 4).expect("a provider is told");
    assert_eq!(provider["Responses"][0]["ID"], json!(nodes[1].id()));
    let target = nodes[4].home.path("target");
    nodes[4].home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&source, &target);
    let addrs = nodes[2].home.run(["routing", "findpeer", &nodes[1].id()]).text();
    assert!(addrs.lines().any(|addr| addr.starts_with("/ip4/127.0.0.1/tcp/")), "{addrs}");
    let near = nodes[3].home.run(["dht", "query", &nodes[1].id()]).text();
    assert!(near.lines().any(|id| id == nodes[1].id()), "{near}");
}

#[test]
fn kubo_finds_what_we_announce_and_we_what_it_announces() {
    let Some(peers) = peers() else { return };
    let nodes = network(4);
    let mut kubo = Peer::kubo_with_dht(&peers);
    let source = nodes[1].home.path("source");
    tree::make(&source, 42);
    let root = nodes[1].home.add(&source);
    // Kubo knows the first node alone, which has nothing.
    kubo.connect(&nodes[0].daemon.tcp_addr());
    until("Kubo is in our tables", || nodes[0].table_len() >= 4);
    nodes[1].home.run(["routing", "provide", &root]).text();
    let target = kubo.get(&root, "target");
    let expected = tree::with_symlinks_as_files(tree::read(&source));
    tree::assert_same_entries(&expected, &tree::read(&target));
    let source = kubo.path("source");
    tree::make(&source, 43);
    let root = kubo.add(&source);
    until("Kubo has announced it", || {
        !nodes[3].home.run(["routing", "findprovs", "-n", "1", &root]).text().is_empty()
    });
    let target = nodes[3].home.path("target");
    nodes[3].home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&source, &target);
}

#[test]
fn what_is_added_is_announced_by_itself_and_again_in_rounds() {
    let nodes = network(3);
    let home = &nodes[1].home;
    let cid = home.add(&home.file("a", tree::Random::new(44).bytes(1000)));
    until("a new root is announced", || {
        nodes[2].home.run(["routing", "findprovs", &cid]).text() == nodes[1].id()
    });
    let stat = nodes[1].daemon.rpc("provide/stat");
    assert_eq!((&stat["RootsAnnounced"], &stat["Strategy"]), (&json!(1), &json!("all")), "{stat}");
    // A block that is no root has to wait for a round.
    let block = home.run_with(["block", "put"], b"no root".to_vec()).text();
    home.run(["routing", "reprovide"]).text();
    assert_eq!(nodes[2].home.run(["routing", "findprovs", &block]).text(), nodes[1].id());
    assert_eq!(home.run(["provide", "clear"]).text(), "removed 0 items from provide queue");
    until("the first round ends", || nodes[1].daemon.rpc("provide/stat")["Rounds"] != json!(0));
    let text = home.run(["provide", "stat"]).text();
    assert!(text.contains("interval:         22h0m0s"), "{text}");
    home.run(["config", "--bool", "Provide.Enabled", "false"]).text();
    assert_eq!(home.run(["config", "Provide.Strategy", "entities"]).code, Some(1));
}

#[test]
fn a_record_of_a_name_is_stored_and_found_and_a_forged_one_is_refused() {
    let nodes = network(3);
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/ipns");
    let good = "k51qzi5uqu5dlkw8pxuw9qmqayfdeh4kfebhmreauqdc6a7c3y7d5i9fi8mk9w_v1-v2.ipns-record";
    let record = vectors.join(good);
    let name = format!("/ipns/{}", good.split('_').next().expect("a name"));
    let missing = nodes[2].home.run(["routing", "get", &name]);
    assert!(missing.failure().contains("not found"));
    let put = ["routing".as_ref(), "put".as_ref(), name.as_ref(), record.as_os_str()];
    let took = nodes[0].home.run(put).text();
    assert_eq!(took.lines().count(), 2, "{took}");
    let got = events(&nodes[2], &["routing", "get", &name]);
    let value = got.iter().rfind(|step| step["Type"] == 5).expect("a value is told");
    let value = value["Extra"].as_str().expect("the value is text");
    assert!(value.len() > 100, "{value}");
    let bad = "k51qzi5uqu5diamp7qnnvs1p1gzmku3eijkeijs3418j23j077zrkok63xdm8c_v1-v2-broken-signature-v2.ipns-record";
    let name = format!("/ipns/{}", bad.split('_').next().expect("a name"));
    let record = vectors.join(bad);
    let put = ["routing".as_ref(), "put".as_ref(), name.as_ref(), record.as_os_str()];
    let refused = nodes[0].home.run(put);
    assert!(refused.failure().contains("signature"), "{}", refused.stderr);
}

#[test]
fn a_node_without_peers_or_routing_says_so() {
    let alone = Node::start(&[]);
    let cid = alone.home.add(&alone.home.file("a", "a"));
    let failed = alone.home.run(["routing", "provide", &cid]);
    assert!(failed.failure().contains("no peers in the routing table"));
    let unknown = alone.home.run(["routing", "provide", "bafkqaaa"]);
    assert_eq!(unknown.code, Some(1));
    alone.home.run(["config", "Routing.Type", "none"]).text();
    assert!(alone.daemon.stop().success());
    let _daemon = alone.home.daemon();
    let failed = alone.home.run(["routing", "findprovs", &cid]);
    assert!(failed.failure().contains("Routing.Type"));
    let refused = alone.home.run(["config", "Routing.Type", "custom"]);
    assert!(refused.failure().contains("Routing.Type must be"));
}

#[test]
fn bootstrap_peers_are_listed_added_and_removed() {
    let home = Home::new();
    let peer = |port: u16| {
        format!(
            "/ip4/127.0.0.1/tcp/{port}/p2p/12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d"
        )
    };
    let run = |args: &[&str]| home.run(["bootstrap"].iter().chain(args)).text();
    assert_eq!(run(&["add", &peer(1), &peer(2)]), format!("added {}\nadded {}", peer(1), peer(2)));
    assert_eq!(run(&["add", &peer(1), "auto"]), "added auto");
    assert_eq!(run(&["list"]), format!("{}\n{}\nauto", peer(1), peer(2)));
    assert_eq!(run(&["rm", &peer(1)]), format!("removed {}", peer(1)));
    assert!(home.run(["bootstrap", "add", "/ip4/127.0.0.1/tcp/1"]).failure().contains("/p2p/"));
    assert_eq!(run(&["rm", "--all"]), format!("removed {}\nremoved auto", peer(2)));
    assert_eq!(run(&[]), "");
    assert_eq!(home.config()["Bootstrap"], json!([]));
}

/// What a check tells, also when it ends in an error.
fn findings(node: &Node, what: &str) -> Vec<Value> {
    let answer = http::post(node.daemon.api, &format!("/api/v0/check?arg={what}"));
    answer.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_check_tells_in_sentences_what_is_in_the_way() {
    let mut nodes = network(4);
    let file = nodes[1].home.file("a", vec![3; 100_000]);
    let root = nodes[1].home.add(&file);
    nodes[1].home.run(["routing", "provide", &root]).text();
    let said = nodes[0].home.run(["check", &root]).text();
    for part in ["not in this repository", "one other peer announces it", "100014 bytes in"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("FAIL"), "{said}");
    let alone = nodes[1].home.run(["check", &root]);
    assert!(alone.failure().contains("comes from nobody else"), "{}", alone.failure());
    let steps = findings(&nodes[1], &root);
    let good =
        |step: &str| steps.iter().any(|line| line["Step"] == step && line["Verdict"] == "good");
    assert!(good("here") && good("announced"), "{steps:?}");

    let addr = nodes[1].daemon.tcp_addr();
    let id = nodes[1].id();
    let named = ["check", &root, "--peer", &addr];
    assert!(nodes[2].home.run(named).text().contains("ok   delivered"));
    for peer in [&addr, &id] {
        let said = nodes[2].home.run(["check", peer]).text();
        assert!(said.contains("connected in") && said.contains("cairn/"), "{said}");
    }
    let own = nodes[2].home.run(["check", &nodes[2].id()]);
    assert!(own.failure().contains("not known to be reachable"), "{}", own.failure());

    nodes.remove(1).daemon.kill();
    let gone = nodes[0].home.run(["check", &root]);
    assert!(gone.failure().contains("comes from nobody else"), "{}", gone.failure());
    let steps = findings(&nodes[0], &root);
    let bad = steps.iter().find(|line| line["Verdict"] == "bad").expect("something is wrong");
    assert_eq!((&bad["Step"], &bad["Subject"]), (&json!("dialed"), &json!(id)));
    assert!(nodes[0].home.run(["check", "nothing"]).failure().contains("nothing"));
}
