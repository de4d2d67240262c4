//! What must hold of the config and of its keys whatever the text, for `cairn-fuzz`.
//!
//! Not here: the file's bytes on disk (`cairn-store`), the gateway's own settings.

use super::{Config, adopt, byte_len_of, tree};
use serde_json::Value;

fn bytes_of<const COUNT: usize>(texts: [&str; COUNT]) -> Vec<Vec<u8>> {
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Whether a secret of the config stands in `shown`.
fn is_leaked(shown: &Value) -> bool {
    let services = shown["Pinning"]["RemoteServices"].as_object();
    let has_api = |service: &Value| service.get("API").is_some();
    shown["Identity"].get("PrivKey").is_some()
        || shown["API"].get("Authorizations").is_some()
        || services.is_some_and(|services| services.values().any(has_api))
}

pub(crate) fn config(input: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
    if let Ok(adopted) = adopt(&value, false) {
        let taken = Config::new(adopted.config, |_| Ok(()));
        assert!(taken.is_ok(), "what is adopted can be used: {taken:?}");
    }
    let Ok(config) = Config::new(value, |_| Ok(())) else { return };
    assert!(!is_leaked(&config.raw()));
    // Everything was read once when it was taken, and reads the same for ever.
    let read = config.read(|settings| {
        let gc = settings.gc()?;
        Ok((settings.storage_max()?, settings.import()?, settings.addresses()?, gc))
    });
    assert!(read.is_ok(), "{read:?}");
    if let Ok(change) = config.apply_profile("server", true) {
        assert!(!is_leaked(&change.old) && !is_leaked(&change.new));
    }
}

pub(crate) fn configs() -> Vec<Vec<u8>> {
    bytes_of([
        r#"{"Identity":{"PeerID":"12D3","PrivKey":"CAES"},"Datastore":{"StorageMax":"10GB","GCPeriod":"1h","StorageGCWatermark":90,"Spec":{}},"Addresses":{"Swarm":["/ip4/0.0.0.0/tcp/4001"],"API":"/ip4/127.0.0.1/tcp/5001","Gateway":["/ip4/127.0.0.1/tcp/8080"],"Announce":[],"AppendAnnounce":[],"NoAnnounce":[]},"Bootstrap":["auto"],"API":{"HTTPHeaders":{"A":["b"]},"Authorizations":{"x":{"AuthSecret":"basic:u:p","AllowedPaths":["/api/v0"]}}}}"#,
        r#"{"Swarm":{"AddrFilters":["/ip4/10.0.0.0/ipcidr/8"],"ConnMgr":{"Type":"basic","LowWater":1,"HighWater":2,"GracePeriod":"20s"},"Transports":{"Network":{"TCP":true,"QUIC":false,"Websocket":null}}},"Peering":{"Peers":[{"ID":"12D3","Addrs":["/ip4/1.2.3.4/tcp/1"]}]},"Discovery":{"MDNS":{"Enabled":false}},"Gateway":{"NoFetch":true,"HTTPHeaders":{},"RootRedirect":"","PublicGateways":null,"RetrievalTimeout":"30s","MaxRequestDuration":"1h","MaxConcurrentRequests":4096,"MaxRangeRequestFileSize":"5GiB"}}"#,
        r#"{"Import":{"CidVersion":1,"UnixFSRawLeaves":true,"UnixFSChunker":"size-1048576","HashFunction":"sha2-256","UnixFSFileMaxLinks":174,"UnixFSDirectoryMaxLinks":0,"UnixFSHAMTDirectoryMaxFanout":256,"UnixFSHAMTDirectorySizeThreshold":"256KiB","UnixFSHAMTDirectorySizeEstimation":"links","UnixFSDAGLayout":"balanced","BatchMaxNodes":1},"Cairn":{"Scrub":{"Period":"720h","Rate":"30MB"},"GC":{"MinFree":"1GB"},"Memory":{"Max":"512MiB"},"Store":{"Compression":"zstd:3"}},"Experimental":{"FilestoreEnabled":true,"UrlstoreEnabled":false},"Pinning":{"RemoteServices":{"x":{"API":{"Key":"k"}}}},"Internal":{"MFSNoFlushLimit":256},"Bitswap":{"ServerEnabled":true},"Version":{"AgentSuffix":"x"}}"#,
    ])
}

/// A key, a value, and the rest a tree.
pub(crate) fn config_key(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (key, new, old) = (line(), line(), line());
    let Ok(mut value) = serde_json::from_str::<Value>(old) else { return };
    let before = value.clone();
    let found = tree::get(&value, key);
    assert_eq!(tree::find(&value, key).cloned(), found.ok().filter(|found| !found.is_null()));
    let Ok(new) = serde_json::from_str::<Value>(new) else { return };
    if tree::set(&mut value, key, new.clone()).is_ok() {
        assert_eq!(tree::get(&value, key).ok(), Some(new), "what is set is there");
    } else if before.is_object() {
        assert_eq!(tree::get(&value, key).is_ok(), tree::get(&before, key).is_ok());
    }
    if tree::check_open(key).is_ok() {
        tree::scrub(&mut value);
        assert!(!is_leaked(&value));
    }
}

pub(crate) fn config_keys() -> Vec<Vec<u8>> {
    bytes_of([
        "Identity.PrivKey\n\"x\"\n{\"Identity\":{\"PeerID\":\"p\"}}",
        "Pinning.RemoteServices.a.API.Key\n1\n{\"Pinning\":{\"RemoteServices\":{\"a\":{}}}}",
        "a.b.c\n{\"d\":[null]}\n{\"a\":{\"b\":null},\"x\":3}",
        "API.Authorizations\nnull\n{}",
    ])
}

pub(crate) fn byte_len(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(len) = byte_len_of(text) else { return };
    if let Ok(plain) = text.parse::<u64>() {
        assert!(plain > 1 << 53 || plain == len, "{text:?}");
    }
    assert_eq!(byte_len_of(&text.to_ascii_uppercase()), Some(len), "case does not matter");
}

pub(crate) fn byte_lens() -> Vec<Vec<u8>> {
    bytes_of(["10GB", "256 KiB", "1.5k", "0", "7B", "9007199254740993", "8EiB"])
}
