//! Filters of a question: which addresses and which protocols the client can use at all.
//!
//! Spec: IPIP-484, pinned in `spec/PINS.toml`.
//! Invariant: pure; at most [`WORDS_MAX`] words of a filter are looked at.
//! Not here: what is filtered (`peers.rs`).

use crate::text;
use cairn_network::{Contact, Multiaddr};

/// Words of one filter that count.
///
/// Source: own choice; there are some forty protocols of addresses.
const WORDS_MAX: usize = 64;

/// Longest name of a protocol. Source: IPIP-484.
const WORD_LEN_MAX: usize = 63;

/// The word for what is not known.
const UNKNOWN: &str = "unknown";

/// What the client wants to hear of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    /// Addresses with one of these.
    with: Vec<String>,
    /// And none of these.
    without: Vec<String>,
    protocols: Vec<String>,
}

impl Filter {
    /// Reads a query.
    pub(super) fn parse(query: &str) -> Self {
        let mut filter = Self::default();
        for pair in query.split('&').take(WORDS_MAX) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(value) = text::unpercent(value, true) else { continue };
            let words = value.split(',').map(|word| word.trim().to_ascii_lowercase());
            let words = words.filter(|word| !word.is_empty() && word.len() <= WORD_LEN_MAX);
            match name {
                "filter-addrs" if filter.with.is_empty() && filter.without.is_empty() => {
                    for word in words.take(WORDS_MAX) {
                        match word.strip_prefix('!') {
                            Some(word) => filter.without.push(word.to_owned()),
                            None => filter.with.push(word),
                        }
                    }
                }
                "filter-protocols" if filter.protocols.is_empty() => {
                    filter.protocols = words.take(WORDS_MAX).collect();
                }
                _ => {}
            }
        }
        filter
    }

    /// What of a peer is told, if it is told at all; `protocols` are those that it is known for.
    pub(super) fn apply(&self, mut contact: Contact, protocols: &[&str]) -> Option<Contact> {
        if !self.admits(protocols) {
            return None;
        }
        let has_filter = !self.with.is_empty() || !self.without.is_empty();
        let is_unknown = contact.addrs.is_empty() && self.with.iter().any(|word| word == UNKNOWN);
        if !has_filter || is_unknown {
            return Some(contact);
        }
        contact.addrs.retain(|addr| self.passes(addr));
        (!contact.addrs.is_empty()).then_some(contact)
    }

    fn admits(&self, protocols: &[&str]) -> bool {
        let wants = |name: &str| self.protocols.iter().any(|word| word == name);
        self.protocols.is_empty()
            || (protocols.is_empty() && wants(UNKNOWN))
            || protocols.iter().any(|name| wants(&name.to_ascii_lowercase()))
    }

    fn passes(&self, addr: &Multiaddr) -> bool {
        let has = |word: &String| addr.protocol_stack().any(|name| name == word);
        !self.without.iter().any(has) && (self.with.is_empty() || self.with.iter().any(has))
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, WORDS_MAX};
    use cairn_names::PeerId;
    use cairn_network::Contact;

    fn told(query: &str, addrs: &[&str], protocols: &[&str]) -> Option<Vec<String>> {
        let addrs = addrs.iter().map(|addr| addr.parse().unwrap()).collect();
        let contact = Contact { peer: PeerId::random(), addrs };
        let told = Filter::parse(query).apply(contact, protocols)?;
        Some(told.addrs.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn addresses_are_filtered_as_the_specification_says() {
        let tcp = "/ip4/1.2.3.4/tcp/1";
        let quic = "/ip6/2606:4700::1/udp/1/quic-v1";
        let web = "/dns4/tls.example/tcp/443/tls/http";
        let all = [tcp, quic, web];
        let rows: &[(&str, &[&str])] = &[
            ("", &all),
            ("other=tcp", &all),
            ("filter-addrs=", &all),
            ("filter-addrs=tcp", &[tcp, web]),
            ("filter-addrs=TCP%2Cquic-v1", &all),
            ("filter-addrs=tls", &[web]),
            ("filter-addrs=!ip6,!tls", &[tcp]),
            ("filter-addrs=tcp,!tls", &[tcp]),
            ("filter-addrs=unknown,tls", &[web]),
            ("filter-addrs=quic-v1&filter-addrs=tcp", &[quic]),
        ];
        for (query, expected) in rows {
            assert_eq!(told(query, &all, &[]).unwrap(), *expected, "{query}");
        }
        assert_eq!(told("filter-addrs=webrtc", &all, &[]), None, "nothing is left to tell");
        assert_eq!(told("filter-addrs=tcp", &[], &[]), None);
        assert_eq!(told("filter-addrs=tcp,unknown", &[], &[]), Some(vec![]));
        assert_eq!(told("filter-addrs=unknown", &all, &[]), None);
    }

    #[test]
    fn protocols_are_filtered_as_the_specification_says() {
        let http = ["transport-ipfs-gateway-http"];
        let rows: &[(&str, &[&str], bool)] = &[
            ("filter-protocols=unknown", &[], true),
            ("filter-protocols=unknown", &http, false),
            ("filter-protocols=transport-bitswap", &[], false),
            ("filter-protocols=Transport-IPFS-Gateway-HTTP,x", &http, true),
            ("", &http, true),
        ];
        for (query, protocols, expected) in rows {
            assert_eq!(told(query, &[], protocols).is_some(), *expected, "{query}");
        }
        let long = format!("filter-protocols={}", "x".repeat(64));
        assert_eq!(Filter::parse(&long), Filter::default());
        let many = Filter::parse(&format!("filter-addrs={}", "tcp,".repeat(1000)));
        assert_eq!(many.with.len(), WORDS_MAX);
    }
}
