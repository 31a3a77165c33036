//! `meetwatch completions`: prints a script that lets a shell complete commands, options, and the names of endpoints and
//! targets. The script asks the program itself, which reads the names from the configuration.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::daemon_args::DEFAULT_CONFIG;
use super::{Cli, output};

/// The variable by which a shell's script asks for completions. It is the one of `clap_complete`.
const VARIABLE: &str = "COMPLETE";

/// Print a shell's completion script, which also completes the names of endpoints and targets
///
/// bash: add `source <(meetwatch completions bash)` to ~/.bashrc. zsh: the same in ~/.zshrc, after compinit. fish: write it
/// to ~/.config/fish/completions/meetwatch.fish. The names come from the configuration that `--config` names, or the
/// default one, if you may read it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell: bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", value_parser = ["bash", "elvish", "fish", "powershell", "zsh"], hide_possible_values = true)]
    shell: String,
}

/// Prints the script.
///
/// # Errors
/// If it cannot be written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    output::line(script(&args.shell)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn script(shell: &str) -> anyhow::Result<String> {
    let shells = Shells::builtins();
    let shell = shells.completer(shell).context("this shell is not known")?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "meetwatch", "meetwatch", "meetwatch", &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Answers a shell that asks for completions, and returns whether one did. `arguments` are those of the process.
///
/// # Errors
/// If the shell is unknown, or the answer cannot be written.
pub(super) fn answered(arguments: &[OsString]) -> clap::error::Result<bool> {
    let factory = || with_names(Cli::command(), &Arc::new(CompletedNames::of(&config_in(arguments))), "");
    CompleteEnv::with_factory(factory).var(VARIABLE).try_complete(arguments, None)
}

/// Returns the configuration that a command line names so far.
fn config_in(arguments: &[OsString]) -> PathBuf {
    let mut after = arguments.iter().skip_while(|argument| *argument != "--config").skip(1);
    let mut joined = arguments.iter().filter_map(|argument| argument.to_str()?.strip_prefix("--config="));
    let named = after.next().map(PathBuf::from).or_else(|| joined.next_back().map(PathBuf::from));
    named.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| DEFAULT_CONFIG.into())
}

/// The names in a configuration. It need not be valid: somebody may be writing it.
#[derive(Debug, Default, PartialEq, Eq)]
struct CompletedNames {
    endpoints: BTreeSet<String>,
    targets: BTreeSet<String>,
}

impl CompletedNames {
    fn of(config: &Path) -> Self {
        let text = std::fs::read_to_string(config).unwrap_or_default();
        let Ok(table) = toml::from_str::<toml::Table>(&text) else { return Self::default() };
        let sections = |name: &str| table.get(name).and_then(toml::Value::as_array).into_iter().flatten();
        let name = |section: &toml::Value| Some(section.get("name")?.as_str()?.to_owned());
        let of_many =
            |section: &&toml::Value| ["subjects", "subjects_file"].iter().any(|key| section.get(key).is_some());
        Self {
            endpoints: sections("webhook").filter_map(name).collect(),
            targets: sections("target").chain(sections("identity").filter(of_many)).filter_map(name).collect(),
        }
    }
}

/// Returns the command with the names as candidates for whatever takes one.
fn with_names(command: Command, names: &Arc<CompletedNames>, parent: &str) -> Command {
    let this = command.get_name().to_owned();
    let command = command.mut_args(|argument| {
        let pick: fn(&CompletedNames) -> &BTreeSet<String> = match (argument.get_id().as_str(), parent) {
            ("endpoint", _) | ("name", "endpoints") => |names| &names.endpoints,
            ("target", _) => |names| &names.targets,
            _ => return argument,
        };
        let names = Arc::clone(names);
        argument.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(pick(&names), typed)))
    });
    command.mut_subcommands(|subcommand| with_names(subcommand, names, &this))
}

fn candidates(names: &BTreeSet<String>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    names.iter().filter(|name| name.starts_with(typed.as_ref())).map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[[identity]]\nname = \"staff\"\nsubjects = [\"a@example.com\"]\n[[target]]\nname = \"board\"\n\
         [[webhook]]\nname = \"ops\"\n[[webhook]]\nname = \"office\"\n";

    fn completed(line: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.toml");
        std::fs::write(&path, CONFIG).unwrap();
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let mut command = with_names(Cli::command(), &Arc::new(CompletedNames::of(&path)), "");
        command.build();
        let last = words.len() - 1;
        let found = clap_complete::engine::complete(&mut command, words, last, None).unwrap();
        found.iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn names_of_endpoints_and_targets_complete_as_commands_and_options_do() {
        assert_eq!(completed("meetwatch deliveries --endpoint o"), ["office", "ops"]);
        assert_eq!(completed("meetwatch endpoints test op"), ["ops"]);
        assert_eq!(completed("meetwatch report --target "), ["board", "staff"]);
        assert_eq!(completed("meetwatch deli"), ["deliveries"]);
        assert!(completed("meetwatch listen --st").contains(&"--status".to_owned()));
    }

    #[test]
    fn the_configuration_is_the_one_of_the_command_line() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(config_in(&words("meetwatch events --config a.toml --t")), Path::new("a.toml"));
        assert_eq!(config_in(&words("meetwatch events --config=b.toml --t")), Path::new("b.toml"));
        assert_eq!(config_in(&words("meetwatch events --config")), Path::new(DEFAULT_CONFIG));
        assert_eq!(CompletedNames::of(Path::new("/nonexistent")), CompletedNames::default());
    }

    #[test]
    fn each_shell_has_a_script_that_asks_the_program() {
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let script = script(shell).unwrap();
            assert!(script.contains(VARIABLE) && script.contains("meetwatch"), "{shell}: {script}");
        }
    }
}
