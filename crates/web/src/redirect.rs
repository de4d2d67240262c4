//! Where redirections lead.
//!
//! Spec: RFC 9110 §15.4.
//! Invariant: only to `http` and `https`, with a host.
//! Not here: following them (`client.rs`).

use hyper::{StatusCode, Uri};

/// Whether an answer points elsewhere.
pub(crate) fn is_redirection(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirection from `from` to `location` leads; `None` if to nothing on the web.
pub fn resolve(from: &Uri, location: &str) -> Option<Uri> {
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

#[cfg(test)]
mod tests {
    use super::resolve;
    use hyper::Uri;

    #[test]
    fn redirections_stay_on_the_web() {
        let from = "http://h:1/a/b?c".parse::<Uri>().unwrap();
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
}
