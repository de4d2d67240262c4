//! The config file of a new repository.
//!
//! Keys and their order are Kubo's, so that scripts and launchers that read or rewrite the file
//! find what they expect. `"auto"` values stand there as in Kubo and mean "nothing configured":
//! no endpoint is contacted that the operator has not named.
//!
//! Not here: what a missing key means (`sections.rs`), profiles (`profile.rs`).

use crate::identity::Identity;
use serde_json::{Value, json};

/// The addresses of the `Addresses` section, which the profile `default-networking` restores.
///
/// Kubo also lists webtransport and webrtc-direct, which this node does not speak.
pub(super) fn addresses() -> Value {
    json!({
        "Swarm": [
            "/ip4/0.0.0.0/tcp/4001",
            "/ip6/::/tcp/4001",
            "/ip4/0.0.0.0/udp/4001/quic-v1",
            "/ip6/::/udp/4001/quic-v1",
        ],
        "Announce": [],
        "AppendAnnounce": [],
        "NoAnnounce": [],
        "API": "/ip4/127.0.0.1/tcp/5001",
        "Gateway": "/ip4/127.0.0.1/tcp/8080",
    })
}

/// Makes the config of a new repository for `identity`.
#[expect(clippy::too_many_lines, reason = "one literal, the whole file at a glance")]
pub(super) fn config(identity: &Identity) -> Value {
    json!({
        "Identity": {
            "PeerID": identity.peer_id().to_string(),
            "PrivKey": identity.private_key_base64(),
        },
        "Datastore": {
            "StorageMax": "10GB",
            "StorageGCWatermark": 90,
            "GCPeriod": "1h",
            "Spec": {"type": "packs", "path": "blocks"},
            "HashOnRead": false,
            "BloomFilterSize": 0,
            "BlockKeyCacheSize": null,
        },
        "Addresses": addresses(),
        "Mounts": {
            "IPFS": "/ipfs",
            "IPNS": "/ipns",
            "MFS": "/mfs",
            "FuseAllowOther": null,
            "StoreMtime": null,
            "StoreMode": null,
        },
        "Discovery": {"MDNS": {"Enabled": true}},
        "Routing": {"DelegatedRouters": ["auto"]},
        "Ipns": {
            "RepublishPeriod": "",
            "RecordLifetime": "",
            "ResolveCacheSize": 128,
            "DelegatedPublishers": ["auto"],
        },
        "Bootstrap": ["auto"],
        "Gateway": {
            "HTTPHeaders": {},
            "RootRedirect": "",
            "NoFetch": false,
            "NoDNSLink": false,
            "DeserializedResponses": null,
            "AllowCodecConversion": null,
            "DisableHTMLErrors": null,
            "PublicGateways": null,
            "ExposeRoutingAPI": null,
        },
        "API": {"HTTPHeaders": {}},
        "Swarm": {
            "AddrFilters": null,
            "DisableBandwidthMetrics": false,
            "DisableNatPortMap": false,
            "RelayClient": {},
            "RelayService": {},
            "Transports": {"Network": {}, "Security": {}, "Multiplexers": {}},
            "ConnMgr": {},
            "ResourceMgr": {},
        },
        "AutoNAT": {},
        "AutoTLS": {},
        "Pubsub": {"Router": "", "DisableSigning": false},
        "Peering": {"Peers": null},
        "DNS": {"Resolvers": {".": "auto"}},
        "Migration": {},
        "AutoConf": {},
        "Provide": {"DHT": {}},
        "Provider": {},
        "Reprovider": {},
        "HTTPRetrieval": {},
        "Experimental": {
            "FilestoreEnabled": false,
            "UrlstoreEnabled": false,
            "Libp2pStreamMounting": false,
            "P2pHttpProxy": false,
            "OptimisticProvide": false,
            "OptimisticProvideJobsPoolSize": 0,
        },
        "Plugins": {"Plugins": null},
        "Pinning": {"RemoteServices": {}},
        "Import": {
            "CidVersion": null,
            "UnixFSRawLeaves": null,
            "UnixFSChunker": null,
            "HashFunction": null,
            "UnixFSFileMaxLinks": null,
            "UnixFSDirectoryMaxLinks": null,
            "UnixFSHAMTDirectoryMaxFanout": null,
            "UnixFSHAMTDirectorySizeThreshold": null,
            "UnixFSHAMTDirectorySizeEstimation": null,
            "UnixFSDAGLayout": null,
            "BatchMaxNodes": null,
            "BatchMaxSize": null,
            "FastProvideRoot": null,
            "FastProvideDAG": null,
            "FastProvideWait": null,
        },
        "Version": {},
        "Internal": {},
        "Bitswap": {},
    })
}
