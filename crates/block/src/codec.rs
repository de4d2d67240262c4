//! IPLD codecs by code and by name.
//!
//! Source: the multicodec table (`table.csv`, tag `ipld`), pinned in `spec/PINS.toml`.
//! Not here: encoding and decoding (`cairn-dag`).

/// Plain bytes.
pub const RAW: u64 = 0x55;
/// Protobuf nodes: UnixFS files and directories.
pub const DAG_PB: u64 = 0x70;
/// CBOR with links.
pub const DAG_CBOR: u64 = 0x71;
/// A libp2p public key, as IPNS names carry it.
pub const LIBP2P_KEY: u64 = 0x72;
/// git objects.
pub const GIT_RAW: u64 = 0x78;
/// Signed and encrypted objects.
pub const DAG_JOSE: u64 = 0x85;
/// JSON with links.
pub const DAG_JSON: u64 = 0x0129;
/// Plain CBOR.
pub const CBOR: u64 = 0x51;
/// Plain JSON.
pub const JSON: u64 = 0x0200;

/// Every codec that has a name here, by code.
pub const TABLE: &[(u64, &str)] = &[
    (CBOR, "cbor"),
    (RAW, "raw"),
    (DAG_PB, "dag-pb"),
    (DAG_CBOR, "dag-cbor"),
    (LIBP2P_KEY, "libp2p-key"),
    (GIT_RAW, "git-raw"),
    (0x7b, "torrent-info"),
    (0x7c, "torrent-file"),
    (DAG_JOSE, "dag-jose"),
    (0x86, "dag-cose"),
    (0x90, "eth-block"),
    (0x91, "eth-block-list"),
    (0x92, "eth-tx-trie"),
    (0x93, "eth-tx"),
    (0x94, "eth-tx-receipt-trie"),
    (0x95, "eth-tx-receipt"),
    (0x96, "eth-state-trie"),
    (0x97, "eth-account-snapshot"),
    (0x98, "eth-storage-trie"),
    (0xb0, "bitcoin-block"),
    (0xb1, "bitcoin-tx"),
    (0xc0, "zcash-block"),
    (0xc1, "zcash-tx"),
    (0xe0, "decred-block"),
    (0xe1, "decred-tx"),
    (0xf0, "dash-block"),
    (0xf1, "dash-tx"),
    (DAG_JSON, "dag-json"),
    (JSON, "json"),
];

/// Returns the codec's name, if the table has one.
pub fn name_of(code: u64) -> Option<&'static str> {
    TABLE.iter().find(|row| row.0 == code).map(|row| row.1)
}

/// Returns the code of a codec's name.
pub fn code_of(name: &str) -> Option<u64> {
    TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
}
