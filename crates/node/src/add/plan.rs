//! What an add's options mean together: checked once, then shared by the stages.
//!
//! Source: the rules of Kubo's `add` about CID version, raw leaves and metadata.
//! Not here: defaults of single options (`entry.rs`, the config).

use super::{AddEntry, AddOptions};
use crate::NodeError;
use cairn_block::Version;
use cairn_hash::code;
use cairn_store::PIN_NAME_LEN_MAX;
use cairn_unixfs::{LEAF_PREFIX_LEN_MAX, LEAF_SUFFIX_LEN_MAX, Metadata, Options};

/// Checked options.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) options: AddOptions,
    /// How to build.
    pub(super) build: Options,
}

impl Plan {
    pub(super) fn new(options: AddOptions) -> Result<Self, NodeError> {
        let refuse = |reason| Err(NodeError::Options { reason });
        if !code::is_allowed(options.hash_code) {
            return refuse("the hash function is not one that CIDs may use");
        }
        let cid_version = match options.cid_version {
            Some(0) if options.hash_code != code::SHA2_256 => {
                return refuse("CIDv0 only supports sha2-256");
            }
            Some(0) => Version::V0,
            Some(1) => Version::V1,
            Some(_) => return refuse("unknown CID version: only 0 and 1 exist"),
            None if options.hash_code != code::SHA2_256 => Version::V1,
            None => Version::V0,
        };
        let metadata = options.preserve_mode
            || options.preserve_mtime
            || options.mode.is_some()
            || options.mtime.is_some();
        if options.nocopy && options.raw_leaves == Some(false) {
            return refuse("nocopy option requires '--raw-leaves' to be enabled as well");
        }
        let raw_leaves = match options.raw_leaves {
            _ if options.nocopy && metadata => {
                return refuse(
                    "nocopy can't be used with UnixFS metadata like mode or modification time",
                );
            }
            _ if options.nocopy => true,
            Some(true) if metadata => {
                return refuse(
                    "raw-leaves can't be used with UnixFS metadata like mode or modification time",
                );
            }
            _ if metadata => false,
            Some(raw) => raw,
            None => cid_version == Version::V1,
        };
        if options.pin_name.len() > PIN_NAME_LEN_MAX {
            return refuse("pin name is over 255 bytes");
        }
        if !options.pin && !options.pin_name.is_empty() {
            return refuse("pin-name option requires pin to be set");
        }
        let build = Options {
            cid_version,
            hash_code: options.hash_code,
            raw_leaves,
            layout: options.layout,
            max_links: options.max_file_links,
            max_directory_links: options.max_directory_links,
            directory_len_max: options.hamt_threshold,
            directory_estimate: options.hamt_estimation,
            hamt_fanout: options.max_hamt_fanout,
            inline_limit: options.inline_limit.unwrap_or(0),
        };
        build.check()?;
        Ok(Self { options, build })
    }

    /// What to keep of an entry besides its content.
    pub(super) fn metadata(&self, entry: &AddEntry) -> Metadata {
        let own_mode = entry.mode.filter(|_| self.options.preserve_mode);
        let own_mtime = entry.mtime.filter(|_| self.options.preserve_mtime);
        Metadata { mode: self.options.mode.or(own_mode), mtime: self.options.mtime.or(own_mtime) }
    }

    /// Bytes to leave free before and after a leaf's data for its wrapper.
    pub(super) fn leaf_margins(&self) -> (usize, usize) {
        if self.build.raw_leaves { (0, 0) } else { (LEAF_PREFIX_LEN_MAX, LEAF_SUFFIX_LEN_MAX) }
    }

    /// Whether anything is written.
    pub(super) fn writes(&self) -> bool {
        !self.options.only_hash
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;
    use crate::add::AddOptions;
    use cairn_block::Version;
    use cairn_hash::code;

    fn plan(change: impl FnOnce(&mut AddOptions)) -> Result<(Version, bool), String> {
        let mut options = AddOptions::default();
        change(&mut options);
        let plan = Plan::new(options).map_err(|error| error.to_string())?;
        Ok((plan.build.cid_version, plan.build.raw_leaves))
    }

    #[test]
    fn options_follow_from_each_other_as_in_kubo() {
        assert_eq!(plan(|_| {}), Ok((Version::V0, false)));
        assert_eq!(plan(|o| o.cid_version = Some(1)), Ok((Version::V1, true)));
        assert_eq!(plan(|o| o.raw_leaves = Some(true)), Ok((Version::V0, true)));
        assert_eq!(plan(|o| o.hash_code = code::BLAKE3), Ok((Version::V1, true)));
        let v1_wrapped = |o: &mut AddOptions| {
            o.cid_version = Some(1);
            o.raw_leaves = Some(false);
        };
        assert_eq!(plan(v1_wrapped), Ok((Version::V1, false)));
        let with_mode = |o: &mut AddOptions| {
            o.cid_version = Some(1);
            o.mode = Some(0o644);
        };
        assert_eq!(plan(with_mode), Ok((Version::V1, false)));
        assert_eq!(plan(|o| o.nocopy = true), Ok((Version::V0, true)));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        type Change = fn(&mut AddOptions);
        let rows: [(&str, Change); 10] = [
            ("nocopy option requires", |o| {
                o.nocopy = true;
                o.raw_leaves = Some(false);
            }),
            ("nocopy can't be used", |o| {
                o.nocopy = true;
                o.preserve_mtime = true;
            }),
            ("CIDv0 only supports", |o| {
                o.cid_version = Some(0);
                o.hash_code = code::BLAKE3;
            }),
            ("may use", |o| o.hash_code = 0xd5),
            ("unknown CID version", |o| o.cid_version = Some(2)),
            ("raw-leaves can't", |o| {
                o.raw_leaves = Some(true);
                o.preserve_mtime = true;
            }),
            ("pin name", |o| o.pin_name = "x".repeat(256)),
            ("requires pin", |o| {
                o.pin = false;
                o.pin_name = "x".to_owned();
            }),
            ("fanout", |o| o.max_hamt_fanout = 100),
            ("inline limit", |o| o.inline_limit = Some(129)),
        ];
        for (text, change) in rows {
            let error = plan(change).unwrap_err();
            assert!(error.contains(text), "{text}: {error}");
        }
    }
}
