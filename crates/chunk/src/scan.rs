//! Finds the first place at which a rolling hash asks for a cut.
//!
//! Each step of a rolling hash waits for the one before it, so a core does one byte in the time
//! in which it could do several. Since the hash depends on the window alone, a long range is cut
//! into [`LANE_COUNT`] shorter ones that are hashed side by side.
//!
//! Invariant: the answer is the one that hashing byte by byte from the front gives.
//! Not here: the hashes (`buzhash.rs`, `rabin.rs`, `fastcdc.rs`).

/// Ranges that are hashed side by side.
const LANE_COUNT: usize = 4;

/// Bytes of each. Starting one costs a window's length, finding a cut wastes half of them all.
const LANE_LEN: usize = 2048;

/// A hash over a window of bytes that can be moved on by one.
pub(crate) trait Rolling {
    /// Bytes of the window.
    const WINDOW_LEN: usize;
    /// The hash.
    type Hash: Copy;

    /// Hashes a window.
    fn start(&self, window: &[u8]) -> Self::Hash;
    /// Moves the window on: `left` leaves it, `entered` enters it.
    fn roll(&self, hash: Self::Hash, left: u8, entered: u8) -> Self::Hash;
    /// Whether to cut behind the window.
    fn cuts(&self, hash: Self::Hash) -> bool;
}

/// Returns the first cut of `data` in `from..to`: how many bytes stand before it.
///
/// `from` must not be less than the window's length, nor `to` more than that of `data`.
pub(crate) fn first_cut<R: Rolling>(
    rolling: &R,
    data: &[u8],
    mut from: usize,
    to: usize,
) -> Option<usize> {
    while from + LANE_COUNT * LANE_LEN <= to {
        if let Some(cut) = first_of_lanes(rolling, data, from) {
            return Some(cut);
        }
        from += LANE_COUNT * LANE_LEN;
    }
    if from >= to {
        return None;
    }
    let mut hash = rolling.start(&data[from - R::WINDOW_LEN..from]);
    let leaving = &data[from - R::WINDOW_LEN..to - R::WINDOW_LEN];
    for (index, (left, entered)) in leaving.iter().zip(&data[from..to]).enumerate() {
        if rolling.cuts(hash) {
            return Some(from + index);
        }
        hash = rolling.roll(hash, *left, *entered);
    }
    None
}

/// As [`first_cut`], for the range that all lanes cover from `from` on.
fn first_of_lanes<R: Rolling>(rolling: &R, data: &[u8], from: usize) -> Option<usize> {
    let lane = |index: usize, back: usize| -> &[u8; LANE_LEN] {
        let start = from + index * LANE_LEN - back;
        data[start..start + LANE_LEN].try_into().expect("invariant: the slice has this length")
    };
    let entering: [&[u8; LANE_LEN]; LANE_COUNT] = std::array::from_fn(|index| lane(index, 0));
    let leaving: [&[u8; LANE_LEN]; LANE_COUNT] =
        std::array::from_fn(|index| lane(index, R::WINDOW_LEN));
    let mut hashes: [R::Hash; LANE_COUNT] = std::array::from_fn(|index| {
        let start = from + index * LANE_LEN;
        rolling.start(&data[start - R::WINDOW_LEN..start])
    });
    let mut first: Option<(usize, usize)> = None;
    for at in 0..LANE_LEN {
        let [a, b, c, d] = hashes.map(|hash| rolling.cuts(hash));
        if a | b | c | d {
            let lane = [a, b, c, d].iter().position(|cuts| *cuts).unwrap_or(0);
            if lane == 0 {
                return Some(from + at);
            }
            // One in an earlier lane comes before it, however far that lane still has to go.
            if first.is_none_or(|(known, _)| lane < known) {
                first = Some((lane, at));
            }
        }
        for (index, hash) in hashes.iter_mut().enumerate() {
            *hash = rolling.roll(*hash, leaving[index][at], entering[index][at]);
        }
    }
    first.map(|(lane, at)| from + lane * LANE_LEN + at)
}

#[cfg(test)]
mod tests {
    use super::{LANE_COUNT, LANE_LEN, Rolling, first_cut};

    /// Sums two bytes, and cuts where the sum is in the list.
    struct Sum(&'static [u8]);

    impl Rolling for Sum {
        const WINDOW_LEN: usize = 2;
        type Hash = u8;
        fn start(&self, window: &[u8]) -> u8 {
            window.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
        }
        fn roll(&self, hash: u8, left: u8, entered: u8) -> u8 {
            hash.wrapping_sub(left).wrapping_add(entered)
        }
        fn cuts(&self, hash: u8) -> bool {
            self.0.contains(&hash)
        }
    }

    #[test]
    fn the_first_cut_wins_in_whichever_lane_it_is() {
        let len = 3 * LANE_COUNT * LANE_LEN + 100;
        // Places of bytes of 7 among zeros: each makes a sum of 7 at the place and one behind.
        for marks in [
            vec![],
            vec![2],
            vec![LANE_LEN, 3 * LANE_LEN + 1],
            // The later lane meets its mark first.
            vec![2 * LANE_LEN - 1, 2 * LANE_LEN + 5],
            vec![LANE_COUNT * LANE_LEN + 1],
            vec![len - 2],
            vec![len - 1],
        ] {
            let mut data = vec![0; len];
            for mark in &marks {
                data[*mark] = 7;
            }
            // The window of a cut after n bytes ends with byte n - 1.
            let expected = marks.first().map(|mark| mark + 1).filter(|cut| *cut < len);
            assert_eq!(first_cut(&Sum(&[7]), &data, 2, len), expected, "{marks:?}");
        }
        assert_eq!(first_cut(&Sum(&[0]), &[0; 10], 5, 5), None);
        assert_eq!(first_cut(&Sum(&[0]), &[0; 10], 5, 6), Some(5));
    }
}
