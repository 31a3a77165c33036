//! What Google would answer about a world: without pages, faults and delays.

use crate::meet::{Answer, ConferenceFilter, ParticipantFilter, Read, SessionFilter};
use crate::model::{Conference, ConferenceName, Participant, ParticipantKind, Session, Space, UserName};
use crate::sim::world::{PersonKey, SimConference, SimParticipant, SimSession, SpaceKey, World};

/// The largest pages, as Google documents them.
const CONFERENCES_A_PAGE: usize = 100;
const ITEMS_A_PAGE: usize = 250;

/// Returns the answer to a read of an organizer, and how many requests it takes. `None` if there is no such resource.
pub(super) fn answer(world: &World, organizer: PersonKey, read: &Read) -> Option<(Answer, u32)> {
    Some(match read {
        Read::Conference(name) => (Answer::Conference(record(world, conference(world, name)?)), 1),
        Read::Conferences(filter) => {
            let own = world.spaces().filter(|(_, space)| space.organizer == Some(organizer));
            let found: Vec<_> =
                own.flat_map(|(space, _)| of_space(world, space)).filter(|one| wanted(one, filter)).collect();
            let requests = pages(found.len(), CONFERENCES_A_PAGE);
            (Answer::Conferences(found), requests)
        }
        Read::Participants(parent, filter) => {
            let all = conference(world, parent)?.participants();
            let found: Vec<_> = all.filter(|one| is_wanted(one, *filter)).map(|one| participant(world, one)).collect();
            let requests = pages(found.len(), ITEMS_A_PAGE);
            (Answer::Participants(found), requests)
        }
        Read::Sessions(parent, filter) => {
            let id = parent.as_str().rsplit('/').next()?;
            let of = conference(world, &parent.conference())?.participant(id)?;
            let open = |one: &&SimSession| *filter == SessionFilter::All || one.end.is_none();
            let found: Vec<_> = of.sessions.iter().filter(open).map(session).collect();
            let requests = pages(found.len(), ITEMS_A_PAGE);
            (Answer::Sessions(found), requests)
        }
        Read::Space(name) => (Answer::Space(space(world, world.space_by_name(name)?)), 1),
        Read::SpaceByCode(code) => (Answer::Space(space(world, world.space_by_code(code)?)), 1),
        Read::Participant(_) | Read::Session(_) | Read::People(_) => return None,
    })
}

fn pages(items: usize, page: usize) -> u32 {
    u32::try_from(items.div_ceil(page).max(1)).unwrap_or(u32::MAX)
}

fn space(world: &World, key: SpaceKey) -> Space {
    let space = world.space(key);
    let active_conference = space.live.map(|live| world.conference(live).name.clone());
    Space { name: space.name.clone(), meeting_code: Some(space.code.clone()), active_conference }
}

fn of_space(world: &World, key: SpaceKey) -> impl Iterator<Item = Conference> {
    world.space(key).conferences.iter().map(|(_, conference)| record(world, world.conference(*conference)))
}

fn conference<'w>(world: &'w World, name: &ConferenceName) -> Option<&'w SimConference> {
    let id = name.as_str().rsplit('/').next()?;
    world.conference_by_id(id).map(|key| world.conference(key))
}

fn record(world: &World, conference: &SimConference) -> Conference {
    Conference {
        name: conference.name.clone(),
        space: Some(world.space(conference.space).name.clone()),
        start: conference.start,
        end: conference.end,
        expire: None,
    }
}

fn wanted(conference: &Conference, filter: &ConferenceFilter) -> bool {
    let ended = filter.ended_since.is_none_or(|since| conference.end.is_some_and(|end| end >= since));
    let before = filter.ended_before.is_none_or(|until| conference.end.is_some_and(|end| end < until));
    let started = filter.started_since.is_none_or(|since| conference.start >= since);
    ended && before && started && (!filter.live || conference.end.is_none())
}

fn is_wanted(participant: &SimParticipant, filter: ParticipantFilter) -> bool {
    match filter {
        ParticipantFilter::All => true,
        ParticipantFilter::Active => participant.is_present(),
        ParticipantFilter::LeftSince(time) => participant.latest_end().is_some_and(|end| end >= time),
        ParticipantFilter::JoinedSince(time) => participant.earliest_start() >= time,
    }
}

fn participant(world: &World, of: &SimParticipant) -> Participant {
    let person = world.person(of.person);
    let is_signed_in = person.kind == ParticipantKind::SignedIn;
    Participant {
        name: of.name.clone(),
        kind: person.kind,
        user: is_signed_in.then(|| UserName::parse(&format!("users/{}", person.account)).ok()).flatten(),
        display_name: None,
        earliest_start: Some(of.earliest_start()),
        latest_end: of.latest_end(),
    }
}

fn session(of: &SimSession) -> Session {
    Session { name: of.name.clone(), start: of.start, end: of.end }
}
