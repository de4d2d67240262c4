//! TCP connections carried over streams between peers, by the binary and with Kubo's core.
//!
//! Not here: other protocols over the same connections.

use cairn_tests::{Daemon, Home, Peer, Running, fail, peers, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_mins(1);

fn home() -> Home {
    let home = Home::new();
    home.edit_config(|config| config["Experimental"]["Libp2pStreamMounting"] = json!(true));
    home
}

/// A service that does the same with each connection.
fn service(serve: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers with what was sent, once the sender has finished.
fn echo() -> SocketAddr {
    service(|mut stream| {
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent)?;
        stream.write_all(&sent)
    })
}

/// Sends back what comes as it comes: Kubo ends both directions with the first.
fn answers_at_once() -> SocketAddr {
    service(|mut stream| {
        let mut back = stream.try_clone()?;
        io::copy(&mut stream, &mut back).map(drop)
    })
}

/// Sends, and reads as much.
fn chat(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all(bytes).expect("a connection");
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).expect("an answer");
    back
}

fn multiaddr(address: SocketAddr) -> String {
    format!("/ip4/{}/tcp/{}", address.ip(), address.port())
}

/// Sends, finishes, and reads what comes back.
fn exchange(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut sending = stream.try_clone().expect("a second handle");
    let sent = bytes.to_vec();
    let sender = thread::spawn(move || {
        // A tunnel that leads nowhere is closed under the sender.
        sending.write_all(&sent).and_then(|()| sending.shutdown(Shutdown::Write)).unwrap_or(());
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap_or(0);
    sender.join().expect("no panic");
    back
}

fn listeners(daemon: &Daemon) -> Vec<Value> {
    daemon.rpc("p2p/ls")["Listeners"].as_array().cloned().unwrap_or_default()
}

/// Where the only tunnel of a node listens.
fn port_of(daemon: &Daemon) -> SocketAddr {
    let listed = listeners(daemon);
    let [one] = listed.as_slice() else { fail(&format!("{listed:?}")) };
    let address = one["ListenAddress"].as_str().expect("an address");
    let port = address.rsplit('/').next().and_then(|port| port.parse().ok()).expect("a port");
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[test]
fn connections_go_through_whole() {
    let (alice, bob) = (home(), home());
    let (serving, using) = (alice.daemon(), bob.daemon());
    let service = multiaddr(echo());
    assert_eq!(alice.run(["p2p", "listen", "/x/echo", &service, "-r"]).text(), "");
    let target = serving.tcp_addr();
    let local = "/ip4/127.0.0.1/tcp/0";
    assert_eq!(bob.run(["p2p", "forward", "/x/echo", local, &target]).text(), "");
    let port = port_of(&using);
    let who = format!("{}\n", bob.config()["Identity"]["PeerID"].as_str().expect("an ID"));
    assert_eq!(exchange(port, b"hello"), [who.as_bytes(), b"hello"].concat());
    let many: Vec<u8> = (0..12_000_000_u32).map(|n| (n % 251) as u8).collect();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let many = many.clone();
            thread::spawn(move || exchange(port, &many))
        })
        .collect();
    let expected = [who.as_bytes(), &many].concat();
    for client in clients {
        assert!(client.join().expect("no panic") == expected, "other bytes came back");
    }
    assert_eq!(serving.rpc("p2p/stream/ls"), json!({"Streams": null}));
}

#[test]
fn tunnels_and_streams_are_listed_and_closed() {
    let (alice, bob) = (home(), home());
    let (serving, using) = (alice.daemon(), bob.daemon());
    let service = multiaddr(answers_at_once());
    alice.run(["p2p", "listen", "/x/echo", &service]).text();
    let ids = [&alice, &bob]
        .map(|home| home.config()["Identity"]["PeerID"].as_str().expect("an ID").to_owned());
    let listed = json!([{
        "Protocol": "/x/echo",
        "ListenAddress": format!("/p2p/{}", ids[0]),
        "TargetAddress": service,
    }]);
    assert_eq!(Value::from(listeners(&serving)), listed);
    bob.run(["swarm", "connect", &serving.tcp_addr()]).text();
    let peer = format!("/p2p/{}", ids[0]);
    bob.run(["p2p", "forward", "/x/echo", "/ip4/127.0.0.1/tcp/0", &peer]).text();
    let port = port_of(&using);

    let mut open = TcpStream::connect(port).expect("somebody listens");
    open.set_read_timeout(Some(PATIENCE)).expect("a socket");
    open.write_all(b"x").expect("a connection");
    assert_eq!(open.read(&mut [0]).expect("an answer"), 1);
    let streams = serving.rpc("p2p/stream/ls")["Streams"].clone();
    assert_eq!(streams[0]["OriginAddress"], format!("/p2p/{}", ids[1]));
    assert_eq!(streams[0]["TargetAddress"], service);
    let id = streams[0]["HandlerID"].as_str().expect("a number").to_owned();
    assert!(alice.run(["p2p", "stream", "close", "77"]).failure().contains("no stream 77"));
    assert_eq!(alice.run(["p2p", "stream", "close", &id]).text(), "");
    // The other half sees it, too.
    assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)));

    assert!(bob.run(["p2p", "close"]).failure().contains("no matching options"));
    let nothing = bob.run(["p2p", "close", "-p", "/x/other"]).text();
    assert_eq!(nothing, "Closed 0 stream(s)");
    assert_eq!(bob.run(["p2p", "close", "-t", &peer]).text(), "Closed 1 stream(s)");
    assert!(listeners(&using).is_empty());
    assert_eq!(alice.run(["p2p", "close", "--all"]).text(), "Closed 1 stream(s)");
    bob.run(["p2p", "forward", "/x/echo", "/ip4/127.0.0.1/tcp/0", &peer]).text();
    assert_eq!(exchange(port_of(&using), b"nobody listens"), b"");
}

#[test]
fn a_tunnel_in_the_foreground_ends_with_its_command() {
    let home = home();
    let daemon = home.daemon();
    let service = multiaddr(echo());
    let start = || {
        let mut command = home.command();
        let mut running = Running::start(command.args(["p2p", "listen", "-f", "/x/a", &service]));
        assert!(running.line().contains("waiting for interrupt"));
        running
    };
    let mut stopped = start();
    stopped.signal(Signal::INT);
    stopped.wait(PATIENCE).unwrap_or_else(|| fail("it did not stop"));
    // The daemon sees the command's connection end a moment later.
    until("the tunnel goes", || listeners(&daemon).is_empty());
    let mut closed = start();
    assert_eq!(home.run(["p2p", "close", "-p", "/x/a"]).text(), "Closed 1 stream(s)");
    assert!(closed.line().contains("/x/a"));
    let ended = closed.wait(PATIENCE).unwrap_or_else(|| fail("it did not end"));
    assert!(ended.success());
}

#[test]
fn what_is_wrong_is_said() {
    let plain = Home::new();
    let _plain = plain.daemon();
    let said = |home: &Home, args: &[&str], part: &str| {
        let outcome = home.run([&["p2p"], args].concat());
        assert!(outcome.failure().contains(part), "{args:?}: {}", outcome.failure());
    };
    said(&plain, &["ls"], "Experimental.Libp2pStreamMounting");
    let home = home();
    let daemon = home.daemon();
    let here = "/ip4/127.0.0.1/tcp/9";
    said(&home, &["listen", "/ssh", here], "/x/");
    said(&home, &["listen", "/x/a b", here], "spaces");
    said(&home, &["listen", "/x/a", "/ip4/127.0.0.1/udp/9"], "only TCP");
    said(&home, &["listen", "/x/a", "/ip4/127.0.0.1/tcp/0"], "cannot be 0");
    said(&home, &["listen", "/x/a", "here"], "not a multiaddress");
    let own = "/ipfs/bitswap/1.2.0";
    said(&home, &["listen", "--allow-custom-protocol", own, here], "speaks it itself");
    said(&home, &["forward", "/x/a", here, "/ip4/127.0.0.1/tcp/1"], "/p2p/PEER");
    home.run(["p2p", "listen", "/x/a", here]).text();
    said(&home, &["listen", "/x/a", here], "listens for it already");
    let taken = multiaddr(echo());
    let peer = format!("/p2p/{}", home.config()["Identity"]["PeerID"].as_str().expect("an ID"));
    said(&home, &["forward", "/x/a", &taken, &peer], &taken);
    said(&home, &["stream", "close"], "no id");
    said(&home, &["stream", "close", "x"], "not a stream's number");
    assert!(daemon.rpc("id")["Protocols"].to_string().contains("\"/x/a\""));
}

#[test]
fn kubo_connects_to_cairn_and_the_other_way_round() {
    let Some(peers) = peers() else { return };
    let home = home();
    let daemon = home.daemon();
    let mut kubo = Peer::kubo(&peers);
    kubo.connect(&daemon.tcp_addr());
    let id = home.config()["Identity"]["PeerID"].as_str().expect("an ID").to_owned();
    let service = multiaddr(answers_at_once());

    home.run(["p2p", "listen", "/x/ours", &service]).text();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = free.local_addr().expect("an address");
    drop(free);
    let out = json!({"op": "tunnel_out", "protocol": "/x/ours", "listen": multiaddr(port),
        "peer": id});
    kubo.ask(&out);
    assert_eq!(chat(port, b"from kubo"), b"from kubo");

    kubo.ask(&json!({"op": "tunnel_in", "protocol": "/x/theirs", "target": service}));
    home.run(["p2p", "forward", "/x/theirs", "/ip4/127.0.0.1/tcp/0", kubo.tcp_addr()]).text();
    let ours = listeners(&daemon);
    let address = ours.iter().find(|one| one["Protocol"] == "/x/theirs").expect("our tunnel");
    let port = address["ListenAddress"].as_str().and_then(|text| text.rsplit('/').next());
    let port: u16 = port.and_then(|port| port.parse().ok()).expect("a port");
    let port = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    assert_eq!(chat(port, b"from cairn"), b"from cairn");
}
