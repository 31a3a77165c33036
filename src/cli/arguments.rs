//! For tests: parses the arguments of one command.

use clap::Parser;

#[derive(Debug, Parser)]
struct TestCli<A: clap::Args> {
    #[command(flatten)]
    args: A,
}

/// Parses what follows the name of the command. Arguments are separated by white space.
pub(super) fn parsed<A: clap::Args>(line: &str) -> Result<A, clap::Error> {
    TestCli::try_parse_from(std::iter::once("meetwatch").chain(line.split_whitespace())).map(|line| line.args)
}
