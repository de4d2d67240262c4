//! What a scrub leaves for the next process: one small JSON value in the metadata.
//!
//! Invariant: whatever the value holds, reading it fails on nothing; at worst the next scrub
//! begins at the start.
//! Not here: when it is written (`scrub.rs`).

#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;

use super::ScrubStatus;
use cairn_block::Multihash;
use cairn_store::{Meta, MetaError, ScrubPosition};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};
use tracing::warn;

/// The value's name.
const NAME: &str = "scrub";

/// What is known about scrubs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where to go on; `None` if the last scrub came to its end.
    pub(crate) position: Option<ScrubPosition>,
    /// Whether somebody stopped it.
    pub(crate) is_stopped: bool,
    pub(crate) started: Option<SystemTime>,
    pub(crate) finished: Option<SystemTime>,
    /// When the next one should begin.
    pub(crate) due: Option<SystemTime>,
    pub(crate) done_len: u64,
    pub(crate) total_len: u64,
    pub(crate) block_count: u64,
    pub(crate) corrupt_count: u64,
    pub(crate) healed_count: u64,
    /// Blocks known to be corrupt.
    pub(crate) unhealed: Vec<Multihash>,
}

/// The value as JSON; times in seconds since 1970, names as bytes in base 64.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    position: Option<(u32, u64)>,
    is_stopped: bool,
    started: Option<u64>,
    finished: Option<u64>,
    due: Option<u64>,
    done_len: u64,
    total_len: u64,
    block_count: u64,
    corrupt_count: u64,
    healed_count: u64,
    unhealed: Vec<String>,
}

impl Record {
    /// Reads it; none, or one that makes no sense, is an empty one.
    pub(super) fn load(meta: &Meta) -> Self {
        let bytes = match meta.get(NAME) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => {
                warn!(%error, "nothing is known about earlier scrubs");
                Vec::new()
            }
        };
        let stored: Stored = serde_json::from_slice(&bytes).unwrap_or_default();
        Self::of(&stored)
    }

    /// Writes it, durably.
    pub(super) fn save(&self, meta: &Meta) -> Result<(), MetaError> {
        // Numbers and texts always become JSON.
        let bytes = serde_json::to_vec(&self.stored()).unwrap_or_default();
        meta.set(vec![(NAME.to_owned(), Some(bytes))])
    }

    /// A scrub begins.
    pub(super) fn begin(&mut self, now: SystemTime) {
        *self = Self {
            position: Some(ScrubPosition::default()),
            started: Some(now),
            finished: self.finished,
            due: self.due,
            ..Self::default()
        };
    }

    /// It has come to its end.
    pub(super) fn finish(&mut self, now: SystemTime, period: Duration) {
        self.position = None;
        self.done_len = self.total_len;
        self.finished = Some(now);
        self.due = (!period.is_zero()).then(|| now + period);
    }

    pub(super) fn status(&self) -> ScrubStatus {
        ScrubStatus {
            is_running: false,
            is_begun: self.position.is_some(),
            started: self.started,
            finished: self.finished,
            done_len: self.done_len,
            total_len: self.total_len,
            block_count: self.block_count,
            corrupt_count: self.corrupt_count,
            healed_count: self.healed_count,
        }
    }

    fn of(stored: &Stored) -> Self {
        let time = |secs: u64| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs));
        let name = |text: &String| {
            let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).ok()?;
            Some(Multihash::decode(&bytes).ok()?.0)
        };
        let position = |(segment, offset)| ScrubPosition { segment, offset };
        Self {
            position: stored.position.map(position),
            is_stopped: stored.is_stopped,
            started: stored.started.and_then(time),
            finished: stored.finished.and_then(time),
            due: stored.due.and_then(time),
            done_len: stored.done_len,
            total_len: stored.total_len,
            block_count: stored.block_count,
            corrupt_count: stored.corrupt_count,
            healed_count: stored.healed_count,
            unhealed: stored.unhealed.iter().filter_map(name).collect(),
        }
    }

    fn stored(&self) -> Stored {
        let secs =
            |time: SystemTime| Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs());
        let text = |hash: &Multihash| {
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, hash.to_bytes())
        };
        Stored {
            position: self.position.map(|position| (position.segment, position.offset)),
            is_stopped: self.is_stopped,
            started: self.started.and_then(secs),
            finished: self.finished.and_then(secs),
            due: self.due.and_then(secs),
            done_len: self.done_len,
            total_len: self.total_len,
            block_count: self.block_count,
            corrupt_count: self.corrupt_count,
            healed_count: self.healed_count,
            unhealed: self.unhealed.iter().map(text).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Record, Stored};
    use cairn_block::Multihash;
    use cairn_store::ScrubPosition;
    use std::time::{Duration, SystemTime};

    #[test]
    fn comes_back_as_it_was() {
        let mut record = Record::default();
        record.begin(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
        record.position = Some(ScrubPosition { segment: 7, offset: 99 });
        record.unhealed = vec![Multihash::sha2_256([7; 32])];
        record.corrupt_count = 3;
        let json = serde_json::to_vec(&record.stored()).unwrap();
        assert_eq!(Record::of(&serde_json::from_slice(&json).unwrap()), record);
        record.finish(SystemTime::UNIX_EPOCH + Duration::from_secs(2_000), Duration::from_secs(50));
        assert_eq!(record.due, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(2_050)));
        assert!(!record.status().is_begun);
    }

    #[test]
    fn nonsense_is_an_empty_record() {
        for text in ["", "{}", "[]", "{\"position\": 7}", "{\"unhealed\": [\"!\", \"AAAA\"]}"] {
            let stored: Stored = serde_json::from_slice(text.as_bytes()).unwrap_or_default();
            assert_eq!(Record::of(&stored).position, None, "{text}");
        }
    }
}
