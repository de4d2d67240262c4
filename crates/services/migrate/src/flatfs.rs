//! Kubo's flatfs: one file a block, in directories by a part of the name.
//!
//! Whatever the sharding function, it is two levels: a directory, and files `NAME.data` in it,
//! where `NAME` is the block's multihash (in repositories of older formats its CID) in base32.
//! Spec: the names that flatfs repositories show. Invariant: symlinks are not followed below the
//! top, so that no loop and nothing outside is read.
//! Not here: whether the bytes are what the name says (`blocks.rs`).

use crate::{MigrateError, files};
use cairn_block::{Cid, Multihash, codec};
use multibase::Base;
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

/// How the files of blocks end.
const EXTENSION: &str = ".data";

/// Longest name that is decoded: a multihash of 128 bytes takes 210 characters.
const NAME_LEN_MAX: usize = 255;

/// Longest file with the total length, in bytes.
const USAGE_LEN_MAX: usize = 4096;

/// One file that should hold a block.
#[derive(Debug, Clone)]
pub(crate) struct BlockFile {
    pub(crate) cid: Cid,
    pub(crate) path: PathBuf,
}

/// What a name in a shard's directory stands for.
#[derive(Debug)]
pub(crate) enum Named {
    Block(BlockFile),
    /// Nothing of flatfs's, such as what an interrupted write has left.
    Other,
    /// Called like a block, but not by a name that can be one.
    Unknown(PathBuf),
}

/// The directories of blocks in `dir`, in the order of their names.
pub(crate) fn shards(dir: &Path) -> Result<Vec<PathBuf>, MigrateError> {
    let mut shards = Vec::new();
    for name in files::names(dir)? {
        // Names with a dot are flatfs's own: temporary files.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = dir.join(name);
        let kind = path.symlink_metadata();
        let kind = kind.map_err(|source| MigrateError::io("look at", &path, source))?;
        if kind.is_dir() {
            shards.push(path);
        }
    }
    Ok(shards)
}

/// What is in a shard's directory, in the order of the names.
pub(crate) fn list(shard: &Path) -> io::Result<Vec<Named>> {
    let names = files::try_names(shard)?;
    Ok(names.into_iter().map(|name| named(shard, &name)).collect())
}

/// How many bytes flatfs says that it holds.
pub(crate) fn total_len(dir: &Path) -> Option<u64> {
    let bytes = files::read(&dir.join("diskUsage.cache"), USAGE_LEN_MAX).ok()?;
    let usage: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    usage["diskUsage"].as_u64()
}

fn named(shard: &Path, name: &OsString) -> Named {
    let text = name.to_str().unwrap_or_default();
    let Some(stem) = text.strip_suffix(EXTENSION) else { return Named::Other };
    let path = shard.join(name);
    match decode(stem) {
        Some(cid) => Named::Block(BlockFile { cid, path }),
        None => Named::Unknown(path),
    }
}

/// The block that a file name without its extension stands for.
pub(crate) fn decode(stem: &str) -> Option<Cid> {
    (stem.len() <= NAME_LEN_MAX).then_some(())?;
    let bytes = Base::Base32Upper.decode(stem).ok()?;
    match Multihash::decode(&bytes) {
        Ok((hash, [])) => Some(Cid::v1(codec::RAW, hash)),
        _ => Cid::from_bytes(&bytes).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, decode, list, shards};
    use cairn_block::{Cid, Multihash, codec};
    use multibase::Base;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn names_are_multihashes_or_cids() {
        let hash = Multihash::sha2_256([7; 32]);
        let raw = Cid::v1(codec::RAW, hash.clone());
        let node = Cid::v1(codec::DAG_PB, hash.clone());
        let name = |bytes: &[u8]| Base::Base32Upper.encode(bytes);
        assert_eq!(decode(&name(&hash.to_bytes())), Some(raw.clone()));
        assert_eq!(decode(&name(&raw.to_bytes())), Some(raw));
        assert_eq!(decode(&name(&node.to_bytes())), Some(node));
        for wrong in ["", "A", "not base32!", "AAAB", "CIQ", &"A".repeat(300)] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
        let long = name(&[hash.to_bytes(), vec![0]].concat());
        assert_eq!(decode(&long), None, "a byte too much");
    }

    #[test]
    fn symlinks_and_leftovers_are_no_shards() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        for name in ["AB", ".temp", "CD"] {
            fs::create_dir(dir.join(name)).unwrap();
        }
        fs::write(dir.join("SHARDING"), "").unwrap();
        symlink(dir, dir.join("LOOP")).unwrap();
        assert_eq!(shards(dir).unwrap(), [dir.join("AB"), dir.join("CD")]);

        fs::write(dir.join("AB/put-123"), "").unwrap();
        fs::write(dir.join("AB/nonsense.data"), "").unwrap();
        let found = list(&dir.join("AB")).unwrap();
        assert!(matches!(&found[..], [Named::Unknown(_), Named::Other]), "{found:?}");
    }
}
