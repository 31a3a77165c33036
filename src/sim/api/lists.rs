//! The three lists: descending by start, filtered and paged.

use std::collections::BTreeSet;
use std::ops::Bound;

use jiff::Timestamp;

use super::access::Caller;
use super::call::ListParameters;
use super::error::GoogleError;
use super::filter::{Comparison, Condition, Field};
use super::method::GoogleMethod;
use super::page::{self, PagePosition};
use super::visible::VisibleWorld;
use crate::meet::wire;
use crate::sim::hash::{hash, share};
use crate::sim::world::{ConferenceKey, SimConference, SimParticipant};

/// How a list is cut into pages, and the faults of paging.
#[derive(Debug, Default)]
pub(super) struct Paging {
    size: usize,
    query_hash: u64,
    /// Where the previous page ended.
    after: Option<PagePosition>,
    /// The page's own token.
    token: String,
    pub(super) duplicates: usize,
    pub(super) skips: usize,
    /// Omits this share of the items, selected by this seed.
    pub(super) omit: Option<(f64, u64)>,
    pub(super) repeat_token: bool,
    pub(super) empty: bool,
}

impl Paging {
    /// Decodes the page token of a list request.
    pub(super) fn new(
        method: GoogleMethod,
        parent: &str,
        listing: &ListParameters,
        seed: u64,
        at_most: Option<usize>,
    ) -> Result<Self, GoogleError> {
        let parts = [method.as_str().as_bytes(), parent.as_bytes(), listing.filter_text.as_bytes()];
        let query_hash = hash(seed, &parts);
        let after = page::open(query_hash, &listing.page_token)
            .map_err(|_| GoogleError::invalid_argument("page_token", "Invalid page token."))?;
        let (default, maximum) = method.page_sizes();
        Ok(Self {
            size: page::page_size(listing.page_size, default, maximum, at_most),
            query_hash,
            after,
            token: listing.page_token.clone(),
            ..Self::default()
        })
    }

    /// Returns how many of `length` ascending items are not yet listed. `before` counts the items that precede the end
    /// of the previous page.
    fn until(&self, length: usize, before: impl FnOnce(&PagePosition) -> usize) -> usize {
        match &self.after {
            None => length,
            Some(position) => (before(position) + self.duplicates).min(length).saturating_sub(self.skips),
        }
    }

    fn keeps(&self, name: &str) -> bool {
        let omitted = self.omit.is_some_and(|(chance, seed)| share(seed, &[name.as_bytes()]) < chance);
        !self.empty && !omitted
    }

    /// Takes one page from `items` and returns it with the token of the next. `position` returns an item's sort key.
    fn cut<T>(
        &self,
        mut items: impl Iterator<Item = T>,
        position: impl Fn(&T) -> (Timestamp, String),
    ) -> (Vec<T>, String) {
        let page: Vec<T> = items.by_ref().take(self.size).collect();
        let more = !page.is_empty() && items.next().is_some();
        if self.repeat_token && !self.token.is_empty() {
            return (page, self.token.clone());
        }
        let next = page.last().filter(|_| more || self.repeat_token).map(|last| {
            let (time, name) = position(last);
            let number = self.after.as_ref().map_or(1, |after| after.page);
            page::seal(self.query_hash, &PagePosition { page: number.saturating_add(1), time, name })
        });
        (page, next.unwrap_or_default())
    }
}

/// `conferenceRecords.list`
pub(super) fn conferences(
    view: &VisibleWorld<'_>,
    caller: Caller,
    listing: &ListParameters,
    paging: &Paging,
) -> Result<wire::ConferenceRecords, GoogleError> {
    let candidates = candidates(view, listing);
    let upper = match &paging.after {
        None => Bound::Unbounded,
        Some(place) => {
            let id = crate::sim::world::ids::id_of(&place.name);
            let key = view.world.conference_by_id(id).ok_or_else(GoogleError::not_found)?;
            let end = (place.time, key);
            let repeated = candidates.as_set().range(end..).take(paging.duplicates).last();
            repeated.map_or(Bound::Excluded(end), |last| Bound::Included(*last))
        }
    };
    let skips = if paging.after.is_some() { paging.skips } else { 0 };
    let ordered = candidates.as_set().range((Bound::Unbounded, upper)).rev().skip(skips);
    let shown = ordered.map(|(_, key)| view.world.conference(*key)).filter(|conference| {
        view.shows(conference)
            && caller.organizes(view.world, conference.space)
            && conference_matches(view, conference, listing)
            && paging.keeps(conference.name.as_str())
    });
    let (page, next_page_token) = paging.cut(shown, |c| (c.start, c.name.to_string()));
    let conference_records = page.into_iter().map(|conference| view.conference_body(conference)).collect();
    Ok(wire::ConferenceRecords { conference_records, next_page_token })
}

fn conference_matches(view: &VisibleWorld<'_>, conference: &SimConference, listing: &ListParameters) -> bool {
    let space = view.world.space(conference.space);
    listing.filter.holds(
        |field| match field {
            Field::StartTime => Some(conference.start),
            Field::EndTime => view.conference_end(conference),
            _ => None,
        },
        |field| match field {
            Field::SpaceName => Some(space.name.as_str()),
            Field::MeetingCode => Some(space.code.as_str()),
            _ => None,
        },
    )
}

/// A set that contains every conference that can match, by start.
enum Candidates<'w> {
    Index(&'w BTreeSet<(Timestamp, ConferenceKey)>),
    Collected(BTreeSet<(Timestamp, ConferenceKey)>),
}

impl Candidates<'_> {
    const fn as_set(&self) -> &BTreeSet<(Timestamp, ConferenceKey)> {
        match self {
            Self::Index(set) => set,
            Self::Collected(set) => set,
        }
    }
}

/// Returns the smallest index that a condition selects, so that a narrow filter does not scan every conference.
fn candidates<'w>(view: &VisibleWorld<'w>, listing: &ListParameters) -> Candidates<'w> {
    let world = view.world;
    for condition in listing.filter.conditions() {
        if let Condition::Text(field, value) = condition {
            let space = world.spaces_matching(value, *field == Field::MeetingCode);
            let sets = space.iter().flat_map(|key| &world.space(*key).conferences).copied();
            return match space.as_slice() {
                [only] => Candidates::Index(&world.space(*only).conferences),
                _ => Candidates::Collected(sets.collect()),
            };
        }
    }
    for condition in listing.filter.conditions() {
        match condition {
            Condition::Unset(Field::EndTime) if view.lag.conference_end.is_zero() => {
                return Candidates::Index(world.live_by_start());
            }
            Condition::Time(Field::EndTime, Comparison::GreaterOrEqual | Comparison::Greater, since) => {
                let ended = world.conferences_by_end().range((*since, ConferenceKey::FIRST)..);
                let made = ended.map(|(_, key)| (world.conference(*key).start, *key)).collect();
                return Candidates::Collected(made);
            }
            _ => {}
        }
    }
    Candidates::Index(world.conferences_by_start())
}

/// `conferenceRecords.participants.list`
pub(super) fn participants(
    view: &VisibleWorld<'_>,
    conference: &SimConference,
    listing: &ListParameters,
    paging: &Paging,
) -> wire::Participants {
    let all = conference.participants();
    let until = paging.until(all.len(), |place| conference.before((place.time, &place.name)));
    let matching = |participant: &&SimParticipant| {
        view.participant(participant).is_some_and(|times| {
            listing.filter.holds(
                |field| match field {
                    Field::EarliestStartTime => Some(times.start),
                    Field::LatestEndTime => times.end,
                    _ => None,
                },
                |_| None,
            )
        })
    };
    let shown = all.take(until).rev().filter(matching).filter(|p| paging.keeps(p.name.as_str()));
    let (page, next_page_token) = paging.cut(shown, |p| (p.earliest_start(), p.name.to_string()));
    let body = |participant: &SimParticipant| {
        view.participant(participant).map(|times| view.participant_body(participant, times))
    };
    let total = listing.total_size.then(|| conference.participants().filter(matching).count());
    wire::Participants {
        participants: page.into_iter().filter_map(body).collect(),
        next_page_token,
        total_size: total.map(|total| i32::try_from(total).unwrap_or(i32::MAX)),
    }
}

/// `conferenceRecords.participants.participantSessions.list`
pub(super) fn sessions(
    view: &VisibleWorld<'_>,
    participant: &SimParticipant,
    listing: &ListParameters,
    paging: &Paging,
) -> wire::ParticipantSessions {
    let all = &participant.sessions;
    let until = paging.until(all.len(), |place| {
        all.partition_point(|session| session.sort_key() < (place.time, place.name.as_str()))
    });
    let shown = all.iter().enumerate().take(until).rev().filter(|(number, session)| {
        let matches = |field| match field {
            Field::StartTime => Some(session.start),
            Field::EndTime => view.session_end(session),
            _ => None,
        };
        view.session(*number, session) && listing.filter.holds(matches, |_| None) && paging.keeps(session.name.as_str())
    });
    let (page, next_page_token) = paging.cut(shown, |(_, session)| (session.start, session.name.to_string()));
    let participant_sessions = page.into_iter().map(|(_, session)| view.session_body(session)).collect();
    wire::ParticipantSessions { participant_sessions, next_page_token }
}
