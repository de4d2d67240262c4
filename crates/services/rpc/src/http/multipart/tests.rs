//! The parser against the forms that clients send, hostile ones, and itself at every cut.

use super::{
    LINK_LEN_MAX, Multipart, MultipartError, PART_HEAD_LEN_MAX, PartHead, PartKind, boundary_of,
};
use proptest::prelude::*;
use std::io::Read;

/// Gives out its bytes in pieces of the lengths asked for, then one at a time.
struct Dribble<'a>(&'a [u8], Vec<usize>);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = self.1.pop().unwrap_or(1).clamp(1, out.len()).min(self.0.len());
        let (now, later) = self.0.split_at(len);
        out[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

type Parts = Vec<(PartHead, Vec<u8>)>;

fn parse_with(source: impl Read) -> Result<Parts, MultipartError> {
    let mut multipart = Multipart::new(source, "XX")?;
    let mut parts = Vec::new();
    while let Some(head) = multipart.next_part()? {
        let mut content = Vec::new();
        let mut piece = [0; 7];
        loop {
            let len = multipart.read_content(&mut piece)?;
            if len == 0 {
                break;
            }
            content.extend_from_slice(&piece[..len]);
        }
        parts.push((head, content));
    }
    Ok(parts)
}

fn parse(body: &[u8]) -> Result<Parts, MultipartError> {
    parse_with(body)
}

fn one(headers: &str) -> Result<PartHead, MultipartError> {
    let body = format!("--XX\r\n{headers}\r\n\r\nx\r\n--XX--\r\n");
    Ok(parse(body.as_bytes())?.remove(0).0)
}

#[test]
fn reads_the_names_that_clients_send() {
    let rows: &[(&str, &str, &str)] = &[
        ("curl", r#"Content-Disposition: form-data; name="file"; filename="a b.txt""#, "a b.txt"),
        (
            "go",
            r#"Content-Disposition: form-data; name="file"; filename="a+b%2Fc.txt""#,
            "a b/c.txt",
        ),
        ("js", r#"content-disposition: form-data; name="data"; filename="a%2Fb%20%2B""#, "a/b +"),
        ("no name", r#"Content-Disposition: form-data; name="path""#, ""),
        ("bare word", "Content-Disposition: form-data; filename=plain; name=file", "plain"),
        ("rfc 5987", "Content-Disposition: form-data; filename*=utf-8''%E2%98%83+", "☃+"),
        ("quotes", r#"Content-Disposition: form-data; filename="a\"b;c""#, "a\"b;c"),
        ("windows", r#"Content-Disposition: form-data; filename="C:\temp""#, r"C:\temp"),
        ("bad percent", r#"Content-Disposition: form-data; filename="100%""#, "100%"),
        ("dots", r#"Content-Disposition: form-data; filename="/./a//b/./""#, "a/b"),
        ("none", "Content-Type: text/plain", ""),
    ];
    for (name, headers, path) in rows {
        assert_eq!(one(headers).unwrap().path, *path, "{name}");
    }
}

#[test]
fn reads_kinds_modes_and_times() {
    let head =
        one("Content-Disposition: form-data; name=\"file?mode=0755&mtime=-5&mtime-nsecs=7\"; \
         filename=\"d\"\r\nContent-Type: application/x-directory\r\nAbspath: /secret/d");
    let expected = PartHead {
        path: "d".into(),
        kind: PartKind::Directory,
        mode: Some(0o755),
        mtime: Some((-5, 7)),
        origin: Some("/secret/d".into()),
    };
    assert_eq!(head.unwrap(), expected);
    let encoded = one("Abspath: /old\r\nABSPATH-Encoded: %2Fa+b%2F%E2%98%83\r\nAbspath: /newer");
    assert_eq!(encoded.unwrap().origin.as_deref(), Some("/a b/☃"));
    assert!(one("Abspath-Encoded: %2").is_err());
    let link =
        one("Content-Disposition: form-data; filename=l\r\nContent-Type: application/symlink");
    assert_eq!(link.unwrap().kind, PartKind::Symlink);
}

#[test]
fn reads_empty_parts_preambles_and_padding() {
    let body =
        b"hello\r\n--XX  \r\nA: b\r\n\r\n--XX\r\nA: b\r\n\r\n\r\n--XX\r\n\r\n\r\n\r\n--XX--trailer";
    let contents: Vec<Vec<u8>> = parse(body).unwrap().into_iter().map(|part| part.1).collect();
    assert_eq!(contents, [&b""[..], b"", b"\r\n"].map(<[u8]>::to_vec));
    assert_eq!(parse(b"--XX--").unwrap(), []);
}

#[test]
fn refuses_hostile_bodies() {
    let long = format!("--XX\r\nA: {}\r\n\r\n", "b".repeat(PART_HEAD_LEN_MAX));
    let many = format!("--XX\r\n{}\r\n\r\n", "A: b\r\n".repeat(PART_HEAD_LEN_MAX / 6));
    let rows: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("no boundary", b"just text"),
        ("no end", b"--XX\r\nA: b\r\n\r\ncontent"),
        ("no closing", b"--XX\r\nA: b\r\n\r\ncontent\r\n--XX"),
        ("half boundary", b"--XX\r\nA: b\r\n\r\ncontent\r\n--X"),
        ("longer boundary", b"--XXY\r\nA: b\r\n\r\ncontent\r\n--XX--"),
        ("lf lines", b"--XX\nA: b\n\ncontent\r\n--XX--"),
        ("no colon", b"--XX\r\nAb\r\n\r\ncontent\r\n--XX--"),
        ("not utf-8", b"--XX\r\nA: \xff\r\n\r\ncontent\r\n--XX--"),
        ("up", b"--XX\r\nContent-Disposition: x; filename=\"a/../../b\"\r\n\r\nc\r\n--XX--"),
        ("encoded up", b"--XX\r\nContent-Disposition: x; filename=%2e%2e\r\n\r\nc\r\n--XX--"),
        ("zero", b"--XX\r\nContent-Disposition: x; filename=a%00b\r\n\r\nc\r\n--XX--"),
        ("long line", long.as_bytes()),
        ("many lines", many.as_bytes()),
    ];
    for (name, body) in rows {
        assert!(parse(body).is_err(), "{name}");
    }
}

#[test]
fn bounds_links() {
    let body = |len: usize| format!("--XX\r\n\r\n{}\r\n--XX--", "l".repeat(len));
    for (len, fits) in [(0, true), (LINK_LEN_MAX, true), (LINK_LEN_MAX + 1, false)] {
        let body = body(len);
        let mut multipart = Multipart::new(body.as_bytes(), "XX").unwrap();
        multipart.next_part().unwrap().unwrap();
        assert_eq!(multipart.read_link().map(|target| target.len()).ok(), fits.then_some(len));
    }
}

#[test]
fn reads_boundaries() {
    let rows = [
        ("multipart/form-data; boundary=abc", Some("abc")),
        ("Multipart/Form-Data; charset=x; boundary=\"a b\"", Some("a b")),
        ("multipart/mixed; boundary=abc", None),
        ("multipart/form-data", None),
    ];
    for (text, expected) in rows {
        assert_eq!(boundary_of(text).as_deref(), expected, "{text}");
    }
    assert!(Multipart::new(&b""[..], "").is_err());
}

proptest! {
    #[test]
    fn gives_back_what_was_written(
        contents in prop::collection::vec(prop::collection::vec(
            prop::sample::select(&b"\r\n-X\0abc"[..]), 0..200), 0..5),
        cuts in prop::collection::vec(1usize..40, 0..60),
    ) {
        // Content may hold everything but the delimiter itself.
        let contents: Vec<Vec<u8>> = contents
            .into_iter()
            .map(|content| String::from_utf8(content).unwrap().replace("--XX", "--").into_bytes())
            .filter(|content| !content.windows(4).any(|window| window == b"--XX"))
            .collect();
        let mut body = Vec::new();
        for content in &contents {
            body.extend_from_slice(b"--XX\r\nA: b\r\n\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        let parts = parse_with(Dribble(&body, cuts)).unwrap();
        prop_assert_eq!(parts.into_iter().map(|part| part.1).collect::<Vec<_>>(), contents);
    }

    #[test]
    fn never_panics_and_never_invents(
        body in prop::collection::vec(prop::sample::select(&b"\r\n-X:a;=\"%"[..]), 0..400),
        cuts in prop::collection::vec(1usize..9, 0..90),
    ) {
        if let Ok(parts) = parse_with(Dribble(&body, cuts)) {
            let len: usize = parts.iter().map(|part| part.1.len()).sum();
            prop_assert!(len <= body.len());
        }
    }
}
