//! Opening the listeners, and telling which address failed and why.
//!
//! A name (`/dns4/…`) is resolved once, at the start: sockets are bound to addresses.

use super::{LISTEN_TIMEOUT, SwarmTask, chain};
use crate::{Multiaddr, NetworkError};
use futures::StreamExt as _;
use libp2p::{core::transport::ListenerId, multiaddr::Protocol};
use std::{io, net::IpAddr};
use tokio::time::timeout;
use tracing::warn;

impl SwarmTask {
    /// Opens every listener; fails if there were addresses and none of them works.
    pub(super) async fn listen(&mut self, addrs: Vec<Multiaddr>) -> Result<(), NetworkError> {
        let asked = addrs.len();
        for addr in addrs {
            match resolve(&addr).await {
                Ok(resolved) => self.listen_on(addr, resolved),
                Err(error) => self.on_listen_failure(addr, error.to_string()),
            }
        }
        let reported = timeout(LISTEN_TIMEOUT, async {
            while !self.opening.is_empty() {
                let event = self.swarm.select_next_some().await;
                self.on_event(event);
            }
        });
        if reported.await.is_err() {
            warn!(left = self.opening.len(), "some listeners have not reported an address yet");
        }
        match self.listen_failures.first() {
            Some(first) if self.listen_failures.len() == asked => Err(first.clone()),
            _ => Ok(()),
        }
    }

    fn listen_on(&mut self, named: Multiaddr, resolved: Multiaddr) {
        if let Err(error) = check_free(&resolved) {
            return self.on_listen_failure(named, error.to_string());
        }
        match self.swarm.listen_on(resolved) {
            Ok(id) => drop(self.opening.insert(id, named)),
            Err(error) => self.on_listen_failure(named, chain(&error)),
        }
    }

    /// A listener that closes before it had an address never worked.
    pub(super) fn on_listener_closed(&mut self, id: ListenerId, error: Option<io::Error>) {
        let reason = error.map_or_else(|| "closed".to_owned(), |error| error.to_string());
        if self.outlook.relays.closed(id, &reason, self.clock.monotonic()) {
            return;
        }
        if let Some(addr) = self.opening.remove(&id) {
            self.on_listen_failure(addr, reason);
        } else {
            warn!(%reason, "listener closed");
        }
    }

    fn on_listen_failure(&mut self, addr: Multiaddr, reason: String) {
        warn!(%addr, %reason, "could not listen");
        self.listen_failures.push(NetworkError::Listen { addr, reason });
    }
}

/// Fails if somebody listens on this TCP port already.
///
/// The transport binds with `SO_REUSEPORT`, so that it would share the port with another node of
/// the same user without a word.
fn check_free(addr: &Multiaddr) -> io::Result<()> {
    let mut parts = addr.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::from(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::from(ip),
        _ => return Ok(()),
    };
    match parts.next() {
        // Unspecified IPv6 would take the IPv4 port, too, which the transport does not.
        Some(Protocol::Tcp(port)) if port != 0 && !(ip.is_ipv6() && ip.is_unspecified()) => {
            std::net::TcpListener::bind((ip, port)).map(drop)
        }
        _ => Ok(()),
    }
}

/// Replaces a leading name by the first address it resolves to.
async fn resolve(addr: &Multiaddr) -> io::Result<Multiaddr> {
    let Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)) =
        addr.iter().next()
    else {
        return Ok(addr.clone());
    };
    let v4_only = matches!(addr.iter().next(), Some(Protocol::Dns4(_)));
    let v6_only = matches!(addr.iter().next(), Some(Protocol::Dns6(_)));
    let mut found = tokio::net::lookup_host((name.as_ref(), 0)).await?.map(|found| found.ip());
    let fitting = |ip: &IpAddr| (ip.is_ipv4() && !v6_only) || (ip.is_ipv6() && !v4_only);
    let ip = found.find(fitting);
    let ip = ip.ok_or_else(|| io::Error::other(format!("{name} has no fitting address")))?;
    Ok(addr.replace(0, |_| Some(ip.into())).unwrap_or_else(|| addr.clone()))
}
