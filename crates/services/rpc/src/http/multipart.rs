//! `multipart/form-data`, read as it comes: files and directories in one request body.
//!
//! Why our own: the parts of `add` are a tree in order (`application/x-directory`,
//! `application/symlink`, percent-encoded paths, mode and mtime in the field's name), of any
//! size, and are read on a thread that blocks. Nothing is buffered beyond [`BUFFER_LEN`].
//!
//! Spec: RFC 7578 and RFC 2046 §5.1; the tree convention is Kubo's (`boxo/files`).
//! Invariants: memory does not depend on the input; a body that stops early is an error, never a
//! short file; no path leaves its root.
//! Not here: the body's bytes (`http::body`), building the tree (`cairn-node`).

use std::io::{self, BufRead as _, Read};
use thiserror::Error;

/// Most bytes read ahead of the parts.
pub(super) const BUFFER_LEN: usize = 256 * 1024;
/// Bytes read ahead at first: a small file with its headers. Clearing more costs more than reading
/// that.
pub(super) const BUFFER_LEN_FIRST: usize = 16 * 1024;
/// Longest headers of one part, in bytes: a path of 4096 bytes, all percent-encoded, fits.
pub(super) const PART_HEAD_LEN_MAX: usize = 32 * 1024;
/// Most parts in one body.
pub(super) const PARTS_MAX: u64 = 64 * 1024 * 1024;
/// Deepest path of a part, in names.
pub(super) const PATH_DEPTH_MAX: usize = 1024;
/// Longest boundary (RFC 2046 §5.1.1).
pub(super) const BOUNDARY_LEN_MAX: usize = 70;
/// Longest target of a symbolic link, in bytes (Linux' `PATH_MAX`).
pub(super) const LINK_LEN_MAX: usize = 4096;

/// Why a body is not readable as parts.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum MultipartError {
    /// The body stopped before its closing boundary.
    #[error("the request body ended in the middle of a part")]
    Ended,
    /// Over [`PART_HEAD_LEN_MAX`].
    #[error("the headers of a part are longer than {PART_HEAD_LEN_MAX} bytes")]
    HeadTooLong,
    /// A header line that cannot be read.
    #[error("a part's headers are broken: {reason}")]
    Head {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A file name that is no path below the root.
    #[error("a part's file name {path:?} {reason}")]
    Path {
        /// The name, decoded.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Over [`PARTS_MAX`] or [`LINK_LEN_MAX`].
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What was too large.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The connection failed.
    #[error("could not read the request body")]
    Io(#[from] io::Error),
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PartKind {
    /// A file, whose content follows.
    File,
    /// A directory; what is in it follows as parts of its own.
    Directory,
    /// A symbolic link, whose target follows.
    Symlink,
}

/// The headers of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartHead {
    /// The path, without empty names, `.` or `..`; empty for a file without a name.
    pub path: String,
    /// What it is.
    pub kind: PartKind,
    /// Unix permissions, if they were sent.
    pub mode: Option<u32>,
    /// Seconds and nanoseconds of the last change, if they were sent.
    pub mtime: Option<(i64, u32)>,
    /// The absolute path or the URL that the content came from, if it was sent.
    pub origin: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary or inside a part.
    Content,
    /// Just after a boundary.
    Boundary,
    /// After the closing boundary.
    Done,
}

/// Reads the parts of one body, in order.
#[derive(Debug)]
pub(super) struct Multipart<R> {
    source: R,
    /// As long as the longest read so far asks for.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// `\r\n--` and the boundary.
    delimiter: Vec<u8>,
    state: State,
    parts: u64,
}

impl<R: Read> Multipart<R> {
    /// Reads parts from `source`, which are set apart by `boundary`.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Head`] if the boundary is empty or too long.
    pub(super) fn new(source: R, boundary: &str) -> Result<Self, MultipartError> {
        if boundary.is_empty() || boundary.len() > BOUNDARY_LEN_MAX {
            return Err(MultipartError::Head { reason: "the boundary has a wrong length" });
        }
        let mut delimiter = b"\r\n--".to_vec();
        delimiter.extend_from_slice(boundary.as_bytes());
        let mut buffer = vec![0; BUFFER_LEN_FIRST];
        // The first boundary may stand at the very start: as if a line had ended before it.
        buffer[..2].copy_from_slice(b"\r\n");
        Ok(Self { source, buffer, start: 0, end: 2, delimiter, state: State::Content, parts: 0 })
    }

    /// Skips what is left of the current part and reads the headers of the next.
    ///
    /// # Errors
    ///
    /// Any [`MultipartError`]; the body is of no use after one.
    pub(super) fn next_part(&mut self) -> Result<Option<PartHead>, MultipartError> {
        while self.state == State::Content {
            let len = self.available()?;
            self.start += len;
        }
        if self.state == State::Done || self.is_closing()? {
            self.state = State::Done;
            return Ok(None);
        }
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(MultipartError::Limit { what: "the number of parts", limit: PARTS_MAX });
        }
        let head = self.read_head()?;
        self.state = State::Content;
        let len = self.delimiter.len() - 2;
        self.look_ahead(len)?;
        if self.buffer[self.start..self.end].starts_with(&self.delimiter[2..]) {
            // An empty part whose last header line ends where the boundary's line begins.
            self.start += len;
            self.state = State::Boundary;
        }
        Ok(Some(head))
    }

    /// Reads content of the current part; 0 at its end.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Ended`] or [`MultipartError::Io`].
    pub(super) fn read_content(&mut self, out: &mut [u8]) -> Result<usize, MultipartError> {
        if out.is_empty() || self.state != State::Content {
            return Ok(0);
        }
        let len = self.available()?.min(out.len());
        out[..len].copy_from_slice(&self.buffer[self.start..self.start + len]);
        self.start += len;
        Ok(len)
    }

    /// Reads the rest of the current part as a link's target.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Limit`] over [`LINK_LEN_MAX`], [`MultipartError::Head`] if it is not
    /// UTF-8, and those of [`Multipart::read_content`].
    pub(super) fn read_link(&mut self) -> Result<String, MultipartError> {
        let mut target = vec![0; LINK_LEN_MAX + 1];
        let mut len = 0;
        loop {
            let read = self.read_content(&mut target[len..])?;
            len += read;
            if len > LINK_LEN_MAX {
                let limit = LINK_LEN_MAX as u64;
                return Err(MultipartError::Limit { what: "the target of a link", limit });
            }
            if read == 0 {
                target.truncate(len);
                let text = String::from_utf8(target);
                return text.map_err(|_| MultipartError::Head { reason: "a link is not UTF-8" });
            }
        }
    }

    /// Returns how much content stands at `start`, at least one byte, or 0 having passed a
    /// boundary.
    fn available(&mut self) -> Result<usize, MultipartError> {
        loop {
            let ahead = &self.buffer[self.start..self.end];
            match find(ahead, &self.delimiter) {
                Found::At(0) => {
                    self.start += self.delimiter.len();
                    self.state = State::Boundary;
                    return Ok(0);
                }
                Found::At(len) | Found::Perhaps(len) if len > 0 => return Ok(len),
                _ => {
                    if !self.fill()? {
                        return Err(MultipartError::Ended);
                    }
                }
            }
        }
    }

    /// Reads more of the source; `false` at its end.
    fn fill(&mut self) -> Result<bool, MultipartError> {
        let was_full = self.end == self.buffer.len();
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if was_full && self.buffer.len() < BUFFER_LEN {
            self.buffer.resize(BUFFER_LEN.min(4 * self.buffer.len()), 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(len) => {
                    self.end += len;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads until `len` bytes are in the buffer, or the body ends.
    fn look_ahead(&mut self, len: usize) -> Result<(), MultipartError> {
        while self.end - self.start < len && self.fill()? {}
        Ok(())
    }

    /// Reads what follows a boundary; whether that boundary was the closing one.
    fn is_closing(&mut self) -> Result<bool, MultipartError> {
        self.look_ahead(2)?;
        if self.buffer[self.start..self.end].starts_with(b"--") {
            return Ok(true);
        }
        let padding = self.read_line(PART_HEAD_LEN_MAX)?;
        if padding.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Ok(false);
        }
        Err(MultipartError::Head { reason: "a boundary is followed by text" })
    }

    /// Reads one line, without its end.
    fn read_line(&mut self, len_max: usize) -> Result<Vec<u8>, MultipartError> {
        let mut scanned = 0;
        loop {
            let ahead = &self.buffer[self.start..self.end];
            if let Some(len) = ahead[scanned..].iter().position(|&byte| byte == b'\n') {
                let len = scanned + len;
                let line = ahead[..len].strip_suffix(b"\r");
                let line = line.ok_or(MultipartError::Head { reason: "a line ends without CR" })?;
                if line.len() > len_max {
                    return Err(MultipartError::HeadTooLong);
                }
                let line = line.to_vec();
                self.start += len + 1;
                return Ok(line);
            }
            scanned = ahead.len();
            if scanned > len_max {
                return Err(MultipartError::HeadTooLong);
            }
            if !self.fill()? {
                return Err(MultipartError::Ended);
            }
        }
    }

    fn read_head(&mut self) -> Result<PartHead, MultipartError> {
        let mut left = PART_HEAD_LEN_MAX;
        let mut disposition = String::new();
        let mut content_type = String::new();
        let mut origin = None;
        loop {
            let line = self.read_line(left)?;
            if line.is_empty() {
                let head = head_of(&disposition, &content_type)?;
                return Ok(PartHead { origin, ..head });
            }
            left = left.saturating_sub(line.len() + 2);
            let line = String::from_utf8(line)
                .map_err(|_| MultipartError::Head { reason: "a line is not UTF-8" })?;
            let (name, value) = line
                .split_once(':')
                .ok_or(MultipartError::Head { reason: "a line has no colon" })?;
            match name.trim().to_ascii_lowercase().as_str() {
                "content-disposition" => value.trim().clone_into(&mut disposition),
                "content-type" => value.trim().clone_into(&mut content_type),
                "abspath-encoded" => {
                    let reason = "an encoded path is broken";
                    let text = decode(value.trim(), true);
                    origin = Some(text.ok_or(MultipartError::Head { reason })?);
                }
                // What older clients send.
                "abspath" if origin.is_none() => origin = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
}

/// Where a delimiter is.
enum Found {
    /// It begins here.
    At(usize),
    /// It is not in what comes before this place; from here on it may begin.
    Perhaps(usize),
}

fn find(ahead: &[u8], delimiter: &[u8]) -> Found {
    let mut place = 0;
    loop {
        let mut rest = &ahead[place..];
        // The standard library's fastest search for one byte that is open to callers.
        let skipped = rest.skip_until(b'\r').unwrap_or(0);
        let ended = skipped == 0 || ahead[place + skipped - 1] != b'\r';
        if ended {
            return Found::Perhaps(ahead.len());
        }
        place += skipped - 1;
        let candidate = &ahead[place..];
        if candidate.starts_with(delimiter) {
            return Found::At(place);
        }
        if candidate.len() < delimiter.len() && delimiter.starts_with(candidate) {
            return Found::Perhaps(place);
        }
        place += 1;
    }
}

/// Reads the boundary out of a `Content-Type` of `multipart/form-data`.
pub(super) fn boundary_of(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameter(parameters, "boundary")
}

fn head_of(disposition: &str, content_type: &str) -> Result<PartHead, MultipartError> {
    let kind = match content_type.split(';').next().unwrap_or("").trim() {
        "application/x-directory" => PartKind::Directory,
        "application/symlink" => PartKind::Symlink,
        _ => PartKind::File,
    };
    let parameters = disposition.split_once(';').map_or("", |(_, rest)| rest);
    let field = parameter(parameters, "name").unwrap_or_default();
    let (mode, mtime) = field.split_once('?').map_or((None, None), |(_, query)| metadata(query));
    let name = if let Some(extended) = parameter(parameters, "filename*") {
        let text = extended.splitn(3, '\'').nth(2).unwrap_or("");
        decode(text, false).unwrap_or_else(|| text.to_owned())
    } else {
        let name = parameter(parameters, "filename").unwrap_or_default();
        decode(&name, true).unwrap_or(name)
    };
    Ok(PartHead { path: clean(&name)?, kind, mode, mtime, origin: None })
}

/// Reads `mode=0644&mtime=1&mtime-nsecs=2`, the query in a field's name.
fn metadata(query: &str) -> (Option<u32>, Option<(i64, u32)>) {
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let mode = value("mode").and_then(|text| u32::from_str_radix(text, 8).ok());
    let nanoseconds = value("mtime-nsecs").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mtime = value("mtime").and_then(|text| text.parse().ok());
    (mode, mtime.map(|seconds| (seconds, nanoseconds)))
}

/// Finds one parameter of a header value such as `; name="file"; filename=a.txt`.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (key, after) = rest.split_once('=')?;
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            unquote(quoted)?
        } else {
            let end = after.find(';').unwrap_or(after.len());
            (after[..end].trim().to_owned(), &after[end..])
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

/// Reads a quoted text up to its closing quote; returns it and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut places = text.char_indices();
    while let Some((place, c)) = places.next() {
        match c {
            '"' => return Some((value, &text[place + 1..])),
            // Only what must be escaped is: old Windows clients send paths with backslashes.
            '\\' if text[place + 1..].starts_with(['"', '\\']) => value.push(places.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// Undoes percent-encoding, and `+` for a space where a form's rules hold; `None` if it is not
/// well-formed or not UTF-8.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push((high * 16 + low) as u8);
            }
            b'+' if plus_is_space => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Makes a path of plain names; `/a//./b/` becomes `a/b`.
fn clean(name: &str) -> Result<String, MultipartError> {
    let mut path = String::with_capacity(name.len());
    let wrong = |reason| MultipartError::Path { path: name.to_owned(), reason };
    for (depth, part) in name.split('/').filter(|part| !matches!(*part, "" | ".")).enumerate() {
        if part == ".." {
            return Err(wrong("leads out of the request"));
        }
        if part.contains('\0') {
            return Err(wrong("has a zero byte"));
        }
        if depth == PATH_DEPTH_MAX {
            return Err(wrong("is too deep"));
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part);
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
