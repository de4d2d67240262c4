//! Objects as `git cat-file --batch` prints them: a line, the content, a line's end.
//!
//! Source: git's `git-cat-file` page, "BATCH OUTPUT".
//! Invariants: no length is believed beyond what comes; a line has a limit.

use super::wrong;
use crate::NodeError;
use cairn_dag::git_root::ObjectId;
use std::io::{BufRead as _, BufReader, Read};

/// Longest line before an object, in bytes.
const LINE_LEN_MAX: u64 = 256;

/// Bytes read at once.
const BUFFER_LEN: usize = 256 * 1024;

/// The beginning of an object: its name, type and length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: ObjectId,
    pub(super) kind: String,
    pub(super) len: u64,
}

impl Head {
    /// What stands before the content in what is hashed.
    pub(super) fn prefix(&self) -> Vec<u8> {
        format!("{} {}\0", self.kind, self.len).into_bytes()
    }

    pub(super) fn broken(&self, reason: &str) -> NodeError {
        wrong(format!("object {} ({} of {} bytes): {reason}", self.id, self.kind, self.len))
    }
}

/// Takes objects one after the other.
pub(super) struct Batch<R> {
    input: BufReader<R>,
}

impl<R: Read> Batch<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(BUFFER_LEN, input) }
    }

    /// The next object's head; its content has to be read next. `None` at the end.
    pub(super) fn head(&mut self) -> Result<Option<Head>, NodeError> {
        let mut line = Vec::new();
        let read = (&mut self.input).take(LINE_LEN_MAX).read_until(b'\n', &mut line);
        if read.map_err(|error| failed(&error))? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        let broken = || wrong(format!("{:?} where an object should begin", text.trim_end()));
        let mut words = text.strip_suffix('\n').ok_or_else(broken)?.split(' ');
        let (Some(id), Some(kind)) = (words.next(), words.next()) else { return Err(broken()) };
        if kind == "missing" {
            return Err(wrong(format!("object {id} is missing from the repository")));
        }
        let len = words.next().and_then(|len| len.parse().ok());
        let is_known = matches!(kind, "blob" | "tree" | "commit" | "tag");
        match (id.parse(), len) {
            (Ok(id), Some(len)) if is_known && words.next().is_none() => {
                Ok(Some(Head { id, kind: kind.to_owned(), len }))
            }
            _ => Err(broken()),
        }
    }

    /// Reads the next piece of a content of which `left` bytes are still to come.
    pub(super) fn piece(
        &mut self,
        head: &Head,
        len_max: usize,
        left: u64,
    ) -> Result<Vec<u8>, NodeError> {
        let len = left.min(len_max as u64);
        let mut piece = Vec::with_capacity(len as usize);
        let read = (&mut self.input).take(len).read_to_end(&mut piece);
        read.map_err(|error| failed(&error))?;
        if piece.len() as u64 == len { Ok(piece) } else { Err(head.broken("it ends too early")) }
    }

    /// Reads the end of the line behind a content.
    pub(super) fn end(&mut self, head: &Head) -> Result<(), NodeError> {
        let mut end = [0];
        let read = self.input.read_exact(&mut end);
        match read {
            Ok(()) if end == *b"\n" => Ok(()),
            _ => Err(head.broken("something else follows than the next object")),
        }
    }
}

fn failed(error: &std::io::Error) -> NodeError {
    wrong(format!("the objects could not be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::Batch;

    const ID: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    #[test]
    fn objects_are_taken_one_by_one() {
        let text = format!("{ID} blob 6\nhello\n\n{ID} tree 0\n\n");
        let mut batch = Batch::new(text.as_bytes());
        let head = batch.head().unwrap().unwrap();
        assert_eq!(
            (head.kind.as_str(), head.len, &head.prefix()[..]),
            ("blob", 6, &b"blob 6\0"[..])
        );
        assert_eq!(batch.piece(&head, 4, 6).unwrap(), b"hell");
        assert_eq!(batch.piece(&head, 4, 2).unwrap(), b"o\n");
        batch.end(&head).unwrap();
        assert_eq!(batch.head().unwrap().unwrap().len, 0);
    }

    #[test]
    fn what_git_never_prints_is_refused() {
        let long = format!("{ID} blob {}\n", "1".repeat(300));
        for text in [
            "nonsense\n",
            &format!("{ID} blob 6"),
            &format!("{ID} blob\n"),
            &format!("{ID} blob -1\n"),
            &format!("{ID} blob 1 2\n"),
            &format!("{ID} commits 1\n"),
            &format!("{ID} missing\n"),
            &long,
        ] {
            assert!(Batch::new(text.as_bytes()).head().is_err(), "{text:?}");
        }
        for text in [format!("{ID} blob 6\nhel"), format!("{ID} blob 6\nhello\nx")] {
            let mut batch = Batch::new(text.as_bytes());
            let head = batch.head().unwrap().unwrap();
            let piece = batch.piece(&head, 100, head.len);
            assert!(piece.is_err() || batch.end(&head).is_err(), "{text:?}");
        }
    }
}
