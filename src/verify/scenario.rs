//! The scenario of a history, drawn from its seed: who watches, and which faults and incidents occur.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::backoff::Random;
use crate::clock::{Mono, saturating_add};
use crate::sim::api::{Forbidden, GoogleMethod, Strangers};
use crate::sim::faults::{Fault, Lag, PRESETS, Rule, UnknownPreset, When, preset};
use crate::sim::world::{ORGANIZER, WorldSettings};

use super::HistoryOptions;

/// The scenario of one history.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub world: WorldSettings,
    /// The maximum page size of the API.
    pub max_page: usize,
    pub watch: Watching,
    pub strangers: Strangers,
    /// How long after the world the daemon starts.
    pub late: Duration,
    /// The initial difference of the wall clock from Google's.
    pub skew: SignedDuration,
    /// How often the wall clock jumps, on average.
    pub jumps_every: Option<Duration>,
    /// The share of commits that fail.
    pub failing_commits: f64,
    /// Whether there are meetings whose sessions Google never ends.
    pub abandons: bool,
    pub renames: bool,
    /// When lists are answered empty for the organizer: what begins and ends meanwhile cannot be known.
    pub emptied: Option<(Timestamp, Timestamp)>,
    /// When every read of the organizer is refused.
    pub refused: Option<(Timestamp, Timestamp)>,
    /// When listings omit the same participants each time.
    pub hides: Vec<(Mono, Mono)>,
    /// When the process dies, in addition to other crashes.
    pub dies: Option<Mono>,
    /// When the machine is suspended, and for how long.
    pub sleeps: Option<(Mono, Duration)>,
    /// When the process does not run, in addition to crashes.
    pub outage: Option<(Mono, Mono)>,
    /// Google answers 404 for one in this many conferences from some time on.
    pub expires: Option<u32>,
    /// Whether events are delivered to receivers that fail at times.
    pub delivers: bool,
    /// How many reads a minute each identity may make: from plenty to a fraction of what is planned.
    pub budget: f64,
    /// The fault rules, and whether each also applies to conferences that have ended.
    pub rules: Vec<(Rule, bool)>,
}

/// The budgets, in reads a minute: plenty mostly, and down to a twentieth of what a few lively meetings need.
const BUDGETS: [f64; 6] = [480.0, 480.0, 480.0, 60.0, 20.0, 8.0];

/// How the meetings are watched, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watching {
    /// All that an identity organizes.
    Organizer,
    /// Each meeting by its code.
    Codes,
    /// Each meeting by its space.
    Spaces,
    /// The first conferences, by name.
    Conferences,
    /// All that an identity organizes, and each meeting by its code with another identity besides.
    Two,
    /// Each meeting by its code, by an identity that takes part in some of them.
    Guest,
}

impl Scenario {
    /// Draws the scenario of a history.
    ///
    /// # Errors
    /// Never in practice: the names come from the presets.
    pub(super) fn draw(options: &HistoryOptions, begun: Timestamp, random: &mut Random) -> Result<Self, UnknownPreset> {
        let seed = options.seed;
        let mut world = WorldSettings::starting(begun, seed);
        world.conferences = random.u32(1..4);
        world.people = random.u32(2..14);
        world.speed = [0.3, 1.0, 2.0, 5.0][random.usize(0..4)];
        let watch = match random.u32(0..10) {
            0..4 => Watching::Organizer,
            4 => Watching::Codes,
            5 => Watching::Spaces,
            6 => Watching::Conferences,
            7..9 => Watching::Two,
            _ => Watching::Guest,
        };
        let late = if watch == Watching::Conferences { 30 } else { [0, 0, 30, 600][random.usize(0..4)] };
        let mut scenario = Self {
            world,
            max_page: random.usize(5..25),
            watch,
            strangers: [Strangers::Forbidden, Strangers::NotFound, Strangers::Empty][random.usize(0..3)],
            late: Duration::from_secs(late),
            skew: SignedDuration::ZERO,
            jumps_every: None,
            failing_commits: 0.0,
            abandons: false,
            renames: random.u8(0..3) == 0,
            emptied: None,
            refused: None,
            hides: Vec::new(),
            dies: None,
            sleeps: None,
            outage: None,
            expires: None,
            delivers: random.u8(0..3) == 0,
            budget: BUDGETS[0],
            rules: Vec::new(),
        };
        if options.crashes && random.u8(0..4) == 0 {
            let from = scenario.late.as_secs() + random.u64(60..3600);
            let length = random.u64(1800..4 * 3600);
            scenario.outage = Some((Duration::from_secs(from), Duration::from_secs(from + length)));
        }
        if options.faults {
            // A stream of its own: what else is drawn stays as it was.
            scenario.budget = BUDGETS[Random::with_seed(seed ^ 0xb0d6_e701).usize(0..BUDGETS.len())];
            scenario.draw_incidents(options, begun, random);
            scenario.draw_faults(seed, random)?;
        }
        Ok(scenario)
    }

    /// Returns whether there is quota for everything that is planned.
    pub(super) fn is_roomy(&self) -> bool {
        self.budget >= BUDGETS[0]
    }

    fn draw_incidents(&mut self, options: &HistoryOptions, begun: Timestamp, random: &mut Random) {
        let one_in = |n: u8, random: &mut Random| random.u8(0..n) == 0;
        self.skew = SignedDuration::from_secs(random.i64(-300..300));
        self.jumps_every = one_in(4, random).then(|| Duration::from_secs(random.u64(300..1800)));
        self.failing_commits = if one_in(4, random) { 0.02 } else { 0.0 };
        self.abandons = one_in(4, random);
        self.expires = one_in(8, random).then_some(2);
        if one_in(4, random) {
            let lag = |random: &mut Random, most: u64| Duration::from_secs(random.u64(0..most));
            let lag = Lag {
                conference: lag(random, 60),
                conference_end: lag(random, 300),
                participant: lag(random, 120),
                session: lag(random, 120),
                rejoin: lag(random, 240),
                leave: lag(random, 240),
                true_end: Duration::ZERO,
                spread: one_in(2, random).then_some(options.seed),
            };
            self.rules.push((Rule::new(Fault::Lag(lag)), true));
        }
        if one_in(6, random) {
            let true_end = Duration::from_secs(random.u64(10..240));
            let spread = one_in(2, random).then_some(options.seed);
            self.rules.push((Rule::new(Fault::Lag(Lag { true_end, spread, ..Lag::NONE })), true));
        }
        if one_in(3, random) {
            self.draw_hiding(options, random);
        }
        if one_in(8, random) {
            let at = self.late + Duration::from_secs(random.u64(60..3600));
            self.sleeps = Some((at, Duration::from_secs(random.u64(60..7200))));
        }
        if one_in(6, random) {
            let wrong = SignedDuration::from_secs(random.i64(-3600..3600));
            self.rules.push((Rule::new(Fault::Skew(wrong)).when(When::Chance(0.03)), true));
        }
        if one_in(4, random) {
            let from = saturating_add(begun, self.late + Duration::from_secs(random.u64(60..3000)));
            let until = saturating_add(from, Duration::from_secs(random.u64(30..2400)));
            let losses = losses(random);
            let empty = losses.iter().any(|rule| rule.fault == Fault::Empty);
            *(if empty { &mut self.emptied } else { &mut self.refused }) = Some((from, until));
            let lost = losses.into_iter().map(|rule| (rule.by(ORGANIZER).between(from, until), true));
            self.rules.extend(lost);
        }
    }

    /// Hides the same participants long enough that leaves are inferred, shows them again, and hides them once more.
    /// The process may die in between, so that the inferred leaves must survive a restart.
    fn draw_hiding(&mut self, options: &HistoryOptions, random: &mut Random) {
        let long = |random: &mut Random| Duration::from_secs(random.u64(660..1000));
        // Slow worlds: a participant who leaves soon would not be visible again.
        self.world.speed = [0.05, 0.1, 0.2][random.usize(0..3)];
        let from = self.late + Duration::from_secs(random.u64(60..300));
        let until = from + long(random);
        self.hides.push((from, until));
        let again = until + Duration::from_secs(random.u64(420..540));
        self.hides.push((again, again + long(random)));
        self.dies = options.crashes.then(|| again - Duration::from_secs(random.u64(10..60)));
    }

    /// Returns whether Google may answer 404 for what exists, so that a leave may be inferred early.
    pub(super) fn denies(&self) -> bool {
        self.expires.is_some() || self.rules.iter().any(|(rule, _)| rule.fault == Fault::NotFound)
    }

    /// Returns whether Google may first report the end of a session too early.
    pub(super) fn revises(&self) -> bool {
        self.rules.iter().any(|(rule, _)| matches!(&rule.fault, Fault::Lag(lag) if !lag.true_end.is_zero()))
    }

    /// Returns when a participant may be missing although Google is read.
    pub(super) fn hidden(&self, begun: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let hides = self.hides.iter().map(move |(from, to)| (saturating_add(begun, *from), saturating_add(begun, *to)));
        hides.chain(self.emptied).chain(self.refused)
    }

    fn draw_faults(&mut self, seed: u64, random: &mut Random) -> Result<(), UnknownPreset> {
        for (name, _) in PRESETS.iter().filter(|(name, _)| !DRAWN_ELSEWHERE.contains(name) && random.u8(0..3) == 0) {
            for rule in preset(name, seed)? {
                self.rules.push(match shifting(&rule.fault) {
                    // Lists of an ended conference do not shift.
                    Some(share) => (rule.on(&SHIFTING).when(When::Chance(share)), false),
                    None => (rule, true),
                });
            }
        }
        // A stream of its own: histories without this fault stay as they were.
        if Random::with_seed(seed ^ SPOILED).u8(0..4) == 0 {
            self.rules.extend(preset("spoiled", seed)?.into_iter().map(|rule| (rule, true)));
        }
        Ok(())
    }
}

/// The faults that are not drawn with the others.
const DRAWN_ELSEWHERE: [&str; 2] = ["skew", "spoiled"];
/// Seeds the draw of the fault `spoiled`.
const SPOILED: u64 = 0x5b01_1ed0_5b01_1ed0;

/// The lists whose items change while they are read.
const SHIFTING: [GoogleMethod; 2] = [GoogleMethod::ListParticipants, GoogleMethod::ListSessions];

/// Draws one of the ways in which access is lost.
fn losses(random: &mut Random) -> Vec<Rule> {
    let lists = [GoogleMethod::ListConferences, GoogleMethod::ListParticipants, GoogleMethod::ListSessions];
    let gets = [GoogleMethod::GetConference, GoogleMethod::GetSpace];
    match random.u8(0..3) {
        0 => vec![Rule::new(Fault::Forbidden(Forbidden::PermissionDenied))],
        1 => vec![Rule::new(Fault::NotFound)],
        _ => vec![Rule::new(Fault::Empty).on(&lists), Rule::new(Fault::NotFound).on(&gets)],
    }
}

/// Returns the probability of a fault that omits items of a list. Real lists omit different items each time, while
/// participants come and go, and none once the conference has ended.
fn shifting(fault: &Fault) -> Option<f64> {
    match fault {
        Fault::Skips(_) | Fault::Omit(_) => Some(0.15),
        _ => None,
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "watched by {:?}, strangers {:?}, beginning {} s late",
            self.watch,
            self.strangers,
            self.late.as_secs()
        )?;
        write!(f, ", clock {} s off", self.skew.as_secs())?;
        if !self.is_roomy() {
            write!(f, ", {} reads a minute", self.budget)?;
        }
        if let Some((from, to)) = self.outage {
            write!(f, ", down from {} s to {} s", from.as_secs(), to.as_secs())?;
        }
        let switches = [
            (self.jumps_every.is_some(), "jumping clock"),
            (self.failing_commits > 0.0, "failing commits"),
            (self.abandons, "abandoned meetings"),
            (self.renames, "names that change"),
            (!self.hides.is_empty(), "people who stay hidden"),
            (self.sleeps.is_some(), "a machine that sleeps"),
            (self.revises(), "ends that are set right later"),
            (self.expires.is_some(), "records that expire"),
            (self.delivers, "deliveries"),
        ];
        switches.iter().filter(|(on, _)| *on).try_for_each(|(_, name)| write!(f, ", {name}"))?;
        let mut faults: Vec<_> = self.rules.iter().map(|(rule, _)| rule.fault.name()).collect();
        faults.sort_unstable();
        faults.dedup();
        write!(f, "; faults: {}", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") })
    }
}
