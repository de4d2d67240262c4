//! A small HTTP/1.1 client that keeps its connection: what a client library of the RPC API does.
//!
//! It sends each request in one write, so that no delay of a client is measured, and knows lengths
//! and chunks. Invariants: an answer is bounded by [`ANSWER_LEN_MAX`] a chunk, every wait by
//! [`TIMEOUT`]; a failure told in a trailer is a failure.
//! Not here: the client of the tests, which shares nothing with this one (`tests/src/http.rs`).

use anyhow::{Context as _, Result, bail};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longest silence of a server.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Most bytes of one chunk, or of an answer that names its length.
const ANSWER_LEN_MAX: usize = 64 << 20;

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to a server.
    pub(crate) fn connect(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).context("could not reach the RPC API")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { stream: BufReader::with_capacity(1 << 16, stream) })
    }

    /// Calls a command; returns its answer.
    pub(crate) fn call(&mut self, command: &str) -> Result<Vec<u8>> {
        self.send(&format!(
            "POST /api/v0/{command} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0"
        ))?;
        self.answer()
    }

    /// Calls a command and hands on its answer as it comes.
    pub(crate) fn stream(&mut self, command: &str, part: impl FnMut(&[u8])) -> Result<()> {
        self.send(&format!(
            "POST /api/v0/{command} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0"
        ))?;
        self.read(part)
    }

    /// Calls a command with one file; returns the last line of its answer.
    pub(crate) fn post_file(&mut self, command: &str, bytes: &[u8]) -> Result<String> {
        let mut body =
            b"--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n"
                .to_vec();
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n--limit--\r\n");
        let mut request = format!(
            "POST /api/v0/{command} HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: multipart/form-data; boundary=limit\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend(body);
        self.stream.get_mut().write_all(&request)?;
        let answer = String::from_utf8(self.answer()?)?;
        Ok(answer.trim_end().lines().next_back().unwrap_or_default().to_owned())
    }

    fn send(&mut self, head: &str) -> Result<()> {
        let request = format!("{head}\r\n\r\n");
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }

    fn answer(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        self.read(|part| body.extend_from_slice(part))?;
        Ok(body)
    }

    fn read(&mut self, mut part: impl FnMut(&[u8])) -> Result<()> {
        let status = self.line()?;
        let (mut len, mut chunked) = (0, false);
        loop {
            let field = self.line()?.to_ascii_lowercase();
            match field.split_once(':') {
                None => break,
                Some(("content-length", value)) => len = value.trim().parse()?,
                Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
                Some(_) => {}
            }
        }
        let mut failure = String::new();
        if chunked {
            loop {
                let size = self.line()?;
                let len = usize::from_str_radix(size.trim(), 16).context("not a chunk")?;
                if len == 0 {
                    break;
                }
                self.bytes(len, &mut part)?;
                self.line()?;
            }
            loop {
                let trailer = self.line()?;
                if trailer.is_empty() {
                    break;
                }
                failure = trailer;
            }
        } else {
            self.bytes(len, &mut |bytes: &[u8]| {
                if !status.contains(" 200") {
                    failure = String::from_utf8_lossy(bytes).into_owned();
                }
                part(bytes);
            })?;
        }
        if !status.contains(" 200") || !failure.is_empty() {
            bail!("the RPC API answered {status} {failure}");
        }
        Ok(())
    }

    fn bytes(&mut self, len: usize, part: &mut impl FnMut(&[u8])) -> Result<()> {
        if len > ANSWER_LEN_MAX {
            bail!("an answer of {len} bytes at once");
        }
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes)?;
        part(&bytes);
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the server closed the connection");
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
