//! A small stable hash (64-bit FNV-1a): a seed gives the same results over releases and machines.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Returns a hash of `seed` and `parts`. It spreads values; it is neither secret nor collision-resistant.
pub(crate) fn hash(seed: u64, parts: &[&[u8]]) -> u64 {
    let mut state = OFFSET ^ seed.wrapping_mul(PRIME);
    for part in parts {
        for byte in *part {
            state = (state ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
        // A separator after each part, so that ("ab", "c") differs from ("a", "bc").
        state = (state ^ 0xff).wrapping_mul(PRIME);
    }
    // The low bits of FNV mix better than the high ones; fold them together.
    let mixed = (state ^ (state >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// Returns the same hash as a number in `0.0..1.0`.
pub(crate) fn share(seed: u64, parts: &[&[u8]]) -> f64 {
    // 53 bits are what a double holds.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let numerator = (hash(seed, parts) >> 11) as f64;
    numerator / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_spread_evenly_and_stay_below_one() {
        let shares: Vec<f64> = (0..1000_u32).map(|n| share(7, &[&n.to_be_bytes()])).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        let mean = shares.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(hash(1, &[b"ab", b"c"]), hash(1, &[b"a", b"bc"]));
        assert_ne!(hash(1, &[b"ab"]), hash(2, &[b"ab"]));
    }
}
