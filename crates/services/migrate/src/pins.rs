//! Takes over the pins and the MFS root from Kubo's datastore.
//!
//! Keys: `/pins/pin/ID` holds a pin, `/local/filesroot` the CID of the MFS root. The indexes
//! beside them follow from the pins. Invariants: pins are written after the blocks are durable,
//! in batches; one that the target has already is left as it is, unless it keeps less.
//! Not here: whether what is pinned is there (`check.rs`).

pub(crate) mod record;

use crate::{
    MigrateError,
    blocks::Listener,
    leveldb::LevelDb,
    report::{Event, Loss},
};
use cairn_block::Cid;
use cairn_store::{MFS_ROOT_KEY, Meta, PIN_NAME_LEN_MAX, Pin, PinKind, Pins};
use record::Record;
use std::path::Path;

/// Where Kubo keeps pins.
const PINS: &[u8] = b"/pins/pin/";
/// Where Kubo keeps the MFS root.
const MFS_ROOT: &[u8] = b"/local/filesroot";
/// Where Kubo kept pins before format 11, as a DAG.
const OLD_PINS: &[u8] = b"/local/pins";
/// Where Kubo keeps references to files outside the repository (`add --nocopy`).
const REFERENCES: &[u8] = b"/filestore/";

/// Pins of one commit.
const BATCH_COUNT: usize = 1024;

/// What was found in the datastore.
#[derive(Debug)]
pub(crate) struct Metadata {
    db: LevelDb,
    pub(crate) mfs_root: Option<Cid>,
}

/// How many pins were taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) recursive: u64,
    pub(crate) direct: u64,
    pub(crate) lost: u64,
}

impl Metadata {
    /// Opens the database in `dir`. Blocking.
    pub(crate) fn open(dir: &Path, listener: &Listener) -> Result<Self, MigrateError> {
        let db = LevelDb::open(dir, &[PINS, MFS_ROOT, OLD_PINS, REFERENCES])?;
        let note = |text: String| listener(Event::Note(text));
        if let Some(path) = db.torn() {
            note(format!("the end of {} is cut off, as after a crash", path.display()));
        }
        if db.scan(REFERENCES).next()?.is_some() {
            note("files added with --nocopy are not taken over: add them again".to_owned());
        }
        if db.get(OLD_PINS)?.is_some() && db.scan(PINS).next()?.is_none() {
            let reason = "holds pins of an old format; start a newer Kubo on it once".to_owned();
            return Err(MigrateError::Unsupported { path: dir.to_owned(), reason });
        }
        let mfs_root = db.get(MFS_ROOT)?.map(|bytes| Cid::from_bytes(&bytes)).transpose();
        let mfs_root =
            mfs_root.map_err(|_| MigrateError::damaged(dir, "the root of MFS in it is no CID"))?;
        Ok(Self { db, mfs_root })
    }

    /// Counts the pins, and says which make no sense. Blocking.
    pub(crate) fn count(&self, listener: &Listener) -> Result<Taken, MigrateError> {
        let mut taken = Taken::default();
        self.each(listener, &mut taken, |_| Ok(()))?;
        Ok(taken)
    }

    /// Takes the pins over. Blocking.
    pub(crate) fn take(&self, pins: &Pins, listener: &Listener) -> Result<Taken, MigrateError> {
        let mut taken = Taken::default();
        self.each(listener, &mut taken, |batch| add_missing(pins, batch))?;
        Ok(taken)
    }

    /// Calls `with` for each recursive pin's CID, and the MFS root's. Blocking.
    pub(crate) fn roots(
        &self,
        mut with: impl FnMut(&Cid) -> Result<(), MigrateError>,
    ) -> Result<(), MigrateError> {
        let mut scan = self.db.scan(PINS);
        while let Some((_, value)) = scan.next()? {
            match record::decode(&value) {
                Ok(record) if record.kind == PinKind::Recursive => with(&record.cid)?,
                _ => {}
            }
        }
        self.mfs_root.iter().try_for_each(with)
    }

    fn each(
        &self,
        listener: &Listener,
        taken: &mut Taken,
        mut with: impl FnMut(&[Pin]) -> Result<(), MigrateError>,
    ) -> Result<(), MigrateError> {
        let mut scan = self.db.scan(PINS);
        let mut batch = Vec::new();
        while let Some((key, value)) = scan.next()? {
            let mut lose = |pin: String, reason: &str| {
                taken.lost += 1;
                listener(Event::Lost(Loss::Pin { pin, reason: reason.to_owned() }));
            };
            let Record { cid, kind, name } = match record::decode(&value) {
                Ok(record) => record,
                Err(reason) => {
                    lose(String::from_utf8_lossy(&key).into_owned(), reason);
                    continue;
                }
            };
            let name = match String::from_utf8(name) {
                Ok(name) if name.len() <= PIN_NAME_LEN_MAX => name,
                _ => {
                    lose(cid.to_string(), "it is kept without its name, which cannot be");
                    String::new()
                }
            };
            match kind {
                PinKind::Recursive => taken.recursive += 1,
                PinKind::Direct => taken.direct += 1,
            }
            batch.push(Pin { cid, kind, name, expires: None });
            if batch.len() == BATCH_COUNT {
                with(&batch)?;
                batch.clear();
            }
        }
        with(&batch)
    }
}

/// Adds the pins that are not there, or keep more than those that are.
fn add_missing(pins: &Pins, batch: &[Pin]) -> Result<(), MigrateError> {
    let cids: Vec<Cid> = batch.iter().map(|pin| pin.cid.clone()).collect();
    let known = pins.get_many(&cids)?;
    let keeps_more = |pin: &Pin, known: &Option<Pin>| match known {
        None => true,
        Some(known) => known.kind == PinKind::Direct && pin.kind == PinKind::Recursive,
    };
    let new = batch.iter().zip(&known).filter(|(pin, known)| keeps_more(pin, known));
    let new: Vec<Pin> = new.map(|(pin, _)| pin.clone()).collect();
    if !new.is_empty() {
        pins.add(&new)?;
    }
    Ok(())
}

/// Makes `root` the root of MFS unless there is another; answers whether it is now. Blocking.
pub(crate) fn set_mfs_root(meta: &Meta, root: &Cid) -> Result<bool, MigrateError> {
    let bytes = root.to_bytes();
    if let Some(known) = meta.get(MFS_ROOT_KEY)? {
        return Ok(known == bytes);
    }
    meta.set(vec![(MFS_ROOT_KEY.to_owned(), Some(bytes))])?;
    Ok(true)
}
