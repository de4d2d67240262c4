//! Paths within MFS, cleaned as clients expect.
//!
//! Invariant: no segment is empty, `.` or `..`, so a path cannot leave the tree.
//! Not here: following them (`tree.rs`, `read.rs`).

use super::MfsError;
use crate::add::PATH_DEPTH_MAX;
use std::fmt;

/// An absolute path of MFS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MfsPath {
    segments: Vec<String>,
    /// Whether it was written with a slash at its end.
    slash: bool,
}

impl MfsPath {
    /// Reads a path; `.`, `..` and repeated slashes are taken out.
    ///
    /// # Errors
    ///
    /// [`MfsError::Path`] for one that is empty, relative or deeper than any tree.
    pub fn parse(text: &str) -> Result<Self, MfsError> {
        if text.is_empty() {
            return Err(MfsError::Path { reason: "paths must not be empty" });
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(MfsError::Path { reason: "paths must start with a leading slash" });
        };
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                name => segments.push(name.to_owned()),
            }
        }
        if segments.len() > PATH_DEPTH_MAX {
            return Err(MfsError::Path { reason: "the path is too deep" });
        }
        let slash = rest.ends_with('/') && !segments.is_empty();
        Ok(Self { segments, slash })
    }

    /// Its segments, from the root.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether it was written with a slash at its end, or is the root: it means a directory.
    pub fn means_directory(&self) -> bool {
        self.slash || self.is_root()
    }

    /// The last segment.
    pub fn name(&self) -> Option<&str> {
        self.segments.last().map(String::as_str)
    }

    /// The path of an entry of this directory.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let mut segments = self.segments.clone();
        segments.push(name.to_owned());
        Self { segments, slash: false }
    }

    /// The segments before the last one, and that one.
    pub(super) fn split(&self) -> Option<(&[String], &str)> {
        let (name, above) = self.segments.split_last()?;
        Some((above, name))
    }
}

impl fmt::Display for MfsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}{}", self.segments.join("/"), if self.slash { "/" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::MfsPath;

    #[test]
    fn paths_are_cleaned() {
        let rows = [
            ("/", "/", true),
            ("/a", "/a", false),
            ("/a/", "/a/", true),
            ("//a//./b/../c", "/a/c", false),
            ("/../..", "/", true),
            ("/a/..", "/", true),
        ];
        for (text, expected, directory) in rows {
            let path = MfsPath::parse(text).unwrap();
            assert_eq!((path.to_string().as_str(), path.means_directory()), (expected, directory));
        }
        for text in ["", "a", "a/b", "./a"] {
            assert!(MfsPath::parse(text).is_err(), "{text:?}");
        }
        assert!(MfsPath::parse(&"/a".repeat(100_000)).is_err(), "bounded");
    }
}
