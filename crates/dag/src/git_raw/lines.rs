//! git's commits and tags: lines of a name and a value, an empty line, a message.
//!
//! A line that begins with a space goes on with the value of the line before.

use super::{SHA1_LEN, cid, fail, text};
use crate::{CodecError, Node};
use cairn_block::Cid;

/// How the lines of a signature end that belong to it.
const SIGNATURE_END: &[u8] = b" -----END PGP SIGNATURE-----";

/// A commit's or tag's content, taken line by line.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    offset: usize,
    is_ended: bool,
}

/// One header with the lines that go on with it.
struct Header<'a> {
    name: &'a [u8],
    value: &'a [u8],
    /// With their leading spaces.
    more: Vec<&'a [u8]>,
    offset: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(content: &'a [u8], offset: usize) -> Self {
        Self { rest: content, offset, is_ended: false }
    }

    /// The links of a commit, those of tags merged into it as well.
    pub(super) fn commit_links(mut self) -> Result<Vec<Cid>, CodecError> {
        let mut links = Vec::new();
        while let Some(header) = self.header() {
            match header.name {
                b"tree" | b"parent" => links.push(header.link(header.value)?),
                b"mergetag" => links.push(header.merged_link()?),
                _ => {}
            }
        }
        Ok(links)
    }

    /// The links of a tag: a header of another name is no link, whatever it looks like.
    pub(super) fn tag_links(mut self) -> Result<Vec<Cid>, CodecError> {
        let mut links = Vec::new();
        while let Some(header) = self.header() {
            if header.name == b"object" {
                links.push(header.link(header.value)?);
            }
        }
        Ok(links)
    }

    pub(super) fn commit(mut self) -> Result<Node, CodecError> {
        let mut entries = Vec::new();
        let (mut parents, mut tags, mut other) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(header) = self.header() {
            let name = match header.name {
                b"tree" => "tree",
                b"author" => "author",
                b"committer" => "committer",
                b"encoding" => "encoding",
                b"gpgsig" => "signature",
                b"parent" => {
                    parents.push(Node::link(header.link(header.value)?));
                    continue;
                }
                b"mergetag" => {
                    tags.push(header.merged_tag()?);
                    continue;
                }
                _ => {
                    other.extend(header.lines()?);
                    continue;
                }
            };
            let value = match name {
                "tree" => Node::link(header.link(header.value)?),
                "encoding" => Node::String(text(header.value, header.offset)?),
                "signature" => Node::String(header.signature()?),
                _ => header.person()?,
            };
            put(&mut entries, name, value, header.offset)?;
        }
        put(&mut entries, "parents", Node::List(parents), self.offset)?;
        put(&mut entries, "mergetag", Node::List(tags), self.offset)?;
        put(&mut entries, "other", Node::List(other), self.offset)?;
        self.message(entries)
    }

    pub(super) fn tag(mut self) -> Result<Node, CodecError> {
        let mut entries = Vec::new();
        while let Some(header) = self.header() {
            let (name, value) = match header.name {
                b"object" => ("object", Node::link(header.link(header.value)?)),
                b"type" => ("type", Node::String(text(header.value, header.offset)?)),
                b"tag" => ("tag", Node::String(text(header.value, header.offset)?)),
                b"tagger" => ("tagger", header.person()?),
                _ => continue,
            };
            put(&mut entries, name, value, header.offset)?;
        }
        self.message(entries)
    }

    fn message(self, mut entries: Vec<(String, Node)>) -> Result<Node, CodecError> {
        let message = Node::String(text(self.rest, self.offset)?);
        put(&mut entries, "message", message, self.offset)?;
        Ok(Node::Map(entries))
    }

    /// The next header; `None` behind the empty line or at the end.
    fn header(&mut self) -> Option<Header<'a>> {
        if self.is_ended {
            return None;
        }
        let offset = self.offset;
        let line = self.line().filter(|line| !line.is_empty());
        let Some(line) = line else {
            self.is_ended = true;
            return None;
        };
        let mut more = Vec::new();
        while self.rest.first() == Some(&b' ') {
            more.extend(self.line());
        }
        let (name, value) = super::split(line, b' ').unwrap_or((line, &[]));
        Some(Header { name, value, more, offset })
    }

    /// The next line without its end; the last may lack it.
    fn line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = super::split(self.rest, b'\n').unwrap_or((self.rest, &[]));
        self.offset += self.rest.len() - rest.len();
        self.rest = rest;
        Some(line)
    }
}

impl Header<'_> {
    fn link(&self, digits: &[u8]) -> Result<Cid, CodecError> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
        let digits: Option<Vec<u8>> = digits.iter().map(digit).collect();
        let digits = digits.filter(|digits| digits.len() == 2 * SHA1_LEN);
        let sha1: Option<Vec<u8>> =
            digits.map(|digits| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect());
        match sha1.and_then(|sha1| cid(&sha1)) {
            Some(cid) => Ok(cid),
            None => fail(self.offset, "an object's name that is not a SHA-1"),
        }
    }

    fn merged_link(&self) -> Result<Cid, CodecError> {
        match self.value.strip_prefix(b"object ") {
            Some(digits) => self.link(digits),
            None => fail(self.offset, "a merged tag without its object"),
        }
    }

    /// The tag that a merge brought along, whose lines are indented.
    fn merged_tag(&self) -> Result<Node, CodecError> {
        self.merged_link()?;
        let mut content = self.value.to_vec();
        for line in &self.more {
            content.push(b'\n');
            content.extend_from_slice(&line[1..]);
        }
        // A tag has no tags of its own, so this goes no deeper.
        Lines::new(&content, self.offset).tag()
    }

    fn signature(&self) -> Result<String, CodecError> {
        let lines = self.more.iter().take_while(|line| **line != SIGNATURE_END);
        let lines: Vec<u8> = lines.flat_map(|line| line.iter().chain(b"\n")).copied().collect();
        text(&lines, self.offset)
    }

    /// All of it, line by line.
    fn lines(&self) -> Result<Vec<Node>, CodecError> {
        let first = [self.name, b" ", self.value].concat();
        let lines = std::iter::once(first.as_slice()).chain(self.more.iter().copied());
        lines.map(|line| text(line, self.offset).map(Node::String)).collect()
    }

    /// `NAME <EMAIL> SECONDS ZONE`, of which the last two may be missing.
    fn person(&self) -> Result<Node, CodecError> {
        let line = text(self.value, self.offset)?;
        let Some((name, rest)) = line.split_once('<') else {
            return fail(self.offset, "a person without an address");
        };
        let Some((email, rest)) = rest.split_once('>') else {
            return fail(self.offset, "a person without an address");
        };
        let mut words = rest.split_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        let entries = [
            ("date", word()),
            ("timezone", word()),
            ("email", email.to_owned()),
            ("name", name.trim_end().to_owned()),
        ];
        let entry = |(name, value): (&str, String)| (name.to_owned(), Node::String(value));
        Ok(Node::Map(entries.map(entry).into()))
    }
}

fn put(
    entries: &mut Vec<(String, Node)>,
    name: &str,
    value: Node,
    offset: usize,
) -> Result<(), CodecError> {
    if entries.iter().any(|(known, _)| known == name) {
        return fail(offset, "a header that stands twice");
    }
    entries.push((name.to_owned(), value));
    Ok(())
}
