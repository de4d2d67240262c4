//! A call over HTTP, and its answer as the same outputs that a call in this process gives.
//!
//! Not here: the body with files (`upload`), finding the daemon (`ask`).

use crate::{Outputs, address::Endpoint, report::Failure, upload};
use bytes::{Bytes, BytesMut};
use cairn_node::AddEntries;
use cairn_rpc::{Output, Request, RpcError, StreamHead, VERSION, http::authorization};
use cairn_runtime::Tasks;
use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Response,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, TE, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use std::fmt::Write as _;
use tokio::net::TcpStream;

/// Longest error that is read.
const ERROR_LEN_MAX: usize = 1024 * 1024;
/// Longest single JSON value that is read: a listing of millions of entries.
const VALUE_LEN_MAX: usize = 1024 * 1024 * 1024;

/// Where to and as whom.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) endpoint: Endpoint,
    pub(crate) auth: Option<String>,
    pub(crate) tasks: Tasks,
}

/// Sends the request; returns when the answer has begun.
pub(crate) async fn send(
    call: Call,
    stream: TcpStream,
    request: &Request,
    files: Option<AddEntries>,
) -> Result<Outputs, Failure> {
    let authority = call.endpoint.authority();
    let cause = upload::Cause::default();
    let lost = |error: hyper::Error| {
        let own = cause.get().cloned();
        let text = format!("lost the daemon at {authority}: {}", RpcError::of(&error));
        Failure::Failed(own.unwrap_or(text))
    };
    let (body, boundary) = upload::body(files, &call.tasks, cause.clone());
    let mut builder = hyper::Request::post(target(request))
        .header(HOST, &authority)
        .header(USER_AGENT, format!("cairn/{VERSION}"))
        .header(TE, "trailers");
    if let Some(boundary) = boundary {
        builder = builder.header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"));
    }
    if let Some(secret) = &call.auth {
        builder = builder.header(AUTHORIZATION, authorization(secret));
    }
    let message = builder.body(body).map_err(|error| Failure::Failed(error.to_string()))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    call.tasks.spawn("rpc connection", async move {
        // What breaks the connection is told by the response's body.
        drop(connection.await);
    });
    let response = sender.send_request(message).await.map_err(lost)?;
    if !response.status().is_success() {
        return Err(error_of(response).await.into());
    }
    Ok(outputs(response, cause))
}

async fn error_of(response: Response<Incoming>) -> RpcError {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ERROR_LEN_MAX).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    RpcError::from_body(status, &body)
}

/// The URL's path and query.
fn target(request: &Request) -> String {
    let mut out = format!("/api/v0/{}", request.command().path.replace(' ', "/"));
    let arguments = request.arguments().iter().map(|text| ("arg", text));
    let options = request.given().iter().map(|(name, value)| (*name, value));
    for (index, (name, value)) in arguments.chain(options).enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    out.push(char::from(byte));
                }
                byte => write!(out, "%{byte:02X}").unwrap_or(()),
            }
        }
    }
    out
}

struct Reader {
    body: Incoming,
    is_stream: bool,
    head: Option<StreamHead>,
    line: BytesMut,
    /// How much of `line` holds no line's end.
    scanned: usize,
    is_done: bool,
    cause: upload::Cause,
}

fn outputs(response: Response<Incoming>, cause: upload::Cause) -> Outputs {
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let is_stream = text("x-stream-output").is_some();
    let len = text("x-content-length").and_then(|len| len.parse().ok());
    let content_type = match text("content-type") {
        Some("application/gzip") => "application/gzip",
        Some("application/x-tar") => "application/x-tar",
        _ => "application/octet-stream",
    };
    let reader = Reader {
        is_stream,
        head: is_stream.then_some(StreamHead { content_type, len }),
        body: response.into_body(),
        line: BytesMut::new(),
        scanned: 0,
        is_done: false,
        cause,
    };
    stream::unfold(reader, |mut reader| async move {
        let item = reader.next().await?;
        reader.is_done = reader.is_done || item.is_err();
        Some((item, reader))
    })
    .boxed()
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Output, RpcError>> {
        if let Some(head) = self.head.take() {
            return Some(Ok(Output::Stream(head)));
        }
        loop {
            if let Some(lines) = self.take_lines() {
                return Some(Ok(Output::Event(lines)));
            }
            if self.is_done {
                return None;
            }
            let frame = match self.body.frame().await {
                None => {
                    self.is_done = true;
                    let rest = self.line.split().freeze();
                    let blank = rest.iter().all(u8::is_ascii_whitespace);
                    return (!blank).then_some(Ok(Output::Event(rest)));
                }
                Some(Err(error)) => {
                    let text = format!("the answer broke off: {}", RpcError::of(&error));
                    let own = self.cause.get().cloned();
                    return Some(Err(RpcError::failed(own.unwrap_or(text))));
                }
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) if self.is_stream => return Some(Ok(Output::Data(data))),
                Ok(data) => {
                    self.line.extend_from_slice(&data);
                    if self.line.len() > VALUE_LEN_MAX {
                        return Some(Err(RpcError::failed("the answer is too long")));
                    }
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    if let Some(error) = trailers.get("x-stream-error") {
                        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                        return Some(Err(RpcError::failed(text)));
                    }
                }
            }
        }
    }

    /// Cuts off the lines that are whole, if there are any.
    fn take_lines(&mut self) -> Option<Bytes> {
        let end = self.line[self.scanned..].iter().rposition(|&byte| byte == b'\n');
        let Some(end) = end else {
            self.scanned = self.line.len();
            return None;
        };
        let lines = self.line.split_to(self.scanned + end + 1).freeze();
        self.scanned = 0;
        let blank = lines.iter().all(u8::is_ascii_whitespace);
        (!blank).then_some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::target;
    use cairn_rpc::{Request, find};

    #[test]
    fn arguments_are_escaped() {
        let options = [("offset".to_owned(), "7".to_owned())];
        let cat = find("cat").unwrap();
        let request = Request::new(cat, vec!["a b/ü&=".into()], options).unwrap();
        assert_eq!(target(&request), "/api/v0/cat?arg=a%20b%2F%C3%BC%26%3D&offset=7");
    }
}
