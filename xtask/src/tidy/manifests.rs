//! The manifests and locks: each dependency says what it is for, each lock names no host.
//!
//! Invariants checked: a third party in `[workspace.dependencies]` has a comment on its line, on
//! the line that closes it, or just above; every package takes the workspace's lints; the old
//! `yamux`, which a peer can make to panic, stays out; the peers' lock has no addresses.

use super::{File, Finding, Tree, numbered};

/// Where the locks of the JavaScript peers and clients lie.
const NPM_LOCK: &str = "tests/peers/package-lock.json";
/// Releases that must not come back, each with its reason.
const BANNED: &[(&str, &str, &str)] =
    &[("yamux", "0.12.", "a remote peer can make it panic; libp2p works with later ones")];

/// Checks manifests and locks.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_ending("Cargo.toml") {
        if file.text.contains("[workspace.dependencies]") {
            check_purposes(file, &mut findings);
        }
        if file.text.contains("[package]") && !file.text.contains("[lints]\nworkspace = true") {
            findings.push(Finding::new(&file.path, 1, "takes no lints from the workspace"));
        }
    }
    if let Some(file) = tree.find("Cargo.lock") {
        check_banned(file, &mut findings);
    }
    if let Some(file) = tree.find(NPM_LOCK) {
        for (line, text) in numbered(&file.text) {
            if text.contains("\"resolved\"") || text.contains("registry.") {
                findings.push(Finding::new(NPM_LOCK, line, "a lock must not name a host"));
            }
        }
    }
    findings
}

fn check_purposes(file: &File, findings: &mut Vec<Finding>) {
    let (mut inside, mut open, mut explained) = (false, None, false);
    for (line, text) in numbered(&file.text) {
        if text.starts_with('[') {
            inside = text == "[workspace.dependencies]";
        }
        let comment = text.contains('#');
        if !inside || text.trim().is_empty() || text.starts_with('[') || text.starts_with('#') {
            explained = comment && text.starts_with('#');
            continue;
        }
        let (first, known) = open.take().unwrap_or((line, explained || comment));
        let ours = text.starts_with("cairn-");
        if text.matches(['{', '[']).count() > text.matches(['}', ']']).count()
            || text.starts_with(' ')
        {
            open = Some((first, known || comment));
        } else if !ours && !known && !comment {
            findings.push(Finding::new(&file.path, first, "say what this dependency is for"));
        }
        explained = false;
    }
}

fn check_banned(file: &File, findings: &mut Vec<Finding>) {
    let mut name = "";
    for (line, text) in numbered(&file.text) {
        let value = |key: &str| text.strip_prefix(key)?.strip_suffix('"');
        if let Some(found) = value("name = \"") {
            name = found;
        }
        let version = value("version = \"").unwrap_or_default();
        for (_, banned, why) in BANNED.iter().filter(|(of, ..)| *of == name) {
            if version.starts_with(banned) {
                findings.push(Finding::new(&file.path, line, format!("{name} {version}: {why}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NPM_LOCK, Tree, check};

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn dependencies_say_what_they_are_for() {
        let head = "[workspace.dependencies]\ncairn-hash = { path = \"crates/hash\" }\n";
        for (text, expected) in [
            ("bytes = \"1\"  # shared buffers\n", 0),
            ("# Shared buffers.\nbytes = \"1\"\n", 0),
            ("libp2p = { features = [\n    \"tcp\",\n] } # the wire\n", 0),
            ("bytes = \"1\"\n", 1),
            ("# Shared buffers.\nbytes = \"1\"\nserde = \"1\"\n", 1),
            ("libp2p = { features = [\n    \"tcp\",\n] }\nbytes = \"1\"\n", 2),
            ("\n[profile.dev]\nopt-level = 1\n", 0),
        ] {
            assert_eq!(count("Cargo.toml", &format!("{head}{text}")), expected, "{text}");
        }
    }

    #[test]
    fn packages_take_the_lints() {
        assert_eq!(count("xtask/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n"), 0);
        assert_eq!(count("xtask/Cargo.toml", "[package]\n"), 1);
    }

    #[test]
    fn locks_are_clean() {
        let lock = |version| format!("[[package]]\nname = \"yamux\"\nversion = \"{version}\"\n");
        assert_eq!(count("Cargo.lock", &lock("0.13.4")), 0);
        assert_eq!(count("Cargo.lock", &lock("0.12.1")), 1);
        assert_eq!(count(NPM_LOCK, "\"integrity\": \"sha512-…\""), 0);
        assert_eq!(count(NPM_LOCK, "\"resolved\": \"…\""), 1);
    }
}
