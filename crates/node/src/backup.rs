//! Backups of the running node's repository.
//!
//! Not here: how they are made (`cairn-store`).

use crate::{Node, NodeError};
use cairn_runtime::blocking;
use cairn_store::Copied;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::mpsc;

impl Node {
    /// Brings the backup in the directory `to`, an absolute path, up to date, or makes one; where
    /// it ends in `.tar` and is no directory, the backup is that one file, written anew.
    ///
    /// Others may add, pin and read meanwhile; what is pinned when it begins is in it. `progress`
    /// is told now and then; dropping its receiver stops the backup, which can be gone on with.
    ///
    /// # Errors
    ///
    /// [`NodeError::Repo`] saying why `to` cannot be used, or what the disk refused; it then
    /// holds what it held before.
    pub async fn backup(
        &self,
        to: PathBuf,
        progress: mpsc::Sender<Copied>,
    ) -> Result<Copied, NodeError> {
        let repo = Arc::clone(self.shared_repo());
        let stop = self.shutdown_requested();
        let tell = move |copied| progress.blocking_send(copied).is_ok() && !stop.is_cancelled();
        Ok(blocking(move || repo.backup(&to, &mut { tell })).await?)
    }
}
