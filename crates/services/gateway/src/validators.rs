//! Conditional requests: whether the client already has what it asks for.
//!
//! Content under a CID never changes, so the entity tag is made from the CID and a client that
//! has it needs nothing but a 304. Dates only come from files that record one.
//!
//! Spec: RFC 9110 §13. `If-None-Match` compares weakly, `If-Range` and `If-Match` strongly.
//! Not here: which tag a representation has (`content.rs`).

use crate::date;
use hyper::header::{
    HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};

/// What identifies a representation to caches.
#[derive(Debug, Clone)]
pub(crate) struct Validators {
    /// The entity tag with its quotes, never weak.
    pub(crate) etag: String,
    /// When the content was changed, in seconds since 1970, if it says so.
    pub(crate) modified: Option<i64>,
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Answer normally.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: the client wants something else or nothing.
    Failed,
}

impl Validators {
    /// Evaluates the conditions in the order of RFC 9110 §13.2.2, without `If-Range`.
    pub(crate) fn evaluate(&self, headers: &HeaderMap) -> Condition {
        if let Some(tags) = text(headers, &IF_MATCH) {
            if !matches(tags, |tag| tag == self.etag) {
                return Condition::Failed;
            }
        } else if let (Some(since), Some(modified)) =
            (when(headers, &IF_UNMODIFIED_SINCE), self.modified)
            && modified > since
        {
            return Condition::Failed;
        }
        if let Some(tags) = text(headers, &IF_NONE_MATCH) {
            let same = matches(tags, |tag| tag.strip_prefix("W/").unwrap_or(tag) == self.etag);
            return if same { Condition::NotModified } else { Condition::Proceed };
        }
        match (when(headers, &IF_MODIFIED_SINCE), self.modified) {
            (Some(since), Some(modified)) if modified <= since => Condition::NotModified,
            _ => Condition::Proceed,
        }
    }

    /// Whether a `Range` header counts: always, unless `If-Range` names another version.
    pub(crate) fn allow_range(&self, headers: &HeaderMap) -> bool {
        let Some(wanted) = headers.get(IF_RANGE) else {
            return true;
        };
        let Ok(wanted) = wanted.to_str() else {
            return false;
        };
        let wanted = wanted.trim();
        if wanted.starts_with('"') || wanted.starts_with("W/") {
            return wanted == self.etag;
        }
        date::parse(wanted).is_some_and(|wanted| self.modified == Some(wanted))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn when(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    text(headers, name).and_then(date::parse)
}

/// Whether a list of entity tags holds `*` or a tag that `same` accepts.
///
/// Stops at the first thing that is no tag, so that garbage matches nothing.
fn matches(list: &str, same: impl Fn(&str) -> bool) -> bool {
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        if rest.starts_with('*') {
            return true;
        }
        let opaque = rest.strip_prefix("W/").unwrap_or(rest);
        let Some(body) = opaque.strip_prefix('"') else {
            return false;
        };
        let Some(end) = body.find('"') else {
            return false;
        };
        let len = rest.len() - body.len() + end + 1;
        let (tag, after) = rest.split_at(len);
        if same(tag) {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs =
            pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        pairs.collect()
    }

    fn validators() -> Validators {
        Validators { etag: "\"bafy\"".to_owned(), modified: Some(784_111_777) }
    }

    #[test]
    fn if_none_match_finds_the_tag_in_a_list() {
        let table = [
            ("\"bafy\"", Condition::NotModified),
            ("W/\"bafy\"", Condition::NotModified),
            ("\"other\", \"bafy\"", Condition::NotModified),
            ("\"other\",W/\"x\" , W/\"bafy\"", Condition::NotModified),
            (",, \"bafy\"", Condition::NotModified),
            ("*", Condition::NotModified),
            ("\"x\", *", Condition::NotModified),
            ("\"other\"", Condition::Proceed),
            ("\"bafybei\"", Condition::Proceed),
            ("bafy", Condition::Proceed),
            ("\"bafy", Condition::Proceed),
            ("junk \"bafy\"", Condition::Proceed),
            ("", Condition::Proceed),
        ];
        for (list, expected) in table {
            let found = validators().evaluate(&headers(&[(IF_NONE_MATCH, list)]));
            assert_eq!(found, expected, "{list}");
        }
    }

    #[test]
    fn the_tag_counts_before_the_date() {
        let date = (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT");
        let older = (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT");
        let other = (IF_NONE_MATCH, "\"other\"");
        assert_eq!(
            validators().evaluate(&headers(std::slice::from_ref(&date))),
            Condition::NotModified
        );
        assert_eq!(validators().evaluate(&headers(&[older])), Condition::Proceed);
        assert_eq!(validators().evaluate(&headers(&[date.clone(), other])), Condition::Proceed);
        let undated = Validators { modified: None, ..validators() };
        assert_eq!(undated.evaluate(&headers(&[date])), Condition::Proceed);
    }

    #[test]
    fn if_match_and_if_unmodified_since_refuse_other_versions() {
        let table = [
            (IF_MATCH, "\"bafy\"", Condition::Proceed),
            (IF_MATCH, "*", Condition::Proceed),
            (IF_MATCH, "\"other\"", Condition::Failed),
            (IF_MATCH, "W/\"bafy\"", Condition::Failed),
            (IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT", Condition::Proceed),
            (IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT", Condition::Failed),
            (IF_UNMODIFIED_SINCE, "yesterday", Condition::Proceed),
        ];
        for (name, value, expected) in table {
            let found = validators().evaluate(&headers(&[(name.clone(), value)]));
            assert_eq!(found, expected, "{name}: {value}");
        }
    }

    #[test]
    fn if_range_compares_strongly() {
        let table = [
            ("\"bafy\"", true),
            ("W/\"bafy\"", false),
            ("\"other\"", false),
            ("Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("Sun, 06 Nov 1994 08:49:38 GMT", false),
            ("nonsense", false),
        ];
        assert!(validators().allow_range(&headers(&[])));
        for (value, expected) in table {
            let allowed = validators().allow_range(&headers(&[(IF_RANGE, value)]));
            assert_eq!(allowed, expected, "{value}");
        }
    }
}
