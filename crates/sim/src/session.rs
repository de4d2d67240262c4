//! A program at work on a simulated disk: does operations and keeps the model beside them.
//!
//! Invariant: an answer that the model does not allow is an error; a refusal is not, unless the
//! disk is healthy.
//! Not here: which operations, and with what faults (`cuts.rs`, `faults.rs`, `sequences.rs`).

use crate::{
    disk::{Fault, PowerCuts, SimDisk, is_out_of_order},
    model::{Model, pin_of},
    promises::{Since, check, check_never_wrong, cids},
    script::Op,
};
use anyhow::{Context as _, Result, bail, ensure};
use cairn_block::{Block, Multihash};
use cairn_store::{Compression, OpenOptions, Pin, Repo, RepoKind, SweepObserver};
use serde_json::json;
use std::{path::Path, sync::Arc};

/// Where the repository is.
const ROOT: &str = "/home/repo";

/// Changes of the metadata between two commits of their database, so that a script has several.
const NOTE_COUNT_MAX: usize = 4;

/// A program with a repository, and the model of it.
#[derive(Debug)]
pub struct Session {
    /// The disk.
    pub disk: SimDisk,
    /// What it must answer.
    pub model: Model,
    /// The model while the last operation was under way.
    pub begun: Model,
    blocks: Arc<Vec<Block>>,
    segment_len_max: u64,
    /// Whether damage may be reported: bytes that came to the disk out of order look like it.
    alarms_allowed: bool,
    repo: Option<Repo>,
}

/// How an operation ended.
#[derive(Debug)]
pub enum Outcome {
    /// It was acknowledged.
    Done,
    /// It failed, and said so.
    Refused(String),
}

impl Session {
    /// A program on an empty disk; nothing is made yet.
    pub fn new(seed: u64, blocks: Arc<Vec<Block>>, segment_len_max: u64) -> Self {
        let disk = SimDisk::new(Path::new("/home"), seed);
        Self::on(disk, Model::default(), blocks, segment_len_max)
    }

    /// A program on a disk that may hold a repository already.
    pub fn on(disk: SimDisk, model: Model, blocks: Arc<Vec<Block>>, segment_len_max: u64) -> Self {
        let begun = model.clone();
        Self { disk, model, begun, blocks, segment_len_max, alarms_allowed: false, repo: None }
    }

    /// The open repository, if it is open.
    pub fn repo(&self) -> Option<&Repo> {
        self.repo.as_ref()
    }

    /// Lets the repository report damage, as it may when bytes came to the disk out of order.
    #[must_use]
    pub fn with_alarms(mut self, allowed: bool) -> Self {
        self.alarms_allowed = allowed;
        self
    }

    /// Opens the repository, and makes it first where that was never acknowledged.
    ///
    /// # Errors
    ///
    /// What opening says; that an acknowledged repository is missing.
    pub fn open(&mut self) -> Result<()> {
        let (vfs, root) = (self.disk.process(), Path::new(ROOT));
        if Repo::detect(&*vfs, root)? == RepoKind::Missing {
            ensure!(!self.model.made, "the repository is gone");
            Repo::init(&vfs, root, &json!({ "Number": 0 }))?;
        }
        self.model.made = true;
        let mut options = OpenOptions::default();
        options.segment_len_max = self.segment_len_max;
        options.note_count_max = NOTE_COUNT_MAX;
        let repo = Repo::open(vfs, root, options)?;
        // What shrinks is kept compressed, the rest is not: both kinds go through everything.
        repo.store().set_compression(Compression::Zstd { level: Compression::LEVEL_MIN });
        self.repo = Some(repo);
        Ok(())
    }

    /// Opens the repository after the power went, and asks everything.
    ///
    /// # Errors
    ///
    /// The first promise that does not hold.
    pub fn open_after_cut(&mut self) -> Result<()> {
        self.open().context("opening after a power cut")?;
        self.check(Since::PowerCut)
    }

    /// Asks everything.
    ///
    /// # Errors
    ///
    /// The first promise that does not hold.
    pub fn check(&mut self, since: Since) -> Result<()> {
        let repo = self.repo.as_ref().context("the repository is not open")?;
        if !self.alarms_allowed {
            let losses = repo.losses();
            ensure!(losses.is_empty(), "nothing is lost, but it reports {losses:?}");
        }
        check(repo, &self.blocks, &mut self.model, since)
    }

    /// Reads every block; errors are allowed.
    ///
    /// # Errors
    ///
    /// The first wrong answer.
    pub fn check_never_wrong(&self) -> Result<()> {
        match &self.repo {
            Some(repo) => check_never_wrong(repo, &self.blocks, &self.model.now),
            None => Ok(()),
        }
    }

    /// Does one operation, opening the repository first if an earlier failure closed it.
    ///
    /// # Errors
    ///
    /// A wrong answer; a refusal is an outcome.
    pub fn apply(&mut self, op: &Op) -> Result<Outcome> {
        let before = self.model.clone();
        if self.repo.is_none()
            && let Err(refusal) = self.open()
        {
            return Ok(Outcome::Refused(format!("{refusal:#}")));
        }
        self.model.begin(op);
        self.begun = self.model.clone();
        match self.perform(op, &before) {
            Ok(()) => {
                self.model.succeed(op);
                Ok(Outcome::Done)
            }
            Err(Failure::Refused(text)) => {
                self.model.fail(op);
                Ok(Outcome::Refused(text))
            }
            Err(Failure::Wrong(error)) => Err(error.context(format!("in {op:?}"))),
        }
    }

    /// Does one operation on a healthy disk, where a refusal is wrong.
    ///
    /// # Errors
    ///
    /// A wrong answer, or a refusal.
    pub fn must(&mut self, op: &Op) -> Result<()> {
        match self.apply(op)? {
            Outcome::Done => Ok(()),
            Outcome::Refused(text) => bail!("{op:?} is refused: {text}"),
        }
    }

    /// Ends the program with the repository as it is on disk.
    pub fn kill(&mut self) {
        self.disk.kill();
        self.repo = None;
    }

    /// Ends the program in order.
    pub fn end(&mut self) {
        self.repo = None;
    }

    /// Lets the disk fail, or heals it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.disk.set_fault(fault);
    }

    fn perform(&mut self, op: &Op, before: &Model) -> Result<(), Failure> {
        let some = |numbers: &[usize]| -> Vec<Block> {
            numbers.iter().map(|number| self.blocks[*number].clone()).collect()
        };
        let repo = self.repo.as_ref().context("the repository is not open")?;
        match op {
            Op::Append(numbers) => repo.store().append(&some(numbers)).map_err(refused),
            Op::Flush => repo.store().flush().map_err(refused),
            Op::Close => repo.store().close().map_err(refused),
            Op::Delete(number) => {
                let block = &self.blocks[*number];
                let was = repo.store().delete(block.cid()).map_err(refused)?;
                let allowed = before.now[*number].allows(was);
                wrong_unless(allowed, || format!("deleting says that it was there: {was}"))
            }
            Op::Collect(numbers) => collect(repo, &some(numbers)),
            Op::Read(numbers) => read(repo, &some(numbers), numbers, before),
            Op::List => {
                let listed: Result<Vec<_>, _> = repo.store().list().collect();
                let count = listed.map_err(refused)?.len();
                let least = before.now.iter().filter(|known| !known.absent).count();
                let most = before.now.iter().filter(|known| known.there).count();
                wrong_unless((least..=most).contains(&count), || format!("{count} are listed"))
            }
            Op::Pin(numbers, draw) => {
                let pin = |number: &usize| {
                    let (kind, name) = pin_of(*number, *draw);
                    Pin { cid: self.blocks[*number].cid().clone(), kind, name, expires: None }
                };
                let pins: Vec<Pin> = numbers.iter().map(pin).collect();
                repo.pins().add(&pins).map_err(refused)
            }
            Op::Unpin(numbers) => {
                let was = repo.pins().remove(&cids(&some(numbers))).map_err(refused)?;
                let matches = before.pins.now.iter().any(|pins| {
                    numbers.iter().map(|number| pins.contains_key(number)).eq(was.iter().copied())
                });
                wrong_unless(matches, || format!("unpinning says that they were there: {was:?}"))
            }
            Op::Set(values) => repo.meta().set(values.clone()).map_err(refused),
            Op::Configure(number) => {
                repo.replace_config(&json!({ "Number": number })).map_err(refused)
            }
            Op::Reopen => {
                let closed = repo.store().close();
                self.repo = None;
                self.open().map_err(|error| Failure::Refused(format!("{error:#}")))?;
                closed.map_err(refused)
            }
            Op::Kill => {
                self.kill();
                self.open().map_err(|error| Failure::Refused(format!("{error:#}")))
            }
            Op::LosePower(damage, seed) => {
                let mut cuts = PowerCuts::new(&self.disk, *seed);
                cuts.walk_to(cuts.len());
                self.kill();
                self.disk = cuts.image(*damage, *seed);
                self.alarms_allowed |= is_out_of_order(*damage);
                Ok(self.open_after_cut()?)
            }
        }
    }
}

enum Failure {
    Refused(String),
    Wrong(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Wrong(error)
    }
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::Refused(error.to_string())
}

fn wrong_unless(right: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if right { Ok(()) } else { Err(Failure::Wrong(anyhow::Error::msg(what()))) }
}

/// Hears of a collection, and lets it go on.
struct Silent;

impl SweepObserver for Silent {
    fn removed(&mut self, _hash: &Multihash) {}

    fn goes_on(&self) -> bool {
        true
    }
}

/// Collects what is not among these blocks.
fn collect(repo: &Repo, kept: &[Block]) -> Result<(), Failure> {
    let collection = repo.store().collect().context("another collection is under way")?;
    collection.mark(&cids(kept)).map_err(refused)?;
    let swept = collection.sweep(&mut Silent).map_err(refused)?;
    if swept.short_of_space { Err(refused("there is no room to copy")) } else { Ok(()) }
}

/// Asks for some blocks, their lengths and their pins.
fn read(repo: &Repo, blocks: &[Block], numbers: &[usize], before: &Model) -> Result<(), Failure> {
    let cids = cids(blocks);
    let pins = repo.pins().get_many(&cids).map_err(refused)?;
    let lens = repo.store().lens(&cids).map_err(refused)?;
    let answers = repo.store().read_many(&cids);
    let pinned: Vec<_> = pins.into_iter().map(|pin| pin.map(|pin| (pin.kind, pin.name))).collect();
    let matches = before.pins.now.iter().any(|pins| {
        numbers.iter().zip(&pinned).all(|(number, pin)| pins.get(number) == pin.as_ref())
    });
    wrong_unless(matches, || format!("pins {pinned:?}"))?;
    for (((number, block), answer), len) in numbers.iter().zip(blocks).zip(answers).zip(lens) {
        let answer = answer.map_err(refused)?;
        let expected = answer.is_some().then_some(block.data().len() as u64);
        let right = before.now[*number].allows(answer.is_some())
            && answer.is_none_or(|answer| answer == *block)
            && len == expected;
        wrong_unless(right, || format!("block {number}, length {len:?}"))?;
    }
    Ok(())
}
