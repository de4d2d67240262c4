//! One web server's requests.
//!
//! It takes the engine's messages as a connection's handler does, asks for each block by a
//! request of its own, and tells what came.
//!
//! Spec: Trustless Gateway, "Block Responses": `GET /ipfs/{cid}?format=raw`, HEAD for whether.
//! Invariants: no more than [`HOST_ASKS_MAX`] requests are under way; redirections are not
//! followed; a block counts only if it hashes to its name; a want that is withdrawn ends its
//! request.
//! Not here: which server, and for whom (`web.rs`).

use super::place::Place;
use crate::{
    bitswap::{
        engine::{Event, Gift, Link},
        wire::{Outgoing, WantEntry, WantKind},
    },
    routing::delegated::retry_after,
};
use cairn_block::{Base, Block, Cid, Version};
use cairn_hash::Multihash;
use cairn_web::{Ask, Client, WebError};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{AbortHandle, Abortable, BoxFuture},
    stream::FuturesUnordered,
};
use hyper::{
    Method, StatusCode,
    header::{ACCEPT, HeaderValue},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep, sleep_until, timeout},
};

/// Requests to one server under way at once.
const HOST_ASKS_MAX: usize = 8;

/// How long a server that nobody wants anything of is kept.
const IDLE_MAX: Duration = Duration::from_mins(2);

/// How long one block may take in all, and how long each piece of it.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(30);
const PIECE_PATIENCE: Duration = Duration::from_secs(10);

/// How often one block is asked for when the server is busy or breaks off.
const ATTEMPTS_MAX: u32 = 3;

/// Failures in a row after which the server is left.
const FAILURES_MAX: u32 = 3;

/// How long a server that says it is busy is waited for, unless it says for how long.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that a want waits for; a server that asks for more is left.
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(10);

/// Blocks of more bytes than this are hashed on the blocking pool.
const INLINE_LEN_MAX: usize = 64 * 1024;

/// The media type of blocks.
const RAW: &str = "application/vnd.ipld.raw";

/// Why a server is asked no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody wanted anything of it for a while.
    Idle,
    /// It failed too often, or wants to be left alone for so long.
    Failed(Duration),
    /// It sent something else than was asked for.
    Lied,
}

/// What one request came to.
#[derive(Debug)]
enum Outcome {
    Block(Block),
    Has(bool),
    /// It does not answer this, for whatever reason of its own.
    Refused,
    Busy(Option<Duration>),
    Broken,
    Lied,
}

/// One want.
#[derive(Debug)]
struct Item {
    cid: Cid,
    kind: WantKind,
    attempts: u32,
    /// Ends the request under way.
    running: Option<AbortHandle>,
}

/// Asks one server.
pub(super) struct Worker {
    pub(super) link: Link,
    pub(super) place: Place,
    pub(super) messages: mpsc::Receiver<Outgoing>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) web: Client,
    pub(super) turns: Arc<Semaphore>,
    pub(super) block_len_max: usize,
}

/// A request that has ended, with its share of those that may be under way.
type Ended = (Multihash, Outcome, Option<OwnedSemaphorePermit>);

type Running = FuturesUnordered<BoxFuture<'static, Option<Ended>>>;

/// What is wanted, and how the server does.
#[derive(Default)]
struct Progress {
    items: HashMap<Multihash, Item>,
    /// Those that are not asked for yet, and perhaps some that are wanted no more.
    queue: VecDeque<Multihash>,
    failures: u32,
    resume: Option<Instant>,
}

impl Worker {
    /// Tells the engine that the server is there, and works until it is needed no more.
    pub(super) async fn run(mut self, sender: mpsc::Sender<Outgoing>) -> End {
        if self.events.send(Event::Web(self.link, sender)).await.is_err() {
            return End::Idle;
        }
        let mut progress = Progress::default();
        let mut running = Running::new();
        loop {
            self.start(&mut progress, &mut running);
            let is_paused = progress.resume.is_some();
            let resume = progress.resume.unwrap_or_else(Instant::now);
            tokio::select! {
                message = self.messages.recv() => {
                    let Some(message) = message else { return End::Idle };
                    let len = message.len();
                    progress.take(message);
                    drop(self.events.send(Event::Sent(self.link, len)).await);
                }
                Some(done) = running.next() => {
                    let Some((hash, outcome, permit)) = done else { continue };
                    let gift = match progress.done(&hash, outcome) {
                        Ok(Some(gift)) => gift,
                        Ok(None) => continue,
                        Err(end) => return end,
                    };
                    // The permit goes along, so blocks that wait for the engine are few.
                    drop(self.events.send(Event::Fetched { link: self.link, gift, permit }).await);
                }
                () = sleep_until(resume), if is_paused => progress.resume = None,
                () = sleep(IDLE_MAX), if progress.items.is_empty() => return End::Idle,
            }
        }
    }

    /// Starts as many requests as there may be.
    fn start(&self, progress: &mut Progress, running: &mut Running) {
        while running.len() < HOST_ASKS_MAX && progress.resume.is_none() {
            let Some(hash) = progress.queue.pop_front() else { return };
            let Some(item) = progress.items.get_mut(&hash) else { continue };
            if item.running.is_some() {
                continue;
            }
            let (handle, registration) = AbortHandle::new_pair();
            item.running = Some(handle);
            item.attempts += 1;
            let request = Request {
                web: self.web.clone(),
                url: url(&self.place, &item.cid),
                cid: item.cid.clone(),
                kind: item.kind,
                block_len_max: self.block_len_max,
            };
            let turns = Arc::clone(&self.turns);
            let asking = async move {
                let turn = turns.acquire_owned().await.ok();
                let asked = timeout(BLOCK_TIMEOUT, request.run()).await;
                (hash, asked.unwrap_or(Outcome::Broken), turn)
            };
            running.push(Abortable::new(asking, registration).map(Result::ok).boxed());
        }
    }
}

impl Progress {
    /// Takes the end of a request; returns what the engine is told, if this is the end of the
    /// want as well.
    fn done(&mut self, hash: &Multihash, outcome: Outcome) -> Result<Option<Gift>, End> {
        let Some(item) = self.items.get_mut(hash) else { return Ok(None) };
        item.running = None;
        let may_retry = item.attempts < ATTEMPTS_MAX;
        let gift = match outcome {
            Outcome::Lied => return Err(End::Lied),
            Outcome::Block(block) => Gift::Block(block),
            Outcome::Has(has) => Gift::Presence(item.cid.clone(), has),
            Outcome::Refused | Outcome::Broken => {
                self.failures += 1;
                if self.failures >= FAILURES_MAX {
                    return Err(End::Failed(Duration::ZERO));
                }
                if matches!(outcome, Outcome::Broken) && may_retry {
                    self.queue.push_back(hash.clone());
                    return Ok(None);
                }
                Gift::Presence(item.cid.clone(), false)
            }
            Outcome::Busy(pause) => {
                let pause = pause.unwrap_or(BUSY_PAUSE);
                if pause > BUSY_PAUSE_MAX {
                    return Err(End::Failed(pause));
                }
                self.resume = Some(Instant::now() + pause);
                if may_retry {
                    self.queue.push_front(hash.clone());
                    return Ok(None);
                }
                Gift::Presence(item.cid.clone(), false)
            }
        };
        if !matches!(gift, Gift::Presence(_, false)) {
            self.failures = 0;
        }
        self.items.remove(hash);
        Ok(Some(gift))
    }

    /// Takes what the engine says: what is wanted now, and what no more.
    fn take(&mut self, message: Outgoing) {
        if message.full {
            let wanted =
                |hash: &Multihash| message.wants.iter().any(|entry| entry.cid.multihash() == hash);
            for (_, item) in self.items.extract_if(|hash, _| !wanted(hash)) {
                item.end();
            }
        }
        for entry in message.wants {
            self.want(entry);
        }
    }

    fn want(&mut self, entry: WantEntry) {
        let hash = entry.cid.multihash().clone();
        if entry.cancel {
            if let Some(item) = self.items.remove(&hash) {
                item.end();
            }
            return;
        }
        if let Some(item) = self.items.get_mut(&hash) {
            let is_more = item.kind == WantKind::Have && entry.kind == WantKind::Block;
            if !is_more {
                return;
            }
            // Whether it has the block is seen by asking for it.
            if let Some(handle) = item.running.take() {
                handle.abort();
            }
        }
        let item = Item { cid: entry.cid, kind: entry.kind, attempts: 0, running: None };
        self.items.insert(hash.clone(), item);
        self.queue.push_back(hash);
    }
}

impl Item {
    fn end(self) {
        if let Some(handle) = self.running {
            handle.abort();
        }
    }
}

fn url(place: &Place, cid: &Cid) -> String {
    let cid = cid.with_version(Version::V1).unwrap_or_else(|_| cid.clone());
    format!("{}/ipfs/{}?format=raw", place.base(), cid.to_text(Base::Base32Lower))
}

/// One request.
struct Request {
    web: Client,
    url: String,
    cid: Cid,
    kind: WantKind,
    block_len_max: usize,
}

impl Request {
    async fn run(self) -> Outcome {
        let mut ask = Ask::get(self.url.as_str());
        if self.kind == WantKind::Have {
            ask.method = Method::HEAD;
        }
        ask.patience = PIECE_PATIENCE;
        ask.headers.insert(ACCEPT, HeaderValue::from_static(RAW));
        let answer = match self.web.send(ask).await {
            Ok(answer) => answer,
            Err(WebError::Url { .. }) => return Outcome::Refused,
            Err(_) => return Outcome::Broken,
        };
        match answer.status() {
            StatusCode::OK if self.kind == WantKind::Have => Outcome::Has(true),
            StatusCode::OK => match answer.whole(self.block_len_max).await {
                Ok(bytes) => verified(self.cid, bytes).await,
                Err(WebError::TooLong { .. }) => Outcome::Refused,
                Err(_) => Outcome::Broken,
            },
            // The last two: it has looked elsewhere for long enough, or looks nowhere else.
            StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::PRECONDITION_FAILED => Outcome::Has(false),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::BAD_GATEWAY => Outcome::Busy(retry_after(answer.headers())),
            _ => Outcome::Refused,
        }
    }
}

async fn verified(cid: Cid, bytes: bytes::Bytes) -> Outcome {
    let verified = if bytes.len() <= INLINE_LEN_MAX {
        Block::verify(cid, bytes)
    } else {
        cairn_runtime::blocking(move || Block::verify(cid, bytes)).await
    };
    verified.map_or(Outcome::Lied, Outcome::Block)
}
