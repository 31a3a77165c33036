//! The simulated API as the scheduler uses it: reads that take time, page by page, with retries and faults.

use std::time::Duration;

use jiff::Timestamp;

use crate::backoff::Random;
use crate::clock::Mono;
use crate::meet::parse::{self, FromWire};
use crate::meet::{
    Answer, ParticipantFilter, QuotaScope, Read, ReadError, Reading, Reason, UnreadableFields, merge, wire,
};
use crate::model::{Conference, Participant, Session, Space};
use crate::sim::api::{Caller, GoogleError, ListParameters, ReadCall, ReadResponse, SimApi};
use crate::sim::faults::Fault;
use crate::sim::filter;

/// A read in progress.
#[derive(Debug)]
pub(super) struct ReadInProgress {
    read: Read,
    pages: u32,
    /// The requests that were sent, retries included.
    sent: u32,
    used_up: Option<QuotaScope>,
    /// How often the current page failed.
    failures: u32,
    token: String,
    conferences: Vec<Conference>,
    participants: Vec<Participant>,
    sessions: Vec<Session>,
    unreadable: UnreadableFields,
}

/// The result of reading a page.
pub(super) enum ReadProgress {
    /// The next page, or the same again, is requested at this time.
    Later(ReadInProgress, Mono),
    /// The result of the read, which arrives after this time.
    Done(Result<Reading, ReadError>, Duration),
}

/// A list with more pages fails, as in the client.
const MAX_PAGES: u32 = 100;
/// How often one page is retried.
const MAX_RETRIES: u32 = 4;

impl ReadInProgress {
    pub(super) fn new(read: Read) -> Self {
        Self {
            read,
            pages: 0,
            sent: 0,
            used_up: None,
            failures: 0,
            token: String::new(),
            conferences: Vec::new(),
            participants: Vec::new(),
            sessions: Vec::new(),
            unreadable: UnreadableFields::default(),
        }
    }

    /// Returns whether this read lists the active participants.
    pub(super) fn lists_the_active(&self) -> bool {
        matches!(&self.read, Read::Participants(_, ParticipantFilter::Active))
    }

    /// Returns whether this read is about a conference that has ended.
    pub(super) fn is_about_the_past(&self, api: &mut SimApi, google: Timestamp) -> bool {
        api.world.step(google);
        let id = match &self.read {
            Read::Conference(name) | Read::Participants(name, _) => name.as_str(),
            Read::Participant(name) | Read::Sessions(name, _) => name.as_str(),
            Read::Session(name) => name.as_str(),
            Read::Conferences(_) | Read::Space(_) | Read::SpaceByCode(_) | Read::People(_) => return false,
        };
        let conference = id.split('/').nth(1).and_then(|id| api.world.conference_by_id(id));
        conference.is_some_and(|key| api.world.conference(key).end.is_some())
    }

    /// Reads one page (or one resource) at `google`, by Google's clock. `dated`: whether the `Date` is correct despite
    /// faults.
    pub(super) fn proceed(
        mut self,
        api: &mut SimApi,
        caller: Caller,
        now: Mono,
        google: Timestamp,
        dated: bool,
        random: &mut Random,
    ) -> ReadProgress {
        (self.pages, self.sent) = (self.pages + 1, self.sent + 1);
        let call = match call(&self.read, &self.token) {
            Ok(call) => call,
            Err(error) => return ReadProgress::Done(Err(error), Duration::ZERO),
        };
        let (answer, faults) = api.read(&call, caller, google);
        if let Some(reason) = faults.iter().find_map(transmission_error) {
            return self.retry(failure(reason, None), now);
        }
        let slow: Duration =
            faults.iter().map(|fault| if let Fault::Slow(time) = fault { *time } else { Duration::ZERO }).sum();
        let answered = match answer {
            Ok(payload) => self.take(payload),
            Err(refusal) => Err(refused(&refusal)),
        };
        let skew = faults
            .iter()
            .find_map(|fault| if let Fault::Skew(by) = fault { Some(*by) } else { None })
            .filter(|_| !dated)
            .unwrap_or_default();
        let date = google.saturating_add(skew).ok().and_then(|time| Timestamp::from_second(time.as_second()).ok());
        match answered {
            Err(error) => self.retry(error, now),
            Ok(Some(answer)) => {
                let unreadable = std::mem::take(&mut self.unreadable);
                let reading = Reading {
                    answer,
                    google_time: date,
                    requests: self.sent,
                    used_up: self.used_up,
                    unreadable,
                    blank: false,
                };
                ReadProgress::Done(Ok(reading), slow)
            }
            Ok(None) if self.pages >= MAX_PAGES => ReadProgress::Done(Err(failure(Reason::Malformed, None)), slow),
            Ok(None) => {
                self.failures = 0;
                ReadProgress::Later(self, now + latency(random) + slow)
            }
        }
    }

    /// Retries the page if the error is transient, as the client does.
    fn retry(mut self, error: ReadError, now: Mono) -> ReadProgress {
        self.used_up = (error.reason == Reason::Throttled).then_some(QuotaScope::User).or(self.used_up);
        let may_help = matches!(error.reason, Reason::Server | Reason::Network | Reason::Timeout | Reason::Throttled);
        if !may_help || self.failures >= MAX_RETRIES {
            return ReadProgress::Done(
                Err(ReadError { requests: self.sent, used_up: self.used_up, ..error }),
                Duration::ZERO,
            );
        }
        self.failures += 1;
        self.pages -= 1;
        let wait = error.retry_after.unwrap_or_default().max(Duration::from_secs(1 << self.failures));
        ReadProgress::Later(self, now + wait)
    }

    fn parse<W, M: FromWire<W>>(&mut self, wire: W) -> Result<M, ReadError> {
        M::from_wire(wire, &mut self.unreadable).map_err(|_| failure(Reason::Malformed, None))
    }

    /// Adds a page. `None` while more pages follow.
    fn take(&mut self, payload: ReadResponse) -> Result<Option<Answer>, ReadError> {
        let token = match payload {
            ReadResponse::Conference(record) => return Ok(Some(Answer::Conference(self.parse(record)?))),
            ReadResponse::Participant(participant) => return Ok(Some(Answer::Participant(self.parse(participant)?))),
            ReadResponse::Session(session) => return Ok(Some(Answer::Session(self.parse(session)?))),
            ReadResponse::Space(body) => {
                return Ok(Some(Answer::Space(self.parse::<wire::Space, Space>(body.space)?)));
            }
            ReadResponse::Person(_) | ReadResponse::People(_) => return Ok(Some(Answer::People(Vec::new()))),
            ReadResponse::Conferences(page) => {
                self.conferences.extend(parse::items(page.conference_records, &mut self.unreadable));
                page.next_page_token
            }
            ReadResponse::Participants(page) => {
                self.participants.extend(parse::items(page.participants, &mut self.unreadable));
                page.next_page_token
            }
            ReadResponse::Sessions(page) => {
                self.sessions.extend(parse::items(page.participant_sessions, &mut self.unreadable));
                page.next_page_token
            }
        };
        if !token.is_empty() {
            // A repeating token would never end, so the client fails the read.
            let repeats = token == self.token;
            self.token = token;
            return if repeats { Err(failure(Reason::Malformed, None)) } else { Ok(None) };
        }
        Ok(Some(match &self.read {
            Read::Conferences(_) => Answer::Conferences(merge::distinct(std::mem::take(&mut self.conferences))),
            Read::Participants(..) => Answer::Participants(merge::distinct(std::mem::take(&mut self.participants))),
            _ => Answer::Sessions(merge::distinct(std::mem::take(&mut self.sessions))),
        }))
    }
}

/// Draws the latency of an answer.
pub(super) fn latency(random: &mut Random) -> Duration {
    Duration::from_millis(random.u64(20..400))
}

/// The call that the client would make.
fn call(read: &Read, token: &str) -> Result<ReadCall, ReadError> {
    let listing = |filter: String| {
        let parsed = if filter.is_empty() { Ok(filter::ListFilter::default()) } else { filter::parse(&filter) };
        let filter_of = parsed.map_err(|_| failure(Reason::BadRequest, None))?;
        Ok(ListParameters {
            filter: filter_of,
            filter_text: filter,
            page_size: 250,
            page_token: token.to_owned(),
            total_size: false,
        })
    };
    let part = |name: &str, at: usize| name.split('/').nth(at).unwrap_or_default().to_owned();
    Ok(match read {
        Read::Conference(name) => ReadCall::Conference { conference: part(name.as_str(), 1) },
        Read::Conferences(filter) => ReadCall::Conferences(listing(filter.to_string())?),
        Read::Participant(name) => {
            ReadCall::Participant { conference: part(name.as_str(), 1), participant: part(name.as_str(), 3) }
        }
        Read::Participants(parent, filter) => {
            ReadCall::Participants { conference: part(parent.as_str(), 1), listing: listing(filter.to_string())? }
        }
        Read::Session(name) => ReadCall::Session {
            conference: part(name.as_str(), 1),
            participant: part(name.as_str(), 3),
            session: part(name.as_str(), 5),
        },
        Read::Sessions(parent, filter) => ReadCall::Sessions {
            conference: part(parent.as_str(), 1),
            participant: part(parent.as_str(), 3),
            listing: listing(filter.to_string())?,
        },
        Read::Space(name) => ReadCall::Space { id: part(name.as_str(), 1) },
        Read::SpaceByCode(code) => ReadCall::Space { id: code.as_str().to_owned() },
        Read::People(_) => return Err(failure(Reason::ScopeMissing, None)),
    })
}

/// Returns the client's error for a fault of the transmission.
fn transmission_error(fault: &Fault) -> Option<Reason> {
    match fault {
        Fault::CutOff | Fault::Malformed | Fault::Oversized(_) => Some(Reason::Malformed),
        Fault::Html(status) => Some(if *status >= 500 { Reason::Server } else { Reason::Malformed }),
        Fault::Reset => Some(Reason::Network),
        _ => None,
    }
}

fn refused(refusal: &GoogleError) -> ReadError {
    let reason = match refusal.code {
        400 => Reason::BadRequest,
        401 => Reason::Unauthenticated,
        403 => Reason::NoAccess,
        404 => Reason::NotFound,
        429 => Reason::Throttled,
        _ => Reason::Server,
    };
    failure(reason, (reason == Reason::Throttled).then_some(Duration::from_secs(2)))
}

pub(super) fn failure(reason: Reason, retry_after: Option<Duration>) -> ReadError {
    ReadError {
        reason,
        attempted: "read",
        detail: "a simulated fault".to_owned(),
        remedy: "",
        retry_after,
        used_up: None,
        requests: 1,
    }
}
