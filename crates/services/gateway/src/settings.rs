//! The gateway's part of the configuration, and the limits that are not configurable.
//!
//! Key names and defaults are Kubo's (`docs/config.md`, `Gateway`); unknown keys are left alone.
//! A value of the wrong type is an error at start rather than a default that nobody asked for.
//!
//! Not here: reading the configuration file (`cairn_node::config`).

use crate::GatewayError;
use cairn_runtime::duration_of;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, HeaderMap, HeaderName, HeaderValue,
};
use serde_json::Value;
use std::time::Duration;

/// Connections that are open at once, as far as the process may have half as many files open; more
/// wait in the operating system's queue.
///
/// Source: own choice: four times the default of `MaxConcurrentRequests`, since most
/// connections of browsers are idle.
pub(crate) const CONNECTIONS_MAX: usize = 16_384;

/// Largest request head, in bytes; more is answered with 431.
///
/// Source: own choice; the longest IPFS paths in use are below 4 KiB, cookies may come along.
pub(crate) const HEAD_LEN_MAX: usize = 32 * 1024;

/// How many header fields a request may have.
///
/// Source: own choice; browsers send about twenty.
pub(crate) const HEADERS_MAX: usize = 100;

/// How long a client may take to send a request head, and may leave a connection idle.
///
/// Source: own choice, the usual one of web servers.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a client may read nothing of an answer before its connection is closed.
///
/// Source: own choice; a reader that stands still holds memory that others could use.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// The largest share of one answer; more makes no network faster.
pub(crate) const WINDOW_MAX: usize = 32 * 1024 * 1024;

/// The smallest share of one answer, about a block: less would only add waits.
pub(crate) const WINDOW_MIN: usize = 256 * 1024;

/// What a client over the limit of requests is told to wait (Kubo: `retryAfterSeconds`).
pub(crate) const RETRY_AFTER: &str = "60";

const ALLOW_HEADERS: [&str; 4] = ["Content-Type", "Range", "User-Agent", "X-Requested-With"];
const EXPOSE_HEADERS: [&str; 6] = [
    "Content-Length",
    "Content-Range",
    "X-Chunked-Output",
    "X-Ipfs-Path",
    "X-Ipfs-Roots",
    "X-Stream-Output",
];

/// What can be set under `Gateway`.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `NoFetch`: serve only what is in the local store.
    pub(crate) no_fetch: bool,
    /// `ExposeRoutingAPI`: answer `/routing/v1/` by asking the node's routing.
    pub(crate) routing: bool,
    /// `DisableHTMLErrors`: errors are plain text for browsers too.
    pub(crate) plain_errors: bool,
    /// `RetrievalTimeout`: longest wait for the first or the next piece; `None` is forever.
    pub(crate) retrieval_timeout: Option<Duration>,
    /// `MaxRequestDuration`: longest time for a whole answer; `None` is forever.
    pub(crate) request_timeout: Option<Duration>,
    /// `MaxConcurrentRequests`; `None` is no limit.
    pub(crate) requests_max: Option<usize>,
    /// `MaxRangeRequestFileSize`: files above it are not served in ranges; `None` is no limit.
    pub(crate) range_file_len_max: Option<u64>,
    /// `RootRedirect`: where `/` leads.
    pub(crate) root_redirect: Option<HeaderValue>,
    /// `HTTPHeaders` with the CORS headers added: what every answer carries.
    pub(crate) headers: HeaderMap,
}

impl Settings {
    /// Reads `Gateway` of a whole configuration.
    ///
    /// # Errors
    ///
    /// [`GatewayError::Setting`] names the key whose value makes no sense.
    pub(crate) fn from_config(config: &Value) -> Result<Self, GatewayError> {
        let gateway = config.get("Gateway").unwrap_or(&Value::Null);
        let get = |key: &str| {
            let value = gateway.get(key)?;
            // Kubo writes both for "as if it were not there".
            (!value.is_null() && value != "default").then_some(value)
        };
        let flag = |key: &'static str, default| match get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| wrong(key, "must be true or false")),
        };
        Ok(Self {
            no_fetch: flag("NoFetch", false)?,
            routing: flag("ExposeRoutingAPI", true)?,
            plain_errors: flag("DisableHTMLErrors", false)?,
            retrieval_timeout: duration(get("RetrievalTimeout"), "RetrievalTimeout", 30)?,
            request_timeout: duration(get("MaxRequestDuration"), "MaxRequestDuration", 3600)?,
            requests_max: whole(get("MaxConcurrentRequests"), "MaxConcurrentRequests", 4096)?
                .map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            range_file_len_max: whole(
                get("MaxRangeRequestFileSize"),
                "MaxRangeRequestFileSize",
                0,
            )?,
            root_redirect: root_redirect(get("RootRedirect"))?,
            headers: with_cors(headers(get("HTTPHeaders"))?)?,
        })
    }
}

fn wrong(key: &'static str, reason: &'static str) -> GatewayError {
    GatewayError::Setting { key, reason }
}

/// A number, where 0 stands for "no limit".
fn whole(
    value: Option<&Value>,
    key: &'static str,
    default: u64,
) -> Result<Option<u64>, GatewayError> {
    let number = match value {
        None => default,
        Some(value) => value.as_u64().ok_or_else(|| wrong(key, "must be a whole number"))?,
    };
    Ok((number > 0).then_some(number))
}

/// A duration as Go writes it, where 0 stands for "forever".
fn duration(
    value: Option<&Value>,
    key: &'static str,
    default_seconds: u64,
) -> Result<Option<Duration>, GatewayError> {
    let parsed = match value {
        None => Duration::from_secs(default_seconds),
        Some(value) => value
            .as_str()
            .and_then(duration_of)
            .ok_or_else(|| wrong(key, "must be a duration such as \"30s\""))?,
    };
    Ok((!parsed.is_zero()).then_some(parsed))
}

fn root_redirect(value: Option<&Value>) -> Result<Option<HeaderValue>, GatewayError> {
    let error = || wrong("RootRedirect", "must be a path or a URL");
    let Some(value) = value else {
        return Ok(None);
    };
    let text = value.as_str().ok_or_else(error)?;
    if text.is_empty() {
        return Ok(None);
    }
    HeaderValue::from_str(text).map(Some).map_err(|_| error())
}

/// `HTTPHeaders`: names with lists of values.
fn headers(value: Option<&Value>) -> Result<HeaderMap, GatewayError> {
    let error = || wrong("HTTPHeaders", "must give each header name a list of values");
    let mut headers = HeaderMap::new();
    let Some(value) = value else {
        return Ok(headers);
    };
    for (name, values) in value.as_object().ok_or_else(error)? {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| error())?;
        for value in values.as_array().ok_or_else(error)? {
            let value = value.as_str().ok_or_else(error)?;
            let value = HeaderValue::from_str(value).map_err(|_| error())?;
            headers.append(name.clone(), value);
        }
    }
    Ok(headers)
}

/// Adds what lets pages of other origins read: content under a CID is public by nature.
fn with_cors(mut headers: HeaderMap) -> Result<HeaderMap, GatewayError> {
    let error = || wrong("HTTPHeaders", "must hold plain text");
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS) {
        let methods = HeaderValue::from_static("GET, HEAD, OPTIONS");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    let lists = [
        (ACCESS_CONTROL_ALLOW_HEADERS, &ALLOW_HEADERS[..]),
        (ACCESS_CONTROL_EXPOSE_HEADERS, &EXPOSE_HEADERS[..]),
    ];
    for (name, ours) in lists {
        let mut all: Vec<String> = ours.iter().map(|&own| own.to_owned()).collect();
        for value in headers.get_all(&name) {
            let theirs = value.to_str().map_err(|_| error())?.split(',').map(str::trim);
            for one in theirs.filter(|one| !one.is_empty()) {
                if !all.iter().any(|known| known.eq_ignore_ascii_case(one)) {
                    all.push(one.to_owned());
                }
            }
        }
        all.sort_unstable_by_key(|one| one.to_ascii_lowercase());
        let value = HeaderValue::from_str(&all.join(", ")).map_err(|_| error())?;
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_empty_configuration_has_kubos_defaults() {
        for config in [
            json!({}),
            json!({"Gateway": {}}),
            json!({"Gateway": {"NoFetch": null, "RetrievalTimeout": "default"}}),
        ] {
            let settings = Settings::from_config(&config).unwrap();
            assert!(!settings.no_fetch && settings.routing);
            assert_eq!(settings.retrieval_timeout, Some(Duration::from_secs(30)));
            assert_eq!(settings.request_timeout, Some(Duration::from_hours(1)));
            assert_eq!(settings.requests_max, Some(4096));
            assert_eq!(settings.range_file_len_max, None);
            assert_eq!(settings.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert_eq!(settings.headers[ACCESS_CONTROL_ALLOW_METHODS], "GET, HEAD, OPTIONS");
            assert_eq!(
                settings.headers[ACCESS_CONTROL_ALLOW_HEADERS],
                "Content-Type, Range, User-Agent, X-Requested-With"
            );
        }
    }

    #[test]
    fn values_are_taken_and_wrong_ones_named() {
        let settings = Settings::from_config(&json!({"Gateway": {
            "NoFetch": true,
            "ExposeRoutingAPI": false,
            "RetrievalTimeout": "1m30s",
            "MaxRequestDuration": "0",
            "MaxConcurrentRequests": 0,
            "MaxRangeRequestFileSize": 5,
            "RootRedirect": "/ipfs/bafy",
            "Unknown": [1],
            "HTTPHeaders": {
                "X-Mine": ["a", "b"],
                "Access-Control-Allow-Origin": ["https://example.org"],
                "Access-Control-Allow-Headers": ["range, X-Extra"],
            },
        }}))
        .unwrap();
        assert!(settings.no_fetch && !settings.routing);
        assert_eq!(settings.retrieval_timeout, Some(Duration::from_secs(90)));
        assert_eq!(settings.request_timeout, None);
        assert_eq!(settings.requests_max, None);
        assert_eq!(settings.range_file_len_max, Some(5));
        assert_eq!(settings.root_redirect.unwrap(), "/ipfs/bafy");
        assert_eq!(settings.headers.get_all("x-mine").iter().count(), 2);
        assert_eq!(settings.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://example.org");
        assert_eq!(
            settings.headers[ACCESS_CONTROL_ALLOW_HEADERS],
            "Content-Type, Range, User-Agent, X-Extra, X-Requested-With"
        );

        for (key, value) in [
            ("NoFetch", json!("yes")),
            ("ExposeRoutingAPI", json!(1)),
            ("RetrievalTimeout", json!(30)),
            ("RetrievalTimeout", json!("30 parsecs")),
            ("MaxConcurrentRequests", json!(-1)),
            ("RootRedirect", json!("a\nb")),
            ("HTTPHeaders", json!({"bad name": ["x"]})),
            ("HTTPHeaders", json!({"X-Mine": "not a list"})),
            ("HTTPHeaders", json!({"X-Mine": ["a\r\nSet-Cookie: b"]})),
        ] {
            let error = Settings::from_config(&json!({"Gateway": {key: value}})).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
