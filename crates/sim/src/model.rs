//! What a repository may answer: a map that knows what was acknowledged, and what is open.
//!
//! Of each block the model keeps whether it may be there *now* (the program ran on, or was
//! killed) and whether it may be there after the power is *cut*. An operation under way, or one
//! that failed, leaves both answers open; looking settles them. Pins and values change in
//! commits, so of those the model keeps the few states that the whole may be in.
//!
//! Not here: asking the repository (`promises.rs`).

use crate::script::{BLOCK_COUNT, FRESH_COUNT, Op};
use cairn_store::PinKind;
use std::collections::BTreeMap;

/// What may be said of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// It may be absent.
    pub absent: bool,
    /// It may be there.
    pub there: bool,
}

impl Presence {
    /// One answer only.
    pub fn is(there: bool) -> Self {
        Self { absent: !there, there }
    }

    /// Whether this answer is allowed.
    pub fn allows(self, there: bool) -> bool {
        if there { self.there } else { self.absent }
    }

    fn or(&mut self, there: bool) {
        if there {
            self.there = true;
        } else {
            self.absent = true;
        }
    }
}

/// Pins by the number of their block.
pub type PinMap = BTreeMap<usize, (PinKind, String)>;

/// Values by name.
pub type ValueMap = BTreeMap<String, Vec<u8>>;

/// Everything that was promised, and what is open.
#[derive(Debug, Clone)]
pub struct Model {
    /// Whether making the repository was acknowledged.
    pub made: bool,
    /// What each block may be as long as power stays.
    pub now: Vec<Presence>,
    /// What each block may be after the power goes.
    pub cut: Vec<Presence>,
    /// Blocks that were being deleted when the power went: the index may have forgotten one
    /// whose record the packs still hold, and a later index has it again.
    pub ghosts: Vec<bool>,
    /// The states that the pins may be in.
    pub pins: States<PinMap>,
    /// The states that the values may be in.
    pub values: States<ValueMap>,
    /// The numbers that the config may hold.
    pub configs: States<u64>,
    /// The pins as an operation under way leaves them, and the blocks that it pins: those that
    /// were there must be there if the pins are.
    pub needs: Option<(PinMap, Vec<usize>)>,
}

/// The states that something may be in which changes as a whole.
#[derive(Debug, Clone, Default)]
pub struct States<T> {
    /// As long as power stays.
    pub now: Vec<T>,
    /// After the power goes.
    pub cut: Vec<T>,
}

impl<T: Clone + PartialEq> States<T> {
    fn is(state: T) -> Self {
        Self { now: vec![state.clone()], cut: vec![state] }
    }

    fn begin(&mut self, change: impl Fn(&T) -> T) {
        let after: Vec<T> = self.now.iter().map(change).collect();
        widen(&mut self.now, after.clone());
        widen(&mut self.cut, after);
    }

    fn succeed(&mut self, change: impl Fn(&T) -> T) {
        let after: Vec<T> = self.now.iter().map(change).collect();
        self.now.clear();
        widen(&mut self.now, after);
        self.cut.clone_from(&self.now);
    }

    fn observe(&mut self, after_cut: bool, state: T) {
        self.now = vec![state];
        if after_cut {
            self.cut.clone_from(&self.now);
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        let none = vec![Presence::is(false); BLOCK_COUNT + FRESH_COUNT];
        Self {
            made: false,
            now: none.clone(),
            cut: none,
            ghosts: vec![false; BLOCK_COUNT + FRESH_COUNT],
            pins: States::is(PinMap::new()),
            values: States::is(ValueMap::new()),
            configs: States::is(0),
            needs: None,
        }
    }
}

impl Model {
    /// An operation begins: what it is to change becomes open.
    pub fn begin(&mut self, op: &Op) {
        self.needs = self.needs_of(op);
        match op {
            Op::Append(numbers) => self.open(numbers, true),
            Op::Delete(number) => self.open(&[*number], false),
            Op::Collect(kept) => self.open(&others(kept), false),
            Op::Pin(..) | Op::Unpin(_) => self.pins.begin(|pins| with_pins(pins, op)),
            Op::Set(_) => self.values.begin(|values| with_values(values, op)),
            Op::Configure(number) => self.configs.begin(|_| *number),
            Op::Flush
            | Op::Read(_)
            | Op::List
            | Op::Close
            | Op::Reopen
            | Op::Kill
            | Op::LosePower(..) => {}
        }
    }

    /// What a pin that is under way needs, where it can be told whether it came to the disk.
    fn needs_of(&self, op: &Op) -> Option<(PinMap, Vec<usize>)> {
        let (Op::Pin(numbers, _), [pins]) = (op, &self.pins.now[..]) else { return None };
        let after = with_pins(pins, op);
        let mut there = numbers.clone();
        there.retain(|number| self.now[*number] == Presence::is(true));
        (self.pins.cut == [pins.clone()] && after != *pins).then_some((after, there))
    }

    /// The operation that began was acknowledged.
    pub fn succeed(&mut self, op: &Op) {
        match op {
            Op::Append(numbers) => self.settle(numbers, true),
            Op::Delete(number) => self.settle(&[*number], false),
            Op::Flush | Op::Close | Op::Reopen => self.cut_is_now(),
            Op::Collect(kept) => {
                for number in others(kept) {
                    self.now[number] = Presence::is(false);
                }
                self.cut_is_now();
            }
            // A commit of one table makes the other durable as well, and all blocks before it.
            Op::Pin(..) | Op::Unpin(_) => {
                self.pins.succeed(|pins| with_pins(pins, op));
                self.values.cut.clone_from(&self.values.now);
                self.cut_is_now();
            }
            Op::Set(_) => {
                self.values.succeed(|values| with_values(values, op));
                self.pins.cut.clone_from(&self.pins.now);
                self.cut_is_now();
            }
            Op::Configure(number) => self.configs.succeed(|_| *number),
            Op::Read(_) | Op::List | Op::Kill | Op::LosePower(..) => {}
        }
    }

    /// The operation that began failed, and said so.
    pub fn fail(&mut self, op: &Op) {
        // What half a collection forgot may come back with a later index: it is garbage.
        if let Op::Collect(kept) = op {
            for number in others(kept) {
                self.ghosts[number] |= self.now[number].there;
            }
        }
    }

    /// What was seen is what is; after a power cut it is also what the disk holds.
    pub fn observe(&mut self, after_cut: bool, seen: Seen) {
        self.now = seen.there.iter().map(|there| Presence::is(*there)).collect();
        if after_cut {
            for (number, there) in seen.there.iter().enumerate() {
                self.ghosts[number] = !there && (self.ghosts[number] || self.cut[number].there);
            }
            self.cut_is_now();
        }
        self.pins.observe(after_cut, seen.pins);
        self.values.observe(after_cut, seen.values);
        self.configs.observe(after_cut, seen.config);
    }

    fn cut_is_now(&mut self) {
        self.cut.clone_from(&self.now);
        for (cut, ghost) in self.cut.iter_mut().zip(&self.ghosts) {
            cut.there |= ghost;
        }
    }

    /// A sync may have failed: what was not synced before may be gone at the next start.
    pub fn lose_unsynced(&mut self) {
        for (now, cut) in self.now.iter_mut().zip(&self.cut) {
            now.absent |= cut.absent;
            now.there |= cut.there;
        }
    }

    fn open(&mut self, numbers: &[usize], there: bool) {
        for number in numbers {
            self.now[*number].or(there);
            self.cut[*number].or(there);
        }
    }

    fn settle(&mut self, numbers: &[usize], there: bool) {
        for number in numbers {
            self.now[*number] = Presence::is(there);
            self.ghosts[*number] &= !there;
        }
    }
}

/// The blocks that are not among these.
fn others(kept: &[usize]) -> Vec<usize> {
    (0..BLOCK_COUNT + FRESH_COUNT).filter(|number| !kept.contains(number)).collect()
}

/// What a repository answered to every question.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which blocks are there.
    pub there: Vec<bool>,
    /// The pins.
    pub pins: PinMap,
    /// The values.
    pub values: ValueMap,
    /// The config's number.
    pub config: u64,
}

/// The pin that an operation gives a block.
pub fn pin_of(number: usize, draw: u64) -> (PinKind, String) {
    let kind = if draw.is_multiple_of(2) { PinKind::Recursive } else { PinKind::Direct };
    (kind, format!("pin {number} {}", draw % 7))
}

fn with_pins(pins: &PinMap, op: &Op) -> PinMap {
    let mut pins = pins.clone();
    match op {
        Op::Pin(numbers, draw) => {
            pins.extend(numbers.iter().map(|number| (*number, pin_of(*number, *draw))));
        }
        Op::Unpin(numbers) => pins.retain(|number, _| !numbers.contains(number)),
        _ => {}
    }
    pins
}

fn with_values(values: &ValueMap, op: &Op) -> ValueMap {
    let mut values = values.clone();
    if let Op::Set(changes) = op {
        for (name, value) in changes {
            match value {
                Some(value) => drop(values.insert(name.clone(), value.clone())),
                None => drop(values.remove(name)),
            }
        }
    }
    values
}

/// Adds states that are not among those yet.
fn widen<T: PartialEq>(states: &mut Vec<T>, more: Vec<T>) {
    for state in more {
        if !states.contains(&state) {
            states.push(state);
        }
    }
}
