//! A web server that answers as a test tells it to, one request a connection.

use bytes::Bytes;
use std::{
    convert::Infallible,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

/// What is answered to one request.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    has_end: bool,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), has_end: true }
    }

    pub(crate) fn of(kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::status(200).with("Content-Type", kind) }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body goes on for ever after these bytes, and nothing more is sent.
    pub(crate) fn without_end(mut self) -> Self {
        self.has_end = false;
        self
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let has_len = self.headers.iter().any(|(name, _)| name == "Content-Length");
        if self.has_end && !has_len {
            write!(head, "Content-Length: {}\r\n", self.body.len()).unwrap();
        }
        head + "\r\n"
    }
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Bytes,
}

pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    left: Arc<Notify>,
    _serving: JoinSet<Infallible>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, left, answer) = (Arc::default(), Arc::default(), Arc::new(answer));
        let (told, leaving) = (Arc::clone(&asked), Arc::clone(&left));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, told, left) =
                    (Arc::clone(&answer), Arc::clone(&told), Arc::clone(&leaving));
                connections.spawn(async move {
                    // Whoever hangs up early has heard enough.
                    drop(serve(stream, &*answer, (&told, &left)).await);
                });
            }
        });
        Self { address, asked, left, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until a client leaves an answer that has no end.
    pub(crate) async fn until_left(&self) {
        self.left.notified().await;
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(&Asked) -> Reply + Send + Sync),
    (told, left): (&Mutex<Vec<Asked>>, &Notify),
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let len = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
    while bytes.len() < end + len {
        stream.read_buf(&mut bytes).await?;
    }
    let asked = Asked { head, body: Bytes::copy_from_slice(&bytes[end..]) };
    let reply = answer(&asked);
    told.lock().unwrap().push(asked);
    stream.write_all(reply.head().as_bytes()).await?;
    stream.write_all(&reply.body).await?;
    if !reply.has_end {
        let mut rest = [0; 16];
        while stream.read(&mut rest).await.unwrap_or(0) > 0 {}
        left.notify_one();
    }
    stream.shutdown().await
}
