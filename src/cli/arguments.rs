//! For tests: the arguments of one command, read as the command line reads them.

use clap::Parser;

#[derive(Debug, Parser)]
struct Line<A: clap::Args> {
    #[command(flatten)]
    args: A,
}

/// What stands behind the command's name, its words apart.
pub(super) fn parsed<A: clap::Args>(line: &str) -> Result<A, clap::Error> {
    Line::try_parse_from(std::iter::once("meetwatch").chain(line.split_whitespace())).map(|line| line.args)
}
