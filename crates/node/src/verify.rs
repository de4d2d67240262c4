//! `repo verify`: every block looked at now, at full speed, and what is corrupt dealt with.
//!
//! Invariant: a block is only dropped after healing it was tried, if that was asked for; one that
//! the disk cannot read just now is never dropped.
//! Not here: the same in the background (`scrub.rs`), how it is told (`services/rpc`).

use crate::{
    Node, NodeError,
    heal::{Healed, heal},
};
use cairn_runtime::blocking;
use cairn_store::{Corrupt, CorruptKind, Scrub};
use futures::{Stream, stream};
use std::{collections::VecDeque, time::Duration};

/// What to do about corrupt blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repair {
    /// Tell which they are.
    #[default]
    Nothing,
    /// Forget them.
    Drop,
    /// Fetch them from peers, and forget those that nobody has.
    Heal {
        /// Give up on a batch when no peer has sent anything for so long; `None` waits for ever.
        patience: Option<Duration>,
    },
}

/// One thing that a verification tells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum VerifyEvent {
    /// So many blocks have been looked at by now.
    Progress(u64),
    /// A corrupt block, and what became of it.
    Corrupt(Box<VerifyFinding>),
}

/// A corrupt block.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VerifyFinding {
    /// Which block.
    pub corrupt: Corrupt,
    /// Whether its corrupt copy is gone.
    pub removal: Removal,
    /// What healing it came to; `None` if that was not asked for.
    pub healing: Option<Healing>,
}

/// Whether a corrupt copy is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It was left as it is.
    NotAsked,
    /// It is gone.
    Removed,
    /// It is still there, for this reason.
    Failed(String),
}

/// What healing a block came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healing {
    /// A good copy is on disk.
    Healed,
    /// There is none, for this reason.
    Failed(String),
}

struct Verification {
    node: Node,
    repair: Repair,
    scrub: Option<Scrub>,
    block_count: u64,
    events: VecDeque<VerifyEvent>,
}

impl Node {
    /// Looks at every block; ends after the last. Safe to drop at any time.
    ///
    /// # Errors
    ///
    /// [`NodeError::Offline`] at once if healing needs a network that is not there;
    /// [`NodeError::Store`] if the disk refuses, and nothing follows.
    pub fn repo_verify(
        &self,
        repair: Repair,
    ) -> Result<impl Stream<Item = Result<VerifyEvent, NodeError>> + Send + use<>, NodeError> {
        if matches!(repair, Repair::Heal { .. }) {
            self.require_network()?;
        }
        let (node, scrub) = (self.clone(), Some(self.store().scrub(None)));
        let state = Verification { node, repair, scrub, block_count: 0, events: VecDeque::new() };
        Ok(stream::unfold(state, |mut state| async move {
            let event = state.next().await;
            if matches!(event, Some(Err(_))) {
                state.scrub = None;
            }
            Some((event?, state))
        }))
    }
}

impl Verification {
    async fn next(&mut self) -> Option<Result<VerifyEvent, NodeError>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            let mut scrub = self.scrub.take()?;
            let (step, scrub) = blocking(move || (scrub.step(), scrub)).await;
            let step = match step {
                Ok(step) => step?,
                Err(error) => return Some(Err(error.into())),
            };
            self.scrub = Some(scrub);
            self.block_count += step.block_count;
            if let Err(error) = self.deal_with(step.corrupt).await {
                return Some(Err(error));
            }
            self.events.push_back(VerifyEvent::Progress(self.block_count));
        }
    }

    async fn deal_with(&mut self, corrupt: Vec<Corrupt>) -> Result<(), NodeError> {
        if corrupt.is_empty() {
            return Ok(());
        }
        let healed = match self.repair {
            Repair::Nothing | Repair::Drop => None,
            Repair::Heal { patience } => {
                Some(heal(self.node.store(), self.node.network(), &corrupt, patience).await?)
            }
        };
        let drops = self.repair != Repair::Nothing;
        let removals = if drops { self.remove(&corrupt, healed.as_deref()).await? } else { vec![] };
        let mut removals = removals.into_iter();
        let mut healed = healed.into_iter().flatten();
        for corrupt in corrupt {
            let removal = removals.next().unwrap_or(Removal::NotAsked);
            let healing = healed.next().map(|healed| match healed {
                None => Healing::Healed,
                Some(reason) => Healing::Failed(reason),
            });
            let finding = VerifyFinding { corrupt, removal, healing };
            self.events.push_back(VerifyEvent::Corrupt(Box::new(finding)));
        }
        Ok(())
    }

    /// Forgets what is still corrupt.
    async fn remove(
        &self,
        corrupt: &[Corrupt],
        healed: Option<&[Healed]>,
    ) -> Result<Vec<Removal>, NodeError> {
        let is_healed =
            |place: usize| healed.and_then(|healed| healed.get(place)).is_some_and(Option::is_none);
        let mut removals = Vec::with_capacity(corrupt.len());
        let mut dropped = Vec::new();
        for (place, corrupt) in corrupt.iter().enumerate() {
            removals.push(if is_healed(place) {
                Removal::Removed
            } else if corrupt.kind == CorruptKind::Unreadable {
                Removal::Failed("the disk may be able to read it another time".to_owned())
            } else {
                dropped.push(corrupt.clone());
                Removal::Removed
            });
        }
        let store = self.node.store().clone();
        blocking(move || {
            store.drop_corrupt(&dropped)?;
            store.flush()
        })
        .await?;
        Ok(removals)
    }
}
