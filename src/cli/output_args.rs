//! The options that say how a command prints.

/// How a list is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum OutputFormat {
    /// As wide as the terminal, or 80 columns; of what does not fit, the last columns are cut or left out
    #[default]
    Table,
    /// Everything that the daemon knows
    Json,
    /// The columns of the table, whole, for spreadsheets; names cannot act as formulas
    Csv,
}

/// Above these options in the help of a command.
const HEADING: &str = "Output";

/// The format of a command's output.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct OutputArgs {
    /// Print a table, JSON or CSV [default: table]
    #[arg(short, long, value_name = "FORMAT", value_enum, global = true, help_heading = HEADING, hide_possible_values = true)]
    output: Option<OutputFormat>,
    /// The same as `--output json`
    #[arg(long, global = true, help_heading = HEADING, conflicts_with = "output")]
    json: bool,
}

impl OutputArgs {
    pub(super) fn format(self) -> OutputFormat {
        if self.json { OutputFormat::Json } else { self.output.unwrap_or_default() }
    }

    /// Returns whether to print JSON, for an output that is no list.
    ///
    /// # Errors
    /// For CSV.
    pub(super) fn json(self) -> anyhow::Result<bool> {
        match self.format() {
            OutputFormat::Table => Ok(false),
            OutputFormat::Json => Ok(true),
            OutputFormat::Csv => anyhow::bail!("only a list can be printed as CSV; use --output json"),
        }
    }
}
