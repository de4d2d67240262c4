//! Where a daemon is: multiaddresses and URLs as host and port, and back.

use crate::report::Failure;
use std::net::{IpAddr, SocketAddr};

/// A host and a port of TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    /// Reads `/ip4/127.0.0.1/tcp/5001`, `http://127.0.0.1:5001` or `127.0.0.1:5001`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong =
            |reason: &str| Failure::Usage(format!("invalid API address {text:?}: {reason}"));
        let text = text.trim();
        if let Some(rest) = text.strip_prefix('/') {
            let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
            return match parts[..] {
                ["ip4" | "ip6" | "dns" | "dns4" | "dns6", host, "tcp", port]
                | ["ip4" | "ip6" | "dns" | "dns4" | "dns6", host, "tcp", port, "http"] => {
                    let port = port.parse().map_err(|_| wrong("the port is not a number"))?;
                    Ok(Self { host: host.to_owned(), port })
                }
                _ => Err(wrong("use /ip4/ADDRESS/tcp/PORT")),
            };
        }
        if text.starts_with("https://") {
            return Err(wrong("https is not supported"));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let (host, port) = rest.rsplit_once(':').unwrap_or((rest, "80"));
        let port = port.parse().map_err(|_| wrong("the port is not a number"))?;
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() || host.contains('/') {
            return Err(wrong("use /ip4/ADDRESS/tcp/PORT or http://HOST:PORT"));
        }
        Ok(Self { host: host.to_owned(), port })
    }

    /// The `Host` header.
    pub(crate) fn authority(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => format!("[{}]:{}", self.host, self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Writes a listener's address as a multiaddress.
pub(crate) fn multiaddress(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("/ip4/{ip}/tcp/{}", address.port()),
        IpAddr::V6(ip) => format!("/ip6/{ip}/tcp/{}", address.port()),
    }
}

/// The address by which this machine reaches a listener: a wildcard becomes loopback.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => ([127, 0, 0, 1], address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, address.port()).into()
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, multiaddress, reachable};

    #[test]
    fn reads_every_form() {
        let rows = [
            ("/ip4/127.0.0.1/tcp/5001", Some("127.0.0.1:5001")),
            ("/ip6/::1/tcp/5001/http\n", Some("[::1]:5001")),
            ("/dns4/localhost/tcp/80", Some("localhost:80")),
            ("http://127.0.0.1:5001/", Some("127.0.0.1:5001")),
            ("http://[::1]:5001", Some("[::1]:5001")),
            ("localhost:5001", Some("localhost:5001")),
            ("/unix/tmp/api.sock", None),
            ("/ip4/127.0.0.1/udp/5001", None),
            ("/ip4/127.0.0.1/tcp/many", None),
            ("https://example.com", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let authority = Endpoint::parse(text).ok().map(|endpoint| endpoint.authority());
            assert_eq!(authority.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn writes_addresses() {
        assert_eq!(multiaddress("[::1]:7".parse().unwrap()), "/ip6/::1/tcp/7");
        assert_eq!(reachable("0.0.0.0:7".parse().unwrap()).to_string(), "127.0.0.1:7");
    }
}
