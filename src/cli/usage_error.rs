//! What is said of a command line that cannot be parsed.

use clap::Error;
use clap::error::{ContextKind, ErrorKind};

/// Returns the error without the advice to pass an unknown option as a value: whoever mistypes an option means no value.
pub(super) fn without_riddle(mut error: Error) -> Error {
    if error.kind() == ErrorKind::UnknownArgument {
        error.remove(ContextKind::Suggested);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser as _;

    #[test]
    fn an_unknown_option_is_answered_with_the_nearest_one_and_nothing_misleading() {
        let said = |line: &str| {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            without_riddle(error).to_string()
        };
        let unknown = said("meetwatch report --from 2026-01-05");
        assert!(unknown.contains("unexpected argument '--from' found") && !unknown.contains("tip"), "{unknown}");
        let mistyped = said("meetwatch report --dat 2026-01-05");
        assert!(mistyped.contains("a similar argument exists: '--date'"), "{mistyped}");
    }
}
