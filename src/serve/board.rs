//! What the status board shows, as metrics made fresh at each scrape: what has ended is gone at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::model::{ConferenceName, ParticipantKind};
use crate::status::{ConferenceStatus, Status, StatusBoard};

/// Name, help and labels of one family.
struct Known {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    counter: bool,
}

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Known {
    Known { name, help, labels, counter: false }
}

const LIVE: Known = gauge("meetwatch_conferences_live", "Conferences that are live now.", &[]);
const DROPPED: Known = Known {
    name: "meetwatch_conferences_dropped_total",
    help: "Conferences that were left without series of their own, because max_conferences others had them.",
    labels: &[],
    counter: true,
};
const PARTICIPANTS: Known = gauge(
    "meetwatch_conference_participants",
    "Participants who are in a live conference now, by kind.",
    &["conference", "kind"],
);
const INFO: Known = gauge(
    "meetwatch_conference_info",
    "1 for each target that a live conference is watched for.",
    &["conference", "target"],
);
const OPEN_SESSIONS: Known =
    gauge("meetwatch_conference_open_sessions", "Sessions that are open in a live conference now.", &["conference"]);
const START: Known =
    gauge("meetwatch_conference_start_timestamp_seconds", "When a live conference began.", &["conference"]);
const LAST_READ: Known = gauge(
    "meetwatch_conference_last_read_timestamp_seconds",
    "When the participants of a live conference were last listed completely.",
    &["conference"],
);
const TARGET_PARTICIPANTS: Known = gauge(
    "meetwatch_target_participants",
    "Participants who are now in the live conferences of a target, by kind.",
    &["target", "kind"],
);
const LAST_DISCOVERY: Known = gauge(
    "meetwatch_target_last_discovery_timestamp_seconds",
    "When a target was last looked up with success.",
    &["target"],
);
const ALL: [Known; 9] =
    [LIVE, DROPPED, PARTICIPANTS, INFO, OPEN_SESSIONS, START, LAST_READ, TARGET_PARTICIPANTS, LAST_DISCOVERY];

/// Shows the board to Prometheus.
pub(super) struct BoardCollector {
    board: StatusBoard,
    max_conferences: usize,
    descriptions: Vec<Desc>,
    dropped: Mutex<Dropped>,
}

/// The live conferences without series of their own, and how many there ever were.
#[derive(Default)]
struct Dropped {
    now: BTreeSet<ConferenceName>,
    total: u64,
}

impl BoardCollector {
    pub(super) fn new(board: StatusBoard, max_conferences: usize) -> prometheus::Result<Self> {
        let describe = |known: &Known| {
            let labels = known.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(known.name.to_owned(), known.help.to_owned(), labels, std::collections::HashMap::new())
        };
        let descriptions = ALL.iter().map(describe).collect::<prometheus::Result<_>>()?;
        Ok(Self { board, max_conferences, descriptions, dropped: Mutex::default() })
    }

    /// The conferences that have series: those that began first, so that one that has them keeps them.
    fn shown<'s>(&self, status: &'s Status) -> Vec<(&'s ConferenceName, &'s ConferenceStatus)> {
        let mut shown: Vec<_> = status.conferences.iter().collect();
        shown.sort_by_key(|(name, conference)| (conference.start, *name));
        let left_out = shown.split_off(shown.len().min(self.max_conferences));
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let now: BTreeSet<ConferenceName> = left_out.into_iter().map(|(name, _)| name.clone()).collect();
        dropped.total += now.difference(&dropped.now).count() as u64;
        dropped.now = now;
        shown
    }

    fn dropped_total(&self) -> f64 {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).total as f64
    }
}

impl Collector for BoardCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A copy, so that `watch` never waits for a scrape to be written.
        let status = self.board.read().clone();
        let shown = self.shown(&status);
        let mut families = conferences(&shown);
        families.extend(targets(&status));
        families.push(family(&LIVE, vec![metric(&LIVE, &[], status.conferences.len() as f64)]));
        families.push(family(&DROPPED, vec![metric(&DROPPED, &[], self.dropped_total())]));
        families
    }
}

fn conferences(shown: &[(&ConferenceName, &ConferenceStatus)]) -> Vec<MetricFamily> {
    let (mut participants, mut info) = (Vec::new(), Vec::new());
    let (mut open, mut start, mut last_read) = (Vec::new(), Vec::new(), Vec::new());
    for (name, conference) in shown {
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

/// Of every target, from all its conferences, those without series of their own included.
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

fn metric(known: &Known, values: &[&str], value: f64) -> Metric {
    let pair = |(name, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    let mut metric = Metric::from_label(known.labels.iter().zip(values).map(pair).collect());
    if known.counter {
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

fn family(known: &Known, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(known.name.to_owned());
    family.set_help(known.help.to_owned());
    family.set_field_type(if known.counter { MetricType::COUNTER } else { MetricType::GAUGE });
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
            // Later ones come first by name.
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

    fn text(collector: BoardCollector) -> (prometheus::Registry, impl Fn(&prometheus::Registry) -> String) {
        let registry = prometheus::Registry::new();
        registry.register(Box::new(collector)).unwrap();
        (registry, |registry| prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap())
    }

    #[test]
    fn what_has_ended_has_no_series_at_the_next_scrape() {
        let board = board(1);
        let (registry, scrape) = text(BoardCollector::new(board.clone(), 10).unwrap());
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
        assert!(!before.contains("last_read"), "never listed, and a time is shown:\n{before}");
        board.write().conferences.clear();
        let after = scrape(&registry);
        assert!(!after.contains("conferenceRecords/") && after.contains("meetwatch_conferences_live 0"), "{after}");
        assert!(after.contains(r#"meetwatch_target_participants{target="board",kind="signed_in"} 0"#), "{after}");
    }

    #[test]
    fn beyond_the_cap_the_first_keep_their_series_and_the_others_are_counted_once() {
        let board = board(3);
        let (registry, scrape) = text(BoardCollector::new(board, 2).unwrap());
        scrape(&registry);
        let text = scrape(&registry);
        assert!(text.contains("conferenceRecords/100") && text.contains("conferenceRecords/099"), "{text}");
        assert!(!text.contains("conferenceRecords/098"), "{text}");
        assert!(text.contains("meetwatch_conferences_dropped_total 1\n"), "{text}");
        assert!(text.contains("meetwatch_conferences_live 3\n"), "{text}");
        assert!(text.contains(r#"meetwatch_target_participants{target="board",kind="signed_in"} 6"#), "{text}");
    }
}
