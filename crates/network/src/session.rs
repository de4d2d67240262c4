//! Fetching blocks: the asking side as callers see it.
//!
//! A [`Session`] stands for one purpose, such as one file: a peer that had one of its blocks is
//! asked first for the next. Two sessions that want the same block share one request.
//!
//! Invariants: at most [`FETCH_WINDOW`] blocks of one call are asked for or wait to be taken, so
//! a slow caller holds back the peers and not the memory; dropping the future or the stream
//! withdraws what is still wanted.
//! Not here: who is asked (`bitswap/client.rs`).

use crate::{
    bitswap::engine::{Command, Want},
    retrieval::Seeker,
};
use cairn_block::{Block, BlockError, Cid};
use futures::{Stream, StreamExt as _, future::BoxFuture, stream};
use std::{
    collections::HashSet,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

/// Blocks that one call may have asked for and not yet taken.
pub(crate) const FETCH_WINDOW: usize = 512;

/// Where an error's message says the block was looked for.
const PLACE: &str = "on the network";

/// One block of a fetch: its place among the CIDs asked for, and what came.
pub type Arrival = (usize, Result<Block, BlockError>);

/// A purpose for which blocks are fetched; cheap to clone.
#[derive(Debug, Clone)]
pub struct Session {
    pub(crate) id: u64,
    pub(crate) seeker: Arc<Seeker>,
    pub(crate) fetches: Arc<AtomicU64>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) patience: Option<Duration>,
}

impl Session {
    /// Gives up when nothing has arrived for `patience`; without this, waits for ever.
    #[must_use]
    pub fn with_timeout(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Fetches blocks and returns them in the order asked for, each verified.
    ///
    /// All of them are in memory at the end: for more than some hundred use
    /// [`Session::fetch_stream`]. Dropping the future withdraws the wants.
    ///
    /// # Errors
    ///
    /// Each block's own: [`BlockError::NotFound`] after the timeout or when the network has been
    /// shut down.
    pub async fn fetch_many(&self, cids: &[Cid]) -> Vec<Result<Block, BlockError>> {
        let missing = |cid: &Cid| Err(not_found(cid));
        let mut answers: Vec<_> = cids.iter().map(missing).collect();
        let mut arrivals = pin!(self.fetch_stream(cids.to_vec()));
        while let Some((place, answer)) = arrivals.next().await {
            answers[place] = answer;
        }
        answers
    }

    /// Fetches blocks and yields them as they come, each with its place in `cids`.
    ///
    /// Every CID is answered exactly once. Dropping the stream withdraws the wants.
    pub fn fetch_stream(&self, cids: Vec<Cid>) -> impl Stream<Item = Arrival> + Send + use<> {
        // Arrivals are never more than the window, so the engine never finds this full.
        let (answers, arrivals) = mpsc::channel(FETCH_WINDOW);
        let fetch = Fetch {
            session: self.clone(),
            id: self.fetches.fetch_add(1, Ordering::Relaxed),
            next: 0,
            outstanding: HashSet::new(),
            answers,
            arrivals,
            cids,
            over: false,
            search: None,
        };
        stream::unfold(fetch, |mut fetch| async move {
            let arrival = fetch.next().await?;
            Some((arrival, fetch))
        })
    }
}

/// Waits for the end of a search; of none, for ever.
async fn ended(search: &mut Option<BoxFuture<'static, ()>>) {
    match search {
        Some(search) => search.await,
        None => std::future::pending().await,
    }
}

fn not_found(cid: &Cid) -> BlockError {
    BlockError::NotFound { cid: cid.clone(), place: PLACE }
}

/// One call's progress.
struct Fetch {
    session: Session,
    id: u64,
    cids: Vec<Cid>,
    /// The first of `cids` not yet asked for.
    next: usize,
    outstanding: HashSet<usize>,
    answers: mpsc::Sender<Arrival>,
    arrivals: mpsc::Receiver<Arrival>,
    /// Set once the rest is given up.
    over: bool,
    /// Looks for those who have what is wanted, while nothing comes.
    search: Option<BoxFuture<'static, ()>>,
}

impl Fetch {
    async fn next(&mut self) -> Option<Arrival> {
        if let Some(inlined) = self.ask_for_more().await {
            return Some(inlined);
        }
        if self.over {
            return self.give_up();
        }
        if self.outstanding.is_empty() {
            return None;
        }
        let arrival = match self.session.patience {
            Some(patience) => timeout(patience, self.arrival()).await.ok().flatten(),
            None => self.arrival().await,
        };
        // Somebody has it: more are looked for when nothing comes any more.
        self.search = None;
        let Some(arrival) = arrival else {
            self.over = true;
            self.arrivals.close();
            return self.give_up();
        };
        self.outstanding.remove(&arrival.0);
        Some(arrival)
    }

    /// Waits for a block; whenever nothing comes for a while, providers are searched for.
    async fn arrival(&mut self) -> Option<Arrival> {
        loop {
            let seeker = &self.session.seeker;
            let is_due = self.search.is_none() && seeker.is_on();
            tokio::select! {
                biased;
                arrival = self.arrivals.recv() => return arrival,
                () = ended(&mut self.search), if self.search.is_some() => self.search = None,
                () = sleep(seeker.pause()), if is_due => {
                    let wanted = self.outstanding.iter().min().map(|place| &self.cids[*place]);
                    self.search = wanted.map(|cid| seeker.search(cid));
                }
            }
        }
    }

    /// Fills the window when half of it is free; an identity CID is its own answer.
    async fn ask_for_more(&mut self) -> Option<Arrival> {
        if self.over || self.outstanding.len() > FETCH_WINDOW / 2 {
            return None;
        }
        let mut wants = Vec::new();
        let mut inlined = None;
        while let Some(cid) = self.cids.get(self.next)
            && self.outstanding.len() < FETCH_WINDOW
        {
            let (cid, place) = (cid.clone(), self.next);
            self.next += 1;
            if let Some(data) = cid.inlined() {
                let data = bytes::Bytes::copy_from_slice(data);
                inlined = Some((place, Block::verify(cid, data)));
                break;
            }
            self.session.seeker.wants(&cid);
            self.outstanding.insert(place);
            wants.push((place, cid));
        }
        if !wants.is_empty() {
            let answers = self.answers.clone();
            let want = Want { session: self.session.id, fetch: self.id, cids: wants, answers };
            self.over = self.session.commands.send(Command::Want(want)).await.is_err();
        }
        inlined
    }

    fn give_up(&mut self) -> Option<Arrival> {
        let place = self.outstanding.iter().next().copied();
        let place = match place {
            Some(place) => {
                self.outstanding.remove(&place);
                place
            }
            None if self.next < self.cids.len() => {
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        Some((place, Err(not_found(&self.cids[place]))))
    }
}
