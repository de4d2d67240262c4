//! IPNS records: given out as they are, and taken if their signature is right.
//!
//! Spec: Delegated Routing V1 HTTP API, "IPNS API", with IPIP-513: that there is no record is
//! said in plain text with status 200.
//! Invariants: no record goes either way that was not checked against its name; at most
//! [`RECORD_LEN_MAX`] bytes are read.
//! Not here: what a record says (`cairn-names`).

use super::{EMPTY_AGE_SECS, SEARCH_TIMEOUT, STALE_SECS, cache, limited, refused, seconds};
use crate::{
    body::Body,
    date,
    refusal::Refusal,
    validators::{Condition, Validators},
};
use cairn_names::{Name, RECORD_LEN_MAX, Record, RecordContent};
use cairn_network::Routing;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Response, StatusCode,
    body::Incoming,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES,
        HeaderMap, HeaderName, HeaderValue,
    },
    http::request::Parts,
};
use std::time::SystemTime;
use tokio::time::timeout;

/// The media type of records.
const RECORD: &str = "application/vnd.ipfs.ipns-record";

/// How long a record that does not say may be kept, in seconds. Source: the specification.
const USUAL_AGE_SECS: u64 = 60;

/// Answers with the record of a name.
pub(super) async fn get(
    routing: &Routing,
    head: &Parts,
    name: &Name,
    now: SystemTime,
) -> Result<Response<Body>, Refusal> {
    let takes = head.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let takes = takes.collect::<Vec<_>>().join(",");
    if !takes.is_empty() && !takes.contains(RECORD) && !takes.contains("*/*") {
        return Err(retry_with("Accept"));
    }
    let found = limited(routing.get_value(&name.routing_key(), None)).await?;
    let Some(bytes) = found else { return Ok(none(name, now)) };
    let content = Record::decode(&bytes).and_then(|record| record.verify(name));
    // What routing answers was checked, but nothing that is not goes out under its name.
    let Ok(content) = content else { return Ok(none(name, now)) };
    let etag = etag(&bytes);
    let validators = Validators { etag: etag.clone(), modified: None };
    let mut response = match validators.evaluate(&head.headers) {
        Condition::Proceed => {
            let len = HeaderValue::from(bytes.len());
            let mut response = Response::new(Body::full(bytes));
            response.headers_mut().insert(CONTENT_LENGTH, len);
            response
        }
        condition => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = match condition {
                Condition::NotModified => StatusCode::NOT_MODIFIED,
                _ => StatusCode::PRECONDITION_FAILED,
            };
            response
        }
    };
    describe(response.headers_mut(), name, &content, now);
    set(response.headers_mut(), ETAG, &etag);
    Ok(response)
}

/// Publishes a record.
pub(super) async fn put(
    routing: &Routing,
    head: &Parts,
    name: &Name,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.contains(RECORD)) {
        return Err(retry_with("Content-Type"));
    }
    let bad = |sentence: &str| Refusal::new(StatusCode::BAD_REQUEST, sentence);
    let body = timeout(SEARCH_TIMEOUT, Limited::new(body, RECORD_LEN_MAX).collect()).await;
    let body = body.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "no record came"))?;
    let body = body.map_err(|_| bad("the record is too long, or broke off"))?.to_bytes();
    let key = name.routing_key();
    let put = Box::pin(routing.put_value(&key, &body, None));
    match timeout(SEARCH_TIMEOUT, put).await {
        Ok(Ok(_)) => {
            let mut response = Response::new(Body::empty());
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Ok(Err(error)) => Err(refused(&error)),
        Err(_) => Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "nobody took the record in time")),
    }
}

fn retry_with(header: &str) -> Refusal {
    let sentence = format!("only records are spoken of here: retry with \"{header}: {RECORD}\"");
    Refusal::new(StatusCode::NOT_ACCEPTABLE, sentence)
}

/// There is no record: no error, so that caches may remember it for a while.
fn none(name: &Name, now: SystemTime) -> Response<Body> {
    let text = format!("no record found for {name}\n");
    let len = HeaderValue::from(text.len());
    let mut response = Response::new(Body::full(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, len);
    cache(headers, now, EMPTY_AGE_SECS, STALE_SECS);
    response
}

/// Says what a record is, and for how long it may be kept.
fn describe(headers: &mut HeaderMap, name: &Name, content: &RecordContent, now: SystemTime) {
    let end = content.end.to_system();
    let left = end.and_then(|end| end.duration_since(now).ok()).unwrap_or_default().as_secs();
    let ttl = match content.ttl.as_secs() {
        0 => USUAL_AGE_SECS,
        ttl => ttl,
    };
    // Nobody is to keep a record for longer than it holds.
    cache(headers, now, ttl.min(left), left);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(RECORD));
    set(headers, CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}.ipns-record\""));
    if let Some(end) = end.and_then(seconds).and_then(date::format) {
        set(headers, EXPIRES, &end);
    }
}

fn etag(bytes: &[u8]) -> String {
    let digest = cairn_hash::sha256(bytes);
    let (start, _) = digest.split_first_chunk().expect("invariant: a digest is longer than a tag");
    format!("\"{:032x}\"", u128::from_be_bytes(*start))
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
        headers.insert(name, value);
    }
}
