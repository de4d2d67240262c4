//! Which addresses are web servers, and where.
//!
//! ```text
//!   /dns4/example.com/tcp/443/tls/http          https://example.com
//!   /ip4/1.2.3.4/tcp/8443/tls/sni/a.example/http  https://a.example:8443
//!   /ip4/127.0.0.1/tcp/8080/http                http://127.0.0.1:8080
//! ```
//!
//! Invariant: without encryption only addresses of this machine and of private networks count,
//! unless the operator has named the server: elsewhere anybody on the way would see what is asked.
//! Not here: which hosts are allowed (`web.rs`).

use crate::{Multiaddr, dht::scope::Scope};
use hyper::Uri;
use libp2p::multiaddr::Protocol;
use std::{net::IpAddr, str::FromStr};

/// Longest name of a host. Source: RFC 1035.
const HOST_LEN_MAX: usize = 253;

/// Longest URL that an operator names, in bytes.
const URL_LEN_MAX: usize = 512;

/// Where a web server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebServer {
    base: String,
    host: String,
}

impl WebServer {
    /// Its URL, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The host alone.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The web server that an address names; `None` if it names none that may be asked.
    pub(super) fn of(addr: &Multiaddr) -> Option<Self> {
        let mut parts = addr.iter().filter(|part| !matches!(part, Protocol::P2p(_))).peekable();
        let (mut host, ip) = match parts.next()? {
            Protocol::Ip4(ip) => (ip.to_string(), Some(IpAddr::from(ip))),
            Protocol::Ip6(ip) => (format!("[{ip}]"), Some(IpAddr::from(ip))),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
                (name.into_owned(), None)
            }
            _ => return None,
        };
        let Protocol::Tcp(port) = parts.next()? else { return None };
        let is_encrypted = match parts.next()? {
            Protocol::Tls => {
                if let Some(Protocol::Sni(name)) = parts.peek() {
                    host = name.to_string();
                    parts.next();
                }
                matches!(parts.next()?, Protocol::Http).then_some(true)?
            }
            Protocol::Https => true,
            Protocol::Http => false,
            _ => return None,
        };
        let is_near = ip.is_some_and(|ip| Scope::Lan { loopback: true }.admits_ip(ip));
        if parts.next().is_some() || !(is_encrypted || is_near) || !is_host(&host) {
            return None;
        }
        let (scheme, usual) = if is_encrypted { ("https", 443) } else { ("http", 80) };
        let host = host.to_ascii_lowercase();
        let port = if port == usual { String::new() } else { format!(":{port}") };
        let base = format!("{scheme}://{host}{port}");
        // What makes no URL names no server.
        base.parse::<Uri>().ok()?;
        Some(Self { base, host: bare(&host) })
    }
}

/// Whether an address names a web server, also one that may not be asked.
pub fn is_web(addr: &Multiaddr) -> bool {
    addr.iter().any(|part| matches!(part, Protocol::Http | Protocol::Https))
}

/// Whether a text can be a host in a URL and nothing more.
fn is_host(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_ip6 = text.starts_with('[') && text.ends_with(']');
    text.len() <= HOST_LEN_MAX && (is_ip6 || (!text.is_empty() && text.bytes().all(is_plain)))
}

fn bare(host: &str) -> String {
    host.trim_matches(['[', ']']).to_owned()
}

impl FromStr for WebServer {
    /// What is wrong, as a sentence.
    type Err = String;

    /// Reads the URL of a server that the operator names.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is no URL of a web server");
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
        let (Some(scheme), Some(authority)) = (scheme, uri.authority()) else {
            return Err(refused());
        };
        let has_more = uri.query().is_some() || authority.as_str().contains('@');
        if text.len() > URL_LEN_MAX || has_more {
            return Err(refused());
        }
        let base = format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'));
        Ok(Self { base, host: bare(&authority.host().to_ascii_lowercase()) })
    }
}

#[cfg(test)]
mod tests {
    use super::{WebServer, is_web};
    use crate::Multiaddr;

    const PEER: &str = "12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";

    #[test]
    fn addresses_name_servers() {
        let rows = [
            ("/dns4/Example.com/tcp/443/tls/http", Some("https://example.com")),
            ("/dns/example.com/tcp/443/https", Some("https://example.com")),
            ("/dns6/example.com/tcp/8443/tls/http", Some("https://example.com:8443")),
            ("/ip4/1.2.3.4/tcp/443/tls/sni/a.example/http", Some("https://a.example")),
            ("/ip4/1.2.3.4/tcp/443/tls/http", Some("https://1.2.3.4")),
            ("/ip6/2606:4700::1/tcp/443/tls/http", Some("https://[2606:4700::1]")),
            ("/ip4/127.0.0.1/tcp/8080/http", Some("http://127.0.0.1:8080")),
            ("/ip6/::1/tcp/8080/http", Some("http://[::1]:8080")),
            ("/ip4/192.168.1.2/tcp/80/http", Some("http://192.168.1.2")),
            ("/ip4/8.8.8.8/tcp/80/http", None),
            ("/dns4/example.com/tcp/80/http", None),
            ("/dns4/localhost/tcp/80/http", None),
            ("/dns4/a@b/tcp/443/tls/http", None),
            ("/dns4/a b/tcp/443/tls/http", None),
            ("/dns4/example.com/tcp/443/tls", None),
            ("/dns4/example.com/tcp/443/tls/ws", None),
            ("/dns4/example.com/udp/443/quic-v1/http", None),
            ("/dns4/example.com/tcp/443/tls/http/http-path/x", None),
            ("/ip4/1.2.3.4/tcp/4001", None),
        ];
        for (text, expected) in rows {
            let addr: Multiaddr = text.parse().unwrap();
            let found = WebServer::of(&addr);
            assert_eq!(found.as_ref().map(WebServer::base), expected, "{text}");
            let with_peer: Multiaddr = format!("{text}/p2p/{PEER}").parse().unwrap();
            assert_eq!(WebServer::of(&with_peer), found, "{text}");
            assert_eq!(is_web(&addr), text.contains("/http"), "{text}");
        }
    }

    #[test]
    fn operators_name_servers_by_url() {
        for (text, base, host) in [
            ("https://ipfs.io/", "https://ipfs.io", "ipfs.io"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1"),
            ("http://[::1]:80/gateway/", "http://[::1]:80/gateway", "::1"),
        ] {
            let server: WebServer = text.parse().unwrap();
            assert_eq!((server.base(), server.host()), (base, host));
        }
        for text in ["", "auto", "ftp://x", "https://user:secret@x", "https://x/?y"] {
            assert!(text.parse::<WebServer>().is_err(), "{text}");
        }
    }
}
