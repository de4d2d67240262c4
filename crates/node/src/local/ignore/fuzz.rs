//! What must hold of ignore rules whatever they and the paths are, for `cairn-fuzz`.
//!
//! The matcher goes back to the last star only. Here every way of matching is tried, in a table.

use super::{Rules, Segment, Token, match_path, match_segment};

/// Rules, one a line, and last a path.
pub(crate) fn rules(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (lines, path) = text.rsplit_once('\n').unwrap_or(("", text));
    let mut rules = Rules::default();
    if lines.split('\n').try_for_each(|line| rules.push(line)).is_err() {
        return;
    }
    let names: Vec<&str> = path.split('/').collect();
    for rule in &rules.rules {
        let found = match_path(&rule.segments, &names);
        let is_any = |segment: &Segment| matches!(segment, Segment::Any);
        let fits = |segment: &Segment, name: &&str| match segment {
            Segment::Any => true,
            Segment::Glob(tokens) => match_segment(tokens, name),
        };
        assert_eq!(found, every_way(&rule.segments, &names, is_any, fits), "{rule:?} {path:?}");
        for segment in &rule.segments {
            let Segment::Glob(tokens) = segment else { continue };
            for name in &names {
                let found = match_segment(tokens, name);
                let letters: Vec<char> = name.chars().collect();
                let is_run = |token: &Token| *token == Token::Run;
                assert_eq!(
                    found,
                    every_way(tokens, &letters, is_run, takes),
                    "{tokens:?} {name:?}"
                );
            }
        }
    }
    for is_directory in [false, true] {
        let decides = |rule: &&super::Rule| {
            (is_directory || !rule.directories_only) && match_path(&rule.segments, &names)
        };
        let last = rules.rules.iter().rfind(decides);
        assert_eq!(rules.exclude(path, is_directory), last.is_some_and(|rule| !rule.keeps));
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "`every_way` lends items of any type")]
fn takes(token: &Token, c: &char) -> bool {
    match token {
        Token::Char(own) => own == c,
        Token::One | Token::Run => true,
        Token::Class { negated, ranges } => {
            ranges.iter().any(|(first, last)| first <= c && c <= last) != *negated
        }
    }
}

/// Whether `pattern` matches all of `text` in any way, stars taking any number of items.
fn every_way<P, T>(
    pattern: &[P],
    text: &[T],
    is_star: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    // For each beginning of the pattern: which beginnings of the text it matches.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for piece in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            let before = at > 0;
            next[at] = if is_star(piece) {
                reached[at] || (before && next[at - 1])
            } else {
                before && reached[at - 1] && fits(piece, &text[at - 1])
            };
        }
        reached = next;
    }
    reached[text.len()]
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "*.log\n!keep.log\n/build/\na/b/keep.log",
        "**/x/**\n[!a-c]?\\*\na/x/d1*",
        "# comment\nfoo\\ \na/**/b*c*d\n[]a]\na/q/bxcyd",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}
