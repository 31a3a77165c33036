//! What Google would answer about a world, without a socket, JSON or failures.
//!
//! The names in an [`answer`] are parsed anew, as they would be from JSON, so that they share no memory with the world.

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use meetwatch::meet::{Answer, ConferenceFilter, ParticipantFilter, Read, SessionFilter};
use meetwatch::model::{
    Conference, ConferenceName, Participant, ParticipantKind, ParticipantName, Session, SessionName, Space, SpaceName,
    UserName,
};
use meetwatch::sim::world::{self, ConferenceTruth, SimPerson, SpaceKey, World};

use crate::figures::number;

/// The largest page of participants or sessions, as Google documents it.
pub(crate) const PAGE: usize = 250;

/// Creates a world in which conferences have just begun, each with people who stay.
pub(crate) fn world(seed: u64, start: Timestamp, conferences: usize, people: usize) -> Result<(World, Vec<SpaceKey>)> {
    let mut world = World::empty(seed, start);
    let cast: Vec<_> = (0..people)
        .map(|n| world.add_person(SimPerson::signed_in(&format!("Person {n}"), &format!("person{n}@example.com"))))
        .collect();
    let mut spaces = Vec::with_capacity(conferences);
    for _ in 0..conferences {
        let space = world.add_space(cast.first().copied())?;
        world.start(space, start)?;
        for person in &cast {
            world.join(space, *person, "laptop", start)?;
        }
        spaces.push(space);
    }
    Ok((world, spaces))
}

/// Returns the answer, and how many requests it takes.
pub(crate) fn answer(world: &World, read: &Read) -> Result<(Answer, usize)> {
    Ok(match read {
        Read::Conference(name) => (Answer::Conference(record(world, conference(world, name)?)), 1),
        Read::Conferences(filter) => {
            let wanted = world.conferences().filter(|truth| is_wanted(truth, filter));
            let found = wanted.map(|truth| record_of_truth(&truth)).collect::<Result<Vec<_>>>()?;
            let requests = pages(found.len(), 100);
            (Answer::Conferences(found), requests)
        }
        Read::Participants(parent, filter) => {
            let mut found = participants(world, conference(world, parent)?, *filter);
            for participant in &mut found {
                participant.name = ParticipantName::parse(participant.name.as_str())?;
            }
            let requests = pages(found.len(), PAGE);
            (Answer::Participants(found), requests)
        }
        Read::Sessions(parent, filter) => {
            let conference = conference(world, &parent.conference())?;
            let id = parent.as_str().rsplit('/').next().unwrap_or_default();
            let participant = conference.participant(id).context("no such participant")?;
            let mut found = sessions(participant, *filter);
            for session in &mut found {
                session.name = SessionName::parse(session.name.as_str())?;
            }
            let requests = pages(found.len(), PAGE);
            (Answer::Sessions(found), requests)
        }
        Read::Space(name) => {
            let space = world.space(world.space_by_name(name).context("no such space")?);
            let active = space.live.map(|key| world.conference(key).name.clone());
            let (name, meeting_code) = (space.name.clone(), Some(space.code.clone()));
            (Answer::Space(Space { name, meeting_code, active_conference: active }), 1)
        }
        other => bail!("the schedule never makes the read {other:?} here"),
    })
}

/// Returns how many pages a list takes. An empty one takes one too.
pub(crate) fn pages(items: usize, page: usize) -> usize {
    items.div_ceil(page).max(1)
}

/// Returns the participants of a conference as a list shows them.
pub(crate) fn participants(
    world: &World,
    conference: &world::SimConference,
    filter: ParticipantFilter,
) -> Vec<Participant> {
    let wanted = |participant: &&world::SimParticipant| match filter {
        ParticipantFilter::All => true,
        ParticipantFilter::Active => participant.is_present(),
        ParticipantFilter::LeftSince(time) => participant.latest_end().is_some_and(|end| end >= time),
        ParticipantFilter::JoinedSince(time) => participant.earliest_start() >= time,
    };
    conference.participants().filter(wanted).map(|participant| shown(world, participant)).collect()
}

/// Returns the sessions of a participant as a list shows them.
pub(crate) fn sessions(participant: &world::SimParticipant, filter: SessionFilter) -> Vec<Session> {
    let wanted = |session: &&world::SimSession| filter == SessionFilter::All || session.end.is_none();
    let session =
        |session: &world::SimSession| Session { name: session.name.clone(), start: session.start, end: session.end };
    participant.sessions.iter().filter(wanted).map(session).collect()
}

/// Returns the record of a conference.
pub(crate) fn record(world: &World, conference: &world::SimConference) -> Conference {
    Conference {
        name: conference.name.clone(),
        space: Some(world.space(conference.space).name.clone()),
        start: conference.start,
        end: conference.end,
        expire: None,
    }
}

/// Returns how long the conferences of a world have lasted until `now`, together, in hours.
pub(crate) fn conference_hours(world: &World, now: Timestamp) -> f64 {
    let lengths = world.conferences().map(|truth| truth.end.unwrap_or(now).duration_since(truth.start));
    lengths.map(|length| length.as_secs_f64()).sum::<f64>() / 3600.0
}

/// Returns how many people came to the conferences of a world, on average.
pub(crate) fn people_each(world: &World) -> f64 {
    number(world.participants().count()) / number(world.conferences().count().max(1))
}

fn conference<'w>(world: &'w World, name: &ConferenceName) -> Result<&'w world::SimConference> {
    let id = name.as_str().rsplit('/').next().unwrap_or_default();
    Ok(world.conference(world.conference_by_id(id).context("no such conference")?))
}

fn shown(world: &World, participant: &world::SimParticipant) -> Participant {
    let person = world.person(participant.person);
    let is_signed_in = person.kind == ParticipantKind::SignedIn;
    Participant {
        name: participant.name.clone(),
        kind: person.kind,
        user: is_signed_in.then(|| UserName::parse(&format!("users/{}", person.account)).ok()).flatten(),
        display_name: (!person.display_name.is_empty()).then(|| person.display_name.as_str().into()),
        earliest_start: Some(participant.earliest_start()),
        latest_end: participant.latest_end(),
    }
}

fn is_wanted(truth: &ConferenceTruth, filter: &ConferenceFilter) -> bool {
    let ended = filter.ended_since.is_none_or(|since| truth.end.is_some_and(|end| end >= since));
    ended && (!filter.live || truth.end.is_none())
}

fn record_of_truth(truth: &ConferenceTruth) -> Result<Conference> {
    Ok(Conference {
        name: ConferenceName::parse(truth.conference.as_str())?,
        space: Some(SpaceName::parse(truth.space.as_str())?),
        start: truth.start,
        end: truth.end,
        expire: None,
    })
}
