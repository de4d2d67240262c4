//! How content and peers are found, and what is announced: `Routing`, `Provide`, and
//! `Ipns.DelegatedPublishers`.
//!
//! Not here: the DHT itself (`cairn-network`), announcing (`provide.rs`).

use super::{ConfigError, Settings, tree, wrong};
use cairn_names::Name;
use cairn_network::{DhtConfig, DhtMode, Endpoint, ROUTERS_MAX, RoutersConfig};
use serde_json::Value;
use std::{fmt, time::Duration};

/// Who is asked over HTTP.
const ROUTERS: &str = "Routing.DelegatedRouters";

/// Who is given IPNS records over HTTP.
const PUBLISHERS: &str = "Ipns.DelegatedPublishers";

/// How often everything is announced anew, in seconds: 22 hours.
const INTERVAL_SECS: u64 = 22 * 3600;

/// Which blocks are announced: `Provide.Strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProvideStrategy {
    /// Every block that is here.
    All,
    /// The roots of what is pinned.
    Roots,
    /// What is pinned, with everything below.
    Pinned,
    /// What the mutable file system holds.
    Mfs,
    /// Both.
    PinnedAndMfs,
}

impl ProvideStrategy {
    /// Whether what pins keep is announced, with everything below.
    #[must_use]
    pub fn has_pinned(self) -> bool {
        matches!(self, Self::Pinned | Self::PinnedAndMfs)
    }

    /// Whether what the mutable file system holds is announced.
    #[must_use]
    pub fn has_mfs(self) -> bool {
        matches!(self, Self::Mfs | Self::PinnedAndMfs)
    }
}

impl fmt::Display for ProvideStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Roots => "roots",
            Self::Pinned => "pinned",
            Self::Mfs => "mfs",
            Self::PinnedAndMfs => "pinned+mfs",
        })
    }
}

/// Section `Provide`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvideSettings {
    /// Whether anything is announced.
    pub enabled: bool,
    /// What.
    pub strategy: ProvideStrategy,
    /// How often all of it is announced anew; `None` for never.
    pub interval: Option<Duration>,
    /// Whether a round goes on after a restart where it was.
    pub resume: bool,
}

impl Settings {
    /// `Routing.Type` and what belongs to it; the folder is the caller's.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`], also for types that Kubo has and this node does not.
    pub fn routing(&self) -> Result<DhtConfig, ConfigError> {
        let key = "Routing.Type";
        let kind = self.text(key, "auto")?;
        let (wan, lan) = match kind.as_str() {
            "auto" | "dht" => (Some(DhtMode::Auto), Some(DhtMode::Server)),
            "autoclient" | "dhtclient" => (Some(DhtMode::Client), Some(DhtMode::Client)),
            "dhtserver" => (Some(DhtMode::Server), Some(DhtMode::Server)),
            "none" | "delegated" => (None, None),
            _ => {
                let expected = "auto, autoclient, dht, dhtclient, dhtserver, delegated or none";
                return Err(wrong(key, expected, &Value::String(kind)));
            }
        };
        let lan_loopback = self.flag("Routing.LoopbackAddressesOnLanDHT", false)?;
        Ok(DhtConfig { wan, lan, lan_loopback, folder: None })
    }

    /// `Routing.DelegatedRouters`, `Routing.IgnoreProviders` and `Ipns.DelegatedPublishers`, as far
    /// as `Routing.Type` heeds them.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`], also where `delegated` has nobody to ask.
    pub fn routers(&self) -> Result<RoutersConfig, ConfigError> {
        let kind = self.text("Routing.Type", "auto")?;
        let ignored = self.strings_or("Routing.IgnoreProviders", &[])?;
        let ignored = ignored.iter().map(|id| {
            let name: Result<Name, _> = id.parse();
            name.map(|name| name.peer_id()).map_err(|_| {
                wrong("Routing.IgnoreProviders", "peer IDs", &Value::String(id.clone()))
            })
        });
        let mut config = RoutersConfig {
            ignored: ignored.collect::<Result<_, _>>()?,
            ..RoutersConfig::default()
        };
        if matches!(kind.as_str(), "auto" | "autoclient" | "delegated") {
            config.routers = self.endpoints(ROUTERS)?;
            config.publishers = self.endpoints(PUBLISHERS)?;
        }
        if kind == "delegated" && config.routers.is_empty() && config.publishers.is_empty() {
            let expected = "the URL of a router, since Routing.Type is \"delegated\"";
            return Err(wrong(ROUTERS, expected, &Value::Array(Vec::new())));
        }
        Ok(config)
    }

    /// The keys that hold the placeholder `"auto"`, for which this node contacts nobody.
    pub(crate) fn routers_left_to_others(&self) -> Vec<&'static str> {
        let is_auto = |key: &&str| match tree::find(&self.0, key) {
            Some(Value::Array(list)) => list.iter().any(|entry| entry == "auto"),
            Some(value) => value == "auto",
            None => false,
        };
        [ROUTERS, PUBLISHERS].into_iter().filter(is_auto).collect()
    }

    fn endpoints(&self, key: &str) -> Result<Vec<Endpoint>, ConfigError> {
        let urls = self.strings_or(key, &[])?;
        if urls.len() > ROUTERS_MAX {
            return Err(wrong(key, "at most 16 routers", &Value::from(urls)));
        }
        let endpoint = |url: &String| {
            let refused =
                |_| wrong(key, "URLs such as https://router.example", &Value::from(url.as_str()));
            url.parse().map_err(refused)
        };
        urls.iter().map(endpoint).collect()
    }

    /// Section `Provide`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`], also for strategies that Kubo has and this node does not.
    pub fn provide(&self) -> Result<ProvideSettings, ConfigError> {
        let key = "Provide.Strategy";
        let text = self.text(key, "all")?;
        // Every key is announced once in any case: what `+unique` asks for.
        let strategy = match text.strip_suffix("+unique").unwrap_or(&text) {
            "all" | "flat" => ProvideStrategy::All,
            "roots" => ProvideStrategy::Roots,
            "pinned" => ProvideStrategy::Pinned,
            "mfs" => ProvideStrategy::Mfs,
            "pinned+mfs" | "mfs+pinned" => ProvideStrategy::PinnedAndMfs,
            _ => {
                let expected = "all, roots, pinned, mfs or pinned+mfs (+unique)";
                return Err(wrong(key, expected, &Value::String(text)));
            }
        };
        let interval = self.duration("Provide.DHT.Interval", INTERVAL_SECS)?;
        Ok(ProvideSettings {
            enabled: self.flag("Provide.Enabled", true)?,
            strategy,
            interval: Some(interval).filter(|interval| !interval.is_zero()),
            resume: self.flag("Provide.DHT.ResumeEnabled", true)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ProvideStrategy, Settings};
    use cairn_network::DhtMode;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn every_type_of_routing_is_known_or_refused_by_name() {
        let rows = [
            (json!({}), Some((Some(DhtMode::Auto), Some(DhtMode::Server)))),
            (json!({"Type": "auto"}), Some((Some(DhtMode::Auto), Some(DhtMode::Server)))),
            (json!({"Type": "dhtclient"}), Some((Some(DhtMode::Client), Some(DhtMode::Client)))),
            (json!({"Type": "dhtserver"}), Some((Some(DhtMode::Server), Some(DhtMode::Server)))),
            (json!({"Type": "none"}), Some((None, None))),
            (json!({"Type": "delegated"}), Some((None, None))),
            (json!({"Type": "custom"}), None),
            (json!({"Type": 7}), None),
        ];
        for (section, expected) in rows {
            let settings = Settings::of(&json!({"Routing": section}));
            match (settings.routing(), expected) {
                (Ok(dht), Some(expected)) => assert_eq!((dht.wan, dht.lan), expected, "{section}"),
                (Err(error), None) => assert!(error.to_string().contains("Routing.Type")),
                (got, _) => panic!("{section}: {got:?}"),
            }
        }
    }

    #[test]
    fn routers_are_urls_that_the_operator_names() {
        let read = |routing| Settings::of(&json!({"Routing": routing})).routers();
        let named = json!({"DelegatedRouters": ["auto", "https://r.example/routing/v1"]});
        let config = read(named).unwrap();
        assert_eq!(config.routers.len(), 1, "\"auto\" is nobody");
        assert_eq!(config.routers[0].base(), "https://r.example");
        let routers = json!(["http://127.0.0.1:1"]);
        for (kind, count) in [
            ("auto", 1),
            ("autoclient", 1),
            ("delegated", 1),
            ("dht", 0),
            ("dhtserver", 0),
            ("none", 0),
        ] {
            let config = read(json!({"Type": kind, "DelegatedRouters": routers})).unwrap();
            assert_eq!(config.routers.len(), count, "{kind}");
        }
        for (section, key) in [
            (json!({"Type": "delegated"}), "Routing.DelegatedRouters"),
            (
                json!({"Type": "delegated", "DelegatedRouters": ["auto"]}),
                "Routing.DelegatedRouters",
            ),
            (json!({"DelegatedRouters": ["ftp://x"]}), "Routing.DelegatedRouters"),
            (json!({"DelegatedRouters": vec!["https://x"; 17]}), "Routing.DelegatedRouters"),
            (json!({"DelegatedRouters": 7}), "Routing.DelegatedRouters"),
            (json!({"IgnoreProviders": ["me"]}), "Routing.IgnoreProviders"),
        ] {
            let error = read(section.clone()).unwrap_err().to_string();
            assert!(error.contains(key), "{section}: {error}");
        }
        let tree = json!({"Ipns": {"DelegatedPublishers": ["https://p.example", "auto"]}});
        let settings = Settings::of(&tree);
        assert_eq!(settings.routers().unwrap().publishers.len(), 1);
        assert_eq!(settings.routers_left_to_others(), ["Ipns.DelegatedPublishers"]);
    }

    #[test]
    fn strategies_are_known_or_refused_by_name() {
        let rows = [
            ("all", Some(ProvideStrategy::All)),
            ("roots", Some(ProvideStrategy::Roots)),
            ("pinned+unique", Some(ProvideStrategy::Pinned)),
            ("pinned+mfs", Some(ProvideStrategy::PinnedAndMfs)),
            ("pinned+entities", None),
            ("some", None),
        ];
        for (text, expected) in rows {
            let settings = Settings::of(&json!({"Provide": {"Strategy": text}}));
            match settings.provide() {
                Ok(provide) => assert_eq!(Some(provide.strategy), expected, "{text}"),
                Err(error) => {
                    assert!(expected.is_none() && error.to_string().contains("Provide.Strategy"));
                }
            }
        }
        let off = Settings::of(&json!({"Provide": {"DHT": {"Interval": "0s"}}}));
        assert_eq!(off.provide().unwrap().interval, None);
        let usual = Settings::of(&json!({})).provide().unwrap();
        assert_eq!(usual.interval, Some(Duration::from_hours(22)));
    }
}
