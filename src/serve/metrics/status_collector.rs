//! The status board as metrics, collected at each scrape: a conference that has ended has no series at the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::model::{ConferenceName, ParticipantKind};
use crate::status::{ConferenceStatus, Status, StatusBoard};

/// Name, help, labels and type of a metric family.
struct FamilySpec {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    counter: bool,
}

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> FamilySpec {
    FamilySpec { name, help, labels, counter: false }
}

const LIVE: FamilySpec = gauge("meetwatch_conferences_live", "Live conferences.", &[]);
const DROPPED: FamilySpec = FamilySpec {
    name: "meetwatch_conferences_dropped_total",
    help: "Conferences that got no series of their own, because max_conferences others had them.",
    labels: &[],
    counter: true,
};
const PARTICIPANTS: FamilySpec = gauge(
    "meetwatch_conference_participants",
    "Participants present in a live conference, by kind.",
    &["conference", "kind"],
);
const INFO: FamilySpec = gauge(
    "meetwatch_conference_info",
    "Constant 1 for each target through which a live conference is watched.",
    &["conference", "target"],
);
const OPEN_SESSIONS: FamilySpec =
    gauge("meetwatch_conference_open_sessions", "Open sessions in a live conference.", &["conference"]);
const START: FamilySpec =
    gauge("meetwatch_conference_start_timestamp_seconds", "Start time of a live conference.", &["conference"]);
const LAST_READ: FamilySpec = gauge(
    "meetwatch_conference_last_read_timestamp_seconds",
    "Time of the last complete listing of the participants of a live conference.",
    &["conference"],
);
const TARGET_PARTICIPANTS: FamilySpec = gauge(
    "meetwatch_target_participants",
    "Participants present in the live conferences of a target, by kind.",
    &["target", "kind"],
);
const LAST_DISCOVERY: FamilySpec = gauge(
    "meetwatch_target_last_discovery_timestamp_seconds",
    "Time of the last successful discovery of a target.",
    &["target"],
);
const ALL: [FamilySpec; 9] =
    [LIVE, DROPPED, PARTICIPANTS, INFO, OPEN_SESSIONS, START, LAST_READ, TARGET_PARTICIPANTS, LAST_DISCOVERY];

/// Collects the metrics of the status board.
pub(super) struct StatusCollector {
    board: StatusBoard,
    max_conferences: usize,
    descriptions: Vec<Desc>,
    dropped: Mutex<Dropped>,
}

/// The live conferences without series of their own, and how many there have been since the start.
#[derive(Default)]
struct Dropped {
    now: BTreeSet<ConferenceName>,
    total: u64,
}

impl StatusCollector {
    pub(super) fn new(board: StatusBoard, max_conferences: usize) -> prometheus::Result<Self> {
        let describe = |spec: &FamilySpec| {
            let labels = spec.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(spec.name.to_owned(), spec.help.to_owned(), labels, std::collections::HashMap::new())
        };
        let descriptions = ALL.iter().map(describe).collect::<prometheus::Result<_>>()?;
        Ok(Self { board, max_conferences, descriptions, dropped: Mutex::default() })
    }

    /// Selects the conferences that get series: those that started first, so that a conference keeps its series. Counts
    /// the rest.
    fn select<'s>(&self, status: &'s Status) -> Vec<(&'s ConferenceName, &'s ConferenceStatus)> {
        let mut selected: Vec<_> = status.conferences.iter().collect();
        selected.sort_by_key(|(name, conference)| (conference.start, *name));
        let left_out = selected.split_off(selected.len().min(self.max_conferences));
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let now: BTreeSet<ConferenceName> = left_out.into_iter().map(|(name, _)| name.clone()).collect();
        dropped.total += now.difference(&dropped.now).count() as u64;
        dropped.now = now;
        selected
    }

    fn dropped_total(&self) -> f64 {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).total as f64
    }
}

impl Collector for StatusCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A copy, so that `watch` does not wait for the lock while a scrape is rendered.
        let status = self.board.read().clone();
        let selected = self.select(&status);
        let mut families = conferences(&selected);
        families.extend(targets(&status));
        families.push(family(&LIVE, vec![metric(&LIVE, &[], status.conferences.len() as f64)]));
        families.push(family(&DROPPED, vec![metric(&DROPPED, &[], self.dropped_total())]));
        families
    }
}

fn conferences(selected: &[(&ConferenceName, &ConferenceStatus)]) -> Vec<MetricFamily> {
    let (mut participants, mut info) = (Vec::new(), Vec::new());
    let (mut open, mut start, mut last_read) = (Vec::new(), Vec::new(), Vec::new());
    for (name, conference) in selected {
        let name = name.as_str();
        for (kind, present) in ParticipantKind::ALL.iter().zip(conference.present) {
            participants.push(metric(&PARTICIPANTS, &[name, kind.as_str()], present.into()));
        }
        for target in &conference.targets {
            info.push(metric(&INFO, &[name, target.as_str()], 1.0));
        }
        open.push(metric(&OPEN_SESSIONS, &[name], conference.open_sessions.into()));
        start.push(metric(&START, &[name], seconds(conference.start)));
        last_read.extend(conference.last_read.map(|time| metric(&LAST_READ, &[name], seconds(time))));
    }
    vec![
        family(&PARTICIPANTS, participants),
        family(&INFO, info),
        family(&OPEN_SESSIONS, open),
        family(&START, start),
        family(&LAST_READ, last_read),
    ]
}

/// Sums per target over all its conferences, including those without series of their own.
fn targets(status: &Status) -> [MetricFamily; 2] {
    let mut present: BTreeMap<&str, [u64; ParticipantKind::ALL.len()]> =
        status.targets.keys().map(|target| (target.as_str(), Default::default())).collect();
    for conference in status.conferences.values() {
        for target in &conference.targets {
            let sums = present.entry(target.as_str()).or_default();
            sums.iter_mut().zip(conference.present).for_each(|(sum, present)| *sum += u64::from(present));
        }
    }
    let participants = present.iter().flat_map(|(target, sums)| {
        ParticipantKind::ALL
            .iter()
            .zip(sums)
            .map(|(kind, sum)| metric(&TARGET_PARTICIPANTS, &[target, kind.as_str()], *sum as f64))
    });
    let looked = status.targets.iter().filter_map(|(target, status)| {
        status.last_discovery.map(|time| metric(&LAST_DISCOVERY, &[target.as_str()], seconds(time)))
    });
    [family(&TARGET_PARTICIPANTS, participants.collect()), family(&LAST_DISCOVERY, looked.collect())]
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

fn metric(spec: &FamilySpec, values: &[&str], value: f64) -> Metric {
    let pair = |(name, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut metric = Metric::from_label(spec.labels.iter().zip(values).map(pair).collect());
    if spec.counter {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

fn family(spec: &FamilySpec, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(spec.name.to_owned());
    family.set_help(spec.help.to_owned());
    family.set_field_type(if spec.counter { MetricType::COUNTER } else { MetricType::GAUGE });
    family.set_metric(metrics);
    family
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TargetName;
    use crate::status::TargetStatus;

    fn board(conferences: i64) -> StatusBoard {
        let board = StatusBoard::default();
        let target = TargetName::parse("board").unwrap();
        board.write().targets.insert(target.clone(), TargetStatus::default());
        for number in 0..conferences {
            // Names sort in the opposite order of start times.
            let name = ConferenceName::parse(&format!("conferenceRecords/{:03}", 100 - number)).unwrap();
            let status = ConferenceStatus {
                targets: vec![target.clone()],
                start: Timestamp::from_second(1_700_000_000 + number).unwrap(),
                last_read: (number > 0).then_some(Timestamp::UNIX_EPOCH),
                present: [2, 1, 0, 0],
                open_sessions: 4,
                sequence: 1,
            };
            board.write().conferences.insert(name, status);
        }
        board
    }

    fn text(collector: StatusCollector) -> (prometheus::Registry, impl Fn(&prometheus::Registry) -> String) {
        let registry = prometheus::Registry::new();
        registry.register(Box::new(collector)).unwrap();
        (registry, |registry| prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap())
    }

    #[test]
    fn a_conference_that_has_ended_has_no_series_at_the_next_scrape() {
        let board = board(1);
        let (registry, scrape) = text(StatusCollector::new(board.clone(), 10).unwrap());
        let before = scrape(&registry);
        for line in [
            r#"meetwatch_conference_participants{conference="conferenceRecords/100",kind="signed_in"} 2"#,
            r#"meetwatch_conference_info{conference="conferenceRecords/100",target="board"} 1"#,
            r#"meetwatch_conference_start_timestamp_seconds{conference="conferenceRecords/100"} 1700000000"#,
            r#"meetwatch_target_participants{target="board",kind="anonymous"} 1"#,
            "meetwatch_conferences_live 1",
        ] {
            assert!(before.lines().any(|found| found == line), "{line} is not in\n{before}");
        }
        assert!(
            !before.contains("last_read"),
            "a conference that was never listed has a time of its last listing:\n{before}"
        );
        board.write().conferences.clear();
        let after = scrape(&registry);
        assert!(!after.contains("conferenceRecords/") && after.contains("meetwatch_conferences_live 0"), "{after}");
        assert!(after.contains(r#"meetwatch_target_participants{target="board",kind="signed_in"} 0"#), "{after}");
    }

    #[test]
    fn beyond_the_limit_the_first_conferences_keep_their_series_and_the_others_are_counted_once() {
        let board = board(3);
        let (registry, scrape) = text(StatusCollector::new(board, 2).unwrap());
        scrape(&registry);
        let text = scrape(&registry);
        assert!(text.contains("conferenceRecords/100") && text.contains("conferenceRecords/099"), "{text}");
        assert!(!text.contains("conferenceRecords/098"), "{text}");
        assert!(text.contains("meetwatch_conferences_dropped_total 1\n"), "{text}");
        assert!(text.contains("meetwatch_conferences_live 3\n"), "{text}");
        assert!(text.contains(r#"meetwatch_target_participants{target="board",kind="signed_in"} 6"#), "{text}");
    }
}
