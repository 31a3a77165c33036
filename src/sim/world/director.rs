//! Plans what happens in a seeded world: who is invited, when they come, with which devices, and how they leave.
//!
//! A meeting is planned completely when it begins, so that the order of random draws depends only on the seed.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::conference::{ConferenceKey, SpaceKey};
use super::people::{self, PersonKey, SimPerson};
use super::{Action, Due, World, WorldSettings};
use crate::clock::saturating_add;

/// The length of a meeting in seconds, before it is divided by `speed`.
const LENGTH: std::ops::Range<f64> = 240.0..1200.0;
/// The pause until the next meeting in the same space in seconds, before it is divided by `speed`.
const PAUSE: std::ops::Range<f64> = 20.0..180.0;

#[derive(Debug)]
pub(super) struct Director {
    settings: WorldSettings,
    /// The accounts from which meetings invite.
    accounts: Vec<PersonKey>,
}

/// One session, as shares of the meeting's length. Without an end it lasts until the meeting's end.
struct PlannedSession {
    device: &'static str,
    from: f64,
    to: Option<f64>,
}

impl Director {
    /// Fills an empty world with people and spaces, and schedules the first meetings.
    pub(super) fn populate(world: &mut World, mut settings: WorldSettings) {
        // A speed of zero would make every meeting endless.
        settings.speed = if settings.speed.is_finite() { settings.speed.clamp(0.01, 10_000.0) } else { 1.0 };
        let organizer = world.add_person(SimPerson::signed_in("Alice Example", &settings.organizer));
        let account_count = settings.people.max(settings.webinar.unwrap_or_default()).saturating_mul(2).clamp(8, 4000);
        let mut accounts = vec![organizer];
        for number in 1..account_count as usize {
            let person = people::colleague(number, &mut world.random);
            accounts.push(world.add_person(person));
        }
        for _ in 0..settings.conferences {
            let Ok(space) = world.add_space(Some(organizer)) else { continue };
            let wait = scaled(world.random.f64() * 10.0, settings.speed);
            let at = moment(settings.start, wait, &mut world.random);
            world.push(at, Due::Meeting(space));
        }
        world.director = Some(Self { settings, accounts });
    }

    /// Starts a meeting, plans all of it, and schedules the next one in this space.
    pub(super) fn hold_meeting(world: &mut World, space: SpaceKey, at: Timestamp) {
        let Some(director) = world.director.take() else { return };
        director.hold(world, space, at);
        world.director = Some(director);
    }

    fn hold(&self, world: &mut World, space: SpaceKey, at: Timestamp) {
        let speed = self.settings.speed;
        if world.start(space, at).is_err() {
            // A conference started by another action is live; try again later.
            world.push(saturating_add(at, scaled(30.0, speed)), Due::Meeting(space));
            return;
        }
        let Some(key) = world.space(space).live else { return };
        let length = scaled(between(&LENGTH, &mut world.random), speed);
        let end = moment(at, length, &mut world.random);
        for (number, person) in self.invite(world, space).into_iter().enumerate() {
            let mut sessions = habits(&mut world.random, length.as_secs_f64() * speed);
            if let (0, Some(first)) = (number, sessions.first_mut()) {
                // A conference begins when its first participant joins.
                first.from = 0.0;
            }
            schedule_sessions(world, (space, key), person, (at, end), &sessions);
        }
        world.push(end, Due::Action(space, Action::End, Some(key)));
        let pause = scaled(between(&PAUSE, &mut world.random), speed);
        let next = moment(end, pause, &mut world.random);
        world.push(next, Due::Meeting(space));
    }

    /// Draws who comes: mostly accounts, each at most once, and some people without one.
    fn invite(&self, world: &mut World, space: SpaceKey) -> Vec<PersonKey> {
        let people = self.settings.people.max(1);
        let crowd = match self.settings.webinar {
            Some(crowd) if space == SpaceKey(0) => crowd as usize,
            _ => world.random.usize((people / 2).max(1) as usize..=(people + people / 2).max(2) as usize),
        };
        let strangers = crowd / 4;
        let mut invited = self.accounts.clone();
        world.random.shuffle(&mut invited);
        invited.truncate((crowd - strangers).min(self.accounts.len()));
        for _ in 0..strangers {
            let stranger = people::stranger(&mut world.random, self.settings.unknown_kinds);
            invited.push(world.add_person(stranger));
        }
        invited
    }
}

/// Draws the sessions of one person in a meeting of `length` unscaled seconds.
fn habits(random: &mut Rng, length: f64) -> Vec<PlannedSession> {
    let arrival = if random.f64() < 0.7 { random.f64() * 0.08 } else { random.f64() * 0.6 };
    let seconds = |seconds: f64| seconds / length.max(1.0);
    let departure = (random.f64() < 0.6).then(|| arrival + (1.0 - arrival) * (0.3 + 0.7 * random.f64()));
    let middle = arrival + (1.0 - arrival) * (0.2 + 0.3 * random.f64());
    let session = |device, from, to| PlannedSession { device, from, to };
    match random.u32(..100) {
        // A laptop, and for a while a phone as a companion device.
        0..12 => {
            let companion_until = (random.f64() < 0.6).then(|| middle + (1.0 - middle) * random.f64());
            vec![session("laptop", arrival, departure), session("phone", middle, companion_until)]
        }
        // Comes back after a while.
        12..24 => {
            let back = middle + 0.03 + 0.12 * random.f64();
            vec![session("laptop", arrival, Some(middle)), session("laptop", back, departure)]
        }
        // Comes back before the next poll.
        24..34 => {
            let back = middle + seconds(0.4 + 4.0 * random.f64());
            vec![session("laptop", arrival, Some(middle)), session("laptop", back, departure)]
        }
        // Leaves before the first poll.
        34..42 => vec![session("laptop", middle, Some(middle + seconds(0.3 + 6.0 * random.f64())))],
        // Changes from one device to another.
        42..47 => {
            vec![
                session("phone", arrival, Some(middle + seconds(3.0 * random.f64()))),
                session("laptop", middle, departure),
            ]
        }
        // A bad connection.
        47..51 => {
            let mut sessions = Vec::new();
            let mut from = arrival;
            for _ in 0..random.u32(2..=5) {
                let to = from + seconds(2.0 + 25.0 * random.f64());
                sessions.push(session("laptop", from, Some(to)));
                from = to + seconds(0.2 + 8.0 * random.f64());
            }
            sessions
        }
        _ => vec![session("laptop", arrival, departure)],
    }
}

/// Queues the joins and leaves of sessions, in order and within the meeting.
fn schedule_sessions(
    world: &mut World,
    (space, key): (SpaceKey, ConferenceKey),
    person: PersonKey,
    (start, end): (Timestamp, Timestamp),
    sessions: &[PlannedSession],
) {
    let length = crate::clock::elapsed(start, end);
    // A device cannot join before it has left, also after digits of the times were trimmed.
    let mut free: Vec<(&str, Timestamp)> = Vec::new();
    for session in sessions {
        let not_before = free.iter().filter(|(device, _)| *device == session.device).map(|(_, at)| *at).max();
        let from = moment(start, length.mul_f64(session.from.clamp(0.0, 1.0)), &mut world.random);
        let from = not_before.map_or(from, |at| from.max(at));
        if from >= end {
            continue;
        }
        world.push(from, Due::Action(space, Action::Join(person, session.device.into()), Some(key)));
        let Some(to) = session.to.filter(|to| *to < 1.0) else { continue };
        let to = moment(start, length.mul_f64(to.max(0.0)), &mut world.random);
        let to = to.max(saturating_add(from, Duration::from_millis(1)));
        if to < end {
            world.push(to, Due::Action(space, Action::Leave(person, session.device.into()), Some(key)));
            free.push((session.device, saturating_add(to, Duration::from_millis(1))));
        } else {
            free.push((session.device, end));
        }
    }
}

fn scaled(seconds: f64, speed: f64) -> Duration {
    Duration::from_secs_f64((seconds / speed).max(0.0))
}

fn between(range: &std::ops::Range<f64>, random: &mut Rng) -> f64 {
    range.start + (range.end - range.start) * random.f64()
}

/// Returns `base + after`, with nine, six, three or no fractional digits, and never before `base`.
fn moment(base: Timestamp, after: Duration, random: &mut Rng) -> Timestamp {
    let exact = saturating_add(base, after.saturating_add(Duration::from_nanos(random.u64(..1_000_000))));
    let unit: i128 = match random.u32(..20) {
        0 => 1_000_000_000,
        1..4 => 1_000_000,
        4..9 => 1_000,
        _ => 1,
    };
    let nanoseconds = exact.as_nanosecond();
    let trimmed = Timestamp::from_nanosecond(nanoseconds - nanoseconds.rem_euclid(unit)).unwrap_or(exact);
    if trimmed < base { exact } else { trimmed }
}
