//! A running node: its addresses as it announced them, and its end.

use crate::{Running, http};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{Command, ExitStatus},
    time::Duration,
};

/// What launchers allow a daemon for its end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A daemon that has said it is ready. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    process: Running,
    /// Where the RPC API listens.
    pub api: SocketAddr,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
}

impl Daemon {
    /// Starts `command` and reads its standard output as launchers do.
    pub fn start(command: &mut Command) -> Self {
        let mut process = Running::start(command);
        while process.line() != "Daemon is ready" {}
        Self::of(process)
    }

    /// Takes a process that has said it is ready, all of whose lines were read until then.
    ///
    /// # Panics
    ///
    /// If it did not say where it listens.
    pub fn of(process: Running) -> Self {
        let address = |what: &str| {
            let line = process.said().lines().find_map(|line| line.split_once(what));
            socket(line.unwrap_or_else(|| crate::process::fail(process.said())).1.trim())
        };
        let api = address("RPC API server listening on ");
        let gateway = address("Gateway server listening on ");
        Self { process, api, gateway }
    }

    /// Everything it printed before it was ready.
    pub fn said(&self) -> &str {
        self.process.said()
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        self.process.id()
    }

    /// Calls one command of the RPC API and returns its answer as JSON.
    ///
    /// # Panics
    ///
    /// Unless it answers 200 and JSON.
    pub fn rpc(&self, command: &str) -> Value {
        let answer = http::post(self.api, &format!("/api/v0/{command}"));
        assert_eq!(answer.status, 200, "{command}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("an answer is JSON")
    }

    /// The addresses other nodes can dial, each with the node's identity at its end.
    pub fn swarm_addrs(&self) -> Vec<String> {
        let answer = self.rpc("id");
        let list = answer["Addresses"].as_array().expect("id lists addresses");
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The TCP address that other nodes can dial.
    pub fn tcp_addr(&self) -> String {
        self.swarm_addr(|addr| addr.contains("/tcp/") && !addr.contains("/ws"))
    }

    /// The WebSocket address that other nodes can dial.
    pub fn ws_addr(&self) -> String {
        self.swarm_addr(|addr| addr.contains("/ws"))
    }

    fn swarm_addr(&self, fits: impl Fn(&str) -> bool) -> String {
        let addrs = self.swarm_addrs();
        let found = addrs.iter().find(|addr| addr.contains("/ip4/127.0.0.1/") && fits(addr));
        found.unwrap_or_else(|| crate::process::fail(&format!("not in {addrs:?}"))).clone()
    }

    /// Asks it to end and waits; returns how it ended.
    ///
    /// # Panics
    ///
    /// If it is still there after the ten seconds that launchers allow.
    pub fn stop(mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.wait(STOP_LIMIT).expect("SIGTERM ends a daemon within ten seconds")
    }

    /// Waits for an end that somebody else asked for.
    ///
    /// # Panics
    ///
    /// If it does not come within the ten seconds that launchers allow.
    pub fn wait(mut self) -> ExitStatus {
        self.process.wait(STOP_LIMIT).expect("a daemon ends within ten seconds")
    }

    /// Ends it without warning, as a power cut would.
    pub fn kill(mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait(STOP_LIMIT).expect("nothing survives SIGKILL");
    }
}

/// `/ip4/127.0.0.1/tcp/5001` as a socket's address.
fn socket(multiaddr: &str) -> SocketAddr {
    let parts: Vec<&str> = multiaddr.split('/').collect();
    let ["", "ip4", host, "tcp", port, ..] = parts[..] else {
        crate::process::fail(&format!("{multiaddr} is not an address on loopback"))
    };
    let host: Ipv4Addr = host.parse().expect("an IPv4 address");
    SocketAddr::from((host, port.parse::<u16>().expect("a port")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn multiaddrs_become_sockets() {
        assert_eq!(super::socket("/ip4/127.0.0.1/tcp/5001").to_string(), "127.0.0.1:5001");
    }
}
