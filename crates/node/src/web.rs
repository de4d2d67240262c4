//! Asks web servers for files and parts of files: what `add URL` reads, and what references to
//! URLs point at.
//!
//! Servers are strangers: they may send anything, for ever, or nothing. Every wait has a limit,
//! and of an answer to a part's request no more is read than was asked for.
//!
//! Spec: RFC 9110 (ranges in §14, redirections in §15.4).
//! Invariants: only `http` and `https`, also after redirections, and never from the second to the
//! first; nothing is sent but the request: no cookies, no credentials, no referrer.
//! Not here: whether the bytes are the right ones (`cairn-store` hashes them).

mod connect;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;

use crate::add::{AddEntries, AddEntry};
use bytes::{Buf as _, Bytes};
use cairn_runtime::Tasks;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{ACCEPT_ENCODING, CONTENT_RANGE, HOST, LOCATION, RANGE, USER_AGENT},
};
use std::{io, time::Duration};
use tokio::{
    sync::mpsc,
    time::{error::Elapsed, timeout},
};

/// Longest wait for a connection, for the head of an answer, and for the next piece of a body.
const PATIENCE: Duration = Duration::from_secs(30);

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
    tasks: &Tasks,
    url: &str,
    (offset, len): (u64, usize),
) -> Result<Bytes, Refusal> {
    if len == 0 {
        return Ok(Bytes::new());
    }
    let last = offset.checked_add(len as u64 - 1).ok_or("the offset is too large")?;
    let read = async {
        let response = follow(tasks, url, Some(format!("bytes={offset}-{last}"))).await?;
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
        let body = Limited::new(response.into_body(), len).collect().await;
        let bytes = body.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
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
    let (owned, child) = (url.to_owned(), tasks.child());
    tasks.spawn("download", async move {
        if let Err(refusal) = download(&child, &owned, &sender).await {
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
    tasks: &Tasks,
    url: &str,
    pieces: &mpsc::Sender<io::Result<Option<Bytes>>>,
) -> Result<(), Refusal> {
    let response = follow(tasks, url, None).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("the server answered {}", response.status()));
    }
    let mut body = response.into_body();
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(silent)? {
        let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
        if let Ok(data) = frame.into_data()
            && pieces.send(Ok(Some(data))).await.is_err()
        {
            return Ok(());
        }
    }
    drop(pieces.send(Ok(None)).await);
    Ok(())
}

fn silent(_: Elapsed) -> Refusal {
    "the server says nothing".to_owned()
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

/// Sends a request, and again to wherever the answer points.
async fn follow(
    tasks: &Tasks,
    url: &str,
    range: Option<String>,
) -> Result<Response<Incoming>, Refusal> {
    let mut uri: Uri = url.parse().map_err(|error| format!("the URL is not valid: {error}"))?;
    for _ in 0..=REDIRECT_COUNT_MAX {
        let asking = ask(tasks, &uri, range.as_deref());
        let response = timeout(PATIENCE, asking).await.map_err(silent)??;
        if !is_redirection(response.status()) {
            return Ok(response);
        }
        let location = response.headers().get(LOCATION).and_then(|text| text.to_str().ok());
        let location = location.ok_or("the server redirects to nowhere")?;
        let next = resolve(&uri, location).ok_or("the server redirects to what is no web page")?;
        if uri.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
            return Err("the server redirects from https to http".to_owned());
        }
        uri = next;
    }
    Err(format!("the server redirects more than {REDIRECT_COUNT_MAX} times"))
}

fn is_redirection(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirection leads.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    let scheme = from.scheme_str()?;
    let authority = from.authority()?;
    let text = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let (folder, _) = from.path().rsplit_once('/').unwrap_or_default();
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let text = text.split('#').next().unwrap_or_default();
    let uri: Uri = text.parse().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    (is_web && uri.host().is_some()).then_some(uri)
}

/// Sends one request; returns when the head of the answer is there.
async fn ask(tasks: &Tasks, uri: &Uri, range: Option<&str>) -> Result<Response<Incoming>, Refusal> {
    let authority = uri.authority().ok_or("the URL names no server")?;
    // A name and a password in the URL are not sent.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("cairn/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT_ENCODING, "identity");
    if let Some(range) = range {
        request = request.header(RANGE, range);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|error| format!("the URL is not valid: {error}"))?;
    let mut sender = connect::connect(tasks, uri).await?;
    let response = sender.send_request(request).await;
    response.map_err(|error| format!("the server does not answer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{name_of, resolve};

    #[test]
    fn redirections_stay_on_the_web() {
        let from = "http://h:1/a/b?c".parse().unwrap();
        let rows = [
            ("d", Some("http://h:1/a/d")),
            ("/d?e", Some("http://h:1/d?e")),
            ("//g/d", Some("http://g/d")),
            ("https://g/d#part", Some("https://g/d")),
            ("file:///etc/passwd", None),
            ("ftp://g/d", None),
            ("http://", None),
            ("javascript:alert(1)", Some("http://h:1/a/javascript:alert(1)")),
        ];
        for (location, expected) in rows {
            let found = resolve(&from, location).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{location}");
        }
    }

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
