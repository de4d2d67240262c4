//! A request line, taken apart: what is asked for, and in which form.
//!
//! Parsing comes first and knows nothing of the node, so everything that a stranger can write
//! into a URL is decided here and tested by table.
//!
//! Spec: <https://specs.ipfs.tech/http-gateways/path-gateway/>; `format` in the query counts
//! before `Accept` (IPIP-523).
//! Not here: what a CID path leads to (`content.rs`).

use crate::text;
use hyper::{
    HeaderMap, Uri,
    header::{ACCEPT, HeaderName},
};

/// How many query parameters are looked at; the rest is ignored.
///
/// Source: own choice; the gateway knows eleven.
const PARAMETERS_MAX: usize = 64;

/// What a request's path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/`.
    Root,
    /// `/version`.
    Version,
    /// `/ipfs/…`, decoded.
    Content {
        /// The whole path, with `/ipfs/`, decoded and without a trailing slash.
        path: String,
        /// Whether the URL ended with a slash, as a directory's has to.
        trailing_slash: bool,
    },
    /// `/ipfs/ipfs/…` and the like, which somebody meant well: where to go instead.
    Superfluous {
        /// The path without its first segment, still escaped.
        location: String,
    },
    /// `/ipns/…`.
    Name,
    /// Nothing that the gateway has.
    Unknown,
    /// The path does not decode.
    Malformed,
}

/// The parameters of a query that the gateway knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// `filename=`: the name to save under, which also decides the content type.
    pub(crate) filename: Option<String>,
    /// `download=true`: save, do not show.
    pub(crate) download: bool,
    /// `format=`: the form of the answer.
    pub(crate) format: Option<String>,
    /// `uri=`: what a browser's protocol handler passes on.
    pub(crate) uri: Option<String>,
    /// `go-get=1`: a Go tool that does not follow redirects.
    pub(crate) go_get: bool,
    /// What an archive is to hold.
    pub(crate) car: CarQuery,
}

/// The parameters of a query that are about archives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CarQuery {
    /// `dag-scope=`: how much of what the path leads to.
    pub(crate) scope: Option<String>,
    /// `entity-bytes=`: which bytes of a file.
    pub(crate) bytes: Option<String>,
    /// `car-version=`.
    pub(crate) version: Option<String>,
    /// `car-order=`: the order of the blocks.
    pub(crate) order: Option<String>,
    /// `car-dups=`: whether blocks stand as often as they are linked.
    pub(crate) duplicates: Option<String>,
}

/// The form in which content is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// Files as bytes and directories as pages.
    Web,
    /// One block as it is.
    Raw,
    /// A form that is named by its media type.
    Other(String),
}

/// The media type of archives.
pub(crate) const CAR: &str = "application/vnd.ipld.car";

/// Names of `format=` and the media types of `Accept` that they stand for.
const FORMATS: &[(&str, &str)] = &[
    ("raw", "application/vnd.ipld.raw"),
    ("car", CAR),
    ("tar", "application/x-tar"),
    ("json", "application/json"),
    ("cbor", "application/cbor"),
    ("dag-json", "application/vnd.ipld.dag-json"),
    ("dag-cbor", "application/vnd.ipld.dag-cbor"),
    ("ipns-record", "application/vnd.ipfs.ipns-record"),
];

impl Target {
    /// Takes a URL's path apart.
    pub(crate) fn parse(uri: &Uri) -> Self {
        let escaped = uri.path();
        match escaped {
            "/" | "" => return Self::Root,
            "/version" => return Self::Version,
            _ => {}
        }
        if escaped.starts_with("/ipns/") {
            return Self::Name;
        }
        let Some(rest) = escaped.strip_prefix("/ipfs/") else {
            return Self::Unknown;
        };
        if rest.starts_with("ipfs/") || rest.starts_with("ipns/") {
            return Self::Superfluous { location: format!("/{rest}") };
        }
        match text::unpercent(rest, false) {
            None => Self::Malformed,
            Some(rest) => Self::Content {
                trailing_slash: rest.ends_with('/'),
                path: format!("/ipfs/{}", rest.trim_end_matches('/')),
            },
        }
    }
}

impl Query {
    /// Reads the parameters; of one given twice the first counts, what does not decode is left.
    pub(crate) fn parse(uri: &Uri) -> Self {
        let mut query = Self::default();
        let pairs = uri.query().unwrap_or_default().split('&').take(PARAMETERS_MAX);
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(value) = text::unpercent(value, true) else {
                continue;
            };
            let slot = match name {
                "filename" => &mut query.filename,
                "format" => &mut query.format,
                "uri" => &mut query.uri,
                "dag-scope" => &mut query.car.scope,
                "entity-bytes" => &mut query.car.bytes,
                "car-version" => &mut query.car.version,
                "car-order" => &mut query.car.order,
                "car-dups" => &mut query.car.duplicates,
                "download" => {
                    query.download |= value == "true";
                    continue;
                }
                "go-get" => {
                    query.go_get |= value == "1";
                    continue;
                }
                _ => continue,
            };
            if slot.is_none() && !value.is_empty() {
                *slot = Some(value);
            }
        }
        query
    }

    /// Where a browser's `ipfs://…` link leads, if this is one.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a `uri` that is no such link.
    pub(crate) fn handler_location(&self) -> Option<Result<String, &'static str>> {
        let uri = self.uri.as_deref()?;
        let Some((scheme, rest)) = uri.split_once("://") else {
            return Some(Err("failed to parse uri query parameter"));
        };
        if !matches!(scheme, "ipfs" | "ipns") {
            return Some(Err("uri query parameter scheme must be ipfs or ipns"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let rest = text::unpercent(rest, false).unwrap_or_default();
        let mut location = format!("/{scheme}/{}", text::percent_path(rest.trim_matches('/')));
        if rest.ends_with('/') {
            location.push('/');
        }
        if !query.is_empty() {
            location.push('?');
            location.push_str(&text::query(query));
        }
        Some(Ok(location))
    }
}

impl Format {
    /// Decides the form by `format=`, else by the first media type in `Accept` that names one.
    pub(crate) fn of(query: &Query, headers: &HeaderMap) -> Self {
        let named = query
            .format
            .as_deref()
            .and_then(|name| FORMATS.iter().find(|row| row.0 == name).map(|row| row.1));
        let wanted = named.map(str::to_owned).or_else(|| accepted(headers));
        match wanted.as_deref() {
            None | Some("application/json" | "application/cbor") => Self::Web,
            Some("application/vnd.ipld.raw") => Self::Raw,
            Some(other) => Self::Other(other.to_owned()),
        }
    }
}

/// The first media type of `Accept` that is one of IPFS's own.
fn accepted(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds = values
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let own = |kind: &String| {
        kind.starts_with("application/vnd.ipld.")
            || kind.starts_with("application/vnd.ipfs.")
            || kind == "application/x-tar"
    };
    kinds.into_iter().find(own)
}

/// Whether a browser asks, which can show a page.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    contains(headers, &ACCEPT, "text/html")
}

/// Whether a header's value holds a text.
pub(crate) fn contains(headers: &HeaderMap, name: &HeaderName, part: &str) -> bool {
    headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(|text| text.contains(part)))
}

#[cfg(test)]
mod tests;
