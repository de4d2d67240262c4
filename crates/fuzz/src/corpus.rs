//! The inputs that are kept: for everything that was ever reached, the shortest that reached it.
//!
//! A *feature* is a counter together with how often it counted, roughly: once, twice, up to 3,
//! 7, 15, 31, 127, more. An input is kept while it is the shortest of some feature.
//! Invariant: at most [`INPUT_COUNT_MAX`] inputs.
//! Not here: making inputs (`mutate.rs`).

use crate::coverage;

/// Most inputs that are ever kept in one go; those that were given up take no memory.
const INPUT_COUNT_MAX: usize = 100_000;

/// Most inputs of a corpus that goes into the repository.
const KEPT_COUNT_MAX: usize = 90;

/// Most bytes of all of them together.
const KEPT_LEN_MAX: usize = 128 * 1024;

/// How many features one counter has.
const LEVELS: usize = 8;

/// What an input reached: its features in order.
pub(crate) type Features = Vec<u32>;

/// Inputs and what they reach.
#[derive(Debug)]
pub(crate) struct Corpus {
    inputs: Vec<Vec<u8>>,
    /// How many features each input is the shortest of; 0 once it is given up.
    owned: Vec<u32>,
    /// For each feature the input that has it, and one more than its length; 0 for none.
    features: Vec<(u32, u32)>,
    feature_count: usize,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        let features = vec![(0, 0); coverage::counter_count() * LEVELS];
        Self { inputs: Vec::new(), owned: Vec::new(), features, feature_count: 0 }
    }

    /// Whether an input of `len` bytes that just ran reached something new, or something old
    /// with fewer bytes. Forgets what it reached.
    pub(crate) fn is_new(&self, len: usize, reached: &mut Features) -> bool {
        reached.clear();
        let mut is_new = false;
        coverage::visit(|counter, count| {
            let feature = counter * LEVELS + level(count);
            let shortest = self.features[feature].1;
            is_new |= shortest == 0 || len as u32 + 1 < shortest;
            reached.push(feature as u32);
        });
        is_new && self.inputs.len() < INPUT_COUNT_MAX
    }

    /// Keeps `input`, which [`Self::is_new`]; gives up those that are no longer needed for it.
    pub(crate) fn add(&mut self, input: &[u8], reached: &Features) {
        let (index, len) = (self.inputs.len() as u32, input.len() as u32 + 1);
        self.inputs.push(input.to_vec());
        self.owned.push(0);
        for &feature in reached {
            let (owner, shortest) = &mut self.features[feature as usize];
            if *shortest == 0 {
                self.feature_count += 1;
            } else if len < *shortest {
                self.owned[*owner as usize] -= 1;
                if self.owned[*owner as usize] == 0 {
                    self.inputs[*owner as usize] = Vec::new();
                }
            } else {
                continue;
            }
            (*owner, *shortest) = (index, len);
            self.owned[index as usize] += 1;
        }
    }

    /// The place of one that is not given up; younger ones and those of more features come
    /// more often. `below` gives a number below its argument.
    pub(crate) fn choose(&self, mut below: impl FnMut(usize) -> usize) -> Option<usize> {
        let count = self.inputs.len();
        let old = count.saturating_sub(count / 4 + 8);
        for _ in 0..64 {
            let from = if below(3) == 0 { old } else { 0 };
            let index = from + below((count - from).max(1));
            if self.owned.get(index).is_some_and(|owned| *owned > 0) {
                return Some(index);
            }
        }
        (0..count).rev().find(|index| self.owned[*index] > 0)
    }

    /// All of them, by place; those that were given up are empty.
    pub(crate) fn inputs(&self) -> &[Vec<u8>] {
        &self.inputs
    }

    /// Those that are not given up.
    pub(crate) fn alive(&self) -> Vec<Vec<u8>> {
        let alive = self.inputs.iter().zip(&self.owned).filter(|(_, owned)| **owned > 0);
        alive.map(|(input, _)| input.clone()).collect()
    }

    /// How many features were reached by any of them.
    pub(crate) fn feature_count(&self) -> usize {
        self.feature_count
    }
}

/// Which of `inputs` to keep for good: few that reach nearly as much as all do, those that add
/// most first. Each comes with the features that it reaches.
pub(crate) fn fewest(mut inputs: Vec<(Vec<u8>, Features)>) -> Vec<Vec<u8>> {
    let end = inputs.iter().flat_map(|(_, reached)| reached).max().map_or(0, |last| last + 1);
    let mut known = vec![false; end as usize];
    let (mut kept, mut len) = (Vec::new(), 0);
    while kept.len() < KEPT_COUNT_MAX {
        let gain = |(input, reached): &(Vec<u8>, Features)| {
            let new = reached.iter().filter(|feature| !known[**feature as usize]).count();
            (new, usize::MAX - input.len())
        };
        inputs.retain(|entry| gain(entry).0 > 0 && len + entry.0.len() <= KEPT_LEN_MAX);
        let Some(best) = (0..inputs.len()).max_by_key(|index| gain(&inputs[*index])) else { break };
        let (input, reached) = inputs.swap_remove(best);
        for feature in reached {
            known[feature as usize] = true;
        }
        len += input.len();
        kept.push(input);
    }
    kept
}

fn level(count: u8) -> usize {
    match count {
        0..=1 => 0,
        2 => 1,
        3 => 2,
        4..=7 => 3,
        8..=15 => 4,
        16..=31 => 5,
        32..=127 => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_COUNT_MAX, fewest, level};

    #[test]
    fn levels_rise_with_counts() {
        let levels: Vec<usize> = (0..=255).map(level).collect();
        assert!(levels.is_sorted() && levels[255] == 7 && levels[1] == 0);
    }

    #[test]
    fn few_inputs_reach_what_many_do() {
        let all = vec![
            (vec![1; 9], vec![1, 2, 3]),
            (vec![2; 5], vec![1, 2, 3]),
            (vec![3], vec![3]),
            (vec![4], vec![4]),
        ];
        assert_eq!(fewest(all), [vec![2; 5], vec![4]], "the shortest of equals, and what it lacks");
        let many = (0..1_000).map(|number| (vec![0; 9], vec![number])).collect();
        assert_eq!(fewest(many).len(), KEPT_COUNT_MAX);
    }
}
