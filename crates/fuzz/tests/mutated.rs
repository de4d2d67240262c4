//! Every target on its seeds and on some thousand changes of them.

use cairn_fuzz::{INPUT_LEN_MAX, Mutator, TARGETS};
use std::panic::catch_unwind;

/// Inputs for each target.
const INPUT_COUNT: usize = 50_000;

#[test]
fn properties_hold_of_seeds_and_of_what_is_made_of_them() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        let mut mutator = Mutator::new(1);
        let made: Vec<_> = (0..INPUT_COUNT).map(|_| mutator.input(&seeds)).collect();
        for input in seeds.iter().chain(&made) {
            let held = catch_unwind(|| (target.run)(input)).is_ok();
            assert!(held, "{}: {}", target.name, input.escape_ascii());
        }
    }
}

#[test]
fn equal_seeds_give_equal_inputs_of_bounded_length() {
    let seeds = [vec![7; INPUT_LEN_MAX], Vec::new()];
    let (mut one, mut other) = (Mutator::new(3), Mutator::new(3));
    for _ in 0..1_000 {
        let input = one.input(&seeds);
        assert!(input.len() <= INPUT_LEN_MAX);
        assert_eq!(input, other.input(&seeds));
    }
}
