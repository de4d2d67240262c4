//! The documents: that the ones readers expect exist, and that what they point at does.
//!
//! Invariants checked: relative links in every `*.md` lead to a file or folder; `ARCHITECTURE.md`
//! is at most [`ARCHITECTURE_LINES_MAX`] lines and the `cairn_…::…::Name` symbols in it exist; the
//! tests that `spec/CONFORMANCE.md` names exist.

use super::{File, Finding, Tree, has_word, numbered};

/// What a reader looks for first.
const EXPECTED: &[&str] = &["README.md", "ARCHITECTURE.md", "SHORTCOMINGS.md", "CHANGELOG.md"];
/// A page that is longer is not read.
const ARCHITECTURE_LINES_MAX: usize = 300;

/// Which test shows which clause.
const CONFORMANCE: &str = "spec/CONFORMANCE.md";

/// Checks every document.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let missing = EXPECTED.iter().filter(|path| tree.find(path).is_none());
    let mut findings: Vec<Finding> =
        missing.map(|path| Finding::new(*path, 1, "readers expect this document")).collect();
    for file in tree.with_ending(".md") {
        check_links(tree, file, &mut findings);
    }
    if let Some(file) = tree.find(CONFORMANCE) {
        check_tests(tree, file, &mut findings);
    }
    if let Some(file) = tree.find("ARCHITECTURE.md") {
        check_symbols(tree, file, &mut findings);
        let len = file.text.lines().count();
        if len > ARCHITECTURE_LINES_MAX {
            let text = format!("{len} lines, at most {ARCHITECTURE_LINES_MAX}");
            findings.push(Finding::new(&file.path, ARCHITECTURE_LINES_MAX, text));
        }
    }
    findings
}

fn check_links(tree: &Tree, file: &File, findings: &mut Vec<Finding>) {
    let mut fenced = false;
    for (line, text) in numbered(&file.text) {
        fenced ^= text.trim_start().starts_with("```");
        for target in links(text).filter(|_| !fenced) {
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            let path = target.split('#').next().unwrap_or_default();
            if !elsewhere && !path.is_empty() && !tree.has(&resolve(&file.path, path)) {
                findings.push(Finding::new(&file.path, line, format!("{target} does not exist")));
            }
        }
    }
}

/// The targets of `[text](target)` in one line.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

/// Where `link` leads from `document`, as a path from the root.
fn resolve(document: &str, link: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn check_symbols(tree: &Tree, file: &File, findings: &mut Vec<Finding>) {
    for (line, text) in numbered(&file.text) {
        for symbol in text.split('`').skip(1).step_by(2).filter(|part| part.starts_with("cairn_")) {
            let mut parts = symbol.split("::");
            let krate = parts.next().unwrap_or_default().trim_start_matches("cairn_");
            let name = parts.last().unwrap_or_default().trim_end_matches("()");
            let in_crate = |path: &str| {
                [format!("crates/{krate}/src/"), format!("crates/services/{krate}/src/")]
                    .iter()
                    .any(|folder| path.starts_with(folder.as_str()))
            };
            let mut sources = tree.files.iter().filter(|source| in_crate(&source.path)).peekable();
            let known = sources.peek().is_some()
                && (name.is_empty() || sources.any(|source| has_word(&source.text, name)));
            if !known {
                findings.push(Finding::new(&file.path, line, format!("no such symbol: {symbol}")));
            }
        }
    }
}

/// The last cell of a row names a file, then tests in it.
fn check_tests(tree: &Tree, file: &File, findings: &mut Vec<Finding>) {
    for (line, text) in numbered(&file.text) {
        let Some(cell) = text.strip_suffix('|').and_then(|row| row.rsplit('|').next()) else {
            continue;
        };
        let mut names = cell.split('`').skip(1).step_by(2);
        let Some(path) = names.next() else { continue };
        let source = tree.find(path).map_or("", |source| &source.text);
        for name in names.filter(|name| !source.contains(&format!("fn {name}("))) {
            findings.push(Finding::new(&file.path, line, format!("no test {name} in {path}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ARCHITECTURE_LINES_MAX, CONFORMANCE, EXPECTED, Tree, check};

    fn count(architecture: &str) -> usize {
        let mut files: Vec<(&str, &str)> = EXPECTED.iter().map(|&path| (path, "")).collect();
        files[1].1 = architecture;
        files.push(("docs/on disk/packs.md", "[up](../../README.md)"));
        files.push(("crates/dag/src/walk.rs", "pub struct Walk;"));
        check(&Tree::of(&files)).len()
    }

    #[test]
    fn what_exists_passes() {
        for text in [
            "",
            "[a](README.md#top) [b](https://ipfs.tech) [c](#here) [d](docs) [e](./crates/dag/)",
            "`cairn_dag::walk::Walk` and `cairn_dag`",
            "```\n[a](nowhere.md)\n```",
        ] {
            assert_eq!(count(text), 0, "{text}");
        }
    }

    #[test]
    fn what_does_not_exist_is_found() {
        let long = "\n".repeat(ARCHITECTURE_LINES_MAX + 1);
        for text in ["[a](nowhere.md)", "`cairn_dag::Run`", "`cairn_dog::walk::Walk`", &long] {
            assert_eq!(count(text), 1, "{text:.40}");
        }
        assert_eq!(check(&Tree::of(&[])).len(), EXPECTED.len());
    }

    #[test]
    fn tests_that_are_named_exist() {
        let row = |cell: &str| format!("| clause | what | {cell} |\n|---|---|---|\n");
        for (cell, expected) in [
            ("`a.rs` `one` `two`", 0),
            ("`a.rs` `one` `three`", 1),
            ("`b.rs` `one`", 1),
            ("nothing yet", 0),
        ] {
            let mut findings = Vec::new();
            let text = row(cell);
            let tree =
                Tree::of(&[("a.rs", "fn one() {}\nasync fn two() {}"), (CONFORMANCE, &text)]);
            super::check_tests(&tree, &tree.files[1], &mut findings);
            assert_eq!(findings.len(), expected, "{cell}");
        }
    }
}
