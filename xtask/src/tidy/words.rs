//! Words that do not belong: unfinished work, code in comments, names that say nothing, and
//! places that exist on one machine only.
//!
//! What is missing stands in `SHORTCOMINGS.md`. This file puts its own banned words together at
//! compile time, so that it does not find itself.

use super::{File, Finding, Tree, has_word, numbered};
use std::path::Path;

/// Marks of unfinished work, as words in any source.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
/// Macros that stop or print where the program should go on.
const MACROS: &[&str] =
    &[concat!("to", "do!("), concat!("unimple", "mented!("), concat!("db", "g!(")];
/// Parts of type and module names that say nothing of what is inside.
const VAGUE: &[&str] = &["Manager", "Helper", "Util", "Common"];
/// Words that start a declaration of a type or module.
const DECLARES: &[&str] = &["struct", "enum", "trait", "type", "mod"];
/// Addresses of registries: clients know them, the project does not name them.
const HOSTS: &[&str] = &[
    concat!("registry.", "npmjs.org"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("files.", "pythonhosted.org"),
    concat!("pypi.", "org"),
    concat!("deb.", "debian.org"),
];
/// Folders of the machine the work was done on.
const PLACES: &[&str] = &[concat!("/wo", "rk/"), concat!("../sha", "red"), concat!("/tmp/", "wt/")];
/// Where these words are read as source and not as text for people.
const SOURCES: &[&str] = &[".rs", ".py", ".mjs", ".js", ".ts", ".sh", ".toml", ".ci/run"];

/// Checks every text file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        let source = SOURCES.iter().any(|ending| file.path.ends_with(ending));
        for (line, text) in numbered(&file.text) {
            let mut find = |what: String| findings.push(Finding::new(&file.path, line, what));
            check_places(file, text, &mut find);
            if source {
                check_unfinished(text, &mut find);
            }
            if Path::new(&file.path).extension().is_some_and(|extension| extension == "rs") {
                check_names(text, &mut find);
                if is_code_in_comment(text) {
                    find("code in a comment: version control remembers it".to_owned());
                }
            }
        }
    }
    findings
}

fn check_unfinished(text: &str, find: &mut impl FnMut(String)) {
    // A dash before it makes it part of a flag or of a boundary in a test.
    let dashed = |word: &str| text.contains(&format!("-{word}"));
    for word in UNFINISHED.iter().filter(|word| has_word(text, word) && !dashed(word)) {
        find(format!("{word}: what is missing stands in SHORTCOMINGS.md"));
    }
    for word in MACROS.iter().filter(|word| text.contains(*word)) {
        find(format!("{word}…) is for the desk, not for the tree"));
    }
}

fn check_names(text: &str, find: &mut impl FnMut(String)) {
    let words: Vec<&str> = text.split_whitespace().collect();
    for pair in words.windows(2).filter(|pair| DECLARES.contains(&pair[0])) {
        let name = pair[1].split(|c: char| !c.is_alphanumeric() && c != '_').next();
        let name = name.unwrap_or_default();
        let lower = |word: &&str| {
            let word = word.to_lowercase();
            pair[0] == "mod" && name.split('_').any(|part| part.trim_end_matches('s') == word)
        };
        let vague = |word: &&str| contains_part(name, word) || lower(word);
        if let Some(word) = VAGUE.iter().find(|word| vague(word)) {
            find(format!("{name}: \"{word}\" says nothing of what is inside"));
        }
    }
}

/// Whether `name` has `part` as one of its capitalised words: `UtilMap`, not `Utility`.
fn contains_part(name: &str, part: &str) -> bool {
    name.match_indices(part).any(|(start, _)| {
        let rest = name[start + part.len()..].trim_start_matches('s');
        !rest.chars().next().is_some_and(char::is_lowercase)
    })
}

fn is_code_in_comment(text: &str) -> bool {
    let Some(comment) = text.trim_start().strip_prefix("//") else { return false };
    if comment.starts_with(['/', '!']) {
        return false;
    }
    let comment = comment.trim();
    let begins = ["let ", "use ", "return", "pub ", "fn ", "if ", "for ", "match ", "#["]
        .iter()
        .any(|word| comment.starts_with(word));
    let ends = comment.ends_with([';', '{', '}']) || comment.ends_with(")]");
    (begins && ends) || (comment.ends_with(");") && comment.contains('('))
}

fn check_places(file: &File, text: &str, find: &mut impl FnMut(String)) {
    // The lock of the JavaScript clients has its own check, with its own words.
    if file.path.ends_with("package-lock.json") {
        return;
    }
    for host in HOSTS.iter().filter(|host| text.contains(*host)) {
        find(format!("{host}: only a registry's client needs to know this host"));
    }
    for place in PLACES {
        let alone = text.match_indices(place).any(|(start, _)| {
            !text[..start].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '-')
        });
        if alone {
            find(format!("{place} exists on one machine only"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HOSTS, MACROS, PLACES, Tree, UNFINISHED, check};

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn banned_words_are_found_in_sources() {
        for word in UNFINISHED.iter().chain(MACROS) {
            assert_eq!(count("src/a.rs", &format!("x {word} y")), 1, "{word}");
        }
        for word in HOSTS.iter().chain(PLACES) {
            assert_eq!(count("docs/a.md", &format!("see {word}")), 1, "{word}");
        }
    }

    #[test]
    fn prose_is_left_alone() {
        for text in [
            "// Returns early: there is nothing to do.",
            "// A utility bill (for one).",
            "/// let x = f();",
            "// Each block costs 40 bytes (see `limits`).",
            "struct Utility;",
            "struct Commonality;",
            "https://example.com/framework/",
            concat!("b\"--XX", "X\\r\\n\""),
        ] {
            assert_eq!(count("src/a.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn code_in_comments_is_found() {
        for text in ["// let x = 1;", "    // return;", "// call(x);", "// #[cfg(test)]"] {
            assert_eq!(count("src/a.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn vague_names_are_found() {
        for (declares, name) in [
            ("pub struct", "PeerManager {"),
            ("enum", "HelperKind {"),
            ("mod", "common;"),
            ("pub mod", "utils {"),
        ] {
            assert_eq!(count("src/a.rs", &format!("{declares} {name}")), 1, "{name}");
        }
    }
}
