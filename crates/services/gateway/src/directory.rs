//! Directory listings: entries become rows while they are read.
//!
//! Invariant: memory does not grow with the directory; rows are sent in pieces of about
//! [`PIECE_LEN`], and reading waits while the client does.
//! Not here: how a row looks (`page.rs`), `index.html` (`content.rs`).

use crate::{
    body::{Body, Fault},
    content::{Ask, header_value, not_modified, refuse},
    page::{self, Listing, Row},
    refusal::Refusal,
    validators::{Condition, Validators},
};
use bytes::Bytes;
use cairn_block::{Block, BlockStore};
use cairn_unixfs::{DirEntry, Entry, UnixfsError};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use hyper::{
    Method, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue,
        X_CONTENT_TYPE_OPTIONS,
    },
};

/// Listings change with the program, so caches ask again after a week (Kubo's values).
const CACHE: &str = "public, max-age=604800, stale-while-revalidate=2678400";

/// How much of the page is sent at once, in bytes, roughly.
///
/// Source: own choice; some packets full, so that a large listing is not a syscall a row.
const PIECE_LEN: usize = 32 * 1024;

/// Answers with the page of the directory whose root is `block`.
pub(crate) async fn answer<S>(
    store: S,
    ask: &Ask<'_>,
    block: &Block,
    entry: &Entry,
) -> Result<Response<Body>, Refusal>
where
    S: BlockStore + Clone + 'static,
{
    let cid = block.cid().to_string();
    let etag = format!("\"DirIndex-{:016x}_CID-{cid}\"", page::LOOK);
    let validators = Validators { etag, modified: None };
    match validators.evaluate(&ask.head.headers) {
        Condition::Proceed => {}
        Condition::NotModified => return Ok(not_modified(&validators.etag, CACHE)),
        Condition::Failed => {
            let sentence = format!("{} has another listing by now", ask.shown);
            return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, sentence));
        }
    }
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(ETAG, header_value(&validators.etag));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if ask.head.method == Method::HEAD {
        return Ok(response);
    }
    let listing =
        Listing { path: ask.shown.trim_end_matches('/'), cid: &cid, size: entry.total_len };
    let head = Bytes::from(listing.head());
    let mut rows = Box::pin(rows(cairn_unixfs::list(store, block)).fuse());
    // The first rows are read before the status is sent, so a broken directory is an error.
    let first = rows.try_next().await.map_err(|error| refuse(ask, &error))?;
    let start = [Some(head), first].into_iter().flatten().map(Ok);
    let foot = Bytes::from_static(page::foot().as_bytes());
    let pieces =
        stream::iter(start)
            .chain(rows.map_err(Fault::from))
            .chain(stream::iter([Ok::<_, Fault>(foot)]));
    *response.body_mut() = Body::stream(pieces, None);
    Ok(response)
}

/// Entries as rows, many in one piece.
fn rows(
    entries: impl Stream<Item = Result<DirEntry, UnixfsError>> + Send,
) -> impl Stream<Item = Result<Bytes, UnixfsError>> + Send {
    let entries = Box::pin(entries.fuse());
    stream::try_unfold(entries, |mut entries| async move {
        let mut piece = String::new();
        while piece.len() < PIECE_LEN {
            let Some(entry) = entries.try_next().await? else {
                break;
            };
            let cid = entry.cid.to_string();
            let row = Row { name: &entry.name, cid: &cid, size: Some(entry.total_len) };
            piece.push_str(&page::row(&row));
        }
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), entries)))
    })
}
