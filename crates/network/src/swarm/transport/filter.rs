//! Ranges of addresses that the node has nothing to do with.
//!
//! Written as `/ip4/10.0.0.0/ipcidr/8`, as in Kubo's `Swarm.AddrFilters`.
//! Not here: which addresses are told to others.

use crate::Multiaddr;
use libp2p::{
    Transport,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
    multiaddr::Protocol,
};
use std::{
    fmt,
    net::IpAddr,
    pin::Pin,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};
use tracing::debug;

/// Most ranges that are kept.
const FILTER_COUNT_MAX: usize = 4096;

/// All addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: IpAddr,
    prefix_len: u8,
}

impl Range {
    fn new(addr: IpAddr, prefix_len: u8) -> Option<Self> {
        if u32::from(prefix_len) > width(addr) {
            return None;
        }
        let bits = bits(addr) & mask(addr, prefix_len);
        let first = match addr {
            // The upper bits of an IPv4 address's 128 are zero.
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(bits).ok()?.into()),
            IpAddr::V6(_) => IpAddr::V6(bits.into()),
        };
        Some(Self { first, prefix_len })
    }

    /// Whether `addr` lies in it; an IPv4 address within IPv6 is an IPv4 address.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        addr.is_ipv4() == self.first.is_ipv4()
            && bits(addr) & mask(addr, self.prefix_len) == bits(self.first)
    }
}

fn width(addr: IpAddr) -> u32 {
    if addr.is_ipv4() { 32 } else { 128 }
}

fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u128::from(addr.to_bits()),
        IpAddr::V6(addr) => addr.to_bits(),
    }
}

fn mask(addr: IpAddr, prefix_len: u8) -> u128 {
    let all = u128::MAX >> (128 - width(addr));
    let host_len = width(addr) - u32::from(prefix_len);
    all.checked_shl(host_len).unwrap_or(0) & all
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no range such as /ip4/10.0.0.0/ipcidr/8");
        let addr: Multiaddr = text.parse().map_err(|_| wrong())?;
        let parts: Vec<Protocol<'_>> = addr.iter().collect();
        let range = match parts[..] {
            [Protocol::Ip4(addr), Protocol::Ipcidr(len)] => Self::new(addr.into(), len),
            [Protocol::Ip6(addr), Protocol::Ipcidr(len)] => Self::new(addr.into(), len),
            _ => None,
        };
        range.ok_or_else(wrong)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.first.is_ipv4() { 4 } else { 6 };
        write!(f, "/ip{version}/{}/ipcidr/{}", self.first, self.prefix_len)
    }
}

/// The ranges that are filtered now; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Filters(Arc<RwLock<Vec<Range>>>);

impl Filters {
    /// Filters these, at most 4096.
    pub fn new(ranges: Vec<Range>) -> Self {
        let filters = Self::default();
        for range in ranges {
            filters.add(range);
        }
        filters
    }

    /// Adds a range; answers whether it is filtered now. New connections only.
    pub fn add(&self, range: Range) -> bool {
        let mut ranges = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if ranges.contains(&range) {
            return true;
        }
        let has_room = ranges.len() < FILTER_COUNT_MAX;
        if has_room {
            ranges.push(range);
        }
        has_room
    }

    /// Removes a range; answers whether it was there.
    pub fn remove(&self, range: Range) -> bool {
        let mut ranges = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = ranges.len();
        ranges.retain(|known| *known != range);
        ranges.len() < before
    }

    /// What is filtered.
    #[must_use]
    pub fn list(&self) -> Vec<Range> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an address begins with an IP address that is filtered.
    #[must_use]
    pub fn blocks(&self, addr: &Multiaddr) -> bool {
        let ip = match addr.iter().next() {
            Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
            Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
            _ => return false,
        };
        let ranges = self.0.read().unwrap_or_else(PoisonError::into_inner);
        ranges.iter().any(|range| range.contains(ip))
    }
}

/// A transport without what is filtered.
pub(super) struct Filtered<T> {
    inner: T,
    filters: Filters,
}

impl<T> Filtered<T> {
    pub(super) fn new(inner: T, filters: Filters) -> Self {
        Self { inner, filters }
    }
}

impl<T: Transport + Unpin> Transport for Filtered<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(
        &mut self,
        id: ListenerId,
        addr: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, addr)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        addr: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        if self.filters.blocks(&addr) {
            return Err(TransportError::MultiaddrNotSupported(addr));
        }
        self.inner.dial(addr, options)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        loop {
            let event = Pin::new(&mut self.inner).poll(cx);
            if let Poll::Ready(TransportEvent::Incoming { send_back_addr, .. }) = &event
                && self.filters.blocks(send_back_addr)
            {
                // Dropped before a byte of it is read.
                debug!(addr = %send_back_addr, "refused a connection from a filtered address");
                continue;
            }
            return event;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filters, Range};

    #[test]
    fn ranges_are_read_and_written() {
        let rows = [
            ("/ip4/10.0.0.0/ipcidr/8", Some("/ip4/10.0.0.0/ipcidr/8")),
            ("/ip4/10.9.8.7/ipcidr/8", Some("/ip4/10.0.0.0/ipcidr/8")),
            ("/ip4/1.2.3.4/ipcidr/32", Some("/ip4/1.2.3.4/ipcidr/32")),
            ("/ip4/1.2.3.4/ipcidr/0", Some("/ip4/0.0.0.0/ipcidr/0")),
            ("/ip6/fc00::/ipcidr/7", Some("/ip6/fc00::/ipcidr/7")),
            ("/ip4/1.2.3.4/ipcidr/33", None),
            ("/ip4/1.2.3.4", None),
            ("/ip4/1.2.3.4/tcp/1/ipcidr/3", None),
            ("nonsense", None),
        ];
        for (text, expected) in rows {
            let read = text.parse::<Range>().ok().map(|range| range.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn addresses_are_blocked_by_their_first_bits() {
        let ranges = ["/ip4/10.0.0.0/ipcidr/8", "/ip4/192.0.2.7/ipcidr/32", "/ip6/fc00::/ipcidr/7"];
        let filters = Filters::new(ranges.map(|range| range.parse().unwrap()).to_vec());
        let rows = [
            ("/ip4/10.1.2.3/tcp/4001", true),
            ("/ip4/11.1.2.3/tcp/4001", false),
            ("/ip4/192.0.2.7/udp/1/quic-v1", true),
            ("/ip4/192.0.2.8/udp/1/quic-v1", false),
            ("/ip6/fd00::1/tcp/1", true),
            ("/ip6/::ffff:10.0.0.1/tcp/1", true),
            ("/ip6/2001:db8::1/tcp/1", false),
            ("/dns4/example.com/tcp/1", false),
        ];
        for (addr, blocked) in rows {
            assert_eq!(filters.blocks(&addr.parse().unwrap()), blocked, "{addr}");
        }
        assert!(filters.remove(ranges[0].parse().unwrap()));
        assert!(!filters.remove(ranges[0].parse().unwrap()));
        assert!(!filters.blocks(&"/ip4/10.1.2.3/tcp/4001".parse().unwrap()));
    }
}
