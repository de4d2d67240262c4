//! What must hold of requests, and of answers as text, whatever the bytes, for `cairn-fuzz`.
//!
//! Requests come from anybody who reaches the port; answers from a daemon that the command line
//! was pointed at, with names that peers chose.
//! Not here: hyper's part of HTTP, files on disk that `get` makes of an archive.

use super::{
    guard::Guard,
    multipart::{Multipart, PartHead, PartKind, boundary_of, decode},
    query::parse,
};
use crate::{COMMANDS, CidText, Request, Text, command::Kind, escape, paths};
use hyper::{
    HeaderMap, Uri,
    header::{HOST, HeaderValue, ORIGIN, REFERER, USER_AGENT},
};
use std::io::Read;

/// Name, properties and seeds of each target.
#[expect(clippy::type_complexity, reason = "the type is cairn-fuzz's, which nobody here may use")]
pub const TARGETS: &[(&str, fn(&[u8]), fn() -> Vec<Vec<u8>>)] = &[
    ("rpc_request", request, requests),
    ("rpc_guard", guard, guards),
    ("multipart", multipart, bodies),
    ("multipart_boundary", boundary, bodies),
    ("rpc_text", text, answers),
    ("escape", escaped, names),
];

/// The parts of an input that stand on lines of their own.
fn lines<const COUNT: usize>(input: &[u8]) -> Option<[&str; COUNT]> {
    let mut lines = std::str::from_utf8(input).ok()?.splitn(COUNT, '\n');
    Some([(); COUNT].map(|()| lines.next().unwrap_or_default()))
}

fn request(input: &[u8]) {
    let Some([path, query]) = lines(input) else { return };
    let Ok(request) = parse(path, query) else { return };
    for option in request.command().options {
        match option.kind {
            Kind::Flag => {
                let given = request.given_text(option.long).is_some();
                assert_eq!(request.given_flag(option.long).is_some(), given, "{}", option.long);
            }
            Kind::Int | Kind::Uint => {
                let given = request.given_text(option.long).is_some_and(|text| !text.is_empty());
                let number = request.int(option.long);
                assert!(!given || number.is_some(), "{}", option.long);
                assert!(option.kind == Kind::Int || number.is_none_or(|number| number >= 0));
            }
            Kind::Text | Kind::Texts => {}
        }
    }
    let _: (bool, Option<CidText>) = (request.is_offline(), request.cid_text().ok());
    assert!(request.timeout().is_ok() || request.given_text("timeout").is_some());
    if request.check_arguments().is_ok() {
        for argument in request.arguments() {
            if let Ok(path) = paths::parse(argument) {
                assert_eq!(paths::parse(&path.to_string()).ok(), Some(path), "{argument:?}");
            }
        }
    }
}

fn requests() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "/api/v0/ls\narg=%2Fipfs%2Fbafkqaaa%2Fa&size=false&r=1&enc=text&timeout=1h1.5s",
        "/api/v0/cat/Qm%20x\noffset=0x10&length=-1&cid-base=base36",
        "/api/v0/pin/ls\narg=a+b&arg=b&type=all&stream=true&upgrade-cidv0-in-output=T",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec();
    for command in COMMANDS {
        let options = command.options.iter().map(|option| format!("{}=1", option.long));
        let options = options.collect::<Vec<_>>().join("&");
        let path = command.path.replace(' ', "/");
        seeds.push(format!("/api/v0/{path}\narg=a&{options}").into_bytes());
    }
    seeds
}

fn guard(input: &[u8]) {
    let Some([host, origin, referer, agent, uri]) = lines(input) else { return };
    let Ok(uri) = uri.parse::<Uri>() else { return };
    let guard = Guard::new(&[], &[], 5001);
    let mut headers = HeaderMap::new();
    for (name, text) in [(HOST, host), (ORIGIN, origin), (REFERER, referer), (USER_AGENT, agent)] {
        let Ok(value) = HeaderValue::from_str(text) else { return };
        if !text.is_empty() {
            headers.insert(name, value);
        }
    }
    let admitted = guard.admits(&headers, &uri);
    if admitted && !origin.is_empty() {
        assert!(guard.allows(origin), "{origin:?}");
    }
    if admitted && agent.starts_with("Mozilla") {
        assert!(!origin.is_empty() || !referer.is_empty(), "a page says where it is from");
    }
    if admitted && host.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.') {
        let bare = host.is_empty() && uri.host().is_none_or(|_| true);
        assert!(bare || host.ends_with("localhost"), "another name: {host:?}");
    }
}

fn guards() -> Vec<Vec<u8>> {
    [
        "localhost:5001\nhttp://localhost:5001\nhttp://localhost:5001/webui\nMozilla/5.0\n/api/v0/id",
        "[::1]:5001\nhttps://127.0.0.1:5001\n\n\nhttp://user@evil.example:80/api/v0/id",
        "a.localhost\n\nchrome-extension://nibjojkomfdiaoajekhjakgkdhaomnch\n\n/",
        "evil.example\n\n\ncurl/8\n/api/v0/add",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// Gives out bytes in pieces of this length.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = self.1.min(out.len()).min(self.0.len());
        let (now, later) = self.0.split_at(len);
        out[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

/// The parts of a body with their content, and how it ends.
fn parts(body: &[u8], piece_len: usize) -> (Vec<(PartHead, Vec<u8>)>, Option<String>) {
    let mut parts = Vec::new();
    let mut read = || {
        let mut multipart = Multipart::new(Pieces(body, piece_len), "b")?;
        while let Some(head) = multipart.next_part()? {
            parts.push((head, Vec::new()));
            let Some((head, content)) = parts.last_mut() else { break };
            if head.kind == PartKind::Symlink {
                *content = multipart.read_link()?.into_bytes();
                continue;
            }
            let mut piece = [0; 64];
            loop {
                match multipart.read_content(&mut piece)? {
                    0 => break,
                    len => content.extend_from_slice(&piece[..len]),
                }
            }
        }
        Ok::<(), super::multipart::MultipartError>(())
    };
    let error = read().err().map(|error| error.to_string());
    (parts, error)
}

fn multipart(input: &[u8]) {
    let (found, error) = parts(input, usize::MAX);
    for (head, content) in &found {
        assert!(!head.path.starts_with('/') && !head.path.ends_with('/'), "{:?}", head.path);
        let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
        assert!(head.path.is_empty() || head.path.split('/').all(plain), "{:?}", head.path);
        assert!(content.len() <= input.len());
    }
    let (again, other) = parts(input, 1);
    // A part that broke off may have given more or less of its content before the error.
    assert_eq!(error, other, "pieces make no difference");
    assert!(error.is_some() || found == again, "pieces make no difference");
}

fn boundary(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(boundary) = boundary_of(text) {
        assert!(boundary.len() <= text.len());
    }
    for plus_is_space in [false, true] {
        let Some(decoded) = decode(text, plus_is_space) else { continue };
        assert!(decoded.len() <= text.len());
        assert!(text.contains(['%', '+']) || decoded == text, "{text:?}");
    }
}

fn bodies() -> Vec<Vec<u8>> {
    [
        "--b\r\nContent-Disposition: form-data; name=\"file?mode=0644&mtime=17&mtime-nsecs=5\"; \
         filename=\"a%2Fb+c.txt\"\r\nContent-Type: application/octet-stream\r\n\
         Abspath-Encoded: %2Ftmp%2Fa\r\n\r\ncontent\r\n--b--\r\n",
        "preamble\r\n--b  \r\ncontent-disposition: form-data; filename*=utf-8''%C3%A4\r\n\
         content-type: application/x-directory\r\n\r\n\r\n--b\r\n\
         Content-Type: application/symlink\r\nabspath: /x\r\n\r\n../t\r\n--b\r\n\r\n--b--",
        "multipart/form-data; boundary=\"a\\\"b\"; charset=x",
        "Multipart/Form-Data ;boundary=b",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// The first two bytes choose the command and its switches, each line is an answer.
fn text(input: &[u8]) {
    let Some((&[command, switches], answers)) = input.split_first_chunk() else { return };
    let written: Vec<_> = COMMANDS.iter().filter(|command| command.text.is_some()).collect();
    let command = written[usize::from(command) % written.len()];
    let flags = command.options.iter().filter(|option| option.kind == Kind::Flag);
    let flags = flags.enumerate().filter(|(at, _)| *at < 8 && switches >> at & 1 == 1);
    let options = flags.map(|(_, option)| (option.long.to_owned(), "true".to_owned()));
    let Ok(request) = Request::new(command, vec!["argument".to_owned()], options) else { return };
    let Some(renderer) = command.text else { return };
    let (mut render, mut text) = (renderer(&request), Text::default());
    for answer in answers.split(|byte| *byte == b'\n') {
        if render.answer(answer, &mut text).is_err() {
            return;
        }
    }
    render.finish(&mut text);
    // Columns are as wide as their widest cell, in every row.
    let len_max = (64 << 10) + 1024 * input.len();
    assert!(text.out.len() + text.talk.len() <= len_max, "{}", command.path);
}

fn answers() -> Vec<Vec<u8>> {
    const HASH: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
    let count = COMMANDS.iter().filter(|command| command.text.is_some()).count();
    let link = format!(r#"{{"Name":"a","Hash":"{HASH}","Size":3,"Type":2,"Target":"t"}}"#);
    let all = format!(
        r#"{{"Hash":"{HASH}","Cid":{{"/":"{HASH}"}},"Name":"n","Key":"{HASH}","Keys":[],"Size":7,"Type":"file","Links":[{link}],"Objects":[{{"Hash":"{HASH}","Links":[{link}]}}],"Entries":[{link}],"Pins":["{HASH}"],"Peers":[{{"Addr":"/ip4/1.2.3.4","Peer":"p","Latency":"1s","Streams":[{{"Protocol":"x"}}],"Direction":1}}],"Strings":["s"],"Error":"e","Err":"r","Msg":"m","Ref":"{HASH}","Bytes":1,"Progress":2,"Ok":true,"Blocks":4,"CumulativeSize":9,"Mode":"0644","Mtime":5,"MtimeNsecs":6,"Version":"1","Commit":"c","Repo":"18","System":"s","Golang":"g","Value":{{"a":[1]}},"Status":0,"FilePath":"f","Offset":1,"Addrs":{{"p":["a"]}},"ID":"i","PublicKey":"k","Addresses":["a"],"AgentVersion":"v","Protocols":["p"],"RepoSize":1,"StorageMax":2,"NumObjects":3,"RepoPath":"r","Wantlist":[],"State":"s"}}"#
    );
    (0..count).map(|at| [&[at as u8, 0], all.as_bytes()].concat()).collect()
}

fn escaped(input: &[u8]) {
    let Ok(name) = std::str::from_utf8(input) else { return };
    let escaped = escape(name);
    assert!(!escaped.chars().any(char::is_control), "{escaped:?}");
    assert_eq!(escape(&escaped), escaped, "what is safe stays as it is");
}

fn names() -> Vec<Vec<u8>> {
    ["plain \u{e4}.txt", "a\u{1b}[2J\r\n\tb", "\u{202e}cod.exe\u{200b}", "back\\slash\u{85}"]
        .map(|seed| seed.as_bytes().to_vec())
        .to_vec()
}
