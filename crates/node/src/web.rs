//! What of the web becomes content: what `add URL` reads, and what references to URLs point at.
//!
//! Of an answer to a part's request no more is read than was asked for.
//!
//! Spec: RFC 9110, §14 (ranges).
//! Not here: connections and redirections (`cairn-web`), whether the bytes are the right ones
//! (`cairn-store` hashes them).

#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;

use crate::add::{AddEntries, AddEntry};
use bytes::{Buf as _, Bytes};
use cairn_runtime::Tasks;
use cairn_web::{Answer, Ask, Client, Trust};
use hyper::{
    StatusCode, Uri,
    header::{CONTENT_RANGE, HeaderValue, RANGE},
};
use std::{io, time::Duration};
use tokio::{sync::mpsc, time::timeout};

/// Longest wait for a part of a file, which is at most a block.
const PART_TIMEOUT: Duration = Duration::from_mins(2);

/// Most redirections that are followed.
const REDIRECT_COUNT_MAX: usize = 5;

/// Pieces of a file that wait to be read.
const PIECES_MAX: usize = 8;

/// Why there is no answer, as a sentence.
pub(crate) type Refusal = String;

/// Reads `len` bytes from `offset` on of what is at `url`.
pub(crate) async fn part(
    web: &Client,
    url: &str,
    (offset, len): (u64, usize),
) -> Result<Bytes, Refusal> {
    if len == 0 {
        return Ok(Bytes::new());
    }
    let last = offset.checked_add(len as u64 - 1).ok_or("the offset is too large")?;
    let read = async {
        let response = ask(web, url, Some(format!("bytes={offset}-{last}"))).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::OK => {
                return Err("the server sends the whole file instead of the part that was asked \
                            for"
                .to_owned());
            }
            status => return Err(format!("the server answered {status}")),
        }
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let expected = format!("bytes {offset}-{last}/");
        if !range.is_some_and(|range| range.starts_with(&expected)) {
            return Err(format!("the server sends another part than {offset}-{last}"));
        }
        let bytes = response.whole(len).await.map_err(|error| error.to_string())?;
        if bytes.len() == len { Ok(bytes) } else { Err("the server sends too little".to_owned()) }
    };
    timeout(PART_TIMEOUT, read).await.map_err(|_| "the server is too slow".to_owned())?
}

/// What is at `url`, as one file of an add.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn web_entries(url: &str, tasks: &Tasks) -> AddEntries {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let (owned, web) = (url.to_owned(), Client::new(tasks, Trust::System));
    tasks.spawn("download", async move {
        if let Err(refusal) = download(&web, &owned, &sender).await {
            let text = format!("could not get {owned}: {refusal}");
            // Without a reader nobody wants to know.
            drop(sender.send(Err(io::Error::other(text))).await);
        }
    });
    let mut entry = AddEntry::file(name_of(url), WebRead { pieces, current: Bytes::new() });
    entry.origin = Some(url.to_owned());
    Box::new(std::iter::once(Ok(entry)))
}

/// The last segment of a URL's path.
fn name_of(url: &str) -> String {
    let path = url.parse::<Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if matches!(name, "" | "." | "..") { "download".to_owned() } else { name.to_owned() }
}

async fn download(
    web: &Client,
    url: &str,
    pieces: &mpsc::Sender<io::Result<Option<Bytes>>>,
) -> Result<(), Refusal> {
    let mut response = ask(web, url, None).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("the server answered {}", response.status()));
    }
    while let Some(data) = response.piece().await.map_err(|error| error.to_string())? {
        if pieces.send(Ok(Some(data))).await.is_err() {
            return Ok(());
        }
    }
    drop(pieces.send(Ok(None)).await);
    Ok(())
}

/// A file that comes from a server, for a thread that blocks.
struct WebRead {
    pieces: mpsc::Receiver<io::Result<Option<Bytes>>>,
    current: Bytes,
}

impl io::Read for WebRead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(Some(data))) => self.current = data,
                Some(Ok(None)) => {
                    // Whoever reads on after the end gets the end again.
                    self.pieces.close();
                    return Ok(0);
                }
                Some(Err(error)) => return Err(error),
                None if self.pieces.is_closed() => return Ok(0),
                None => return Err(io::Error::other("the download was stopped")),
            }
        }
        let len = self.current.len().min(out.len());
        self.current.copy_to_slice(&mut out[..len]);
        Ok(len)
    }
}

/// Sends a request; returns when the head of the answer is there.
async fn ask(web: &Client, url: &str, range: Option<String>) -> Result<Answer, Refusal> {
    let mut ask = Ask::get(url);
    ask.redirect_count_max = REDIRECT_COUNT_MAX;
    if let Some(range) = range {
        let range = HeaderValue::from_str(&range).map_err(|error| error.to_string())?;
        ask.headers.insert(RANGE, range);
    }
    web.send(ask).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_file_is_named_by_the_end_of_its_path() {
        let rows = [
            ("http://h/a/b.txt?c=d", "b.txt"),
            ("http://h/a/", "a"),
            ("http://h", "download"),
            ("http://h/..", "download"),
        ];
        for (url, expected) in rows {
            assert_eq!(name_of(url), expected, "{url}");
        }
    }
}
