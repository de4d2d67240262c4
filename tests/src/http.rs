//! A small HTTP/1.1 client: one request a connection, over a plain socket.
//!
//! It shares no code with the servers it talks to, so that an error in one does not hide in the
//! other, and it shows what it got: headers as sent, trailers, an abnormal end.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longest wait for the next bytes of an answer.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest wait for a connection on loopback.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is sent.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Path and query, as sent.
    pub target: &'a str,
    /// More headers than `Host` and `Connection`; a `Host` here replaces the usual one.
    pub headers: &'a [(&'a str, &'a str)],
    /// Sent with its length.
    pub body: &'a [u8],
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// Without its transfer coding.
    pub body: Vec<u8>,
    /// Headers after a chunked body.
    pub trailers: Vec<(String, String)>,
    /// Whether the body came to its announced end.
    pub whole: bool,
}

impl Answer {
    /// The first header called `name` (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a `GET` without headers.
pub fn get(server: SocketAddr, target: &str) -> Answer {
    send(server, &Request { method: "GET", target, ..Request::default() })
}

/// Sends a `POST` without headers or body.
pub fn post(server: SocketAddr, target: &str) -> Answer {
    send(server, &Request { method: "POST", target, ..Request::default() })
}

/// Sends a `POST` with one file as browsers and clients of the RPC API do.
///
/// # Panics
///
/// If the server does not answer.
pub fn post_file(server: SocketAddr, target: &str, name: &str, bytes: &[u8]) -> Answer {
    try_post_file(server, target, name, bytes).expect("the server answers")
}

/// [`post_file`] to a server that may die on the way; `None` if it did before it answered.
pub fn try_post_file(server: SocketAddr, target: &str, name: &str, bytes: &[u8]) -> Option<Answer> {
    let mut body = format!(
        "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--limit--\r\n");
    let headers = &[("Content-Type", "multipart/form-data; boundary=limit")];
    try_send(server, &Request { method: "POST", target, headers, body: &body })
}

/// Sends `request` and reads the whole answer.
///
/// # Panics
///
/// If the server cannot be reached or does not speak HTTP.
pub fn send(server: SocketAddr, request: &Request<'_>) -> Answer {
    try_send(server, request).expect("the server answers")
}

/// [`send`] to a server that may die on the way; `None` if it did before it answered.
pub fn try_send(server: SocketAddr, request: &Request<'_>) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, CONNECT_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(READ_TIMEOUT)).ok()?;
    let mut head =
        format!("{} {} HTTP/1.1\r\nConnection: close\r\n", request.method, request.target);
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        write!(head, "Host: {server}\r\n").expect("text takes text");
    }
    for (name, value) in request.headers {
        write!(head, "{name}: {value}\r\n").expect("text takes text");
    }
    if request.method != "GET" && request.method != "HEAD" {
        write!(head, "Content-Length: {}\r\n", request.body.len()).expect("text takes text");
    }
    head.push_str("\r\n");
    // A server may answer and close before it has read everything: what it said counts.
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(request.body));
    drop(sent);
    read(&mut BufReader::new(stream), request.method == "HEAD")
}

fn read(stream: &mut impl BufRead, head_only: bool) -> Option<Answer> {
    let status = line(stream)?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut answer = Answer { status, headers: fields(stream), ..Answer::default() };
    if status == 100 {
        return read(stream, head_only);
    }
    let len = answer.header("content-length").and_then(|text| text.parse().ok());
    if head_only || status == 204 || status == 304 {
        answer.whole = true;
    } else if answer.header("transfer-encoding") == Some("chunked") {
        answer.whole = read_chunks(stream, &mut answer.body).is_some();
        if answer.whole {
            answer.trailers = fields(stream);
        }
    } else if let Some(len) = len {
        let got = stream.take(len).read_to_end(&mut answer.body);
        answer.whole = got.is_ok() && answer.body.len() as u64 == len;
    } else {
        answer.whole = stream.read_to_end(&mut answer.body).is_ok();
    }
    Some(answer)
}

/// `None` if the stream ended before the last chunk.
fn read_chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let size = line(stream)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let len = u64::from_str_radix(size, 16).ok()?;
        if len == 0 {
            return Some(());
        }
        let got = stream.take(len).read_to_end(body).ok()?;
        if got as u64 != len || line(stream)?.as_str() != "" {
            return None;
        }
    }
}

fn fields(stream: &mut impl BufRead) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while let Some(line) = line(stream).filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':') {
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    fields
}

fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(len) if len > 0 => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn bodies_end_where_they_say() {
        for (text, body, whole) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "hi", false),
            ("HTTP/1.1 200 OK\r\n\r\nhi", "hi", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                "hi",
                true,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "hi", false),
        ] {
            let answer = read(&mut text.as_bytes(), false).unwrap();
            assert_eq!((answer.text().as_str(), answer.whole), (body, whole), "{text}");
        }
    }

    #[test]
    fn trailers_are_kept() {
        let text =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Error: broke\r\n\r\n";
        let answer = read(&mut text.as_bytes(), false).unwrap();
        assert_eq!(answer.trailers, [("x-error".to_owned(), "broke".to_owned())]);
    }
}
