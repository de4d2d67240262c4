//! The shape of the source files: where they lie, how they begin, how long they are.
//!
//! Invariants checked: no `mod.rs`; each file opens with a `//!` header of at most
//! [`HEADER_LINES_MAX`] lines; no file is over [`LINES_MAX`]; test files assert something; blocks
//! are taken as verified only where they were.

use super::{File, Finding, Tree, numbered};

/// Longest file, tests counted. Look for a split at 500.
const LINES_MAX: usize = 800;
/// Longest header of a file.
const HEADER_LINES_MAX: usize = 25;
/// Files over [`LINES_MAX`], each with its reason. May only shrink.
const LONG_FILES: &[(&str, &str)] = &[];
/// Folders whose code may take a block as verified because it checked it, or will at once.
const VERIFIERS: &[&str] = &["crates/block/", "crates/store/", "xtask/"];

/// Checks every Rust file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_ending(".rs") {
        check_header(file, &mut findings);
        check_len(file, &mut findings);
        check_tests(file, &mut findings);
        check_verified(file, &mut findings);
        if file.path.ends_with("/mod.rs") {
            findings.push(Finding::new(&file.path, 1, "foo.rs beside foo/, not foo/mod.rs"));
        }
    }
    findings
}

fn check_header(file: &File, findings: &mut Vec<Finding>) {
    let header = file.text.lines().take_while(|line| line.starts_with("//!")).count();
    let first = file.text.lines().next().unwrap_or_default();
    if !first.starts_with("//! ") || first.len() < 8 {
        findings.push(Finding::new(
            &file.path,
            1,
            "the first line must be `//! ` and what this is",
        ));
    }
    if header > HEADER_LINES_MAX {
        let text = format!("header of {header} lines, at most {HEADER_LINES_MAX}");
        findings.push(Finding::new(&file.path, 1, text));
    }
}

fn check_len(file: &File, findings: &mut Vec<Finding>) {
    let len = file.text.lines().count();
    if len > LINES_MAX && !LONG_FILES.iter().any(|(path, _)| *path == file.path) {
        let text = format!("{len} lines, at most {LINES_MAX}: split it");
        findings.push(Finding::new(&file.path, LINES_MAX, text));
    }
}

fn check_tests(file: &File, findings: &mut Vec<Finding>) {
    for (line, text) in numbered(&file.text) {
        if text.trim_start().starts_with("#[ignore") {
            findings.push(Finding::new(&file.path, line, "a test that does not run is no test"));
        }
    }
    let tests = ["#[test]", "#[tokio::test"].iter().any(|mark| file.text.contains(mark));
    if tests && !file.text.contains("assert") {
        findings.push(Finding::new(&file.path, 1, "tests without a single assertion"));
    }
}

fn check_verified(file: &File, findings: &mut Vec<Finding>) {
    if VERIFIERS.iter().any(|folder| file.path.starts_with(folder)) {
        return;
    }
    for (line, text) in numbered(&file.text) {
        if text.contains("verified_before(") {
            let text = "only the store may take a block as verified before";
            findings.push(Finding::new(&file.path, line, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER_LINES_MAX, LINES_MAX, Tree, check};

    const GOOD: &str = "//! What this is.\n\n#[test]\nfn t() { assert!(true) }\n";

    #[test]
    fn a_plain_file_passes() {
        assert_eq!(check(&Tree::of(&[("crates/dag/src/walk.rs", GOOD)])), []);
    }

    #[test]
    fn each_broken_rule_is_one_finding() {
        let long_header = "//! Line.\n".repeat(HEADER_LINES_MAX + 1);
        let long_file = format!("//! What this is.\n{}", "\n".repeat(LINES_MAX));
        for (path, text) in [
            ("crates/dag/src/walk/mod.rs", GOOD),
            ("crates/dag/src/walk.rs", "use std::fs;\n"),
            ("crates/dag/src/walk.rs", ""),
            ("crates/dag/src/walk.rs", &long_header),
            ("crates/dag/src/walk.rs", &long_file),
            ("crates/dag/src/walk.rs", "//! What this is.\n#[test]\nfn t() {}\n"),
            ("crates/dag/src/walk.rs", "//! What this is.\n    #[ignore = \"slow\"]\n"),
            ("crates/dag/src/walk.rs", "//! What this is.\nBlock::verified_before(cid, data)\n"),
        ] {
            assert_eq!(check(&Tree::of(&[(path, text)])).len(), 1, "{path}: {text:.60}");
        }
    }

    #[test]
    fn the_store_verifies_by_itself() {
        let text = "//! What this is.\nBlock::verified_before(cid, data)\n";
        assert_eq!(check(&Tree::of(&[("crates/store/src/read.rs", text)])), []);
    }
}
