//! Running a command: its answer as a stream, and what it may use.
//!
//! [`start`] is the whole transport inside one process. The HTTP server puts the same stream on
//! the wire, so that a command cannot tell who asked.
//!
//! Invariants: an answer is polled in place and spawns nothing, so dropping it cancels the
//! command; between command and reader wait at most [`OUTPUTS_MAX`] outputs.
//! Not here: HTTP (`http`), text (`text`).

use crate::{Request, RpcError, command::Needs};
use bytes::Bytes;
use cairn_node::{AddEntries, Blocks, Node};
use futures::{FutureExt as _, Stream, future::BoxFuture};
use serde::Serialize;
use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// Most outputs that wait to be read. Data pieces are at most a block, so this bounds bytes, too.
pub(crate) const OUTPUTS_MAX: usize = 16;

/// How long the rest of a request is waited for that has its answer.
const LINGER: Duration = Duration::from_secs(1);

/// What the process offers to commands.
#[derive(Debug, Clone)]
pub struct Host {
    /// The node, unless the command needs none.
    pub node: Option<Node>,
    /// Whether this process is a daemon.
    pub is_daemon: bool,
}

/// One call: the request, its files, and where the answer goes.
#[derive(Debug)]
pub struct Call {
    /// What was asked.
    pub request: Request,
    /// What the process offers.
    pub host: Host,
    /// Where the answer goes.
    pub out: Emitter,
    files: Option<Files>,
    pub(crate) blocks: OnceLock<Blocks>,
}

/// The files of a request, until they are taken.
pub struct Files {
    /// The lock only makes the call shareable.
    entries: Mutex<AddEntries>,
    are_here: bool,
}

impl Files {
    /// Files whose bytes are all in memory, and few: nobody needs to be waited for.
    pub(crate) fn here(entries: AddEntries) -> Self {
        Self { entries: Mutex::new(entries), are_here: true }
    }

    /// Whether nobody needs to be waited for.
    pub(crate) fn are_here(&self) -> bool {
        self.are_here
    }

    /// The files one after the other; reading them may block.
    pub(crate) fn into_entries(self) -> AddEntries {
        self.entries.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<AddEntries> for Files {
    fn from(entries: AddEntries) -> Self {
        Self { entries: Mutex::new(entries), are_here: false }
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("are_here", &self.are_here).finish_non_exhaustive()
    }
}

impl Call {
    /// The node.
    ///
    /// # Errors
    ///
    /// If the process that was asked has none.
    pub fn node(&self) -> Result<&Node, RpcError> {
        let none = || RpcError::failed("this command needs a repository");
        self.host.node.as_ref().ok_or_else(none)
    }

    /// The request's files, once.
    ///
    /// # Errors
    ///
    /// [`crate::Fault::Request`] if none were sent.
    pub fn take_files(&mut self) -> Result<Files, RpcError> {
        let name = self.request.command().file_argument().map_or("file", |argument| argument.name);
        let missing = || RpcError::request(format!("file argument '{name}' is required"));
        self.files.take().ok_or_else(missing)
    }
}

/// One piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The whole answer, as JSON.
    Single(Bytes),
    /// A piece of the whole answer, which is too long to be put together first; such pieces are
    /// all that comes.
    Part(Bytes),
    /// One or some of many answers, as JSON, each on a line; see [`answers_of`].
    Event(Bytes),
    /// Bytes follow; always before the first [`Output::Data`].
    Stream(StreamHead),
    /// Some of the bytes.
    Data(Bytes),
}

/// The answers in an [`Output::Event`] or [`Output::Single`], one after the other.
pub fn answers_of(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    json.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace))
}

/// What is known about bytes before they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHead {
    /// Their type.
    pub content_type: &'static str,
    /// How many of content there are, before packing and compression.
    pub len: Option<u64>,
}

/// Where a command puts its answer.
#[derive(Debug, Clone)]
pub struct Emitter(mpsc::Sender<Output>);

impl Emitter {
    /// Answers with one value and nothing else.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub async fn once(&self, value: &(impl Serialize + Sync)) -> Result<(), RpcError> {
        self.put(Output::Single(serde_json::to_vec(value)?.into())).await
    }

    /// Answers with one value, which is JSON already, and nothing else.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub(crate) async fn once_json(&self, json: Vec<u8>) -> Result<(), RpcError> {
        self.put(Output::Single(json.into())).await
    }

    /// Answers with a piece of the only value, as JSON; the last one ends with a line's end.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub(crate) async fn part(&self, json: Vec<u8>) -> Result<(), RpcError> {
        self.put(Output::Part(json.into())).await
    }

    /// Announces many values, the first of which may be long in coming.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub(crate) async fn begin(&self) -> Result<(), RpcError> {
        self.put(Output::Event(Bytes::new())).await
    }

    /// Answers with one of many values.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub async fn event(&self, value: &(impl Serialize + Sync)) -> Result<(), RpcError> {
        self.put(Output::Event(serde_json::to_vec(value)?.into())).await
    }

    /// Answers with some of many values, which stand in `lines` as JSON, each with a line's end.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub(crate) async fn events(&self, mut lines: Vec<u8>) -> Result<(), RpcError> {
        lines.pop_if(|last| *last == b'\n');
        if lines.is_empty() { Ok(()) } else { self.put(Output::Event(lines.into())).await }
    }

    /// Announces bytes.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub async fn stream(&self, head: StreamHead) -> Result<(), RpcError> {
        self.put(Output::Stream(head)).await
    }

    /// Answers with some bytes.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub async fn data(&self, bytes: Bytes) -> Result<(), RpcError> {
        if bytes.is_empty() { Ok(()) } else { self.put(Output::Data(bytes)).await }
    }

    /// Answers with some bytes from a thread that may block.
    ///
    /// # Errors
    ///
    /// If nobody reads any more.
    pub fn blocking_data(&self, bytes: Bytes) -> Result<(), RpcError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.0.blocking_send(Output::Data(bytes)).map_err(|_| RpcError::gone())
    }

    async fn put(&self, output: Output) -> Result<(), RpcError> {
        self.0.send(output).await.map_err(|_| RpcError::gone())
    }
}

/// A command at work: a stream of outputs that ends, perhaps with one error.
///
/// Dropping it cancels the command.
pub struct Answer {
    work: Option<BoxFuture<'static, Result<(), RpcError>>>,
    feed: Option<BoxFuture<'static, ()>>,
    outputs: mpsc::Receiver<Output>,
    failure: Option<RpcError>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("is_working", &self.work.is_some()).finish_non_exhaustive()
    }
}

impl Answer {
    /// Runs `feed` beside the command, for as long as the answer is read: what brings its files.
    #[must_use]
    pub fn with_feed(mut self, feed: impl Future<Output = ()> + Send + 'static) -> Self {
        self.feed = Some(feed.boxed());
        self
    }

    /// Lets what brings the files come to its end, for a moment, when nobody reads them any more.
    pub(crate) async fn linger(&mut self) {
        self.work = None;
        if let Some(feed) = self.feed.take() {
            // A client that goes on for longer finds the connection closed.
            drop(timeout(LINGER, feed).await);
        }
    }
}

impl Stream for Answer {
    type Item = Result<Output, RpcError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.feed.as_mut().is_some_and(|feed| feed.poll_unpin(context).is_ready()) {
            this.feed = None;
        }
        if let Some(work) = &mut this.work
            && let Poll::Ready(result) = work.poll_unpin(context)
        {
            // The work owned the only sender, so the outputs end after what is queued.
            this.work = None;
            this.failure = result.err();
        }
        match this.outputs.poll_recv(context) {
            Poll::Ready(Some(output)) => Poll::Ready(Some(Ok(output))),
            Poll::Ready(None) if this.work.is_none() => Poll::Ready(this.failure.take().map(Err)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Starts a command; it goes on while the answer is read.
///
/// # Errors
///
/// [`crate::Fault::Request`] for a wrong count of arguments, a missing file or encoding, and
/// whatever [`Needs`] is not met.
pub fn start(request: Request, files: Option<Files>, host: Host) -> Result<Answer, RpcError> {
    request.check_arguments()?;
    let command = request.command();
    let Some(run) = command.run else { return Err(RpcError::no_command()) };
    if command.needs == Needs::Daemon && !host.is_daemon {
        return Err(not_online());
    }
    if let Some(argument) = command.file_argument()
        && argument.required
        && files.is_none()
    {
        return Err(RpcError::request(format!("file argument '{}' is required", argument.name)));
    }
    let timeout = request.timeout()?;
    let (sender, outputs) = mpsc::channel(OUTPUTS_MAX);
    let out = Emitter(sender);
    let work = run(Call { request, host, out, files, blocks: OnceLock::new() });
    let work = match timeout {
        None => work,
        Some(limit) => async move {
            let late = || RpcError::failed(format!("timed out after {limit:?}"));
            tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
        }
        .boxed(),
    };
    Ok(Answer { work: Some(work), feed: None, outputs, failure: None })
}

/// The error of commands that make no sense without a running daemon.
pub(crate) fn not_online() -> RpcError {
    RpcError::request(
        "this command must be run in online mode. Start a node with `cairn daemon` and try again",
    )
}

/// Whether a field of an answer is left out, as Go leaves out what is empty.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
