//! The git-raw codec: git's objects as they are hashed, not compressed.
//!
//! `TYPE LENGTH NUL CONTENT`, where the type is blob, tree, commit or tag. Objects name each
//! other by SHA-1, which becomes a CID of this codec.
//!
//! Source: git's `gitformat-*` pages; the data has the fields that ipfs/go-ipld-git, pinned in
//! `spec/PINS.toml`, gives it.
//! Invariants: no recursion; the length in the header is the content's.
//! Not here: whole repositories (`git_root.rs`); packs.

mod lines;

use crate::{CodecError, Node};
use cairn_block::{Cid, Multihash, codec};
use cairn_hash::code;
use lines::Lines;

const CODEC: &str = "git-raw";

/// Bytes of a SHA-1.
const SHA1_LEN: usize = 20;

/// The mode of a tree's entry that names a commit of another repository, a submodule's.
const SUBMODULE: &[u8] = b"160000";

/// Reads an object: a blob as its bytes, anything else as a map.
///
/// # Errors
///
/// [`CodecError::Malformed`].
pub fn decode(data: &[u8]) -> Result<Node, CodecError> {
    let object = Object::parse(data)?;
    match object.kind {
        b"blob" => Ok(Node::Bytes(data.to_vec())),
        b"tree" => {
            let mut entries = Vec::new();
            for entry in object.tree() {
                let TreeEntry { mode, name, cid, offset } = entry?;
                let value = vec![
                    ("mode".to_owned(), Node::String(text(mode, offset)?)),
                    ("hash".to_owned(), Node::link(cid)),
                ];
                entries.push((text(name, offset)?, Node::Map(value)));
            }
            if crate::codec::has_repeated_name(&entries) {
                return fail(object.start, "a tree with the same name twice");
            }
            Ok(Node::Map(entries))
        }
        b"commit" => Lines::new(object.content, object.start).commit(),
        _ => Lines::new(object.content, object.start).tag(),
    }
}

/// Returns the objects that an object names, in order. A submodule's commit is none of them: it
/// belongs to another repository.
///
/// # Errors
///
/// [`CodecError::Malformed`].
pub fn links(data: &[u8]) -> Result<Vec<Cid>, CodecError> {
    let object = Object::parse(data)?;
    match object.kind {
        b"blob" => Ok(Vec::new()),
        b"tree" => {
            let entries = object.tree();
            let own = entries.filter(|entry| !entry.as_ref().is_ok_and(|e| e.mode == SUBMODULE));
            own.map(|entry| entry.map(|entry| entry.cid)).collect()
        }
        b"commit" => Lines::new(object.content, object.start).commit_links(),
        _ => Lines::new(object.content, object.start).tag_links(),
    }
}

/// An object whose header has been read.
struct Object<'a> {
    kind: &'a [u8],
    content: &'a [u8],
    /// Where the content begins.
    start: usize,
}

struct TreeEntry<'a> {
    mode: &'a [u8],
    name: &'a [u8],
    cid: Cid,
    offset: usize,
}

impl<'a> Object<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, CodecError> {
        let Some((header, content)) = split(data, 0) else {
            return fail(0, "an object without a header");
        };
        let start = header.len() + 1;
        let Some((kind @ (b"blob" | b"tree" | b"commit" | b"tag"), digits)) = split(header, b' ')
        else {
            return fail(0, "an object of an unknown type");
        };
        let len = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
        if len != Some(content.len()) {
            return fail(kind.len() + 1, "a length that is not the content's");
        }
        Ok(Self { kind, content, start })
    }

    /// The entries of a tree, up to the first that is none.
    fn tree(&self) -> impl Iterator<Item = Result<TreeEntry<'a>, CodecError>> + use<'a> {
        let (mut rest, mut offset) = (self.content, self.start);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let entry = split(rest, b' ').and_then(|(mode, behind)| {
                let (name, behind) = split(behind, 0)?;
                let (sha1, behind) = behind.split_at_checked(SHA1_LEN)?;
                Some((TreeEntry { mode, name, cid: cid(sha1)?, offset }, behind))
            });
            let Some((entry, behind)) = entry else {
                rest = &[];
                return Some(fail(offset, "a tree's entry that is cut short"));
            };
            offset += rest.len() - behind.len();
            rest = behind;
            Some(Ok(entry))
        })
    }
}

/// What stands before and behind the first `byte`.
fn split(data: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = data.iter().position(|found| *found == byte)?;
    Some((&data[..at], &data[at + 1..]))
}

fn cid(sha1: &[u8]) -> Option<Cid> {
    Some(Cid::v1(codec::GIT_RAW, Multihash::wrap(code::SHA1, sha1).ok()?))
}

fn text(bytes: &[u8], offset: usize) -> Result<String, CodecError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => fail(offset, "text that is not UTF-8"),
    }
}

fn fail<T>(offset: usize, reason: &'static str) -> Result<T, CodecError> {
    Err(CodecError::Malformed { codec: CODEC, offset, reason })
}

#[cfg(test)]
mod tests;
