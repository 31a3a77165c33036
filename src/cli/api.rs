//! `meetwatch api`: single reads of Google's API, so that an operator sees what Google shows an identity.

mod view;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::view::AnswerView;
use super::google_client;
use super::output_args::{OutputArgs, OutputFormat};
use super::time::{self, TimeSpec};
use super::values;
use crate::clock::Clock;
use crate::config::{self, Environment};
use crate::meet::{
    Answer, Client, ConferenceFilter, Page, PageRequest, ParticipantFilter, PersonQuery, Priority, Read, ReadError,
    Reader, RetryPolicy, SessionFilter,
};
use crate::model::{
    ConferenceName, IdentityName, InvalidName, MeetingCode, ParticipantName, SessionName, SpaceName, UserName,
};

/// Read single resources and lists from Google's API, as an identity of the configuration
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file with the identities
    #[arg(long, value_name = "FILE", global = true, default_value = "/etc/meetwatch/meetwatch.toml")]
    pub config: PathBuf,
    /// The identity to read as; required if the configuration has several
    #[arg(long, value_name = "NAME", global = true, value_parser = IdentityName::parse)]
    pub identity: Option<IdentityName>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    pub command: ApiCommand,
}

/// What to read.
#[derive(Debug, clap::Subcommand)]
pub enum ApiCommand {
    /// List the conferences that the identity organizes
    #[command(after_help = time::HELP)]
    Conferences {
        /// List only live conferences
        #[arg(long)]
        active: bool,
        /// List only conferences that ended at or after this time
        #[arg(long, value_name = "TIME", conflicts_with = "active", value_parser = moment)]
        since: Option<Timestamp>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// List the participants of a conference
    #[command(after_help = time::HELP)]
    Participants {
        /// The conference: conferenceRecords/…
        #[arg(value_parser = ConferenceName::parse)]
        parent: ConferenceName,
        /// List only participants who are in the call now
        #[arg(long)]
        active: bool,
        /// List only participants who left at or after this time
        #[arg(long, value_name = "TIME", conflicts_with = "active", value_parser = moment)]
        since: Option<Timestamp>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// List a participant's sessions: one for each device and join
    Sessions {
        /// The participant: conferenceRecords/…/participants/…
        #[arg(value_parser = ParticipantName::parse)]
        parent: ParticipantName,
        /// List only open sessions
        #[arg(long)]
        active: bool,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Get one resource by its name: a conference, participant, session or space, or a space by its meeting code
    Get {
        /// conferenceRecords/…, …/participants/…, …/participantSessions/…, spaces/… or a code such as abc-mnop-xyz
        #[arg(value_parser = parse_name)]
        name: Read,
    },
    /// Look up a signed-in participant's name and address (People API)
    Person {
        /// users/…, people/… or the number alone
        #[arg(value_parser = parse_user)]
        id: UserName,
    },
}

/// The options to read a single page of a list.
#[derive(Debug, Clone, clap::Args)]
pub struct PageArgs {
    /// Show one page of at most this many items, and the token of the next page
    #[arg(long, value_name = "N", value_parser = values::whole::<u32>)]
    pub page_size: Option<u32>,
    /// Show the page with this token
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

impl PageArgs {
    fn request(&self) -> Option<PageRequest<'_>> {
        let wanted = self.page_size.is_some() || self.page_token.is_some();
        wanted.then_some(PageRequest { size: self.page_size, token: self.page_token.as_deref() })
    }
}

/// Reads with a client that is built from the configuration, and prints the answer.
pub(super) async fn run_with_config(args: Args) -> anyhow::Result<ExitCode> {
    let config = config::load(&args.config, &Environment::read())?;
    let client = google_client::build(&config.google, &config.identities, RetryPolicy::default())?;
    let identities: Vec<_> = config.identities.into_iter().map(|identity| identity.name).collect();
    run(args, &client, &identities, &mut std::io::stdout()).await
}

/// Reads with this client and prints the answer to `out`. `identities` are those of the configuration, in its order.
///
/// # Errors
/// Where the identity does not exist, Google refuses, or `out` cannot be written to.
pub async fn run(
    args: Args,
    client: &Client,
    identities: &[IdentityName],
    out: &mut (impl Write + Send),
) -> anyhow::Result<ExitCode> {
    let identity = choose(args.identity, identities)?;
    let view = fetch(client, &identity, args.command).await.map_err(|error| with_remedy(&error))?;
    let text = match args.output.format() {
        OutputFormat::Table => view.table(),
        OutputFormat::Json => view.json().context("cannot write JSON")?,
        OutputFormat::Csv => view.csv(),
    };
    out.write_all(text.as_bytes()).context("cannot write to the output")?;
    Ok(ExitCode::SUCCESS)
}

async fn fetch(client: &Client, identity: &IdentityName, command: ApiCommand) -> Result<AnswerView, ReadError> {
    match command {
        ApiCommand::Conferences { active, since, page } => {
            let filter = ConferenceFilter { live: active, ended_since: since, ..ConferenceFilter::default() };
            match page.request() {
                Some(page) => client.list_conferences_page(identity, &filter, page).await.map(AnswerView::from),
                None => read(client, identity, Read::Conferences(filter)).await,
            }
        }
        ApiCommand::Participants { parent, active, since, page } => {
            let filter = match (active, since) {
                (true, _) => ParticipantFilter::Active,
                (false, Some(since)) => ParticipantFilter::LeftSince(since),
                (false, None) => ParticipantFilter::All,
            };
            match page.request() {
                Some(page) => {
                    client.list_participants_page(identity, &parent, filter, page).await.map(AnswerView::from)
                }
                None => read(client, identity, Read::Participants(parent, filter)).await,
            }
        }
        ApiCommand::Sessions { parent, active, page } => {
            let filter = if active { SessionFilter::Open } else { SessionFilter::All };
            match page.request() {
                Some(page) => client.list_sessions_page(identity, &parent, filter, page).await.map(AnswerView::from),
                None => read(client, identity, Read::Sessions(parent, filter)).await,
            }
        }
        ApiCommand::Get { name } => read(client, identity, name).await,
        ApiCommand::Person { id } => {
            let person = client.get_person(identity, &id, PersonQuery::default()).await?;
            Ok(AnswerView::from(Answer::People(vec![person])).single())
        }
    }
}

async fn read(client: &Client, identity: &IdentityName, read: Read) -> Result<AnswerView, ReadError> {
    Ok(AnswerView::from(client.read(identity, Priority::Listing, &read).await?.answer))
}

fn choose(wanted: Option<IdentityName>, identities: &[IdentityName]) -> anyhow::Result<IdentityName> {
    let names = || identities.iter().map(IdentityName::as_str).collect::<Vec<_>>().join(", ");
    match (wanted, identities) {
        (_, []) => bail!("the configuration has no identity"),
        (Some(wanted), _) if identities.contains(&wanted) => Ok(wanted),
        (Some(wanted), _) => bail!("unknown identity {wanted}; the configuration has: {}", names()),
        (None, [only]) => Ok(only.clone()),
        (None, _) => bail!("choose an identity with --identity; the configuration has: {}", names()),
    }
}

fn with_remedy(error: &ReadError) -> anyhow::Error {
    match error.remedy {
        "" => anyhow!("{error}"),
        remedy => anyhow!("{error}\n  {remedy}"),
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Ok(TimeSpec::parse(text)?.moment(Clock::new().now().wall, &TimeZone::UTC))
}

fn parse_name(text: &str) -> Result<Read, InvalidName> {
    let conference = || ConferenceName::parse(text).map(Read::Conference);
    let participant = || ParticipantName::parse(text).map(Read::Participant);
    let session = || SessionName::parse(text).map(Read::Session);
    // Google's reference also allows a code after `spaces/`. Codes are not case-sensitive.
    let code = text.strip_prefix("spaces/").unwrap_or(text);
    let code = || MeetingCode::from_input(code).map(Read::SpaceByCode);
    let space = || SpaceName::parse(text).map(Read::Space);
    conference().or_else(|_| participant()).or_else(|_| session()).or_else(|_| code()).or_else(|_| space()).map_err(
        |_| InvalidName {
            kind: "name",
            shape: "conferenceRecords/…, …/participants/…, …/participantSessions/…, spaces/… or abc-mnop-xyz",
        },
    )
}

fn parse_user(text: &str) -> Result<UserName, InvalidName> {
    let id = text.trim_start_matches("users/").trim_start_matches("people/");
    UserName::parse(&format!("users/{id}"))
}

impl<T> From<Page<T>> for AnswerView
where
    AnswerView: From<Vec<T>>,
{
    fn from(page: Page<T>) -> Self {
        Self::from(page.items).with_next(page.next_page_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::parsed;

    #[test]
    fn get_accepts_the_name_of_any_resource() {
        let read = |name: &str| match parsed::<Args>(&format!("get {name}")).unwrap().command {
            ApiCommand::Get { name } => name,
            other => unreachable!("{other:?}"),
        };
        assert!(matches!(read("conferenceRecords/c"), Read::Conference(_)));
        assert!(matches!(read("conferenceRecords/c/participants/p"), Read::Participant(_)));
        assert!(matches!(read("conferenceRecords/c/participants/p/participantSessions/s"), Read::Session(_)));
        assert!(matches!(read("spaces/jQCFfuBOdN5z"), Read::Space(_)));
        for code in ["abc-mnop-xyz", "ABC-mnop-xyz", "spaces/abc-mnop-xyz"] {
            assert!(matches!(read(code), Read::SpaceByCode(code) if code.as_str() == "abc-mnop-xyz"));
        }
        assert!(parsed::<Args>("get nonsense").is_err());
    }

    #[test]
    fn global_options_may_follow_the_command_and_contradictions_are_refused() {
        let args = parsed::<Args>("participants conferenceRecords/c --active --json --identity a --config f").unwrap();
        assert!(
            args.output.format() == OutputFormat::Json && args.identity.is_some() && args.config.as_os_str() == "f"
        );
        assert!(parsed::<Args>("participants conferenceRecords/c --active --since 2026-01-05T10:00:00Z").is_err());
        assert!(parsed::<Args>("participants conferenceRecords/c --since tomorrow").is_err());
        assert!(parsed::<Args>("participants spaces/c").is_err());
    }

    #[test]
    fn one_identity_needs_no_choice_and_several_do() {
        let [a, b] = ["a", "b"].map(|name| IdentityName::parse(name).unwrap());
        assert_eq!(choose(None, std::slice::from_ref(&a)).unwrap(), a);
        assert_eq!(choose(Some(b.clone()), &[a.clone(), b.clone()]).unwrap(), b);
        assert!(choose(None, &[a.clone(), b.clone()]).unwrap_err().to_string().contains("a, b"));
        assert!(choose(Some(b), &[a]).is_err());
        assert!(choose(None, &[]).is_err());
    }
}
