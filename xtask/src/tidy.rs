//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Each check is a function from the tree (paths and texts, or what cargo says of the packages)
//! to findings, so each is tested on a few lines of text. A rule that has to be broken is listed
//! beside its check with the reason, never silenced elsewhere.
//! Not here: lints (`Cargo.toml`, `clippy.toml`), licences and advisories (`deny.toml`).

mod crates;
mod documents;
mod manifests;
mod sources;
mod words;

use crate::command;
use anyhow::{Context as _, Result, bail};
use std::{fmt, fs, process::Command};

/// One file under version control.
#[derive(Debug)]
struct File {
    path: String,
    text: String,
}

/// Everything under version control that is text.
#[derive(Debug)]
struct Tree {
    files: Vec<File>,
}

impl Tree {
    fn of_workspace() -> Result<Self> {
        let root = command::root();
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root);
        let listed = String::from_utf8(command::output(&mut list)?).context("paths are UTF-8")?;
        let mut files = Vec::new();
        for path in listed.split_terminator('\0') {
            // Deleted but not yet committed, or not text: neither has lines to look at.
            if let Ok(text) = fs::read_to_string(root.join(path)) {
                files.push(File { path: path.to_owned(), text });
            }
        }
        Ok(Self { files })
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into() };
        Self { files: files.iter().map(file).collect() }
    }

    fn with_ending(&self, ending: &'static str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }

    fn find(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether `path` is a file here, or a folder with one in it.
    fn has(&self, path: &str) -> bool {
        let inside = |file: &File| {
            file.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        path.is_empty() || self.files.iter().any(inside)
    }
}

/// One broken rule, where it is broken.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl Finding {
    fn new(path: impl Into<String>, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.into(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Prints every finding; fails if there is one.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::of_workspace()?;
    let mut findings = crates::check(&command::metadata()?)?;
    for check in [sources::check, words::check, documents::check, manifests::check] {
        findings.extend(check(&tree));
    }
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} rules of the house are broken", findings.len());
    }
    println!("tidy: {} files keep the rules", tree.files.len());
    Ok(())
}

/// The lines of `text` with their numbers, counted from one.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Whether `word` stands in `text` with nothing of a name on either side of it.
fn has_word(text: &str, word: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        !before.is_some_and(of_name) && !after.is_some_and(of_name)
    })
}

#[cfg(test)]
mod tests {
    use super::{Tree, has_word};

    #[test]
    fn words_end_where_names_end() {
        assert!(has_word("a fix, me", "fix"));
        assert!(!has_word("a prefix", "fix"));
        assert!(!has_word("fix_me", "fix"));
    }

    #[test]
    fn folders_exist_through_their_files() {
        let tree = Tree::of(&[("docs/a.md", "")]);
        assert!(tree.has("docs") && tree.has("docs/a.md"));
        assert!(!tree.has("doc") && !tree.has("docs/a"));
    }
}
