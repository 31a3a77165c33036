//! Draws up what happens in a seeded world: who is invited, when they come, with what, and how they leave.
//!
//! A meeting is drawn up whole when it begins, so the order of the draws depends on nothing but the seed.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::conference::{ConferenceKey, SpaceKey};
use super::people::{self, Person, PersonKey};
use super::{Act, Due, World, WorldSettings};
use crate::clock::saturating_add;

/// Real meetings last so many seconds here, before `speed` shortens them.
const LENGTH: std::ops::Range<f64> = 240.0..1200.0;
/// Real pauses until the next meeting in the same space, in seconds.
const PAUSE: std::ops::Range<f64> = 20.0..180.0;

#[derive(Debug)]
pub(super) struct Director {
    settings: WorldSettings,
    /// The accounts that meetings invite from.
    cast: Vec<PersonKey>,
}

/// One stay, in shares of the meeting's length. Without an end, until the meeting's.
struct Stay {
    device: &'static str,
    from: f64,
    to: Option<f64>,
}

impl Director {
    /// Fills an empty world with people and spaces, and sets the first meetings.
    pub(super) fn set_the_stage(world: &mut World, mut settings: WorldSettings) {
        // A speed of nothing would never come to an end.
        settings.speed = if settings.speed.is_finite() { settings.speed.clamp(0.01, 10_000.0) } else { 1.0 };
        let organizer = world.add_person(Person::signed_in("Alice Example", &settings.organizer));
        let cast_size = settings.people.max(settings.webinar.unwrap_or_default()).saturating_mul(2).clamp(8, 4000);
        let mut cast = vec![organizer];
        for number in 1..cast_size as usize {
            let person = people::colleague(number, &mut world.random);
            cast.push(world.add_person(person));
        }
        for _ in 0..settings.conferences {
            let Ok(space) = world.add_space(Some(organizer)) else { continue };
            let wait = scaled(world.random.f64() * 10.0, settings.speed);
            let at = moment(settings.start, wait, &mut world.random);
            world.push(at, Due::Meeting(space));
        }
        world.director = Some(Self { settings, cast });
    }

    /// Starts a meeting and draws up all of it, and when the next one begins here.
    pub(super) fn hold_meeting(world: &mut World, space: SpaceKey, at: Timestamp) {
        let Some(director) = world.director.take() else { return };
        director.hold(world, space, at);
        world.director = Some(director);
    }

    fn hold(&self, world: &mut World, space: SpaceKey, at: Timestamp) {
        let speed = self.settings.speed;
        if world.start(space, at).is_err() {
            // Somebody started one by hand; this one has to wait.
            world.push(saturating_add(at, scaled(30.0, speed)), Due::Meeting(space));
            return;
        }
        let Some(key) = world.space(space).live else { return };
        let length = scaled(between(&LENGTH, &mut world.random), speed);
        let end = moment(at, length, &mut world.random);
        for (number, person) in self.invite(world, space).into_iter().enumerate() {
            let mut stays = habits(&mut world.random, length.as_secs_f64() * speed);
            if let (0, Some(first)) = (number, stays.first_mut()) {
                // It takes somebody who comes to begin a conference.
                first.from = 0.0;
            }
            schedule_stays(world, (space, key), person, (at, end), &stays);
        }
        world.push(end, Due::Act(space, Act::End, Some(key)));
        let pause = scaled(between(&PAUSE, &mut world.random), speed);
        let next = moment(end, pause, &mut world.random);
        world.push(next, Due::Meeting(space));
    }

    /// Who comes: mostly accounts, each once, and some without.
    fn invite(&self, world: &mut World, space: SpaceKey) -> Vec<PersonKey> {
        let people = self.settings.people.max(1);
        let crowd = match self.settings.webinar {
            Some(crowd) if space == SpaceKey(0) => crowd as usize,
            _ => world.random.usize((people / 2).max(1) as usize..=(people + people / 2).max(2) as usize),
        };
        let strangers = crowd / 4;
        let mut cast = self.cast.clone();
        world.random.shuffle(&mut cast);
        cast.truncate((crowd - strangers).min(self.cast.len()));
        for _ in 0..strangers {
            let stranger = people::stranger(&mut world.random, self.settings.unknown_kinds);
            cast.push(world.add_person(stranger));
        }
        cast
    }
}

/// How one person attends a meeting of so many (unscaled) seconds.
fn habits(random: &mut Rng, length: f64) -> Vec<Stay> {
    let arrival = if random.f64() < 0.7 { random.f64() * 0.08 } else { random.f64() * 0.6 };
    let seconds = |seconds: f64| seconds / length.max(1.0);
    let departure = (random.f64() < 0.6).then(|| arrival + (1.0 - arrival) * (0.3 + 0.7 * random.f64()));
    let middle = arrival + (1.0 - arrival) * (0.2 + 0.3 * random.f64());
    let stay = |device, from, to| Stay { device, from, to };
    match random.u32(..100) {
        // A laptop, and for a while a phone as a companion beside it.
        0..12 => {
            let companion_until = (random.f64() < 0.6).then(|| middle + (1.0 - middle) * random.f64());
            vec![stay("laptop", arrival, departure), stay("phone", middle, companion_until)]
        }
        // Comes back after a while.
        12..24 => {
            let back = middle + 0.03 + 0.12 * random.f64();
            vec![stay("laptop", arrival, Some(middle)), stay("laptop", back, departure)]
        }
        // Comes back before anybody looked.
        24..34 => {
            let back = middle + seconds(0.4 + 4.0 * random.f64());
            vec![stay("laptop", arrival, Some(middle)), stay("laptop", back, departure)]
        }
        // Is gone before anybody looked.
        34..42 => vec![stay("laptop", middle, Some(middle + seconds(0.3 + 6.0 * random.f64())))],
        // Changes over from one device to another.
        42..47 => {
            vec![stay("phone", arrival, Some(middle + seconds(3.0 * random.f64()))), stay("laptop", middle, departure)]
        }
        // A bad line.
        47..51 => {
            let mut stays = Vec::new();
            let mut from = arrival;
            for _ in 0..random.u32(2..=5) {
                let to = from + seconds(2.0 + 25.0 * random.f64());
                stays.push(stay("laptop", from, Some(to)));
                from = to + seconds(0.2 + 8.0 * random.f64());
            }
            stays
        }
        _ => vec![stay("laptop", arrival, departure)],
    }
}

/// Puts stays into the queue, in order and inside the meeting.
fn schedule_stays(
    world: &mut World,
    (space, key): (SpaceKey, ConferenceKey),
    person: PersonKey,
    (start, end): (Timestamp, Timestamp),
    stays: &[Stay],
) {
    let length = crate::clock::elapsed(start, end);
    // A device cannot be back before it has left; trimmed digits must not make it so.
    let mut free: Vec<(&str, Timestamp)> = Vec::new();
    for stay in stays {
        let not_before = free.iter().filter(|(device, _)| *device == stay.device).map(|(_, at)| *at).max();
        let from = moment(start, length.mul_f64(stay.from.clamp(0.0, 1.0)), &mut world.random);
        let from = not_before.map_or(from, |at| from.max(at));
        if from >= end {
            continue;
        }
        world.push(from, Due::Act(space, Act::Join(person, stay.device.into()), Some(key)));
        let Some(to) = stay.to.filter(|to| *to < 1.0) else { continue };
        let to = moment(start, length.mul_f64(to.max(0.0)), &mut world.random);
        let to = to.max(saturating_add(from, Duration::from_millis(1)));
        if to < end {
            world.push(to, Due::Act(space, Act::Leave(person, stay.device.into()), Some(key)));
            free.push((stay.device, saturating_add(to, Duration::from_millis(1))));
        } else {
            free.push((stay.device, end));
        }
    }
}

fn scaled(seconds: f64, speed: f64) -> Duration {
    Duration::from_secs_f64((seconds / speed).max(0.0))
}

fn between(range: &std::ops::Range<f64>, random: &mut Rng) -> f64 {
    range.start + (range.end - range.start) * random.f64()
}

/// `base + after`, told with nine, six, three or no fractional digits, and never before `base`.
fn moment(base: Timestamp, after: Duration, random: &mut Rng) -> Timestamp {
    let exact = saturating_add(base, after.saturating_add(Duration::from_nanos(random.u64(..1_000_000))));
    let unit: i128 = match random.u32(..20) {
        0 => 1_000_000_000,
        1..4 => 1_000_000,
        4..9 => 1_000,
        _ => 1,
    };
    let nanoseconds = exact.as_nanosecond();
    let told = Timestamp::from_nanosecond(nanoseconds - nanoseconds.rem_euclid(unit)).unwrap_or(exact);
    if told < base { exact } else { told }
}
