//! Checks that what is pinned is there: every block below every recursive pin and the MFS root.
//!
//! Only blocks with links are read. Whether a block has some is told by the link to it: a leaf is
//! as long as all that is below it. Invariants: memory is [`SEEN_COUNT_MAX`] fingerprints and the
//! links not followed yet, [`PENDING_COUNT_MAX`] at most; over either, the check says that it
//! ends early.
//! Not here: fetching what is missing; that is `cairn pin verify`'s and the network's.

use crate::{
    MigrateError,
    blocks::Listener,
    report::{Event, Loss},
};
use cairn_block::{Block, Cid, codec};
use cairn_dag::{DagError, dag_pb, is_leaf};
use cairn_store::Store;
use std::collections::HashSet;

/// Blocks with links that are remembered, 16 bytes each and room.
const SEEN_COUNT_MAX: usize = 1 << 23;

/// Links that wait to be followed.
const PENDING_COUNT_MAX: usize = 1 << 22;

/// Blocks that are looked up or read together.
const BATCH_COUNT: usize = 64;

/// How many losses are named one by one for each root.
const NAMED_COUNT_MAX: u64 = 10;

/// A link that waits to be followed.
struct Link {
    cid: Cid,
    /// The length of everything below, as the link says.
    size: Option<u64>,
}

/// Checks DAGs, one root after the other.
pub(crate) struct Check<'a> {
    store: &'a Store,
    listener: &'a Listener,
    /// The first bytes of the digests of blocks with links that were followed.
    seen: HashSet<[u8; 16]>,
    unfollowed: u64,
    looked_at: u64,
    loss_count: u64,
    is_over: bool,
}

impl<'a> Check<'a> {
    pub(crate) fn new(store: &'a Store, listener: &'a Listener) -> Self {
        Self {
            store,
            listener,
            seen: HashSet::new(),
            unfollowed: 0,
            looked_at: 0,
            loss_count: 0,
            is_over: false,
        }
    }

    /// Checks everything below `root`. Blocking.
    pub(crate) fn root(&mut self, root: &Cid) -> Result<(), MigrateError> {
        let mut pending = vec![Link { cid: root.clone(), size: None }];
        let mut named = 0;
        while !pending.is_empty() && !self.is_over {
            let batch = pending.split_off(pending.len().saturating_sub(BATCH_COUNT));
            let cids: Vec<Cid> = batch.iter().map(|link| link.cid.clone()).collect();
            let lens = self.store.lens(&cids)?;
            let mut parents = Vec::new();
            for (link, len) in batch.into_iter().zip(lens) {
                self.looked_at += 1;
                match len {
                    None => self.lose(&mut named, root, &link.cid, "is not there"),
                    Some(len) if !may_link(&link, len) => {}
                    // The digest of an inlined block is its data, which may begin like another's.
                    Some(_) if link.cid.inlined().is_some() => parents.push(link.cid),
                    Some(_) if !self.seen.insert(fingerprint(&link.cid)) => {}
                    Some(_) => parents.push(link.cid),
                }
            }
            self.follow(&parents, root, &mut named, &mut pending);
            if self.seen.len() > SEEN_COUNT_MAX || pending.len() > PENDING_COUNT_MAX {
                self.is_over = true;
            }
            (self.listener)(Event::Checked(self.looked_at));
        }
        Ok(())
    }

    /// Ends the check; answers how many losses there were.
    pub(crate) fn finish(self) -> u64 {
        let note = |text: String| (self.listener)(Event::Note(text));
        if self.is_over {
            let count = self.looked_at;
            note(format!("the check of the pins ended early, after {count} blocks"));
        }
        if self.unfollowed > 0 {
            let count = self.unfollowed;
            note(format!("{count} blocks of unknown codecs were not followed"));
        }
        self.loss_count
    }

    /// Reads blocks with links and puts the links to those that wait.
    fn follow(&mut self, parents: &[Cid], root: &Cid, named: &mut u64, pending: &mut Vec<Link>) {
        for (cid, block) in parents.iter().zip(self.store.read_many(parents)) {
            let block = match block {
                Ok(Some(block)) => block,
                Ok(None) => {
                    self.lose(named, root, cid, "is not there");
                    continue;
                }
                Err(error) => {
                    self.lose(named, root, cid, &format!("cannot be read: {error}"));
                    continue;
                }
            };
            match links(&block) {
                Ok(links) => pending.extend(links.into_iter().rev()),
                Err(DagError::Unsupported { .. }) => self.unfollowed += 1,
                Err(error) => self.lose(named, root, cid, &error.to_string()),
            }
        }
    }

    fn lose(&mut self, named: &mut u64, root: &Cid, block: &Cid, reason: &str) {
        self.loss_count += 1;
        *named += 1;
        let reason = match (*named).cmp(&NAMED_COUNT_MAX) {
            std::cmp::Ordering::Greater => return,
            std::cmp::Ordering::Equal => format!("{reason} (more of this root are not named)"),
            std::cmp::Ordering::Less => reason.to_owned(),
        };
        let (block, root) = (block.clone(), root.clone());
        (self.listener)(Event::Lost(Loss::Missing { block, root, reason }));
    }
}

/// The links of a block; only those of dag-pb tell how much is below them.
fn links(block: &Block) -> Result<Vec<Link>, DagError> {
    if block.cid().codec() != codec::DAG_PB {
        let links = cairn_dag::links(block)?;
        return Ok(links.into_iter().map(|cid| Link { cid, size: None }).collect());
    }
    let node = dag_pb::decode(block.data());
    let node = node.map_err(|error| DagError::malformed(block.cid(), &error))?;
    Ok(node.links.into_iter().map(|link| Link { cid: link.cid, size: link.size }).collect())
}

/// Whether a block of `len` bytes can have links.
fn may_link(link: &Link, len: u64) -> bool {
    !is_leaf(link.cid.codec()) && link.size != Some(len)
}

fn fingerprint(cid: &Cid) -> [u8; 16] {
    let mut fingerprint = [0; 16];
    let digest = cid.multihash().digest();
    let len = digest.len().min(fingerprint.len());
    fingerprint[..len].copy_from_slice(&digest[..len]);
    fingerprint
}
