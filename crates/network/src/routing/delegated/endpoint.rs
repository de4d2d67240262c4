//! Where a router is, and what it is there for.
//!
//! Written as a base URL, or with a path such as `/routing/v1/providers`, as in Kubo's settings,
//! which limits what the router is asked.
//! Not here: which keys of the config name routers (`cairn-node`).

use crate::dht::scope::Scope;
use hyper::Uri;
use std::{net::IpAddr, str::FromStr};

/// Most routers that are asked.
pub const ROUTERS_MAX: usize = 16;

/// Longest URL of a router, in bytes.
const URL_LEN_MAX: usize = 512;

/// One router's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    base: String,
    is_local: bool,
    pub(super) parts: Parts,
}

/// The parts of the API that a router is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) providers: bool,
    pub(super) peers: bool,
    pub(super) ipns: bool,
}

impl Endpoint {
    /// The URL without the API's own path and without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether it is on this machine or in a private network.
    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }
}

impl FromStr for Endpoint {
    /// What is wrong, as the end of a sentence.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{text:?} is no URL: {error}"))?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let is_long = text.len() > URL_LEN_MAX;
        let (true, false, Some(authority)) = (is_web, is_long, uri.authority()) else {
            return Err(format!("{text:?} is no URL of a web server"));
        };
        if uri.query().is_some() || authority.as_str().contains('@') {
            return Err(format!("{text:?} has more than a server and a path"));
        }
        let path = uri.path().trim_end_matches('/');
        let (path, kind) = match path.split_once("/routing/v1") {
            Some((before, kind)) => (before, kind),
            None => (path, ""),
        };
        let is = |name: &str| kind.is_empty() || kind == name;
        let parts = Parts { providers: is("/providers"), peers: is("/peers"), ipns: is("/ipns") };
        if !(parts.providers || parts.peers || parts.ipns) {
            return Err(format!("{text:?} names no part of the routing API"));
        }
        let base = format!("{}://{authority}{path}", uri.scheme_str().unwrap_or_default());
        let host = authority.host().trim_matches(['[', ']']);
        let in_lan = |ip: IpAddr| Scope::Lan { loopback: true }.admits_ip(ip);
        let is_local = host == "localhost" || host.parse().is_ok_and(in_lan);
        Ok(Self { base, is_local, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn a_router_is_a_server_and_what_it_is_asked() {
        let rows = [
            ("https://r.example", "https://r.example", (true, true, true)),
            ("https://r.example/", "https://r.example", (true, true, true)),
            ("http://127.0.0.1:8080/x/", "http://127.0.0.1:8080/x", (true, true, true)),
            ("https://r.example/routing/v1", "https://r.example", (true, true, true)),
            ("https://r.example/routing/v1/providers", "https://r.example", (true, false, false)),
            ("https://r.example/routing/v1/peers/", "https://r.example", (false, true, false)),
            ("https://r.example/a/routing/v1/ipns", "https://r.example/a", (false, false, true)),
        ];
        for (text, base, can) in rows {
            let found: Endpoint = text.parse().unwrap();
            let parts = (found.parts.providers, found.parts.peers, found.parts.ipns);
            assert_eq!((found.base(), parts), (base, can), "{text}");
        }
        for text in [
            "",
            "r.example",
            "ftp://r.example",
            "https://user:secret@r.example",
            "https://r.example/?x=y",
            "https://r.example/routing/v1/unknown",
            "auto",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_addresses_tell_what_is_local() {
        for (text, expected) in [
            ("http://127.0.0.1", true),
            ("http://[::1]:80", true),
            ("http://192.168.1.1", true),
            ("http://localhost:8080", true),
            ("https://8.8.8.8", false),
            ("https://r.example", false),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().is_local(), expected, "{text}");
        }
    }
}
