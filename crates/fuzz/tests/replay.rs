//! Every target that was searched: on what was kept of it, on its seeds, and on some thousand
//! changes of them.
//!
//! Not here: targets without a corpus (`cargo xtask fuzz NAME --keep` makes one).

use cairn_fuzz::{INPUT_LEN_MAX, Mutator, Target, check, targets};
use std::{fs, io, path::Path};

/// Inputs that are made for each target.
const INPUT_COUNT: usize = 20_000;

/// Longest input that changes are made of: what is short is run by the thousand.
const CHANGED_LEN_MAX: usize = 512;

/// Targets that have a corpus, at least: fewer means that the corpora are not found.
const SEARCHED_COUNT_MIN: usize = 6;

/// Most files of a corpus, and most bytes of all of them.
const FILE_COUNT_MAX: usize = 100;
const CORPUS_LEN_MAX: usize = 200 * 1024;

/// What was kept of a target: nothing, as long as nobody has searched.
fn kept(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let paths: io::Result<Vec<_>> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths?;
    paths.sort();
    paths.iter().map(fs::read).collect()
}

#[test]
fn properties_hold_of_what_was_kept_of_seeds_and_of_what_is_made_of_them() {
    let mut searched = 0;
    for target in targets() {
        let mut seeds = kept(&target).unwrap();
        if seeds.is_empty() {
            continue;
        }
        searched += 1;
        seeds.extend((target.seeds)());
        let short: Vec<_> = seeds.iter().filter(|seed| seed.len() <= CHANGED_LEN_MAX).collect();
        let mut mutator = Mutator::new(1, &seeds);
        let made = (0..INPUT_COUNT).map(|at| mutator.input(short[at % short.len()], &short));
        for input in seeds.iter().cloned().chain(made) {
            if let Some(failure) = check(&target, &input) {
                let (place, text) = (failure.place, failure.text);
                panic!("{}: {place}: {text}: {}", target.name, input.escape_ascii());
            }
        }
    }
    assert!(searched >= SEARCHED_COUNT_MIN, "{searched} targets have a corpus");
}

#[test]
fn corpora_are_small_and_each_has_a_target() {
    let targets = targets();
    for target in &targets {
        let kept = kept(target).unwrap();
        assert!(kept.len() <= FILE_COUNT_MAX, "{}", target.name);
        let len: usize = kept.iter().map(Vec::len).sum();
        assert!(len <= CORPUS_LEN_MAX, "{}: {len} bytes", target.name);
    }
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap();
    for folder in folders {
        let name = folder.unwrap().file_name();
        assert!(targets.iter().any(|target| target.name == name), "{name:?} has no target");
    }
}

#[test]
fn equal_seeds_give_equal_inputs_of_bounded_length() {
    let seeds = [vec![b'7'; INPUT_LEN_MAX], b"word 17 word".to_vec(), Vec::new()];
    let (mut one, mut other) = (Mutator::new(3, &seeds), Mutator::new(3, &seeds));
    for at in 0..1_000 {
        let input = one.input(&seeds[at % 3], &seeds);
        assert!(input.len() <= INPUT_LEN_MAX);
        assert_eq!(input, other.input(&seeds[at % 3], &seeds));
    }
}
