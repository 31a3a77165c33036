//! `meetwatch assets` (hidden): writes the files that a package ships besides the program, generated from the definition of
//! the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _, Id};
use clap_complete::Shell;

use super::Cli;
use crate::config::EXAMPLE;

/// Write man pages, shell completions and the example configuration into a folder
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder; created if it does not exist, and existing files are replaced
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes all files.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    write(&args.folder).with_context(|| format!("cannot write into {}", args.folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path) -> std::io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(Cli::command(), &man)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut visible(&Cli::command()), "meetwatch", &completions)?;
    }
    std::fs::write(folder.join("meetwatch.toml"), EXAMPLE)
}

/// Returns the command line without its hidden commands and options, which completions would otherwise offer.
fn visible(command: &Command) -> Command {
    let name = command.get_name().to_owned();
    let arguments: Vec<_> = command.get_arguments().filter(|argument| !argument.is_hide_set()).cloned().collect();
    let is_shown = |id: &Id| arguments.iter().any(|argument| argument.get_id() == id);
    let groups: Vec<_> = command.get_groups().filter(|group| group.get_args().all(is_shown)).cloned().collect();
    let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).map(visible);
    let mut shown = Command::new(name).args(arguments).groups(groups).subcommands(subcommands);
    if let Some(about) = command.get_about() {
        shown = shown.about(about.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_commands_have_man_pages_and_completions_and_hidden_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(read("man/meetwatch.1").contains("meetwatch\\-run"), "{}", read("man/meetwatch.1"));
        assert!(read("man/meetwatch-run.1").contains("\\-\\-config"));
        assert_eq!(read("meetwatch.toml"), EXAMPLE);
        for file in ["completions/meetwatch.bash", "completions/meetwatch.fish", "completions/_meetwatch"] {
            let text = read(file);
            assert!(text.contains("deliveries") && text.contains("config"), "{file}");
            assert!(!text.contains("abort-at") && !text.contains("assets"), "{file}");
        }
        assert!(!folder.path().join("man/meetwatch-assets.1").exists());
        assert!(!read("man/meetwatch-run.1").contains("abort"));
    }
}
