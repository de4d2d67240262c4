//! The task that owns wants and ledgers.
use crate::{BitswapStat, LedgerInfo, PeerId, bitswap::Awaited, session::Arrival, swarm};
use cairn_block::{BlockStore, Cid};
use cairn_runtime::Tasks;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What the handle may ask of the engine.
#[derive(Debug)]
pub(crate) enum Command {
    Want(Want),
    Stat(oneshot::Sender<BitswapStat>),
    Wantlist(Option<PeerId>, oneshot::Sender<Vec<Cid>>),
    Ledger(PeerId, oneshot::Sender<Option<LedgerInfo>>),
}

/// Blocks wanted by one fetch.
#[derive(Debug)]
pub(crate) struct Want {
    pub(crate) session: u64,
    pub(crate) fetch: u64,
    pub(crate) cids: Vec<(usize, Cid)>,
    pub(crate) answers: mpsc::Sender<Arrival>,
}

/// What connects the engine with the rest.
pub(crate) struct Links {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) swarm: mpsc::Sender<swarm::Command>,
    pub(crate) awaited: Arc<Awaited>,
    pub(crate) tasks: Tasks,
    pub(crate) serve: bool,
}
pub(crate) fn events() -> ((), ()) { ((), ()) }
pub(crate) fn start<S: BlockStore + Clone + 'static>(links: Links, (): (), _store: S) {
    let Links { mut commands, tasks, .. } = links;
    tasks.spawn("bitswap", async move { while commands.recv().await.is_some() {} });
}
