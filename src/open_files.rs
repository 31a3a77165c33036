//! Recognises that the process has as many open files as it may. A connection is an open file, too.

use std::error::Error;
use std::io;

/// What is wrong.
pub const EXHAUSTED: &str = "too many open files (EMFILE)";

/// What the operator has to do.
pub const REMEDY: &str = "raise LimitNOFILE in the unit, or `ulimit -n` where the daemon is started";

/// Linux's numbers for "this process has too many" and "the machine has too many".
const NUMBERS: [i32; 2] = [24, 23];

/// Whether this error, or one that it was caused by, says so.
#[must_use]
pub fn are_exhausted(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source()).any(|error| {
        error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.raw_os_error().is_some_and(|number| NUMBERS.contains(&number)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_recognised_however_deep_it_is() {
        let limit = io::Error::from_raw_os_error(24);
        assert!(are_exhausted(&limit));
        assert!(!are_exhausted(&io::Error::from_raw_os_error(2)));
        assert!(!are_exhausted(&io::Error::other("no")));
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        assert!(are_exhausted(&Outer(limit)));
    }
}
