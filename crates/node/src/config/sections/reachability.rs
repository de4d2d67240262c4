//! What the config says about being reached from outside: `AutoNAT`, `Swarm.RelayClient`,
//! `Swarm.RelayService`, holes and ports.
//!
//! Source of names, types and defaults: Kubo's `docs/config.md` at 0.43.
//! Not here: what the values do (`cairn-network`).

use super::{ConfigError, Settings, wrong};
use cairn_network::{
    AutonatConfig, Multiaddr, Reachability, ReachabilityConfig, RelayClientConfig,
    RelayServiceConfig,
};
use serde_json::Value;

impl Settings {
    /// Everything about being reached from outside.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn reachability(&self) -> Result<ReachabilityConfig, ConfigError> {
        let transport = self.transports()?.relay;
        let listens = self.flag("Swarm.RelayClient.Enabled", transport)?;
        let serves = self.flag("Swarm.RelayService.Enabled", transport)?;
        let static_relays = self.static_relays()?;
        Ok(ReachabilityConfig {
            port_mapping: !self.flag("Swarm.DisableNatPortMap", false)?,
            autonat: self.autonat()?,
            forced: self.forced_reachability()?,
            relay_client: transport.then_some(RelayClientConfig { static_relays, listens }),
            relay_service: Some(self.relay_service()?).filter(|_| transport && serves),
            hole_punching: self.flag("Swarm.EnableHolePunching", true)? && listens,
        })
    }

    fn autonat(&self) -> Result<AutonatConfig, ConfigError> {
        let key = "AutoNAT.ServiceMode";
        let mode = self.text(key, "enabled")?;
        // Asking costs others little and this node nothing: whoever serves nobody may still ask.
        let (client, server, v1) = match mode.as_str() {
            "enabled" => (true, true, true),
            "legacy-v1" => (false, false, true),
            "disabled" => (true, false, false),
            _ => {
                let expected = "\"enabled\", \"disabled\" or \"legacy-v1\"";
                return Err(wrong(key, expected, &Value::String(mode)));
            }
        };
        let limit = |key, default: u32| {
            let limit = self.number(key, default.into())?;
            // As in Kubo, 0 is the default.
            Ok::<_, ConfigError>(match u32::try_from(limit) {
                Ok(0) => default,
                limit => limit.unwrap_or(u32::MAX),
            })
        };
        let usual = AutonatConfig::default();
        Ok(AutonatConfig {
            client,
            server,
            v1,
            global_limit: limit("AutoNAT.Throttle.GlobalLimit", usual.global_limit)?,
            peer_limit: limit("AutoNAT.Throttle.PeerLimit", usual.peer_limit)?,
            interval: self.duration("AutoNAT.Throttle.Interval", usual.interval.as_secs())?,
            ..usual
        })
    }

    fn forced_reachability(&self) -> Result<Option<Reachability>, ConfigError> {
        let key = "Internal.Libp2pForceReachability";
        let text = self.text(key, "")?;
        match text.as_str() {
            "" => Ok(None),
            "public" => Ok(Some(Reachability::Public)),
            "private" => Ok(Some(Reachability::Private)),
            _ => Err(wrong(key, "\"public\" or \"private\"", &Value::String(text))),
        }
    }

    fn static_relays(&self) -> Result<Vec<Multiaddr>, ConfigError> {
        let key = "Swarm.RelayClient.StaticRelays";
        let read = |text: String| {
            let addr: Option<Multiaddr> = text.parse().ok();
            let last = text
                .rsplit_once("/p2p/")
                .is_some_and(|(addr, id)| !addr.is_empty() && !id.contains('/'));
            let expected = "a list of addresses of relays that end in /p2p/PEER";
            addr.filter(|_| last).ok_or_else(|| wrong(key, expected, &Value::String(text)))
        };
        self.strings_or(key, &[])?.into_iter().map(read).collect()
    }

    fn relay_service(&self) -> Result<RelayServiceConfig, ConfigError> {
        let usual = RelayServiceConfig::default();
        let count = |key, default: usize| {
            self.number(key, default as u64).map(|count| count.try_into().unwrap_or(usize::MAX))
        };
        let ip = "Swarm.RelayService.MaxReservationsPerIP";
        Ok(RelayServiceConfig {
            duration_max: self.duration(
                "Swarm.RelayService.ConnectionDurationLimit",
                usual.duration_max.as_secs(),
            )?,
            len_max: self.byte_len("Swarm.RelayService.ConnectionDataLimit", usual.len_max)?,
            reservation_ttl: self
                .duration("Swarm.RelayService.ReservationTTL", usual.reservation_ttl.as_secs())?,
            reservations_max: count("Swarm.RelayService.MaxReservations", usual.reservations_max)?,
            reservations_per_ip_max: count(ip, usual.reservations_per_ip_max)?,
            circuits_per_peer_max: count(
                "Swarm.RelayService.MaxCircuits",
                usual.circuits_per_peer_max,
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AutonatConfig, Reachability, RelayServiceConfig, Settings};
    use serde_json::json;
    use std::time::Duration;

    const RELAY: &str =
        "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";

    #[test]
    fn the_defaults_are_kubos() {
        let usual = Settings::of(&json!({})).reachability().unwrap();
        assert!(usual.port_mapping && usual.hole_punching);
        let on = AutonatConfig { client: true, server: true, v1: true, ..usual.autonat };
        assert_eq!(usual.autonat, on);
        assert_eq!(usual.relay_service, Some(RelayServiceConfig::default()));
        assert!(usual.relay_client.is_some_and(|client| client.listens));
        assert_eq!(usual.forced, None);
    }

    #[test]
    fn each_key_counts() {
        let tree = json!({
            "AutoNAT": {"ServiceMode": "disabled", "Throttle": {"GlobalLimit": 7, "Interval": "2m"}},
            "Internal": {"Libp2pForceReachability": "private"},
            "Swarm": {
                "DisableNatPortMap": true,
                "EnableHolePunching": false,
                "RelayClient": {"StaticRelays": [RELAY]},
                "RelayService": {"Enabled": false},
            },
        });
        let read = Settings::of(&tree).reachability().unwrap();
        assert!(!read.port_mapping && !read.hole_punching && read.relay_service.is_none());
        assert!(read.autonat.client && !read.autonat.server && !read.autonat.v1);
        assert_eq!(read.autonat.global_limit, 7);
        assert_eq!(read.autonat.interval, Duration::from_mins(2));
        assert_eq!(read.forced, Some(Reachability::Private));
        assert_eq!(read.relay_client.unwrap().static_relays[0].to_string(), RELAY);
        let off = json!({"Swarm": {"Transports": {"Network": {"Relay": false}}}});
        let read = Settings::of(&off).reachability().unwrap();
        assert!(read.relay_client.is_none() && read.relay_service.is_none());
        assert!(!read.hole_punching);
    }

    #[test]
    fn wrong_values_are_named() {
        let rows = [
            ("AutoNAT.ServiceMode", json!({"AutoNAT": {"ServiceMode": "on"}})),
            ("Internal.Libp2p", json!({"Internal": {"Libp2pForceReachability": "maybe"}})),
            (
                "Swarm.RelayClient.StaticRelays",
                json!({"Swarm": {"RelayClient": {"StaticRelays": ["/ip4/192.0.2.1/tcp/1"]}}}),
            ),
            (
                "Swarm.RelayService.MaxCircuits",
                json!({"Swarm": {"RelayService": {"MaxCircuits": "many"}}}),
            ),
        ];
        for (key, tree) in rows {
            let error = Settings::of(&tree).reachability().unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
