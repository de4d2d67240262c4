//! Paths into DAGs: `/ipfs/CID/a/b`, `CID/a/b`, `ipfs://CID/a/b`, and the same for `/ipns/`.
//!
//! Invariants: a parsed path has no empty, `.` or `..` segment, so joining segments cannot
//! leave the root; nothing is percent-decoded (that is the URL's business, in the gateway).
//! Not here: resolving names (`cairn-node`) or segments (`cairn-unixfs`).

use cairn_block::{Cid, CidError};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Longest path that is parsed, in bytes.
const PATH_LEN_MAX: usize = 64 * 1024;

/// Why text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing there, or only the namespace.
    #[error("invalid path {path:?}: not enough path components")]
    Empty {
        /// The text given.
        path: String,
    },
    /// The first component is not a CID.
    #[error("invalid path {path:?}: {source}")]
    Cid {
        /// The text given.
        path: String,
        /// What is wrong with it.
        source: CidError,
    },
    /// Neither `/ipfs/` nor `/ipns/`.
    #[error("invalid path {path:?}: unknown namespace {namespace:?}")]
    Namespace {
        /// The text given.
        path: String,
        /// The namespace found.
        namespace: String,
    },
    /// More `..` than there are segments.
    #[error("invalid path {path:?}: it leaves its root")]
    Escapes {
        /// The text given.
        path: String,
    },
    /// Longer than any honest path.
    #[error("invalid path of {len} bytes: the limit is {PATH_LEN_MAX}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

/// What a path starts from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Root {
    /// A block: `/ipfs/…`.
    Cid(Cid),
    /// A name that has to be resolved first: `/ipns/…`; a key or a domain.
    Name(String),
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IpfsPath {
    root: Root,
    segments: Vec<String>,
    trailing_slash: bool,
}

impl IpfsPath {
    /// The path of a block itself.
    pub fn of(cid: Cid) -> Self {
        Self { root: Root::Cid(cid), segments: Vec::new(), trailing_slash: false }
    }

    /// Parses a path with or without namespace, or an `ipfs://` or `ipns://` address.
    ///
    /// # Errors
    ///
    /// Any [`PathError`]; all of them are the user's to correct.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > PATH_LEN_MAX {
            return Err(PathError::TooLong { len: text.len() });
        }
        let path = || text.to_owned();
        let (namespace, rest) = split_namespace(text)
            .map_err(|namespace| PathError::Namespace { path: path(), namespace })?;
        let mut segments: Vec<String> = Vec::new();
        for segment in rest.split('/') {
            match segment {
                "" | "." => {}
                ".." if segments.len() > 1 => drop(segments.pop()),
                ".." => return Err(PathError::Escapes { path: path() }),
                segment => segments.push(segment.to_owned()),
            }
        }
        if segments.is_empty() {
            return Err(PathError::Empty { path: path() });
        }
        let first = segments.remove(0);
        let root = match namespace {
            Namespace::Ipns => Root::Name(first),
            Namespace::Ipfs => {
                let cid = first.parse();
                Root::Cid(cid.map_err(|source| PathError::Cid { path: path(), source })?)
            }
        };
        Ok(Self { root, segments, trailing_slash: rest.ends_with('/') })
    }

    /// What the path starts from.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The block the path starts from, unless it starts from a name.
    pub fn cid(&self) -> Option<&Cid> {
        match &self.root {
            Root::Cid(cid) => Some(cid),
            Root::Name(_) => None,
        }
    }

    /// What follows the root.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether the text ended in a slash, by which a URL means a directory.
    pub fn has_trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// The same path with one more segment; an empty, `.` or `..` segment adds nothing.
    #[must_use]
    pub fn join(mut self, segment: &str) -> Self {
        let parts = segment.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
        self.segments.extend(parts.map(ToOwned::to_owned));
        self
    }

    /// The same segments under what the name of this path's root resolved to.
    #[must_use]
    pub fn rebase(&self, target: &Self) -> Self {
        let mut path = target.clone();
        path.segments.extend_from_slice(&self.segments);
        path.trailing_slash = self.trailing_slash;
        path
    }
}

enum Namespace {
    Ipfs,
    Ipns,
}

/// Splits off what says how to read the first component; the error is the namespace found.
fn split_namespace(text: &str) -> Result<(Namespace, &str), String> {
    let schemes = [("ipfs://", Namespace::Ipfs), ("ipns://", Namespace::Ipns)];
    for (scheme, namespace) in schemes {
        if let Some(rest) = text.strip_prefix(scheme) {
            return Ok((namespace, rest));
        }
    }
    let Some(path) = text.strip_prefix('/') else {
        return Ok((Namespace::Ipfs, text));
    };
    match path.split_once('/').unwrap_or((path, "")) {
        ("ipfs", rest) => Ok((Namespace::Ipfs, rest)),
        ("ipns", rest) => Ok((Namespace::Ipns, rest)),
        (namespace, _) => Err(namespace.to_owned()),
    }
}

impl FromStr for IpfsPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for IpfsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Cid(cid) => write!(f, "/ipfs/{cid}")?,
            Root::Name(name) => write!(f, "/ipns/{name}")?,
        }
        for segment in &self.segments {
            write!(f, "/{segment}")?;
        }
        if self.trailing_slash { f.write_str("/") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{IpfsPath, PathError};
    use proptest::prelude::proptest;

    const CID: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";

    #[test]
    fn parses_every_way_of_writing_a_path() {
        let rows = [
            ("/ipfs/CID", "/ipfs/CID"),
            ("CID", "/ipfs/CID"),
            ("CID/a/b", "/ipfs/CID/a/b"),
            ("/ipfs/CID/a//b/", "/ipfs/CID/a/b/"),
            ("ipfs://CID/a", "/ipfs/CID/a"),
            ("/ipfs/CID/a/./../b", "/ipfs/CID/b"),
            ("/ipfs/CID/%20 ä", "/ipfs/CID/%20 ä"),
            ("/ipns/example.com/x", "/ipns/example.com/x"),
            ("ipns://example.com", "/ipns/example.com"),
        ];
        for (text, expected) in rows {
            let (text, expected) = (text.replace("CID", CID), expected.replace("CID", CID));
            let path = IpfsPath::parse(&text).unwrap();
            assert_eq!(path.to_string(), expected, "{text}");
            assert_eq!(path.has_trailing_slash(), text.ends_with('/'), "{text}");
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        for text in ["", "/", "/ipfs", "/ipfs/", "ipfs://", "///"] {
            let error = IpfsPath::parse(text).unwrap_err();
            assert!(
                matches!(error, PathError::Empty { .. } | PathError::Namespace { .. }),
                "{text:?}: {error}"
            );
        }
        let escapes = IpfsPath::parse(&format!("/ipfs/{CID}/..")).unwrap_err();
        assert!(matches!(escapes, PathError::Escapes { .. }), "{escapes}");
        let cid = IpfsPath::parse("/ipfs/nonsense").unwrap_err();
        assert!(matches!(cid, PathError::Cid { .. }), "{cid}");
        let namespace = IpfsPath::parse("/home/user").unwrap_err();
        assert!(matches!(namespace, PathError::Namespace { .. }), "{namespace}");
        let long = IpfsPath::parse(&"a".repeat(70_000)).unwrap_err();
        assert!(matches!(long, PathError::TooLong { len: 70_000 }), "{long}");
    }

    #[test]
    fn a_name_is_replaced_by_what_it_points_to() {
        let path = IpfsPath::parse("/ipns/example.com/b/").unwrap();
        assert_eq!(path.cid(), None);
        let target = IpfsPath::parse(&format!("/ipfs/{CID}/a")).unwrap();
        assert_eq!(path.rebase(&target).to_string(), format!("/ipfs/{CID}/a/b/"));
        assert_eq!(target.join("../x//y").segments(), ["a", "x", "y"]);
    }

    proptest! {
        #[test]
        fn segments_never_leave_the_root(text in "[a./]{0,40}") {
            if let Ok(path) = IpfsPath::parse(&format!("/ipfs/{CID}/{text}")) {
                for segment in path.segments() {
                    assert!(!matches!(segment.as_str(), "" | "." | ".."), "{segment:?}");
                }
                assert_eq!(IpfsPath::parse(&path.to_string()), Ok(path));
            }
        }
    }
}
