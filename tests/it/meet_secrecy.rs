//! No log line contains a token, a key or a person, at any level.
//!
//! The libraries do log them, at `debug` and `trace`: the first test shows that the capture sees such a line. What the
//! daemon writes goes through the subscriber of `meetwatch::log`, which holds libraries at `warn` and ignores the `log`
//! crate; the test reads what that very subscriber writes at `trace`.

use std::sync::{Arc, Mutex, OnceLock};

use meetwatch::log::{LogFormat, subscriber};
use meetwatch::meet::settings::Credentials;
use meetwatch::meet::{ParticipantFilter, Read};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::meet_auth::key_file;
use crate::meet_fake::{Bench, conference, error, json, token};

/// One log line: its target, its level, and its text with all fields.
#[derive(Debug, Clone)]
struct Line {
    target: String,
    level: tracing::Level,
    text: String,
}

type Lines = Arc<Mutex<Vec<Line>>>;

/// Captures everything that goes through `log`.
struct LogCapture(Lines);

impl log::Log for LogCapture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let level = match record.level() {
            log::Level::Error => tracing::Level::ERROR,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Trace => tracing::Level::TRACE,
        };
        let text = record.args().to_string();
        self.0.lock().unwrap().push(Line { target: record.target().to_owned(), level, text });
    }

    fn flush(&self) {}
}

/// The lines of the `log` crate of all tests in this process: a test has to look for texts that only it uses.
fn log_lines() -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES
        .get_or_init(|| {
            let lines = Lines::default();
            log::set_logger(Box::leak(Box::new(LogCapture(lines.clone())))).unwrap();
            log::set_max_level(log::LevelFilter::Trace);
            lines
        })
        .clone()
}

/// Captures everything that goes through `tracing`.
struct TraceCapture(Lines);

impl<S: tracing::Subscriber> Layer<S> for TraceCapture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let meta = event.metadata();
        let line = Line { target: meta.target().to_owned(), level: *meta.level(), text: text.0 };
        self.0.lock().unwrap().push(line);
    }
}

/// What the daemon's own subscriber writes.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn lines_with(lines: &[Line], secrets: &[&str]) -> Vec<Line> {
    lines.iter().filter(|line| secrets.iter().any(|secret| line.text.contains(secret))).cloned().collect()
}

#[tokio::test]
async fn no_token_and_no_person_is_logged_at_any_level() {
    let (logged, traced, written) = (log_lines(), Lines::default(), Written::default());
    let writer = written.clone();
    let (daemon, _) = subscriber(LevelFilter::TRACE, LogFormat::Text, false, move || writer.clone());
    let _capture = tracing::subscriber::set_default(daemon.with(TraceCapture(traced.clone())));
    let subject = Some("secret-subject@example.com".to_owned());
    let bench =
        Bench::with(|_, _| {}, |fake, folder| Credentials::ServiceAccount { key: key_file(fake, folder), subject })
            .await;
    let person = r#"{"participants":[{"name":"conferenceRecords/c/participants/secret-person",
        "signedinUser":{"user":"users/secret-user","displayName":"Secret Ada"}}]}"#;
    bench.fake.will_grant([
        token("secret-token-1"),
        token("secret-token-2"),
        json(401, r#"{"error":"unauthorized_client","error_description":"secret-description"}"#),
    ]);
    bench.fake.will([
        error(401, "UNAUTHENTICATED", ""),
        error(503, "UNAVAILABLE", ""),
        json(200, person),
        error(403, "PERMISSION_DENIED", "SERVICE_DISABLED"),
    ]);
    let list = || Read::Participants(conference(), ParticipantFilter::All);
    bench.read(list()).await.unwrap();
    let refused = bench.read(list()).await.unwrap_err();
    let user = meetwatch::model::UserName::parse("users/secret-user").unwrap();
    let no_people = bench.read(Read::People(vec![user])).await.unwrap_err();

    let secrets = [
        "secret-token",
        "secret-subject",
        "secret-person",
        "secret-user",
        "Secret Ada",
        "secret-description",
        "PRIVATE KEY",
    ];
    assert!(!lines_with(&logged.lock().unwrap(), &["secret-token-1"]).is_empty(), "the capture would notice");
    let loud = [logged.lock().unwrap().clone(), traced.lock().unwrap().clone()].concat();
    let loud: Vec<Line> = loud.into_iter().filter(|line| line.level <= tracing::Level::WARN).collect();
    assert_eq!(lines_with(&loud, &secrets).iter().map(|line| &line.target).collect::<Vec<_>>(), Vec::<&String>::new());
    let text = written.text();
    assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    let said = |part: &str| text.contains(part);
    assert!(said("reason=api_disabled") && said("identity=me") && said("remedy="), "the identity's failure is logged");
    for error in [refused, no_people] {
        assert!(secrets.iter().all(|secret| !format!("{error} {error:?}").contains(secret)), "{error}");
    }
}

#[tokio::test]
async fn a_failing_identity_is_logged_once_for_each_change() {
    let traced = Lines::default();
    let _capture = tracing::subscriber::set_default(tracing_subscriber::registry().with(TraceCapture(traced.clone())));
    let bench = Bench::new().await;
    let disabled = || error(403, "PERMISSION_DENIED", "SERVICE_DISABLED");
    bench.fake.will([disabled(), disabled(), disabled(), json(200, crate::meet_fake::CONFERENCE), disabled()]);
    for _ in 0..5 {
        let _either = bench.get().await;
    }
    let count = |text: &str| traced.lock().unwrap().iter().filter(|line| line.text.contains(text)).count();
    assert_eq!(
        (count("reads of this identity fail; see remedy"), count("reads of this identity succeed again")),
        (2, 1)
    );
}
