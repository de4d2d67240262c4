//! Rules for names to leave out, in gitignore's syntax.
//!
//! The last rule that matches decides; `!` takes back. A rule without a slash (but at its end)
//! matches at any depth, others from the argument's directory on. `*` and `?` stop at slashes,
//! `**` does not; `[…]` is a class; a slash at the end matches directories only.
//!
//! Spec: <https://git-scm.com/docs/gitignore>, "Pattern format".
//! Not here: hidden names, which have a flag of their own.

#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;

use crate::add::AddEntryError;
use std::path::Path;

/// Most rules, given and from the file together.
const RULES_MAX: usize = 10_000;

/// Longest rule, in bytes.
const RULE_LEN_MAX: usize = 4096;

/// Largest file of rules that is read, in bytes (1 MiB).
const RULES_FILE_LEN_MAX: u64 = 1024 * 1024;

/// The rules of one walk.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// `!`: takes back what a rule before has left out.
    keeps: bool,
    directories_only: bool,
    segments: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    /// `**`: any number of segments, also none.
    Any,
    /// One segment.
    Glob(Vec<Token>),
}

#[derive(Debug, PartialEq)]
enum Token {
    Char(char),
    /// `?`
    One,
    /// `*`
    Run,
    /// `[…]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Rules {
    /// Reads the file's rules, then the given ones.
    pub(super) fn load(given: &[String], file: Option<&Path>) -> Result<Self, AddEntryError> {
        let mut rules = Self::default();
        if let Some(path) = file {
            let failed = |source| AddEntryError::Io { op: "read", path: path.to_owned(), source };
            let len = std::fs::metadata(path).map_err(failed)?.len();
            if len > RULES_FILE_LEN_MAX {
                let rule = path.display().to_string();
                return Err(AddEntryError::Rule { rule, reason: "the file is over 1 MiB" });
            }
            let text = std::fs::read_to_string(path).map_err(failed)?;
            text.lines().try_for_each(|line| rules.push(line))?;
        }
        given.iter().try_for_each(|line| rules.push(line))?;
        Ok(rules)
    }

    fn push(&mut self, line: &str) -> Result<(), AddEntryError> {
        let refuse = |reason| Err(AddEntryError::Rule { rule: line.to_owned(), reason });
        if line.len() > RULE_LEN_MAX {
            return refuse("longer than 4096 bytes");
        }
        if self.rules.len() >= RULES_MAX {
            return refuse("more than 10000 rules");
        }
        match parse(line) {
            Ok(rule) => self.rules.extend(rule),
            Err(reason) => return refuse(reason),
        }
        Ok(())
    }

    /// Whether the entry at `path` (below the argument) is left out.
    pub(super) fn exclude(&self, path: &str, is_directory: bool) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let path: Vec<&str> = path.split('/').collect();
        let matches = |rule: &&Rule| {
            (is_directory || !rule.directories_only) && match_path(&rule.segments, &path)
        };
        self.rules.iter().rev().find(matches).is_some_and(|rule| !rule.keeps)
    }
}

/// Parses a line; `None` for a comment or an empty one.
fn parse(line: &str) -> Result<Option<Rule>, &'static str> {
    let line = line.trim_end_matches(['\r', '\n']);
    let mut text = line.trim_end_matches(' ');
    if text.ends_with('\\') && text.len() < line.len() {
        text = &line[..=text.len()];
    }
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (keeps, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (directories_only, text) = match text.strip_suffix('/') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let anchored = text.contains('/');
    let text = text.strip_prefix('/').unwrap_or(text);
    if text.is_empty() {
        return Ok(None);
    }
    let mut segments = Vec::new();
    if !anchored {
        segments.push(Segment::Any);
    }
    for part in text.split('/') {
        segments.push(match part {
            "**" => Segment::Any,
            _ => Segment::Glob(tokens(part)?),
        });
    }
    // `a/**` means everything inside, not `a` itself.
    if text.ends_with("/**") {
        segments.push(Segment::Glob(vec![Token::Run]));
    }
    Ok(Some(Rule { keeps, directories_only, segments }))
}

fn tokens(part: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        let token = match c {
            '?' => Token::One,
            '*' if tokens.last() == Some(&Token::Run) => continue,
            '*' => Token::Run,
            '\\' => Token::Char(chars.next().ok_or("it ends with a backslash")?),
            '[' => class(&mut chars)?,
            _ => Token::Char(c),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

fn class(chars: &mut std::str::Chars<'_>) -> Result<Token, &'static str> {
    const OPEN: &str = "a bracket is not closed";
    let mut ranges: Vec<(char, char)> = Vec::new();
    let mut next = chars.next().ok_or(OPEN)?;
    let negated = matches!(next, '!' | '^');
    if negated {
        next = chars.next().ok_or(OPEN)?;
    }
    loop {
        if next == ']' && !ranges.is_empty() {
            return Ok(Token::Class { negated, ranges });
        }
        let first = if next == '\\' { chars.next().ok_or(OPEN)? } else { next };
        let mut last = first;
        let mut ahead = chars.clone();
        if ahead.next() == Some('-') {
            match ahead.next() {
                Some(']') => {}
                Some(end) => {
                    last = end;
                    *chars = ahead;
                }
                None => return Err(OPEN),
            }
        }
        ranges.push((first, last));
        next = chars.next().ok_or(OPEN)?;
    }
}

/// Matches segment by segment; after `**` every rest of the path is tried, the last `**` first.
fn match_path(segments: &[Segment], path: &[&str]) -> bool {
    backtrack(
        segments.len(),
        path.len(),
        |at| matches!(segments[at], Segment::Any),
        |at, place| match &segments[at] {
            Segment::Any => true,
            Segment::Glob(tokens) => match_segment(tokens, path[place]),
        },
    )
}

fn match_segment(tokens: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    backtrack(
        tokens.len(),
        text.len(),
        |at| tokens[at] == Token::Run,
        |at, place| match &tokens[at] {
            Token::Char(c) => *c == text[place],
            Token::One | Token::Run => true,
            Token::Class { negated, ranges } => {
                let c = text[place];
                ranges.iter().any(|&(first, last)| (first..=last).contains(&c)) != *negated
            }
        },
    )
}

/// Wildcard matching in time |pattern| · |text|: only the last star is ever tried again.
fn backtrack(
    pattern_len: usize,
    text_len: usize,
    is_star: impl Fn(usize) -> bool,
    fits: impl Fn(usize, usize) -> bool,
) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if at < pattern_len && is_star(at) {
            retry = Some((at, place));
            at += 1;
        } else if at < pattern_len && place < text_len && fits(at, place) {
            at += 1;
            place += 1;
        } else if at == pattern_len && place == text_len {
            return true;
        } else if let Some((star, start)) = retry
            && start < text_len
        {
            retry = Some((star, start + 1));
            at = star + 1;
            place = start + 1;
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rules;

    fn excludes(rules: &[&str], path: &str, is_directory: bool) -> bool {
        let rules: Vec<String> = rules.iter().map(|&rule| rule.to_owned()).collect();
        Rules::load(&rules, None).unwrap().exclude(path, is_directory)
    }

    #[test]
    fn follows_gitignore_s_pattern_format() {
        let rows: &[(&[&str], &str, bool, bool)] = &[
            (&["foo"], "foo", false, true),
            (&["foo"], "a/b/foo", false, true),
            (&["foo"], "food", false, false),
            (&["/foo"], "foo", false, true),
            (&["/foo"], "a/foo", false, false),
            (&["a/foo"], "a/foo", false, true),
            (&["a/foo"], "b/a/foo", false, false),
            (&["foo/"], "foo", true, true),
            (&["foo/"], "foo", false, false),
            (&["*.log"], "x/y.log", false, true),
            (&["*.log"], "x.log/y", false, false),
            (&["*.log", "!keep.log"], "keep.log", false, false),
            (&["!keep.log", "*.log"], "keep.log", false, true),
            (&["**/baz"], "baz", false, true),
            (&["**/baz"], "a/b/baz", false, true),
            (&["fizz/**"], "fizz/a/b", false, true),
            (&["fizz/**"], "fizz", true, false),
            (&["a/**/b"], "a/b", false, true),
            (&["a/**/b"], "a/x/y/b", false, true),
            (&["a/**/b"], "a/x/y/c", false, false),
            (&["?at"], "cat", false, true),
            (&["?at"], "at", false, false),
            (&["[a-cx]1"], "b1", false, true),
            (&["[a-cx]1"], "d1", false, false),
            (&["[!a-c]1"], "d1", false, true),
            (&["[]x]"], "]", false, true),
            (&["# no"], "# no", false, false),
            (&["\\#yes"], "#yes", false, true),
            (&["\\!yes"], "!yes", false, true),
            (&["end  "], "end", false, true),
            (&["end\\ "], "end ", false, true),
            (&["", "/"], "a", false, false),
            (&["a*b*c"], "axxbyyc", false, true),
            (&["a*b*c"], "axxbyy", false, false),
        ];
        for (rules, path, is_directory, expected) in rows {
            assert_eq!(excludes(rules, path, *is_directory), *expected, "{rules:?} on {path}");
        }
    }

    #[test]
    fn broken_rules_are_refused() {
        for rule in ["[abc", "a\\", "[a-", &"x".repeat(5000)] {
            assert!(Rules::load(&[rule.to_owned()], None).is_err(), "{rule}");
        }
        assert!(Rules::load(&[], Some("/does/not/exist".as_ref())).is_err());
    }
}
