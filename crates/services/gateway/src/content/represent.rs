//! Sends one representation: conditions, ranges, type, length, body.
//!
//! Not here: which representation a path has (`../content.rs`).

use super::{Ask, header_value, refuse::refuse};
use crate::{
    body::{Body, Fault},
    date, media,
    range::{Selection, select},
    refusal::Refusal,
    validators::{Condition, Validators},
};
use bytes::{Bytes, BytesMut};
use cairn_block::{Block, BlockStore};
use cairn_dag::ahead::Window;
use cairn_unixfs::UnixfsError;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_LOCATION,
        CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED, RANGE,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use std::{ops::Range, pin::Pin};

/// What is known of a content type.
#[derive(Debug, Clone)]
pub(super) enum Media {
    /// It is this.
    Known(String),
    /// Its first bytes decide.
    Unknown,
}

/// Where bytes come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Memory.
    Bytes(Bytes),
    /// The file whose root this is.
    File(Block),
}

/// Something that can be sent, whole or in part.
#[derive(Debug, Clone)]
pub(super) struct Representation {
    pub(super) validators: Validators,
    pub(super) cache_control: &'static str,
    pub(super) media: Media,
    /// Its length in bytes.
    pub(super) len: u64,
    pub(super) disposition: Option<String>,
    pub(super) content_location: Option<String>,
    /// Whether a browser must not guess another type.
    pub(super) is_opaque: bool,
    pub(super) source: Source,
}

impl Representation {
    /// Answers with as much of it as the request's conditions and range ask for.
    pub(super) async fn send<S>(self, store: S, ask: &Ask<'_>) -> Result<Response<Body>, Refusal>
    where
        S: BlockStore + Clone + 'static,
    {
        let request = &ask.head.headers;
        match self.validators.evaluate(request) {
            Condition::Proceed => {}
            Condition::NotModified => {
                return Ok(not_modified(&self.validators.etag, self.cache_control));
            }
            Condition::Failed => return Err(self.precondition_failed(ask)),
        }
        let (status, range) = match self.selection(request, ask)? {
            Some(range) => (StatusCode::PARTIAL_CONTENT, range),
            None => (StatusCode::OK, 0..self.len),
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        self.describe(headers);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        if status == StatusCode::PARTIAL_CONTENT {
            let part = format!("bytes {}-{}/{}", range.start, range.end - 1, self.len);
            headers.insert(CONTENT_RANGE, header_value(&part));
        }
        let is_head = ask.head.method == Method::HEAD;
        let fail = |error: UnixfsError| refuse(ask, &error);
        let (kind, body) =
            self.fill(Reading { store, window: ask.window }, range, is_head).await.map_err(fail)?;
        if let Some(kind) = kind {
            response.headers_mut().insert(CONTENT_TYPE, header_value(&kind));
        }
        *response.body_mut() = body;
        Ok(response)
    }

    /// The range to send, if it is not everything.
    fn selection(&self, request: &HeaderMap, ask: &Ask<'_>) -> Result<Option<Range<u64>>, Refusal> {
        let wanted = request.get(RANGE).and_then(|value| value.to_str().ok());
        let wanted = wanted.filter(|_| self.validators.allow_range(request));
        let selection = select(wanted, self.len);
        let is_file = matches!(self.source, Source::File(_));
        if let (Some(_), Some(limit)) = (wanted, ask.range_file_len_max)
            && is_file
            && self.len > limit
        {
            return Err(Refusal::new(
                StatusCode::NOT_IMPLEMENTED,
                format!("ranges are not served of files larger than {limit} bytes"),
            ));
        }
        match selection {
            Selection::Whole => Ok(None),
            Selection::Part(range) => Ok(Some(range)),
            Selection::Unsatisfiable => Err(Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("{} has {} bytes, none of them in that range", ask.shown, self.len),
            )
            .with(CONTENT_RANGE, header_value(&format!("bytes */{}", self.len)))),
            Selection::Malformed => {
                Err(Refusal::new(StatusCode::BAD_REQUEST, "the Range header is malformed"))
            }
        }
    }

    fn precondition_failed(&self, ask: &Ask<'_>) -> Refusal {
        Refusal::new(
            StatusCode::PRECONDITION_FAILED,
            format!("{} is not the version that the request is about", ask.shown),
        )
        .with(ETAG, header_value(&self.validators.etag))
    }

    /// The headers that do not depend on the range.
    fn describe(&self, headers: &mut HeaderMap) {
        headers.insert(ETAG, header_value(&self.validators.etag));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache_control));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(modified) = self.validators.modified.and_then(date::format) {
            headers.insert(LAST_MODIFIED, header_value(&modified));
        }
        if let Some(disposition) = &self.disposition {
            headers.insert(CONTENT_DISPOSITION, header_value(disposition));
        }
        if let Some(location) = &self.content_location {
            headers.insert(CONTENT_LOCATION, header_value(location));
        }
        if self.is_opaque {
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
    }

    /// The type and the body; reads the first piece, so that a failure is still an answer.
    async fn fill<S>(
        self,
        reading: Reading<S>,
        range: Range<u64>,
        is_head: bool,
    ) -> Result<(Option<String>, Body), UnixfsError>
    where
        S: BlockStore + Clone + 'static,
    {
        let (known, sniffs) = match self.media {
            Media::Known(kind) => (Some(kind), false),
            Media::Unknown => (None, range.start == 0),
        };
        let root = match self.source {
            Source::Bytes(bytes) => {
                let bytes = bytes.slice(range.start as usize..range.end as usize);
                let kind = known.or_else(|| sniffs.then(|| media::sniff(&bytes).to_owned()));
                return Ok((kind, Body::full(bytes)));
            }
            Source::File(root) => root,
        };
        if is_head && !sniffs {
            return Ok((known, Body::empty()));
        }
        let len = range.end - range.start;
        // The start of the file decides, however little of it a range asks for.
        let start_len = (media::SNIFF_LEN as u64).min(self.len);
        if sniffs && (is_head || len < start_len) {
            let pieces = reading.clone().pieces(&root, 0..start_len);
            let (start, _) = first(pieces, media::SNIFF_LEN).await?;
            let kind = Some(media::sniff(&joined(&start)).to_owned());
            if is_head {
                return Ok((kind, Body::empty()));
            }
            return Ok((kind, reading.body(&root, range).await?));
        }
        if !sniffs {
            return Ok((known, reading.body(&root, range).await?));
        }
        let (start, rest) = first(reading.pieces(&root, range), media::SNIFF_LEN).await?;
        let kind = media::sniff(&joined(&start)).to_owned();
        Ok((Some(kind), resumed(start, rest, len)))
    }
}

/// Pieces of a file; may be polled after its end.
type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, UnixfsError>> + Send>>;

/// The answer to a client that has the content already.
pub(crate) fn not_modified(etag: &str, cache_control: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(ETAG, header_value(etag));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
    response
}

/// Where files are read from, and how far ahead.
#[derive(Debug, Clone)]
struct Reading<S> {
    store: S,
    window: Window,
}

impl<S: BlockStore + Clone + 'static> Reading<S> {
    fn pieces(self, root: &Block, range: Range<u64>) -> Pieces {
        Box::pin(cairn_unixfs::read_within(self.store, root, range, self.window).fuse())
    }

    /// A body of part of a file, whose first piece has been read.
    async fn body(self, root: &Block, range: Range<u64>) -> Result<Body, UnixfsError> {
        let len = range.end - range.start;
        let (start, rest) = first(self.pieces(root, range), 1).await?;
        Ok(resumed(start, rest, len))
    }
}

/// Reads pieces until they hold `len` bytes or end.
async fn first(mut pieces: Pieces, len: usize) -> Result<(Vec<Bytes>, Pieces), UnixfsError> {
    let mut start = Vec::new();
    let mut have = 0;
    while have < len {
        let Some(piece) = pieces.try_next().await? else {
            break;
        };
        have += piece.len();
        start.push(piece);
    }
    Ok((start, pieces))
}

/// Puts pieces that were read early back in front of the rest.
fn resumed(mut start: Vec<Bytes>, rest: Pieces, len: u64) -> Body {
    let have: u64 = start.iter().map(|piece| piece.len() as u64).sum();
    if have == len && start.len() <= 1 {
        return Body::full(start.pop().unwrap_or_default());
    }
    let rest = rest.map_err(Fault::from);
    Body::stream(stream::iter(start.into_iter().map(Ok)).chain(rest), Some(len))
}

/// The first bytes in one piece; copied only where they come in several.
fn joined(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [] => Bytes::new(),
        [only] => only.clone(),
        many => {
            let mut start = BytesMut::with_capacity(media::SNIFF_LEN);
            for piece in many {
                let room = media::SNIFF_LEN - start.len();
                start.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            start.freeze()
        }
    }
}
