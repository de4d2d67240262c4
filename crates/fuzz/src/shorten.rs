//! Makes an input that fails as short and plain as it can be while it still fails.
//!
//! Not here: what failing means (given by the caller).

/// The byte that tells the reader least.
const PLAIN: u8 = b'0';

/// Takes pieces away, then makes bytes plain, as long as `fails`; asks at most `tries` times.
pub fn shorten(input: &[u8], mut tries: usize, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut ask = |candidate: &[u8]| {
        let left = tries > 0;
        tries = tries.saturating_sub(1);
        left && fails(candidate)
    };
    let mut len = best.len().next_power_of_two();
    while len > 0 {
        let mut at = 0;
        while at < best.len() {
            let mut candidate = best.clone();
            drop(candidate.drain(at..(at + len).min(best.len())));
            if ask(&candidate) {
                best = candidate;
            } else {
                at += len;
            }
        }
        len /= 2;
    }
    for at in 0..best.len() {
        let mut candidate = best.clone();
        candidate[at] = PLAIN;
        if candidate != best && ask(&candidate) {
            best = candidate;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn what_makes_no_difference_goes() {
        let fails = |input: &[u8]| input.contains(&b'x') && input.len() >= 3;
        let mut short = shorten(b"abcdefgxhijklm", 1_000, fails);
        // Which of the bytes beside it stay does not matter.
        short.sort_unstable();
        assert_eq!(short, b"00x");
        assert_eq!(shorten(b"abcx", 0, fails), b"abcx", "no tries, no change");
    }
}
