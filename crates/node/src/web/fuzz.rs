//! What must hold of redirections whatever a server answers, for `cairn-fuzz`.

use super::name_of;
use cairn_web::resolve;
use hyper::Uri;

/// A URL, and where it redirects to.
pub(crate) fn redirection(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (url, location) = text.split_once('\n').unwrap_or((text, ""));
    let name = name_of(url);
    assert!(!name.contains('/') && !matches!(name.as_str(), "" | "." | ".."), "{url:?}");
    let Ok(from) = url.parse::<Uri>() else { return };
    let Some(to) = resolve(&from, location) else { return };
    assert!(matches!(to.scheme_str(), Some("http" | "https")) && to.host().is_some());
    let is_elsewhere = location.contains("://") || location.starts_with("//");
    assert!(is_elsewhere || to.authority() == from.authority(), "{location:?}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    ["http://h:8/a/b?c\n../d#e", "https://h/\n//other/x", "http://u@h/a/..\nhttps://x/?y", "x\n/p"]
        .map(|seed| seed.as_bytes().to_vec())
        .to_vec()
}
