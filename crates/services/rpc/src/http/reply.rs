//! A command's answer as an HTTP response.
//!
//! The head waits for the first output, so a command that fails at once gets a status; one that
//! fails later gets the trailer `X-Stream-Error`, or, where the client did not say that it reads
//! trailers, a connection that breaks off: never a short answer that looks whole.
//!
//! Source: `X-Chunked-Output`, `X-Stream-Output`, `X-Content-Length` as Kubo sends them.
//! Not here: routing and refusals (`server`).

use crate::{Answer, Output, Render, Request, RpcError, StreamHead, Text, answers_of};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{Stream as _, StreamExt as _};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, TRAILER},
};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

const CHUNKED: HeaderName = HeaderName::from_static("x-chunked-output");
const STREAM: HeaderName = HeaderName::from_static("x-stream-output");
const CONTENT_LEN: HeaderName = HeaderName::from_static("x-content-length");
const STREAM_ERROR: HeaderName = HeaderName::from_static("x-stream-error");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain");

/// Bytes that are put together while more is there, so that not every line is a write and wakes
/// its reader.
const GATHER_LEN: usize = 16 * 1024;

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Json,
    Text,
}

/// The body of a response.
pub(super) struct ReplyBody {
    whole: Option<Bytes>,
    rest: Option<Rest>,
    /// How an answer that failed ends.
    last: Option<Result<Frame<Bytes>, RpcError>>,
    /// Whether the body pauses first: the server writes then, and throws away what it holds when
    /// the body fails.
    pauses: bool,
}

/// What is still to come of an answer.
struct Rest {
    answer: Answer,
    render: Option<Box<dyn Render>>,
    /// Pieces of an answer that is rendered when it is whole.
    parts: BytesMut,
    trailers: bool,
}

impl ReplyBody {
    /// A body that is there already.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        let whole = Some(bytes.into()).filter(|bytes| !bytes.is_empty());
        Self { whole, rest: None, last: None, pauses: false }
    }
}

/// Makes the response of a failure.
pub(super) fn failure(error: &RpcError) -> Response<ReplyBody> {
    let plain = matches!(error.fault(), crate::Fault::NoCommand);
    let body = if plain {
        format!("{}\n", error.message()).into_bytes()
    } else {
        let mut body = serde_json::to_vec(&error.to_body()).unwrap_or_default();
        body.push(b'\n');
        body
    };
    let mut response = Response::new(ReplyBody::whole(body));
    let status = StatusCode::from_u16(error.status());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, if plain { PLAIN } else { JSON });
    response
}

/// Waits for the answer's first output and makes the response.
pub(super) async fn reply(
    request: &Request,
    headers: &HeaderMap,
    mut answer: Answer,
) -> Response<ReplyBody> {
    let encoding = match encoding_of(request) {
        Ok(encoding) => encoding,
        Err(error) => return failure(&error),
    };
    let render = match request.command().text {
        Some(text) if encoding == Encoding::Text => Some(text(request)),
        _ => None,
    };
    let trailers = headers
        .get_all(TE)
        .iter()
        .any(|value| value.to_str().is_ok_and(|te| te.to_ascii_lowercase().contains("trailers")));
    let first = match answer.next().await {
        Some(Err(error)) => {
            answer.linger().await;
            return failure(&error);
        }
        Some(Ok(output)) => Some(output),
        None => None,
    };
    let value_type = if encoding == Encoding::Json { JSON } else { PLAIN };
    let mut rest = Rest { answer, render, parts: BytesMut::new(), trailers };
    let mut out = HeaderMap::new();
    out.insert(CONTENT_TYPE, value_type);
    let whole = match first {
        None => {
            out.insert(CHUNKED, HeaderValue::from_static("1"));
            return response(out, ReplyBody::whole(Bytes::new()));
        }
        Some(Output::Single(json)) => {
            // The end is near: then the length is known and a last error still has a status.
            let last = rest.answer.next().await;
            rest.answer.linger().await;
            if let Some(Err(error)) = last {
                return failure(&error);
            }
            let written = rest.value(&json).and_then(|mut text| {
                text.put(rest.finish()?);
                Ok(text)
            });
            return match written {
                Ok(text) => response(out, ReplyBody::whole(text)),
                Err(error) => failure(&error),
            };
        }
        Some(Output::Event(json)) => {
            out.insert(CHUNKED, HeaderValue::from_static("1"));
            match rest.value(&json) {
                Ok(text) => Some(text.freeze()),
                Err(error) => return failure(&error),
            }
        }
        Some(Output::Stream(head)) => {
            stream_headers(head, &mut out);
            None
        }
        Some(Output::Part(json)) => Some(rest.part(json)),
        Some(Output::Data(bytes)) => Some(bytes),
    };
    out.insert(TRAILER, HeaderValue::from_static("X-Stream-Error"));
    let whole = whole.filter(|bytes| !bytes.is_empty());
    response(out, ReplyBody { whole, rest: Some(rest), last: None, pauses: false })
}

fn response(headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

fn stream_headers(head: StreamHead, out: &mut HeaderMap) {
    out.insert(CONTENT_TYPE, HeaderValue::from_static(head.content_type));
    out.insert(STREAM, HeaderValue::from_static("1"));
    if let Some(len) = head.len {
        out.insert(CONTENT_LEN, len.into());
    }
}

fn encoding_of(request: &Request) -> Result<Encoding, RpcError> {
    match request.text("encoding") {
        None | Some("json") => Ok(Encoding::Json),
        Some("text") => Ok(Encoding::Text),
        Some(other) => {
            Err(RpcError::request(format!("unsupported encoding {other:?}: use json or text")))
        }
    }
}

impl Rest {
    /// Writes one value as JSON or text.
    fn value(&mut self, json: &[u8]) -> Result<BytesMut, RpcError> {
        let mut out = BytesMut::with_capacity(json.len() + 1);
        match &mut self.render {
            // Only the beginning of values to come.
            None if json.is_empty() => {}
            None => {
                out.put_slice(json);
                out.put_u8(b'\n');
            }
            Some(render) => {
                let mut text = Text::default();
                for answer in answers_of(json) {
                    render.answer(answer, &mut text)?;
                }
                out.put_slice(text.out.as_bytes());
                out.put_slice(text.talk.as_bytes());
            }
        }
        Ok(out)
    }

    /// Writes a piece of the only value.
    fn part(&mut self, json: Bytes) -> Bytes {
        if self.render.is_none() {
            return json;
        }
        self.parts.put(json);
        Bytes::new()
    }

    /// Writes what comes after the last value.
    fn finish(&mut self) -> Result<Bytes, RpcError> {
        let mut text = Text::default();
        if let Some(render) = &mut self.render
            && !self.parts.is_empty()
        {
            render.answer(&std::mem::take(&mut self.parts), &mut text)?;
        }
        if let Some(render) = &mut self.render {
            render.finish(&mut text);
        }
        Ok(text.out.into())
    }

    fn write(&mut self, output: Output) -> Result<Bytes, RpcError> {
        match output {
            Output::Single(json) | Output::Event(json) => Ok(self.value(&json)?.freeze()),
            Output::Part(json) => Ok(self.part(json)),
            Output::Data(bytes) => Ok(bytes),
            Output::Stream(_) => Ok(Bytes::new()),
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = RpcError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RpcError>>> {
        let data = |bytes: Bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        if let Some(whole) = self.whole.take() {
            return data(whole);
        }
        if std::mem::take(&mut self.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(self.last.take()) };
        let mut gathered = BytesMut::new();
        while gathered.len() < GATHER_LEN {
            let result = match Pin::new(&mut rest.answer).poll_next(context) {
                Poll::Pending if gathered.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Some(Ok(output))) => rest.write(output),
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(None) => match rest.finish() {
                    Ok(last) => {
                        gathered.put(last);
                        self.rest = None;
                        if gathered.is_empty() {
                            return Poll::Ready(None);
                        }
                        break;
                    }
                    Err(error) => Err(error),
                },
            };
            match result {
                Ok(bytes) if bytes.len() < GATHER_LEN => gathered.put(bytes),
                Ok(bytes) if gathered.is_empty() => return data(bytes),
                Ok(bytes) => {
                    self.whole = Some(bytes);
                    break;
                }
                Err(error) => {
                    let last = last_words(error, rest.trailers);
                    *self = Self { last: Some(last), pauses: true, ..Self::whole(gathered) };
                    return self.poll_frame(context);
                }
            }
        }
        data(gathered.freeze())
    }

    fn is_end_stream(&self) -> bool {
        self.whole.is_none() && self.rest.is_none() && self.last.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.whole, &self.rest, &self.last) {
            (Some(whole), None, None) => SizeHint::with_exact(whole.len() as u64),
            (None, None, None) => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}

fn last_words(error: RpcError, trailers: bool) -> Result<Frame<Bytes>, RpcError> {
    if !trailers {
        return Err(error);
    }
    let plain = |c: char| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' };
    let text: String = error.message().chars().map(plain).collect();
    let mut trailers = HeaderMap::new();
    let value = HeaderValue::from_str(&text);
    trailers.insert(STREAM_ERROR, value.unwrap_or(HeaderValue::from_static("failed")));
    Ok(Frame::trailers(trailers))
}
