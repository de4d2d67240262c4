//! Where TCP services are: addresses such as `/ip4/127.0.0.1/tcp/80`.
//!
//! Not here: peers' addresses (`cairn-network`).

use super::TunnelError;
use cairn_network::{Multiaddr, Protocol};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    /// `dns`, `dns4` or `dns6`, and the name.
    Name(&'static str, String),
}

impl Place {
    pub(super) fn of(address: SocketAddr) -> Self {
        Self { host: Host::Ip(address.ip()), port: address.port() }
    }

    /// Where to connect: a host, which the system looks up if it is a name, and a port.
    pub(super) fn target(&self) -> (String, u16) {
        let host = match &self.host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(_, name) => name.clone(),
        };
        (host, self.port)
    }

    /// Where to listen.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Address`] if it is a name.
    pub(super) fn socket(&self) -> Result<SocketAddr, TunnelError> {
        match &self.host {
            Host::Ip(ip) => Ok(SocketAddr::new(*ip, self.port)),
            Host::Name(..) => {
                let reason = "only an IP address can be listened on";
                Err(TunnelError::Address { address: self.to_string(), reason })
            }
        }
    }

    /// The port; 0 lets the system choose one to listen on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Place {
    type Err = TunnelError;

    fn from_str(text: &str) -> Result<Self, TunnelError> {
        let wrong = |reason| TunnelError::Address { address: text.to_owned(), reason };
        let address: Multiaddr = text.parse().map_err(|_| wrong("it is not a multiaddress"))?;
        let mut parts = address.iter();
        let host = match parts.next() {
            Some(Protocol::Ip4(ip)) => Host::Ip(ip.into()),
            Some(Protocol::Ip6(ip)) => Host::Ip(ip.into()),
            Some(Protocol::Dns(name)) => Host::Name("dns", name.into_owned()),
            Some(Protocol::Dns4(name)) => Host::Name("dns4", name.into_owned()),
            Some(Protocol::Dns6(name)) => Host::Name("dns6", name.into_owned()),
            _ => return Err(wrong("it does not begin with an IP address or a name")),
        };
        match (parts.next(), parts.next()) {
            (Some(Protocol::Tcp(port)), None) => Ok(Self { host, port }),
            _ => Err(wrong("only TCP is carried, as in /ip4/127.0.0.1/tcp/80")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V4(ip)) => write!(f, "/ip4/{ip}")?,
            Host::Ip(IpAddr::V6(ip)) => write!(f, "/ip6/{ip}")?,
            Host::Name(kind, name) => write!(f, "/{kind}/{name}")?,
        }
        write!(f, "/tcp/{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["/ip4/127.0.0.1/tcp/80", "/ip6/::1/tcp/0", "/dns4/example.com/tcp/443"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for text in ["", "127.0.0.1:80", "/ip4/1.2.3.4", "/ip4/1.2.3.4/udp/1", "/tcp/80"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
        let more = "/ip4/1.2.3.4/tcp/1/ws";
        assert!(more.parse::<Place>().unwrap_err().to_string().contains(more));
        assert!("/dns/localhost/tcp/1".parse::<Place>().unwrap().socket().is_err());
    }
}
