//! What must hold of texts and records that the node reads, for `cairn-fuzz`.
//!
//! The properties stand beside the decoders that are private to their modules.
//! Not here: the network's messages and the store's records.

use crate::{
    MfsPath, config::fuzz as config, local::ignore_fuzz, scrub::record_fuzz, web::fuzz as web_fuzz,
};

/// Name, properties and seeds of each target.
#[expect(clippy::type_complexity, reason = "the type is cairn-fuzz's, which nobody here may use")]
pub const TARGETS: &[(&str, fn(&[u8]), fn() -> Vec<Vec<u8>>)] = &[
    ("config", config::config, config::configs),
    ("config_key", config::config_key, config::config_keys),
    ("byte_len", config::byte_len, config::byte_lens),
    ("ignore_rules", ignore_fuzz::rules, ignore_fuzz::seeds),
    ("scrub_record", record_fuzz::record, record_fuzz::seeds),
    ("mfs_path", mfs_path, mfs_paths),
    ("redirection", web_fuzz::redirection, web_fuzz::seeds),
];

fn mfs_path(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(path) = MfsPath::parse(text) else { return };
    assert!(path.segments().iter().all(|name| !matches!(name.as_str(), "" | "." | "..")));
    assert!(path.segments().iter().all(|name| !name.contains('/')), "{text:?}");
    assert_eq!(MfsPath::parse(&path.to_string()).ok(), Some(path), "{text:?}");
}

fn mfs_paths() -> Vec<Vec<u8>> {
    ["/", "/a/b c/", "//a//./b/../c", "/../.."].map(|text| text.as_bytes().to_vec()).to_vec()
}
