//! Durability: group commit, checkpoints, the clean end, and what a failed sync means.
//!
//! A flush takes a ticket (how many bytes were written) and waits until a sync covers it. One
//! caller at a time does the syncing, for everybody who wrote before it began.
//!
//! Invariants: a ticket is only reached through successful syncs. After a failed one the kernel
//! may have dropped the bytes and still show them to readers, so nothing is written any more, and
//! the next start cuts off what this process wrote after its last good sync.
//! Not here: what the positions mean (`index/header.rs`).

use super::{
    Inner,
    index::{Position, State},
};
use crate::StoreError;
use std::{
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError, atomic::Ordering},
};
use tracing::error;

/// A checkpoint is due when recovery would have to read more than so many packs (512 MiB).
const BEHIND_COUNT_MAX: u64 = 2;

/// Who syncs, and how far it has come.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    progress: Mutex<Progress>,
    ended: Condvar,
    /// Held by whoever makes a checkpoint, and by a collection while there must be none.
    pub(super) checkpoint: Mutex<()>,
}

#[derive(Debug, Default)]
struct Progress {
    synced: u64,
    running: bool,
}

impl Inner {
    /// Whether writes are still possible.
    pub(super) fn writable(&self) -> Result<(), StoreError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Notes that a sync failed; returns the error that every write answers from now on.
    pub(super) fn fail(&self, path: &Path, source: io::Error) -> StoreError {
        error!(path = %path.display(), %source, "a sync failed; no more writes until a restart");
        let error = StoreError::SyncFailed { path: path.to_owned(), source: Arc::new(source) };
        let index = self.index();
        // What the process found at its start may be acknowledged, and was hashed if in doubt.
        index.set_sync_failed(index.durable().max(self.opened_at));
        // The disk is failing: if this does not reach it either, the next start hashes the tail.
        drop(index.sync());
        self.failed.get_or_init(|| error).clone()
    }

    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let ticket = self.written.load(Ordering::Acquire);
        let mut progress = self.sync.progress.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            self.writable()?;
            if progress.synced >= ticket {
                return Ok(());
            }
            if !progress.running {
                break;
            }
            let woken = self.sync.ended.wait(progress);
            progress = woken.unwrap_or_else(PoisonError::into_inner);
        }
        progress.running = true;
        drop(progress);
        let answer = self.sync_written();
        let mut progress = self.sync.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.running = false;
        if let Ok(ticket) = answer {
            progress.synced = ticket;
        }
        drop(progress);
        self.sync.ended.notify_all();
        answer?;
        self.checkpoint_if_due();
        Ok(())
    }

    /// Syncs everything written so far; returns the ticket that this reaches.
    fn sync_written(&self) -> Result<u64, StoreError> {
        let pending = self.writer().pending();
        for segment in &pending.segments {
            segment.file.sync_data().map_err(|source| self.fail(&segment.path, source))?;
        }
        if pending.names.is_some() {
            let synced = self.segments.sync_names();
            synced.map_err(|source| self.fail(&self.segments.dir, source))?;
        }
        // Under the lock, so that a growing index does not miss it.
        let mut writer = self.writer();
        writer.note_synced(&pending);
        self.index().set_durable(pending.position);
        Ok(pending.ticket)
    }

    /// Brings the index file up to date on disk when it has fallen far behind the packs.
    ///
    /// Failing is no harm: the old checkpoint stays valid.
    pub(super) fn checkpoint_if_due(&self) {
        let Ok(_one_at_a_time) = self.sync.checkpoint.try_lock() else { return };
        let index = self.index();
        let (durable, (checkpoint, _)) = (index.durable(), index.checkpoint());
        let pack_len = self.segments.len_max;
        if distance(checkpoint, durable, pack_len) < BEHIND_COUNT_MAX * pack_len {
            return;
        }
        let Ok(super::segment::Opened::Whole(segment)) = self.segments.open(durable.segment())
        else {
            return;
        };
        if index.sync().is_err() {
            return;
        }
        let writer = self.writer();
        if Arc::ptr_eq(&index, &self.index()) {
            index.set_checkpoint(durable, segment.id.salt);
            self.notes.write_down(&index, durable);
        }
        drop(writer);
    }

    pub(super) fn close(&self) -> Result<(), StoreError> {
        if !self.writer().noted_dirty() && self.index().state() == State::Clean {
            return Ok(());
        }
        let _checkpoint = self.sync.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        self.flush()?;
        let mut writer = self.writer();
        if writer.written() != self.written.load(Ordering::Acquire) || self.writable().is_err() {
            return self.writable();
        }
        let index = self.index();
        // Somebody may have appended since the flush; then the end is not clean. Nor is it with a
        // table that the next start makes anew.
        if !index.is_distrusted()
            && index.durable() == writer.position()
            && let Some(salt) = writer.salt()
        {
            index.sync()?;
            index.set_checkpoint(writer.position(), salt);
            self.notes.write_down(&index, writer.position());
            index.set_state(State::Clean);
            index.sync()?;
            writer.note_clean();
        }
        Ok(())
    }
}

/// About how many bytes of packs lie between two positions.
pub(super) fn distance(from: Position, to: Position, pack_len: u64) -> u64 {
    let at = |position: Position| u64::from(position.segment()) * pack_len + position.offset();
    at(to).saturating_sub(at(from).max(pack_len))
}
