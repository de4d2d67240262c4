//! Goes through a tree of blocks in order, fetching far ahead of where it stands.
//!
//! The order of answers is the order of the tree, whatever the order of arrival: a block that
//! arrives early is opened early, its children take their place in the queue right behind it,
//! and are fetched too. So a reader waits for the network once, not once a level.
//!
//! Invariants: at most [`Window`] blocks and bytes are asked for and not yet handed out (but for
//! the one in front, which is always asked for); at most [`PENDING_MAX`] items wait; several
//! `get_many` batches are in flight, polled by the caller, nothing is spawned.
//! Not here: what to do at each block (`walk.rs`; reading and listing in `cairn-unixfs`).

use cairn_block::{BLOCK_LEN_MAX, Block, BlockError, BlockStore, Cid};
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

/// Most items that may wait to be handed out, at some 250 bytes each.
///
/// Several directories of as many links as a block holds, one inside the other, fit.
pub const PENDING_MAX: usize = 1 << 18;

/// With this many items waiting, blocks are no longer opened before their turn.
const OPEN_AHEAD_MAX: usize = 16 * 1024;

/// Blocks in the first batch; it doubles up to [`BATCH_MAX`].
const BATCH_FIRST: usize = 4;

/// Most blocks in one batch.
const BATCH_MAX: usize = 32;

/// Batches that fit into the window while it grows.
const BATCHES_IN_FLIGHT: usize = 8;

/// What a block of unknown length counts for in the window, in bytes.
const LEN_UNKNOWN: usize = 256 * 1024;

/// How far ahead blocks are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Most blocks asked for and not handed out.
    pub blocks: usize,
    /// Most bytes in them.
    pub bytes: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { blocks: 256, bytes: 32 * 1024 * 1024 }
    }
}

/// One place in the tree.
#[derive(Debug, Clone)]
pub struct Item<T> {
    /// The block.
    pub cid: Cid,
    /// What the caller wants to know again when the block's turn comes.
    pub tag: T,
    /// Whether the block has to be fetched; if not, it is handed out without.
    pub fetch: bool,
    /// The block's length in bytes, where the link tells. A link that understates it has all
    /// later blocks counted as if they were that long.
    pub len: Option<u64>,
}

/// The items below a block, in order.
pub type Below<T, E> = Result<Vec<Item<T>>, E>;

/// What the caller knows about opening blocks.
pub trait Opener {
    /// What is remembered with each item.
    type Tag: Send;
    /// Why a block cannot be opened.
    type Error;

    /// Returns the items below a block, in order.
    ///
    /// Called once a block that was fetched, as soon as it is there, which may be before its
    /// turn; `early` says so, and `None` then means "ask again when its turn comes".
    fn open(
        &mut self,
        tag: &mut Self::Tag,
        block: &Block,
        early: bool,
    ) -> Option<Below<Self::Tag, Self::Error>>;

    /// Whether an item whose turn has come is left out, with everything below it.
    fn skips(&mut self, _cid: &Cid, _tag: &Self::Tag) -> bool {
        false
    }
}

/// An item whose turn has come.
#[derive(Debug)]
pub struct Arrival<T, E> {
    /// The block's CID.
    pub cid: Cid,
    /// What was remembered.
    pub tag: T,
    /// The block, unless it was not to be fetched.
    pub block: Option<Block>,
    /// Whether all went well.
    pub result: Result<(), Failure<E>>,
}

/// Why an item cannot be handed out whole.
#[derive(Debug)]
pub enum Failure<E> {
    /// The block could not be had.
    Block(BlockError),
    /// The caller could not open it.
    Open(E),
    /// Its children would exceed [`PENDING_MAX`].
    TooWide,
}

type Answers = Vec<Result<Option<Block>, BlockError>>;

const NIL: u32 = u32::MAX;

enum State<E> {
    Waiting,
    Requested,
    /// With the outcome of opening it, once it was opened; boxed, since few slots have one.
    Here(Box<Here<E>>),
    Failed(BlockError),
    NotFetched,
}

struct Here<E> {
    block: Block,
    outcome: Option<Result<(), Failure<E>>>,
}

struct Slot<O: Opener> {
    item: Item<O::Tag>,
    state: State<O::Error>,
    next: u32,
    /// What it counts for in the window while it is requested or here.
    charge: usize,
}

/// The queue: a linked list in the order of the tree, whose front part is being fetched.
pub struct Ahead<'s, S, O: Opener> {
    store: S,
    opener: O,
    slots: Vec<Option<Slot<O>>>,
    free: Vec<u32>,
    head: u32,
    in_flight: FuturesUnordered<BoxFuture<'s, (Vec<u32>, Answers)>>,
    window: Window,
    batch: usize,
    /// How many slots are in the state `Waiting`.
    unasked: usize,
    charged_blocks: usize,
    charged_bytes: usize,
    /// The longest block that was longer than its link said; no later one is charged less.
    len_floor: usize,
    /// What the block asked for last counts for.
    len_usual: usize,
}

impl<S, O: Opener> std::fmt::Debug for Ahead<'_, S, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.slots.len() - self.free.len();
        f.debug_struct("Ahead").field("waiting", &waiting).finish_non_exhaustive()
    }
}

impl<'s, S, O> Ahead<'s, S, O>
where
    S: BlockStore + Clone + 's,
    O: Opener,
{
    /// Starts with `roots`, in order; nothing is fetched before the first [`Ahead::next`].
    pub fn new(store: S, opener: O, window: Window, roots: Vec<Item<O::Tag>>) -> Self {
        let mut ahead = Self {
            store,
            opener,
            slots: Vec::new(),
            free: Vec::new(),
            head: NIL,
            in_flight: FuturesUnordered::new(),
            window,
            batch: BATCH_FIRST,
            unasked: 0,
            charged_blocks: 0,
            charged_bytes: 0,
            len_floor: 0,
            len_usual: 0,
        };
        ahead.insert_after(NIL, roots);
        ahead
    }

    /// The opener, to look at what it has gathered.
    pub fn opener(&mut self) -> &mut O {
        &mut self.opener
    }

    /// Returns the next item in the order of the tree, or `None` at the end.
    ///
    /// Safe to cancel: what is in flight stays in flight until the next call.
    pub async fn next(&mut self) -> Option<Arrival<O::Tag, O::Error>> {
        loop {
            self.skip_unwanted();
            if self.head == NIL {
                return None;
            }
            self.request();
            if self.front_is_ready() {
                return self.take_front();
            }
            let (slots, answers) = self.in_flight.next().await?;
            self.arrive(slots, answers);
        }
    }

    fn slot(&mut self, index: u32) -> &mut Slot<O> {
        self.slots[index as usize].as_mut().expect("invariant: a linked slot is filled")
    }

    fn waiting(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Links `items` in behind slot `after`, or in front of everything.
    fn insert_after(&mut self, after: u32, items: Vec<Item<O::Tag>>) {
        let mut next = if after == NIL { self.head } else { self.slot(after).next };
        for item in items.into_iter().rev() {
            let state = if item.fetch { State::Waiting } else { State::NotFetched };
            self.unasked += usize::from(item.fetch);
            let slot = Some(Slot { item, state, next, charge: 0 });
            next = if let Some(index) = self.free.pop() {
                self.slots[index as usize] = slot;
                index
            } else {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            };
        }
        if after == NIL {
            self.head = next;
        } else {
            self.slot(after).next = next;
        }
    }

    fn unlink_front(&mut self) -> Option<Slot<O>> {
        let index = self.head;
        let slot = self.slots.get_mut(index as usize)?.take()?;
        self.head = slot.next;
        self.free.push(index);
        self.unasked -= usize::from(matches!(slot.state, State::Waiting));
        if slot.charge > 0 {
            self.charged_blocks -= 1;
            self.charged_bytes -= slot.charge;
        }
        Some(slot)
    }

    /// Drops unwanted items at the front; one in flight stays until it has arrived.
    fn skip_unwanted(&mut self) {
        while let Some(Some(front)) = self.slots.get(self.head as usize) {
            let in_flight = matches!(front.state, State::Requested);
            if in_flight || !self.opener.skips(&front.item.cid, &front.item.tag) {
                return;
            }
            self.unlink_front();
        }
    }

    fn front_is_ready(&mut self) -> bool {
        let head = self.head;
        !matches!(self.slot(head).state, State::Waiting | State::Requested)
    }

    /// Asks for the first blocks that have not been asked for, as far as the window allows.
    fn request(&mut self) {
        let head = self.head;
        let front_waits = matches!(self.slot(head).state, State::Waiting);
        let full = self.window.blocks.min(self.batch * BATCHES_IN_FLIGHT);
        // Room for a whole batch, so that batches stay large when the window is full.
        let batch_bytes = self.len_usual.saturating_mul(self.batch).min(self.window.bytes / 2);
        let has_room = self.charged_blocks + self.batch.min(full) <= full
            && self.charged_bytes + batch_bytes <= self.window.bytes;
        if self.unasked == 0 || !(front_waits || has_room) {
            return;
        }
        let (mut slots, mut cids) = (Vec::new(), Vec::new());
        let mut index = head;
        while index != NIL && slots.len() < self.batch {
            let over = self.charged_blocks >= full || self.charged_bytes >= self.window.bytes;
            if over && !(front_waits && slots.is_empty()) {
                break;
            }
            let floor = self.len_floor.max(1);
            let slot = self.slot(index);
            let next = slot.next;
            if matches!(slot.state, State::Waiting) {
                slot.state = State::Requested;
                let len = slot.item.len.map_or(LEN_UNKNOWN as u64, |len| len);
                slot.charge = (len.min(BLOCK_LEN_MAX as u64) as usize).max(floor);
                let (cid, charge) = (slot.item.cid.clone(), slot.charge);
                self.len_usual = charge;
                self.unasked -= 1;
                self.charged_blocks += 1;
                self.charged_bytes += charge;
                slots.push(index);
                cids.push(cid);
            }
            index = next;
        }
        if !slots.is_empty() {
            self.batch = (self.batch * 2).min(BATCH_MAX);
            let store = self.store.clone();
            self.in_flight.push(Box::pin(async move {
                let answers = store.get_many(&cids).await;
                (slots, answers)
            }));
        }
    }

    fn arrive(&mut self, slots: Vec<u32>, answers: Answers) {
        let mut answers = answers.into_iter();
        for index in slots {
            let answer = answers.next();
            let slot = self.slot(index);
            match answer {
                Some(Ok(Some(block))) => {
                    let (old, new) = (slot.charge, block.data().len().max(1));
                    slot.charge = new;
                    slot.state = State::Here(Box::new(Here { block, outcome: None }));
                    self.charged_bytes = self.charged_bytes - old + new;
                    if new > old {
                        self.len_floor = self.len_floor.max(new);
                    }
                    if self.waiting() < OPEN_AHEAD_MAX {
                        self.open(index, true);
                    }
                }
                Some(Err(error)) => slot.state = State::Failed(error),
                Some(Ok(None)) | None => {
                    let cid = slot.item.cid.clone();
                    slot.state = State::Failed(BlockError::NotFound { cid, place: "locally" });
                }
            }
        }
    }

    /// Opens a block that is here and has not been opened, and queues what is below it.
    fn open(&mut self, index: u32, early: bool) {
        let waiting = self.waiting();
        let slot = self.slots[index as usize].as_mut().expect("invariant: a linked slot is filled");
        let State::Here(here) = &mut slot.state else { return };
        let Here { block, outcome } = &mut **here;
        if outcome.is_some() {
            return;
        }
        match self.opener.open(&mut slot.item.tag, block, early) {
            None => {}
            Some(Err(error)) => *outcome = Some(Err(Failure::Open(error))),
            Some(Ok(items)) if waiting + items.len() > PENDING_MAX => {
                drop(items);
                *outcome = Some(Err(Failure::TooWide));
            }
            Some(Ok(items)) => {
                *outcome = Some(Ok(()));
                self.insert_after(index, items);
            }
        }
    }

    fn take_front(&mut self) -> Option<Arrival<O::Tag, O::Error>> {
        self.open(self.head, false);
        let slot = self.unlink_front()?;
        let (block, result) = match slot.state {
            State::Here(here) => (Some(here.block), here.outcome.unwrap_or(Ok(()))),
            State::Failed(error) => (None, Err(Failure::Block(error))),
            State::NotFetched | State::Waiting | State::Requested => (None, Ok(())),
        };
        Some(Arrival { cid: slot.item.cid, tag: slot.item.tag, block, result })
    }
}
