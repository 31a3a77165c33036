//! The first day of somebody who has never used meetwatch: the demonstration, the commands that it suggests, a
//! configuration, and mistakes. The whole day stands in `tests/data/first_day.txt`, so that each sentence is read when it
//! changes.
//!
//! What differs from run to run is replaced: `PORT`, `DIR` for folders, `N` for numbers, `…` for lines about the simulated
//! people. Lines on standard error begin with `! `.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use regex_lite::Regex;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::kill_daemon::write_private;

const REWRITE: &str = "if the new text is right, remove the file, run this test, and commit what it writes";

/// What of a command's output is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// Every line.
    Words,
    /// The lines that are not about the simulated people, with `N` for numbers.
    Shape,
}

/// A day of somebody who sits in one folder.
struct Day {
    folder: tempfile::TempDir,
    /// What differs from run to run, and what stands for it.
    known: Vec<(String, &'static str)>,
    text: String,
}

impl Day {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), known: Vec::new(), text: String::new() }
    }

    fn note(&mut self, text: &str) {
        self.text.push_str(&format!("# {text}\n\n"));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("COLUMNS", "80").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command and writes it down with what it printed.
    async fn run(&mut self, compare: Compare, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
        let [out, error] = [&output.stdout, &output.stderr].map(|bytes| std::str::from_utf8(bytes).unwrap().to_owned());
        let code = output.status.code().unwrap();
        // A refusal is one sentence; that of a command line is clap's, with the usage after it.
        assert!(code != 1 || error.lines().count() <= 1, "{arguments:?}: {error}");
        self.command_line(arguments);
        self.lines("", &shown(&out, compare));
        self.lines("! ", &error);
        if code != 0 {
            self.text.push_str(&format!("[exit code {code}]\n"));
        }
        self.text.push('\n');
        output
    }

    fn command_line(&mut self, arguments: &[&str]) {
        let quoted =
            |argument: &&str| if argument.contains(' ') { format!("'{argument}'") } else { (*argument).to_owned() };
        let line: Vec<String> = arguments.iter().map(quoted).collect();
        let line = format!("meetwatch {}", line.join(" "));
        self.lines("$ ", line.trim_end());
    }

    fn lines(&mut self, before: &str, text: &str) {
        let mut text = text.to_owned();
        for (value, placeholder) in &self.known {
            text = text.replace(value, placeholder);
        }
        for (pattern, placeholder) in [(r"whsec_[A-Za-z0-9+/=]+", "whsec_SECRET"), (r"after \d+\.\d+ s", "after N s")] {
            text = Regex::new(pattern).unwrap().replace_all(&text, placeholder).into_owned();
        }
        for line in text.lines() {
            self.text.push_str(format!("{before}{line}").trim_end());
            self.text.push('\n');
        }
    }

    /// Writes a file and shows it.
    fn write(&mut self, name: &str, text: &str) {
        write_private(&self.folder.path().join(name), text);
        self.text.push_str(&format!("$ cat {name}\n"));
        self.lines("", text);
        self.text.push('\n');
    }
}

/// Returns the part of an output that is compared.
fn shown(out: &str, compare: Compare) -> String {
    if compare == Compare::Words {
        return out.to_owned();
    }
    let varies = Regex::new(r"\d\d:\d\d:\d\d|^printer ").unwrap();
    // How many columns fit depends on the names below them.
    let header = Regex::new(r"^[A-Z]+ +[A-Z ]+$").unwrap();
    let replacements = [(r"\d+", "N"), (r"N (live conference|conference|participant)s?\b", "N ${1}s"), (r"  +", "  ")]
        .map(|(pattern, text)| (Regex::new(pattern).unwrap(), text));
    let mut lines: Vec<String> = Vec::new();
    for line in out.lines().filter(|line| !line.starts_with("next page: ")) {
        if varies.is_match(line) {
            lines.push("…".to_owned());
        } else if header.is_match(line) {
            lines.push(format!("{} …", line.split("  ").next().unwrap()));
        } else {
            let replaced = replacements
                .iter()
                .fold(line.to_owned(), |line, (pattern, text)| pattern.replace_all(&line, *text).into_owned());
            lines.push(replaced.trim_end().to_owned());
        }
    }
    lines.dedup();
    lines.join("\n")
}

/// A running demonstration.
struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    config: String,
}

impl Demo {
    /// Starts it, writes down what it says before the first event, and waits until somebody has joined.
    async fn start(day: &mut Day) -> Self {
        let mut child = day.command(&["demo", "--seconds", "600"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut introduction = String::new();
        loop {
            let line = lines.next_line().await.unwrap().expect("the demonstration ended early");
            introduction.push_str(&format!("{line}\n"));
            if line.starts_with("It stops after") {
                break;
            }
        }
        let config = introduction.split_whitespace().find(|word| word.ends_with("/demo.toml")).unwrap().to_owned();
        let folder = Path::new(&config).parent().unwrap().display().to_string();
        day.known.push((folder, "DIR"));
        day.known.push((env!("CARGO_BIN_EXE_meetwatch").to_owned(), "meetwatch"));
        for address in Regex::new(r"127\.0\.0\.1:\d+").unwrap().find_iter(&introduction) {
            day.known.push((address.as_str().to_owned(), "127.0.0.1:PORT"));
        }
        day.command_line(&["demo", "--seconds", "600"]);
        day.lines("", &introduction);
        day.text.push_str("…\n\n");
        let mut demo = Self { child, lines, config };
        while !demo.line().await.contains("joined (") {}
        demo
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(60), self.lines.next_line()).await.unwrap();
        line.unwrap().expect("the demonstration ended early")
    }

    /// Returns the address of its daemon.
    fn address(&self) -> String {
        let text = fs::read_to_string(&self.config).unwrap();
        let listen = text.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap();
        format!("http://{}", listen.trim_matches('"'))
    }

    /// Ends it as Ctrl-C does, and writes down what it says at the end.
    async fn stop(mut self, day: &mut Day) {
        let id = rustix::process::Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        let mut end = String::new();
        while let Some(line) =
            tokio::time::timeout(Duration::from_secs(60), self.lines.next_line()).await.unwrap().unwrap()
        {
            end.push_str(&format!("{line}\n"));
        }
        assert!(self.child.wait().await.unwrap().success(), "{end}");
        let end =
            end.split_once("\nEnding the meetings").map(|(_, rest)| format!("Ending the meetings{rest}")).unwrap();
        day.text.push_str("^C\n");
        day.lines("", &shown(&end, Compare::Shape));
        day.text.push('\n');
    }
}

const CONFIG: &str = r#"[google]
endpoint = "http://127.0.0.1:1"
[[identity]]
name = "me"
service_account_key = "key.json"
subject = "alice@example.com"
[[target]]
name = "board"
meeting_kode = "abc-mnop-xyz"
[[webhok]]
name = "ops"
[[webhook]]
name = "chat"
url = "example.com/hook"
secret = "hush"
[server]
listen = "9840"
"#;

async fn the_demonstration(day: &mut Day) {
    day.note("the demonstration, and the commands that it suggests");
    let demo = Demo::start(day).await;
    let config = demo.config.clone();
    for command in ["who", "conferences", "status", "deliveries", "endpoints", "events", "health", "reload"] {
        day.run(Compare::Shape, &[command, "--config", &config]).await;
    }
    day.run(Compare::Shape, &["report", "-o", "csv", "--config", &config]).await;
    day.run(Compare::Words, &["endpoints", "test", "printer", "--config", &config]).await;
    day.note("names that do not exist, and times that make no sense");
    for arguments in [
        &["who", "nosuch"][..],
        &["who", "zzz-zzzz-zzz"],
        &["report", "--target", "everythin"],
        &["report", "conferenceRecords/nosuch"],
        &["report", "--date", "tomorrow"],
        &["report", "--from", "yesterday"],
        &["deliveries", "--endpoint", "printr"],
        &["deliveries", "show", "999999"],
        &["deliveries", "replay", "--endpoint", "printer"],
        &["events", "--conference", "zzz-zzzz-zzz"],
        &["events", "--from", "2026-01-02", "--to", "2026-01-01"],
        &["events", "--type", "participant.join"],
        &["events", "--tail", "many"],
        &["endpoints", "remove", "printer", "--yes"],
        &["endpoints", "enable", "nosuch"],
        &["forget", "nobody"],
        &["forget", "nobody@example.com"],
    ] {
        day.run(Compare::Words, &[arguments, &["--config", &config]].concat()).await;
    }
    day.note("the daemon by its address: with another's token, with none, with one that is not there");
    let address = demo.address();
    write_private(&day.folder.path().join("my.token"), "another-token-of-some-length");
    day.run(Compare::Words, &["who", "--url", &address, "--token-file", "my.token"]).await;
    day.run(Compare::Words, &["who", "--url", &address]).await;
    day.run(Compare::Words, &["who", "--url", &address, "--token-file", "nosuch"]).await;
    day.run(Compare::Words, &["who", "--url", address.strip_prefix("http://").unwrap()]).await;
    demo.stop(day).await;
    day.note("the daemon is gone");
    day.run(Compare::Words, &["who", "--config", &config]).await;
    day.run(Compare::Words, &["who", "--url", "http://127.0.0.1:1"]).await;
}

async fn a_configuration(day: &mut Day) {
    day.note("a configuration");
    let example = day.command(&["check", "--example"]).output().await.unwrap().stdout;
    fs::write(day.folder.path().join("meetwatch.toml"), example).unwrap();
    day.lines("$ ", "meetwatch check --example > meetwatch.toml");
    for arguments in [
        &["check", "meetwatch.toml"][..],
        &["run", "--config", "meetwatch.toml"],
        &["api", "conferences", "--config", "meetwatch.toml"],
        &["check", "nosuch.toml"],
        &["run", "--config", "nosuch.toml"],
        &["secret", "new"],
    ] {
        day.run(Compare::Words, arguments).await;
    }
    day.note("the same by hand, with mistakes");
    day.write("mine.toml", CONFIG);
    day.run(Compare::Words, &["check", "mine.toml"]).await;
    day.write("mine.toml", "[[identity]]\nname = \"me\n");
    day.run(Compare::Words, &["check", "mine.toml"]).await;
    day.write("mine.toml", "[store]\npath = \"nosuch/m.db\"\n[server]\nlisten = \"127.0.0.1:1\"\n");
    day.run(Compare::Words, &["check", "mine.toml"]).await;
    day.run(Compare::Words, &["status", "--config", "mine.toml"]).await;
    day.run(Compare::Words, &["backup", "copy.db", "--config", "mine.toml"]).await;
}

async fn other_mistakes(day: &mut Day) {
    day.note("commands and options that do not exist, and values that make no sense");
    for arguments in [
        &["statu"][..],
        &["config"],
        &["check", "--onlin"],
        &["check", "--json"],
        &["login"],
        &["login", "--client-secret", "nosuch.json", "--token-store", "token.json"],
        &["listen"],
        &["listen", "--secret", "hush"],
        &["listen", "--listen", "9841", "--secret", "hush"],
        &["listen", "--secret-file", "nosuch"],
        &["demo", "--seconds", "0"],
        &["demo", "--seed", "seven"],
        &["sim", "--speed", "0"],
        &["sim", "--script", "nosuch.toml"],
        &["sim", "--faults", "nosuch"],
        &["events", "--output", "yaml"],
        &["completions", "tcsh"],
        &["run", "--log", "loud"],
    ] {
        day.run(Compare::Words, arguments).await;
    }
}

fn stored() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/first_day.txt")
}

#[tokio::test]
async fn a_first_day_reads_as_it_did_when_somebody_read_it() {
    let mut day = Day::new();
    the_demonstration(&mut day).await;
    a_configuration(&mut day).await;
    other_mistakes(&mut day).await;
    if !stored().exists() {
        fs::write(stored(), &day.text).unwrap();
        panic!("tests/data/first_day.txt was written: read and commit it, and run this test again");
    }
    let stored = fs::read_to_string(stored()).unwrap();
    let (now, then): (Vec<&str>, Vec<&str>) = (day.text.lines().collect(), stored.lines().collect());
    for (line, (now, then)) in now.iter().zip(&then).enumerate() {
        assert_eq!(now, then, "line {} of tests/data/first_day.txt differs; {REWRITE}", line + 1);
    }
    assert_eq!(now.len(), then.len(), "{REWRITE}");
}
