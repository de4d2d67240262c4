//! Runs one target on input after input, each made of those that reached something new.
//!
//! Invariants: the same seed, corpus and build run the same inputs, as far as the target's code
//! takes the same way each time; at most [`FAILURE_COUNT_MAX`] failures are kept, one a place.
//! Not here: files (`main.rs`), threads: there are none, since the counters are the process's.

use crate::{
    Failure, INPUT_LEN_MAX, Mutator, Target, check,
    corpus::{Corpus, Features, fewest},
    coverage, shorten,
};
use std::ops::ControlFlow;

/// Most failures of a target that are told apart.
const FAILURE_COUNT_MAX: usize = 20;

/// How often making a failure shorter may run the target.
const SHORTEN_TRIES: usize = 20_000;

/// Looks on while a target runs.
pub trait Observer {
    /// `input` comes next, as run number `run`; whether to go on.
    fn before(&mut self, run: u64, input: &[u8]) -> ControlFlow<()>;

    /// `input` reached something new.
    fn found(&mut self, input: &[u8]);

    /// A target failed in a place where it has not failed before.
    fn failed(&mut self, failure: &Failure);
}

/// What a target's runs came to.
#[derive(Debug)]
pub struct Outcome {
    /// How often it ran.
    pub runs: u64,
    /// Inputs that reach everything that was reached.
    pub corpus: Vec<Vec<u8>>,
    /// How much was reached.
    pub feature_count: usize,
    /// What failed, one a place.
    pub failures: Vec<Failure>,
}

/// Runs of one target.
#[derive(Debug)]
pub struct Engine<'a, O> {
    target: &'a Target,
    observer: O,
    corpus: Corpus,
    reached: Features,
    failures: Vec<Failure>,
    runs: u64,
}

impl<'a, O: Observer> Engine<'a, O> {
    /// Begins, without running anything.
    pub fn new(target: &'a Target, observer: O) -> Self {
        let (corpus, reached) = (Corpus::new(), Features::new());
        Self { target, observer, corpus, reached, failures: Vec::new(), runs: 0 }
    }

    /// Runs all of `inputs`, then `runs` that are made of them, as `seed` says, unless the
    /// observer ends it.
    #[must_use]
    pub fn run(mut self, inputs: &[Vec<u8>], runs: u64, seed: u64) -> Outcome {
        // It breaks off when the observer wishes, which is as good an end as any.
        let _: ControlFlow<()> = self.run_all(inputs, runs, seed);
        Outcome {
            runs: self.runs,
            corpus: self.corpus.alive(),
            feature_count: self.corpus.feature_count(),
            failures: self.failures,
        }
    }

    fn run_all(&mut self, inputs: &[Vec<u8>], runs: u64, seed: u64) -> ControlFlow<()> {
        let mut mutator = Mutator::new(seed, &(self.target.seeds)());
        for input in inputs {
            self.try_one(&input[..input.len().min(INPUT_LEN_MAX)])?;
        }
        while self.runs < runs {
            let input = match self.corpus.choose(|end| mutator.below(end)) {
                Some(index) => mutator.input(&self.corpus.inputs()[index], self.corpus.inputs()),
                None => mutator.input(&[], inputs),
            };
            self.try_one(&input)?;
        }
        ControlFlow::Continue(())
    }

    fn try_one(&mut self, input: &[u8]) -> ControlFlow<()> {
        self.observer.before(self.runs, input)?;
        self.runs += 1;
        let failure = check(self.target, input);
        let is_new = self.corpus.is_new(input.len(), &mut self.reached);
        if let Some(failure) = failure {
            self.note(failure);
        } else if is_new {
            self.corpus.add(input, &self.reached);
            self.observer.found(input);
            // What the observer reached is not the target's.
            coverage::visit(|_, _| ());
        }
        ControlFlow::Continue(())
    }

    fn note(&mut self, failure: Failure) {
        let is_known = |known: &Failure| known.place == failure.place;
        if self.failures.len() == FAILURE_COUNT_MAX || self.failures.iter().any(is_known) {
            return;
        }
        let same = |input: &[u8]| {
            check(self.target, input).is_some_and(|other| other.place == failure.place)
        };
        let input = shorten(&failure.input, SHORTEN_TRIES, same);
        let failure = check(self.target, &input).unwrap_or(failure);
        self.observer.failed(&failure);
        self.failures.push(failure);
        coverage::visit(|_, _| ());
    }
}

/// Which of `inputs` to keep for good.
#[must_use]
pub fn fewest_of(target: &Target, inputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    let corpus = Corpus::new();
    for input in inputs {
        coverage::visit(|_, _| ());
        if check(target, &input).is_none() {
            let mut reached = Features::new();
            corpus.is_new(input.len(), &mut reached);
            seen.push((input, reached));
        }
    }
    fewest(seen)
}
