//! One run: a target on an input, and what is wrong with it.
//!
//! Wrong are a panic, and more memory than the input's length explains. What ends the process
//! (no memory at all, no stack, no end) is noticed by who started it (`main.rs`).
//! Not here: what to run (`engine.rs`).

use crate::{Target, allocation};
use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::Once,
};

/// Memory that a run may take for each byte of its input: a node of one byte takes a hundred,
/// in a list that grows by doubling.
const MEMORY_PER_BYTE: usize = 512;

/// What went wrong, and with which bytes.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where: a place in the sources, or `memory`. One place is one bug, mostly.
    pub place: String,
    /// What was said.
    pub text: String,
    /// What repeats it.
    pub input: Vec<u8>,
}

thread_local! {
    /// The last panic of a run in this thread; `None` outside of runs.
    static CAUGHT: RefCell<Option<[String; 2]>> = const { RefCell::new(None) };
}

/// Runs `target` on `input`.
#[must_use]
pub fn check(target: &Target, input: &[u8]) -> Option<Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                usual(info);
            }
        }));
    });
    CAUGHT.set(Some([const { String::new() }; 2]));
    let run = AssertUnwindSafe(|| (target.run)(input));
    let (result, peak) = allocation::peak_of(|| panic::catch_unwind(run));
    let [place, text] = CAUGHT.take().unwrap_or_default();
    let input = input.to_vec();
    if result.is_err() {
        return Some(Failure { place, text, input });
    }
    let most = target.memory_max + MEMORY_PER_BYTE * input.len();
    (peak > most).then(|| {
        let text = format!("{peak} bytes of memory for {} of input", input.len());
        Failure { place: "memory".to_owned(), text, input }
    })
}

/// Keeps what a panic inside of a run says, in place of printing it.
fn note(info: &PanicHookInfo<'_>) -> bool {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let text = info.payload_as_str().unwrap_or_default().to_owned();
    CAUGHT.with_borrow_mut(|caught| {
        let is_inside = caught.is_some();
        if is_inside {
            *caught = Some([place, text]);
        }
        is_inside
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::Target;

    fn target(run: fn(&[u8])) -> Target {
        Target { name: "test", run, seeds: Vec::new, memory_max: 1 << 10 }
    }

    #[test]
    fn panics_and_memory_are_told_with_their_place() {
        assert!(check(&target(|_| ()), b"x").is_none());
        let failure = check(&target(|input| assert!(input.is_empty(), "not empty")), b"x").unwrap();
        assert!(failure.place.contains("check.rs"), "{failure:?}");
        assert_eq!((failure.text.as_str(), &*failure.input), ("not empty", &b"x"[..]));
        let failure = check(&target(|_| drop(vec![1_u8; 1 << 20])), b"x").unwrap();
        assert_eq!(failure.place, "memory");
    }
}
