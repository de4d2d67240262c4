//! What the sections about connections say: `Swarm`, `Peering`, `Pubsub` and `Cairn.Bandwidth`.
//!
//! Source of names, types and defaults: Kubo's `docs/config.md` at 0.43.
//! Not here: routing (`routing.rs`), what the values do (`cairn-network`).

use super::{ConfigError, Settings, tree, wrong};
use crate::resources::ResourceSettings;
use cairn_network::{BandwidthLimits, PubsubConfig, Range};
use serde_json::Value;
use std::time::Duration;

/// Section `Swarm.ConnMgr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnMgr {
    /// `false` for `Type: "none"`.
    pub enabled: bool,
    /// Trimmed down to this many connections.
    pub low_water: u32,
    /// Trimmed above this many.
    pub high_water: u32,
    /// New connections are left alone so long.
    pub grace_period: Duration,
    /// How often they are counted.
    pub silence_period: Duration,
}

/// Section `Swarm.Transports.Network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one switch each, named as in the file")]
#[non_exhaustive]
pub struct Transports {
    /// TCP.
    pub tcp: bool,
    /// QUIC.
    pub quic: bool,
    /// WebSocket.
    pub websocket: bool,
    /// Circuit relay.
    pub relay: bool,
}

/// One peer of section `Peering.Peers`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeeringPeer {
    /// Its peer ID.
    pub id: String,
    /// Where to reach it.
    pub addrs: Vec<String>,
}

impl Settings {
    /// `Experimental.Libp2pStreamMounting`: whether connections may be carried over streams.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn stream_mounting(&self) -> Result<bool, ConfigError> {
        self.flag("Experimental.Libp2pStreamMounting", false)
    }

    /// `Peering.Peers`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn peering(&self) -> Result<Vec<PeeringPeer>, ConfigError> {
        let key = "Peering.Peers";
        let Some(list) = tree::find(&self.0, key) else { return Ok(Vec::new()) };
        let wrong = || wrong(key, "a list of {ID, Addrs}", list);
        let peer = |value: &Value| {
            let id = value["ID"].as_str()?.to_owned();
            let addrs = value["Addrs"].as_array().map(Vec::as_slice).unwrap_or_default();
            let addrs = addrs.iter().map(|addr| addr.as_str().map(str::to_owned));
            Some(PeeringPeer { id, addrs: addrs.collect::<Option<_>>()? })
        };
        let peers = list.as_array().ok_or_else(wrong)?.iter().map(peer);
        peers.collect::<Option<_>>().ok_or_else(wrong)
    }

    /// `Swarm.AddrFilters`: ranges never dialled, nor accepted from.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn addr_filters(&self) -> Result<Vec<Range>, ConfigError> {
        let key = "Swarm.AddrFilters";
        let read = |text: String| {
            text.parse().map_err(|_| {
                wrong(key, "a list of ranges such as /ip4/10.0.0.0/ipcidr/8", &Value::String(text))
            })
        };
        self.strings_or(key, &[])?.into_iter().map(read).collect()
    }

    /// `Cairn.Bandwidth.In` and `.Out`: bytes a second through all connections with peers.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn bandwidth(&self) -> Result<BandwidthLimits, ConfigError> {
        let limit = |key| Ok::<_, ConfigError>(Some(self.byte_len(key, 0)?).filter(|len| *len > 0));
        Ok(BandwidthLimits {
            inbound: limit("Cairn.Bandwidth.In")?,
            outbound: limit("Cairn.Bandwidth.Out")?,
        })
    }

    /// Section `Swarm.ConnMgr`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn conn_mgr(&self) -> Result<ConnMgr, ConfigError> {
        Ok(ConnMgr {
            enabled: self.text("Swarm.ConnMgr.Type", "basic")? != "none",
            low_water: self.number("Swarm.ConnMgr.LowWater", 32)?.try_into().unwrap_or(u32::MAX),
            high_water: self.number("Swarm.ConnMgr.HighWater", 96)?.try_into().unwrap_or(u32::MAX),
            grace_period: self.duration("Swarm.ConnMgr.GracePeriod", 20)?,
            silence_period: self.duration("Swarm.ConnMgr.SilencePeriod", 10)?,
        })
    }

    /// Section `Swarm.ResourceMgr`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub(crate) fn resources(&self) -> Result<ResourceSettings, ConfigError> {
        let memory = self.byte_len("Swarm.ResourceMgr.MaxMemory", 0)?;
        let files = self.number("Swarm.ResourceMgr.MaxFileDescriptors", 0)?;
        Ok(ResourceSettings {
            enabled: self.flag("Swarm.ResourceMgr.Enabled", true)?,
            memory_max: Some(memory).filter(|len| *len > 0),
            files_max: Some(files)
                .filter(|files| *files > 0)
                .and_then(|files| files.try_into().ok()),
        })
    }

    /// Section `Swarm.Transports.Network`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn transports(&self) -> Result<Transports, ConfigError> {
        Ok(Transports {
            tcp: self.flag("Swarm.Transports.Network.TCP", true)?,
            quic: self.flag("Swarm.Transports.Network.QUIC", true)?,
            websocket: self.flag("Swarm.Transports.Network.Websocket", true)?,
            relay: self.flag("Swarm.Transports.Network.Relay", true)?,
        })
    }

    /// Section `Pubsub`: whether to take part, and how.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn pubsub(&self) -> Result<(bool, PubsubConfig), ConfigError> {
        let router = self.text("Pubsub.Router", "gossipsub")?;
        let flood = match router.as_str() {
            "" | "gossipsub" => false,
            "floodsub" => true,
            _ => {
                let expected = "\"gossipsub\" or \"floodsub\"";
                return Err(wrong("Pubsub.Router", expected, &Value::String(router)));
            }
        };
        let seen_ttl = self.duration("Pubsub.SeenMessagesTTL", 120)?;
        Ok((self.flag("Pubsub.Enabled", false)?, PubsubConfig { flood, seen_ttl }))
    }
}
