//! Who may call: origins, browsers, host names and tokens.
//!
//! The API can read and delete everything, and every web page can send a POST to loopback. So a
//! request that comes from a browser must come from an allowed origin, and its `Host` must be a
//! name of this machine: otherwise a page could point its own name here (DNS rebinding).
//!
//! Source: Kubo's rules (`go-ipfs-cmds/http`); the `Host` check is ours.
//! Invariant: refusals say nothing but the status.
//! Not here: routing (`http::server`).

use cairn_node::config::Authorization;
use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, ORIGIN, REFERER, USER_AGENT},
};
use std::net::IpAddr;

/// The origins of the browser extension that talks to local nodes.
const EXTENSIONS: &[&str] = &[
    "chrome-extension://nibjojkomfdiaoajekhjakgkdhaomnch",
    "chrome-extension://hjoieblefckbooibpepigmacodalfndh",
];

/// The rules of one listener, read from the configuration when it starts.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    origins: Vec<String>,
    hosts: Vec<String>,
    credentials: bool,
    methods: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    tokens: Vec<Token>,
}

/// A secret and what it opens.
#[derive(Clone)]
struct Token {
    header: String,
    paths: Vec<String>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Token {
    fn of(user: &Authorization) -> Self {
        Self { header: authorization(&user.secret), paths: user.allowed_paths.clone() }
    }
}

impl Guard {
    /// Takes the rules of the configuration for a listener on `port`.
    pub(super) fn new(
        api_headers: &[(String, Vec<String>)],
        users: &[Authorization],
        port: u16,
    ) -> Self {
        let mut guard = Self { methods: "GET, POST, PUT".to_owned(), ..Self::default() };
        for (name, values) in api_headers {
            match name.to_ascii_lowercase().as_str() {
                "access-control-allow-origin" => guard.origins.clone_from(values),
                "access-control-allow-methods" => guard.methods = values.join(", "),
                "access-control-allow-credentials" => {
                    guard.credentials = values.iter().any(|v| v.eq_ignore_ascii_case("true"));
                }
                lower => guard.add_headers(lower, values),
            }
        }
        for host in ["127.0.0.1", "[::1]", "localhost"] {
            guard.origins.push(format!("http://{host}:{port}"));
            guard.origins.push(format!("https://{host}:{port}"));
        }
        guard.origins.extend(EXTENSIONS.iter().map(|&origin| origin.to_owned()));
        guard.hosts = guard.origins.iter().filter_map(|origin| host_of(origin)).collect();
        guard.tokens = users.iter().map(Token::of).collect();
        guard
    }

    fn add_headers(&mut self, name: &str, values: &[String]) {
        for value in values {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                self.headers.push((name, value));
            }
        }
    }

    /// Whether a request with these headers may be answered, by where it comes from.
    pub(super) fn admits(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        if !self.knows_host(text(HOST).or_else(|| uri.host())) {
            return false;
        }
        let origin = text(ORIGIN);
        let referer = text(REFERER).filter(|referer| !referer.is_empty());
        if origin.is_some_and(|origin| !self.allows(origin)) {
            return false;
        }
        if referer.is_some_and(|referer| !self.allows(origin_of(referer))) {
            return false;
        }
        let is_browser = text(USER_AGENT).is_some_and(|agent| agent.starts_with("Mozilla"));
        !is_browser || origin.is_some() || referer.is_some()
    }

    /// Whether pages of this origin may call.
    pub(super) fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin))
    }

    /// Whether a `Host` is this machine, by address or by a name that was configured.
    fn knows_host(&self, host: Option<&str>) -> bool {
        let Some(host) = host.filter(|host| !host.is_empty()) else { return true };
        let name = without_port(host).to_ascii_lowercase();
        let bare = name.trim_matches(['[', ']']);
        let loopback = bare == "localhost" || bare.ends_with(".localhost");
        loopback
            || bare.parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|known| known == "*" || *known == name)
    }

    /// Whether the caller's token opens `path` (such as `/api/v0/add`).
    pub(super) fn authorizes(&self, headers: &HeaderMap, path: &str) -> bool {
        if self.tokens.is_empty() || path == "/api/v0/version" {
            return true;
        }
        let given = headers.get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
        let opens = |token: &Token| token.paths.iter().any(|open| is_below(path, open));
        self.tokens.iter().any(|token| same(token.header.as_bytes(), given) && opens(token))
    }

    /// Adds the configured headers and those that let an allowed page read the answer.
    pub(super) fn decorate(&self, origin: Option<&HeaderValue>, out: &mut HeaderMap) {
        for (name, value) in &self.headers {
            out.append(name, value.clone());
        }
        let Some(origin) = origin else { return };
        if self.allows(origin.to_str().unwrap_or("?")) {
            out.insert("access-control-allow-origin", origin.clone());
            out.append("vary", HeaderValue::from_static("Origin"));
            if self.credentials {
                out.insert("access-control-allow-credentials", HeaderValue::from_static("true"));
            }
        }
    }

    /// The methods that pages may use.
    pub(super) fn methods(&self) -> &str {
        &self.methods
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') =>
        {
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

fn origin_of(url: &str) -> &str {
    let after = url.find("://").map_or(0, |place| place + 3);
    let end = url[after..].find(['/', '?', '#']).map_or(url.len(), |place| after + place);
    &url[..end]
}

fn host_of(origin: &str) -> Option<String> {
    let host = origin.split_once("://")?.1;
    Some(without_port(host).to_ascii_lowercase())
}

/// Whether `path` is `open` or below it.
fn is_below(path: &str, open: &str) -> bool {
    path.strip_prefix(open.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Compares in a time that depends only on the length given.
fn same(secret: &[u8], given: &[u8]) -> bool {
    let mut difference = secret.len() ^ given.len();
    for (index, byte) in given.iter().enumerate() {
        difference |=
            usize::from(byte ^ secret.get(index % secret.len().max(1)).copied().unwrap_or(0));
    }
    difference == 0
}

/// Turns a configured secret (`bearer:TOKEN`, `basic:USER:PASSWORD`, `basic:BASE64`, or a bare
/// token) into the header that proves it.
pub fn authorization(secret: &str) -> String {
    match secret.split_once(':') {
        Some(("basic", pair)) if pair.contains(':') => {
            // Multibase's base64pad without its prefix is the usual base64.
            let text = cairn_block::Base::Base64Pad.encode(pair);
            format!("Basic {text}")
        }
        Some(("basic", text)) => format!("Basic {text}"),
        Some(("bearer", token)) => format!("Bearer {token}"),
        _ => format!("Bearer {secret}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Guard, Token, authorization};
    use hyper::{HeaderMap, Uri, header::HeaderName};

    fn headers(rows: &[(&str, &str)]) -> HeaderMap {
        let pair =
            |row: &(&str, &str)| (row.0.parse::<HeaderName>().unwrap(), row.1.parse().unwrap());
        rows.iter().map(pair).collect()
    }

    fn allowing(origin: &str) -> Guard {
        let name = "Access-Control-Allow-Origin".to_owned();
        Guard::new(&[(name, vec![origin.to_owned()])], &[], 5001)
    }

    #[test]
    fn admits_programs_and_own_pages_only() {
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);
        let rows: &[Row<'_>] = &[
            ("curl", &[("host", "127.0.0.1:5001"), ("user-agent", "curl/8")], true),
            ("no headers", &[], true),
            ("own page", &[("host", "localhost:5001"), ("origin", "http://localhost:5001")], true),
            ("six", &[("host", "[::1]:5001"), ("origin", "http://[::1]:5001")], true),
            ("other port", &[("origin", "http://localhost:3000")], false),
            ("allowed page", &[("origin", "https://ok.example")], true),
            ("page", &[("origin", "https://evil.example")], false),
            ("null", &[("origin", "null")], false),
            ("referer", &[("referer", "https://evil.example/x")], false),
            ("own referer", &[("referer", "http://127.0.0.1:5001/webui/")], true),
            ("lookalike", &[("referer", "http://127.0.0.1:5001.evil.example/")], false),
            ("bare browser", &[("user-agent", "Mozilla/5.0")], false),
            ("browser", &[("user-agent", "Mozilla/5.0"), ("origin", "https://ok.example")], true),
            (
                "extension",
                &[("origin", "chrome-extension://nibjojkomfdiaoajekhjakgkdhaomnch")],
                true,
            ),
            ("rebinding", &[("host", "evil.example:5001")], false),
            (
                "rebinding, own origin",
                &[("host", "evil.example"), ("origin", "http://localhost:5001")],
                false,
            ),
            ("allowed name", &[("host", "ok.example")], true),
            ("address", &[("host", "192.168.1.7:5001")], true),
            ("sub", &[("host", "x.localhost:5001")], true),
        ];
        let guard = allowing("https://ok.example");
        for (name, rows, expected) in rows {
            let admitted = guard.admits(&headers(rows), &Uri::from_static("/api/v0/id"));
            assert_eq!(admitted, *expected, "{name}");
        }
    }

    #[test]
    fn a_star_lets_every_page_in() {
        let guard = allowing("*");
        assert!(
            guard.admits(&headers(&[("origin", "https://any.example")]), &Uri::from_static("/"))
        );
    }

    #[test]
    fn tokens_open_their_paths() {
        let token = |secret: &str, paths: &[&str]| Token {
            header: authorization(secret),
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        };
        let mut guard = Guard::new(&[], &[], 5001);
        assert!(guard.authorizes(&HeaderMap::new(), "/api/v0/add"), "no users, no tokens");
        guard.tokens = vec![
            token("bearer:one", &["/api/v0"]),
            token("basic:user:pass", &["/api/v0/cat", "/api/v0/ls/"]),
        ];
        let rows = [
            ("Bearer one", "/api/v0/add", true),
            ("Bearer one", "/api/v00", false),
            ("Bearer on", "/api/v0/add", false),
            ("", "/api/v0/add", false),
            ("", "/api/v0/version", true),
            ("Basic dXNlcjpwYXNz", "/api/v0/cat", true),
            ("Basic dXNlcjpwYXNz", "/api/v0/ls", true),
            ("Basic dXNlcjpwYXNz", "/api/v0/catalog", false),
        ];
        for (given, path, expected) in rows {
            let headers = headers(&[("authorization", given)]);
            assert_eq!(guard.authorizes(&headers, path), expected, "{given:?} {path}");
        }
        assert_eq!(authorization("plain"), "Bearer plain");
    }
}
