//! Archives: part of a DAG as a CAR file, for clients that check every block themselves.
//!
//! Spec: <https://specs.ipfs.tech/http-gateways/trustless-gateway/>: `dag-scope`, `entity-bytes`,
//! and the parameters of the media type, which the query (`car-version`, `car-order`,
//! `car-dups`) overrides.
//! Invariants: every parameter is checked before a block is read; the same question has the same
//! bytes, so its entity tag is strong.
//! Not here: which blocks those are (`cairn_unixfs::part`).

use super::{Ask, IMMUTABLE, header_value, not_modified};
use crate::{
    body::{Body, Fault},
    disposition::{self, Disposition},
    refusal::Refusal,
    request::CAR,
    validators::{Condition, Validators},
};
use bytes::Bytes;
use cairn_block::{Block, BlockStore, codec};
use cairn_dag::car;
use cairn_unixfs::{ByteSpan, PartOptions, Scope, part};
use futures::{StreamExt as _, stream};
use hyper::{
    Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderMap,
        HeaderValue, X_CONTENT_TYPE_OPTIONS,
    },
};

/// Reads what is asked for.
pub(super) fn options(ask: &Ask<'_>) -> Result<PartOptions, Refusal> {
    let query = &ask.query.car;
    let accepted = accepted(&ask.head.headers);
    let parameter = |own: &Option<String>, name: &str| {
        let found = accepted.iter().find(|(known, _)| known == name);
        own.clone().or_else(|| found.map(|(_, value)| value.clone()))
    };
    let bad = |what: &str, value: &str, wanted: &str| {
        let sentence = format!("{what} {value:?} is not supported: it has to be {wanted}");
        Refusal::new(StatusCode::BAD_REQUEST, sentence)
    };
    match parameter(&query.version, "version").as_deref() {
        None | Some("1") => {}
        Some(other) => return Err(bad("the CAR version", other, "1")),
    }
    match parameter(&query.order, "order").as_deref() {
        None | Some("dfs" | "unk") => {}
        Some(other) => return Err(bad("the order", other, "dfs or unk")),
    }
    let duplicates = match parameter(&query.duplicates, "dups").as_deref() {
        None | Some("n") => false,
        Some("y") => true,
        Some(other) => return Err(bad("dups", other, "y or n")),
    };
    let bytes = match query.bytes.as_deref() {
        None => None,
        Some(text) => {
            let span = ByteSpan::parse(text);
            Some(span.ok_or_else(|| bad("entity-bytes", text, "FROM:TO"))?)
        }
    };
    let scope = match query.scope.as_deref() {
        None => Scope::All,
        Some(text) => {
            Scope::parse(text).ok_or_else(|| bad("dag-scope", text, "all, entity or block"))?
        }
    };
    // Bytes are an entity's, whatever else is asked for.
    let scope = if bytes.is_some() { Scope::Entity } else { scope };
    Ok(PartOptions { scope, bytes, duplicates, skip_missing: false, window: ask.window })
}

/// The parameters of the archive's media type in `Accept`, lower case and without quotes.
fn accepted(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let wanted = values.flat_map(|value| value.split(',')).find_map(|kind| {
        let (name, parameters) = kind.split_once(';')?;
        name.trim().eq_ignore_ascii_case(CAR).then_some(parameters)
    });
    let pairs = wanted.unwrap_or_default().split(';').filter_map(|pair| pair.split_once('='));
    let clean = |text: &str| text.trim().trim_matches('"').to_ascii_lowercase();
    pairs.map(|(name, value)| (clean(name), clean(value))).collect()
}

/// Answers with the blocks of the way to what is asked for, and its own.
pub(super) fn answer<S>(
    store: S,
    ask: &Ask<'_>,
    way: Vec<Block>,
    options: PartOptions,
) -> Result<Response<Body>, Refusal>
where
    S: BlockStore + Clone + 'static,
{
    let Some(root) = way.last().map(|block| block.cid().clone()) else {
        let sentence = format!("{} leads to no block", ask.shown);
        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, sentence));
    };
    let dups = if options.duplicates { "y" } else { "n" };
    let kind = format!("{CAR}; version=1; order=dfs; dups={dups}");
    // The way to the root decides on the bytes, too, so the tag is made of the whole question.
    let question = format!("{} {} {:?} {dups}", ask.path, options.scope.name(), options.bytes);
    let question = Block::sha2_256(codec::RAW, question.into());
    let validators =
        Validators { etag: format!("\"{root}.car.{}\"", question.cid()), modified: None };
    match validators.evaluate(&ask.head.headers) {
        Condition::Proceed => {}
        Condition::NotModified => return Ok(not_modified(&validators.etag, IMMUTABLE)),
        Condition::Failed => {
            let sentence = format!("{} is not the version that the request is about", ask.shown);
            return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, sentence));
        }
    }
    let start = Bytes::from(car::header(std::slice::from_ref(&root)));
    let sections = part(store, way, options).flat_map(|block| {
        let pieces = match block {
            // An inlined block stands in its CID already.
            Ok(block) if block.cid().inlined().is_some() => Vec::new(),
            Ok(block) => {
                let head = car::section_head(block.cid(), block.data().len());
                vec![Ok(Bytes::from(head)), Ok(block.data().clone())]
            }
            Err(error) => vec![Err(Fault::from(error))],
        };
        stream::iter(pieces)
    });
    let body = Body::stream(stream::iter([Ok(start)]).chain(sections), None);
    let mut response = Response::new(body);
    let name = ask.query.filename.clone().unwrap_or_else(|| format!("{root}.car"));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, header_value(&kind));
    headers.insert(ETAG, header_value(&validators.etag));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(IMMUTABLE));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let disposition = disposition::value(Disposition::Attachment, &name);
    headers.insert(CONTENT_DISPOSITION, header_value(&disposition));
    Ok(response)
}
