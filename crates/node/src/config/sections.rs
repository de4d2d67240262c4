//! What the config's keys mean: typed readers with the defaults of the keys that are not there.
//!
//! A missing key and `null` are the implicit default. `"auto"` is nothing: endpoints that the
//! operator has not named are never contacted.
//!
//! Source of names, types and defaults: Kubo's `docs/config.md` at 0.43.
//! Not here: the file itself (`config.rs`), first values of a new file (`initial.rs`).

mod reachability;
mod retrieval;
mod routing;
mod store;
mod swarm;

pub use routing::{ProvideSettings, ProvideStrategy};
pub use store::Experimental;
pub use swarm::{ConnMgr, PeeringPeer, Transports};

use super::{ConfigError, tree, units};
use crate::{ScrubSettings, add::AddOptions};
use cairn_chunk::ChunkSpec;
use cairn_hash::code;
use cairn_runtime::{Budget, duration_of};
use cairn_unixfs::{DirectoryEstimate, Layout};
use serde_json::Value;
use std::{fmt, sync::Arc, time::Duration};

/// Changes of MFS that may wait for a flush, unless told otherwise.
const MFS_UNFLUSHED_MAX: u64 = 256;

/// One consistent state of the config; every reader names the key it cannot understand.
#[derive(Clone)]
pub struct Settings(pub(super) Arc<Value>);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

/// Section `Addresses`: multiaddresses as text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Addresses {
    /// Where RPC listens.
    pub api: Vec<String>,
    /// Where the gateway listens.
    pub gateway: Vec<String>,
    /// Where peers connect to.
    pub swarm: Vec<String>,
    /// What peers are told instead of the addresses listened on.
    pub announce: Vec<String>,
    /// What peers are told besides.
    pub append_announce: Vec<String>,
    /// What peers are never told: addresses, or ranges (`…/ipcidr/8`).
    pub no_announce: Vec<String>,
}

/// When garbage is collected without being asked for: `Datastore` and `Cairn.GC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcSettings {
    /// Collected above so many bytes: `StorageGCWatermark` percent of `StorageMax`.
    pub size_max: u64,
    /// `GCPeriod`: how often the size is looked at; `None` for never.
    pub period: Option<Duration>,
    /// `Cairn.GC.MinFree`: collected when the disk has less left, in bytes; 0 for never.
    pub min_free: u64,
}

impl GcSettings {
    /// How long a disk that stays full is left alone after a collection.
    #[must_use]
    pub fn rest(&self) -> Duration {
        self.period.unwrap_or(Duration::from_hours(1))
    }
}

/// Section `Bitswap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bitswap {
    /// Whether to speak it at all.
    pub enabled: bool,
    /// Whether to serve blocks to peers.
    pub server_enabled: bool,
}

/// Section `Gateway`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one switch each, named as in the file")]
#[non_exhaustive]
pub struct Gateway {
    /// Serve only what is here.
    pub no_fetch: bool,
    /// Resolve no DNSLink.
    pub no_dns_link: bool,
    /// Answer with files and directories, not only blocks and CARs.
    pub deserialized_responses: bool,
    /// Convert between codecs.
    pub allow_codec_conversion: bool,
    /// Plain text errors.
    pub disable_html_errors: bool,
    /// Where `/` redirects to, if not empty.
    pub root_redirect: String,
    /// Headers added to every answer.
    pub http_headers: Vec<(String, Vec<String>)>,
    /// Longest wait for the next block.
    pub retrieval_timeout: Duration,
    /// Longest request.
    pub max_request_duration: Duration,
    /// Most requests at once; 0 is no limit.
    pub max_concurrent_requests: usize,
    /// Largest file that ranges are served of, in bytes; 0 is no limit.
    pub max_range_request_file_len: u64,
    /// Hosts with rules of their own, as in the file; `null` for none.
    pub public_gateways: Value,
}

/// One user of RPC, of section `API.Authorizations`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authorization {
    /// The user's name, for people.
    pub name: String,
    /// `bearer:TOKEN`, `basic:USER:PASSWORD`.
    pub secret: String,
    /// Prefixes of paths that this user may call.
    pub allowed_paths: Vec<String>,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Authorization");
        debug.field("name", &self.name).field("allowed_paths", &self.allowed_paths);
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Settings {
    pub(crate) fn of(tree: &Value) -> Self {
        Self(Arc::new(tree.clone()))
    }
}

impl Settings {
    /// Section `Addresses`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] naming the key, as for every reader here.
    pub fn addresses(&self) -> Result<Addresses, ConfigError> {
        Ok(Addresses {
            api: self.strings_or("Addresses.API", &["/ip4/127.0.0.1/tcp/5001"])?,
            gateway: self.strings_or("Addresses.Gateway", &["/ip4/127.0.0.1/tcp/8080"])?,
            swarm: self.strings_or("Addresses.Swarm", &[])?,
            announce: self.strings_or("Addresses.Announce", &[])?,
            append_announce: self.strings_or("Addresses.AppendAnnounce", &[])?,
            no_announce: self.strings_or("Addresses.NoAnnounce", &[])?,
        })
    }

    /// `Bootstrap`, without `"auto"`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn bootstrap(&self) -> Result<Vec<String>, ConfigError> {
        self.strings_or("Bootstrap", &[])
    }

    /// `Discovery.MDNS.Enabled`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn mdns_enabled(&self) -> Result<bool, ConfigError> {
        self.flag("Discovery.MDNS.Enabled", true)
    }

    /// Section `Bitswap`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn bitswap(&self) -> Result<Bitswap, ConfigError> {
        Ok(Bitswap {
            enabled: self.flag("Bitswap.Libp2pEnabled", true)?,
            server_enabled: self.flag("Bitswap.ServerEnabled", true)?,
        })
    }

    /// `Version.AgentSuffix`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn agent_suffix(&self) -> Result<String, ConfigError> {
        self.text("Version.AgentSuffix", "")
    }

    /// `Datastore.StorageMax`, in bytes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn storage_max(&self) -> Result<u64, ConfigError> {
        self.byte_len("Datastore.StorageMax", 10_000_000_000)
    }

    /// When garbage is collected without being asked for.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn gc(&self) -> Result<GcSettings, ConfigError> {
        let percent = self.number("Datastore.StorageGCWatermark", 90)?;
        let size_max = u128::from(self.storage_max()?) * u128::from(percent) / 100;
        let period = self.duration("Datastore.GCPeriod", 3600)?;
        Ok(GcSettings {
            size_max: u64::try_from(size_max).unwrap_or(u64::MAX),
            period: Some(period).filter(|period| !period.is_zero()),
            min_free: self.byte_len("Cairn.GC.MinFree", 1_000_000_000)?,
        })
    }

    /// `Cairn.Memory.Max`: what queues and caches may fill.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn memory(&self) -> Result<Budget, ConfigError> {
        let unset = Budget::of_machine();
        Ok(Budget::new(self.byte_len("Cairn.Memory.Max", unset.total())?))
    }

    /// Section `Cairn.Scrub`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn scrub(&self) -> Result<ScrubSettings, ConfigError> {
        const MONTH_SECS: u64 = 30 * 24 * 3600;
        Ok(ScrubSettings {
            period: self.duration("Cairn.Scrub.Period", MONTH_SECS)?,
            rate: self.byte_len("Cairn.Scrub.Rate", 30_000_000)?,
            heal: self.flag("Cairn.Scrub.Heal", true)?,
        })
    }

    /// `API.HTTPHeaders`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn api_headers(&self) -> Result<Vec<(String, Vec<String>)>, ConfigError> {
        self.headers("API.HTTPHeaders")
    }

    /// `API.Authorizations`; empty means that RPC needs no token.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn authorizations(&self) -> Result<Vec<Authorization>, ConfigError> {
        let key = "API.Authorizations";
        let Some(users) = tree::find(&self.0, key) else { return Ok(Vec::new()) };
        // The value is not quoted in the error: it holds secrets.
        let wrong = || wrong(key, "an object of {AuthSecret, AllowedPaths}", &Value::Null);
        let user = |(name, value): (&String, &Value)| {
            let secret = value["AuthSecret"].as_str()?.to_owned();
            let paths = value["AllowedPaths"].as_array().map(Vec::as_slice).unwrap_or_default();
            let paths = paths.iter().map(|path| path.as_str().map(str::to_owned));
            let allowed_paths = paths.collect::<Option<_>>()?;
            Some(Authorization { name: name.clone(), secret, allowed_paths })
        };
        let users = users.as_object().ok_or_else(wrong)?.iter().map(user);
        users.collect::<Option<_>>().ok_or_else(wrong)
    }

    /// Section `Gateway`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn gateway(&self) -> Result<Gateway, ConfigError> {
        let public_gateways = tree::find(&self.0, "Gateway.PublicGateways");
        Ok(Gateway {
            no_fetch: self.flag("Gateway.NoFetch", false)?,
            no_dns_link: self.flag("Gateway.NoDNSLink", false)?,
            deserialized_responses: self.flag("Gateway.DeserializedResponses", true)?,
            allow_codec_conversion: self.flag("Gateway.AllowCodecConversion", false)?,
            disable_html_errors: self.flag("Gateway.DisableHTMLErrors", false)?,
            root_redirect: self.text("Gateway.RootRedirect", "")?,
            http_headers: self.headers("Gateway.HTTPHeaders")?,
            retrieval_timeout: self.duration("Gateway.RetrievalTimeout", 30)?,
            max_request_duration: self.duration("Gateway.MaxRequestDuration", 3600)?,
            max_concurrent_requests: self.number("Gateway.MaxConcurrentRequests", 4096)? as usize,
            max_range_request_file_len: self.byte_len("Gateway.MaxRangeRequestFileSize", 0)?,
            public_gateways: public_gateways.cloned().unwrap_or(Value::Null),
        })
    }

    /// Section `Import`, as the options of an add without flags.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn import(&self) -> Result<AddOptions, ConfigError> {
        let default = AddOptions::default();
        let count = |key, value: usize| self.number(key, value as u64).map(|count| count as usize);
        Ok(AddOptions {
            chunker: self.chunker()?,
            cid_version: self.cid_version()?,
            hash_code: self.hash_code()?,
            raw_leaves: self.switch("Import.UnixFSRawLeaves")?,
            layout: self.layout()?,
            max_file_links: count("Import.UnixFSFileMaxLinks", default.max_file_links)?,
            max_directory_links: count("Import.UnixFSDirectoryMaxLinks", 0)?,
            max_hamt_fanout: count("Import.UnixFSHAMTDirectoryMaxFanout", default.max_hamt_fanout)?,
            hamt_threshold: self
                .byte_len("Import.UnixFSHAMTDirectorySizeThreshold", default.hamt_threshold as u64)?
                .try_into()
                .unwrap_or(usize::MAX),
            hamt_estimation: self.hamt_estimation()?,
            ..default
        })
    }

    /// Key `Internal.MFSNoFlushLimit`: changes of MFS that may wait for a flush; 0 is no limit.
    ///
    /// # Errors
    ///
    /// Any [`ConfigError`].
    pub fn mfs_unflushed_max(&self) -> Result<u64, ConfigError> {
        self.number("Internal.MFSNoFlushLimit", MFS_UNFLUSHED_MAX)
    }

    fn chunker(&self) -> Result<ChunkSpec, ConfigError> {
        let key = "Import.UnixFSChunker";
        let text = self.text(key, "size-262144")?;
        let refused = |error: cairn_chunk::ChunkError| ConfigError::Value {
            key: key.to_owned(),
            expected: "a chunker",
            found: error.to_string(),
        };
        ChunkSpec::parse(&text).map_err(refused)
    }

    fn cid_version(&self) -> Result<Option<u8>, ConfigError> {
        let key = "Import.CidVersion";
        match tree::find(&self.0, key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(version @ 0..=1) => Ok(Some(version as u8)),
                _ => Err(wrong(key, "0 or 1", value)),
            },
        }
    }

    fn hash_code(&self) -> Result<u64, ConfigError> {
        let key = "Import.HashFunction";
        let name = self.text(key, "sha2-256")?;
        let unknown = || wrong(key, "a hash function", &Value::String(name.clone()));
        code::code_of(&name).filter(|&code| code::is_allowed(code)).ok_or_else(unknown)
    }

    fn layout(&self) -> Result<Layout, ConfigError> {
        let key = "Import.UnixFSDAGLayout";
        match self.text(key, "balanced")?.as_str() {
            "balanced" => Ok(Layout::Balanced),
            "trickle" => Ok(Layout::Trickle),
            other => Err(wrong(key, "balanced or trickle", &Value::String(other.to_owned()))),
        }
    }

    fn hamt_estimation(&self) -> Result<DirectoryEstimate, ConfigError> {
        let key = "Import.UnixFSHAMTDirectorySizeEstimation";
        match self.text(key, "links")?.as_str() {
            "links" => Ok(DirectoryEstimate::Links),
            "block" => Ok(DirectoryEstimate::Block),
            "disabled" => Ok(DirectoryEstimate::Disabled),
            other => Err(wrong(key, "links, block or disabled", &Value::String(other.to_owned()))),
        }
    }

    /// Reads everything once, so that a wrong value is told at start and not at first use.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.addresses()?;
        self.bootstrap()?;
        self.peering()?;
        self.mdns_enabled()?;
        self.addr_filters()?;
        self.conn_mgr()?;
        self.transports()?;
        self.reachability()?;
        self.resources()?;
        self.bitswap()?;
        self.routing()?;
        self.routers()?;
        self.http_retrieval(false)?;
        self.provide()?;
        self.agent_suffix()?;
        self.storage_max()?;
        self.gc()?;
        self.scrub()?;
        self.compression()?;
        self.experimental()?;
        self.api_headers()?;
        self.authorizations()?;
        self.gateway()?;
        self.import()?;
        self.mfs_unflushed_max()?;
        Ok(())
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        Ok(self.switch(key)?.unwrap_or(default))
    }

    /// `true`, `false`, or neither (`null`, `"default"`).
    fn switch(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        match tree::find(&self.0, key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::String(text)) if is_default(text) => Ok(None),
            Some(other) => Err(wrong(key, "true or false (use --bool or --json)", other)),
        }
    }

    fn text(&self, key: &str, default: &str) -> Result<String, ConfigError> {
        match tree::find(&self.0, key) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) if is_default(text) => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(wrong(key, "a string", other)),
        }
    }

    fn number(&self, key: &str, default: u64) -> Result<u64, ConfigError> {
        match tree::find(&self.0, key) {
            None => Ok(default),
            Some(Value::String(text)) if is_default(text) => Ok(default),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| wrong(key, "a number that is not negative (use --json)", value)),
        }
    }

    fn duration(&self, key: &str, default_secs: u64) -> Result<Duration, ConfigError> {
        let default = Duration::from_secs(default_secs);
        match tree::find(&self.0, key) {
            None => Ok(default),
            Some(Value::String(text)) if is_default(text) => Ok(default),
            Some(value) => {
                let read = value.as_str().and_then(duration_of);
                read.ok_or_else(|| wrong(key, "a duration such as \"20s\"", value))
            }
        }
    }

    fn byte_len(&self, key: &str, default: u64) -> Result<u64, ConfigError> {
        match tree::find(&self.0, key) {
            None => Ok(default),
            Some(Value::String(text)) if is_default(text) => Ok(default),
            Some(value) => {
                let read = value.as_u64().or_else(|| value.as_str().and_then(units::byte_len));
                read.ok_or_else(|| wrong(key, "a size such as \"10GB\"", value))
            }
        }
    }

    /// A list of strings, or one string, without `"auto"`.
    fn strings_or(&self, key: &str, default: &[&str]) -> Result<Vec<String>, ConfigError> {
        let list = match tree::find(&self.0, key) {
            None => return Ok(default.iter().map(|&text| text.to_owned()).collect()),
            Some(Value::String(text)) if text.is_empty() => Vec::new(),
            Some(Value::String(text)) => vec![text.clone()],
            Some(value) => strings(key, value)?,
        };
        Ok(list.into_iter().filter(|text| text != "auto").collect())
    }

    fn headers(&self, key: &str) -> Result<Vec<(String, Vec<String>)>, ConfigError> {
        let Some(value) = tree::find(&self.0, key) else { return Ok(Vec::new()) };
        let wrong = || wrong(key, "an object of lists of strings", value);
        let headers = value.as_object().ok_or_else(wrong)?.iter();
        headers.map(|(name, values)| Ok((name.clone(), strings(key, values)?))).collect()
    }
}

fn strings(key: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let list = value.as_array().and_then(|list| {
        list.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<_>>()
    });
    list.ok_or_else(|| wrong(key, "a list of strings (use --json)", value))
}

/// Kubo's spellings of "as if it were not there".
fn is_default(text: &str) -> bool {
    text == "default" || text.is_empty()
}

fn wrong(key: &str, expected: &'static str, found: &Value) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), expected, found: found.to_string() }
}

#[cfg(test)]
mod tests;
