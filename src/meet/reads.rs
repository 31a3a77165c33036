//! Does a [`Read`]: sends the requests that it takes and combines their responses into one [`Reading`].

use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::client::{Client, Inner};
use super::error::ReadError;
use super::failure::Failure;
use super::fetch::{Fetched, RequestContext, Spent};
use super::merge::{self, Merge};
use super::metrics::Limit;
use super::page::Page;
use super::page_cursor::{PageCursor, PagingError};
use super::people::{self, MAX_PEOPLE_PER_REQUEST, PersonQuery};
use super::reader::{Answer, Priority, Read, Reader, Reading};
use super::request::{InvalidUrl, Method, PageRequest};
use super::response_body::ResponseBody;
use super::unreadable::{UnreadableField, UnreadableFields};
use super::{response_hints, wire};
use crate::model::{IdentityName, MeetingCode, SpaceName, UserName};

impl Reader for Client {
    async fn read(&self, identity: &IdentityName, priority: Priority, read: &Read) -> Result<Reading, ReadError> {
        let method = method(read);
        let spent = Spent::default();
        let call = RequestContext { identity: self.0.identity(identity, method)?, method, priority, spent: &spent };
        let result = self.0.read(call, read).await;
        let (requests, used_up) = (spent.requests(), spent.used_up());
        match result {
            Ok(reading) => Ok(Reading { requests, used_up, ..reading }),
            Err(error) => Err(ReadError { requests, used_up, ..error }),
        }
    }
}

const fn method(read: &Read) -> Method {
    match read {
        Read::Conference(_) => Method::GetConference,
        Read::Conferences(_) => Method::ListConferences,
        Read::Participant(_) => Method::GetParticipant,
        Read::Participants(..) => Method::ListParticipants,
        Read::Session(_) => Method::GetSession,
        Read::Sessions(..) => Method::ListSessions,
        Read::Space(_) | Read::SpaceByCode(_) => Method::GetSpace,
        Read::People(_) => Method::BatchGetPeople,
    }
}

/// What the requests of a read returned so far.
struct Gathered<T> {
    value: T,
    date: Option<HeaderValue>,
    unreadable: UnreadableFields,
    blank: bool,
}

impl<T> Gathered<T> {
    fn into_reading(self, answer: impl FnOnce(T) -> Answer) -> Reading {
        Reading {
            answer: answer(self.value),
            google_time: self.date.as_ref().and_then(google_time),
            requests: 0,
            used_up: None,
            unreadable: self.unreadable,
            blank: self.blank,
        }
    }
}

impl Inner {
    async fn read(&self, call: RequestContext<'_>, read: &Read) -> Result<Reading, ReadError> {
        Ok(match read {
            Read::Conference(name) => self.get(call, self.meet.get(name)).await?.into_reading(Answer::Conference),
            Read::Participant(name) => self.get(call, self.meet.get(name)).await?.into_reading(Answer::Participant),
            Read::Session(name) => self.get(call, self.meet.get(name)).await?.into_reading(Answer::Session),
            Read::Space(name) => self.space(call, name).await?.into_reading(Answer::Space),
            Read::SpaceByCode(code) => self.space(call, code).await?.into_reading(Answer::Space),
            Read::Conferences(filter) => self
                .list(call, "conferenceRecords/", |page| self.meet.list("conferenceRecords", call.method, filter, page))
                .await?
                .into_reading(Answer::Conferences),
            Read::Participants(parent, filter) => {
                let list = format!("{parent}/participants");
                let url = |page: PageRequest<'_>| self.meet.list(&list, call.method, filter, page);
                self.list(call, &list, url).await?.into_reading(Answer::Participants)
            }
            Read::Sessions(parent, filter) => {
                let list = format!("{parent}/participantSessions");
                let url = |page: PageRequest<'_>| self.meet.list(&list, call.method, filter, page);
                self.list(call, &list, url).await?.into_reading(Answer::Sessions)
            }
            Read::People(users) => self.people(call, users).await?.into_reading(Answer::People),
        })
    }

    async fn space(
        &self,
        call: RequestContext<'_>,
        alias: impl SpaceAlias,
    ) -> Result<Gathered<crate::model::Space>, ReadError> {
        self.get(call, self.meet.get(alias.path())).await
    }

    /// Gets one resource.
    async fn get<T: ResponseBody>(
        &self,
        call: RequestContext<'_>,
        url: Result<Url, InvalidUrl>,
    ) -> Result<Gathered<T>, ReadError> {
        let url = url.map_err(|invalid| Failure::from(invalid).during(call.method))?;
        let Fetched { value, date, unreadable, blank } = self.fetch(call, &url).await?;
        Ok(Gathered { value, date, unreadable, blank })
    }

    /// Lists all pages, each resource once. A resource whose name does not begin with `within` is none of this list.
    async fn list<T: Merge>(
        &self,
        call: RequestContext<'_>,
        within: &str,
        url: impl Fn(PageRequest<'_>) -> Result<Url, InvalidUrl>,
    ) -> Result<Gathered<Vec<T>>, ReadError>
    where
        Page<T>: ResponseBody,
    {
        let mut cursor = PageCursor::default();
        let mut items = Vec::new();
        let mut unreadable = UnreadableFields::default();
        loop {
            let page = PageRequest { size: None, token: cursor.token() };
            let url = url(page).map_err(|invalid| Failure::from(invalid).during(call.method))?;
            let Fetched { value: mut page, date, unreadable: wrong, blank } = self.fetch::<Page<T>>(call, &url).await?;
            if blank && cursor.pages() > 1 {
                let failure = Failure::malformed("a later page of the list is an empty body");
                self.metrics.failed(call.method, &call.identity.name, failure.reason);
                return Err(failure.during(call.method));
            }
            unreadable.add(&wrong);
            page.items.retain(|item| {
                let belongs = item.key().starts_with(within);
                if !belongs {
                    unreadable.skipped(UnreadableField::Name);
                    self.metrics.unreadable(call.method, UnreadableField::Name, 1);
                }
                belongs
            });
            if items.is_empty() {
                items = page.items;
            } else {
                items.extend(page.items);
            }
            let Some(next) = page.next_page_token else {
                let value = merge::distinct(items);
                return Ok(Gathered { value, date, unreadable, blank });
            };
            cursor.advance(next, self.max_pages).map_err(|error| {
                if error == PagingError::TooManyPages {
                    self.metrics.limit(Limit::Pages);
                }
                let failure = Failure::from(error);
                self.metrics.failed(call.method, &call.identity.name, failure.reason);
                failure.during(call.method)
            })?;
        }
    }

    /// Looks up people in batches.
    async fn people(
        &self,
        call: RequestContext<'_>,
        users: &[UserName],
    ) -> Result<Gathered<Vec<crate::model::Person>>, ReadError> {
        let mut gathered = Gathered {
            value: Vec::with_capacity(users.len()),
            date: None,
            unreadable: UnreadableFields::default(),
            blank: false,
        };
        for batch in users.chunks(MAX_PEOPLE_PER_REQUEST) {
            let names: Vec<String> = batch.iter().map(people::resource_name).collect();
            let url = self.people.people(&names, PersonQuery::default());
            let url = url.map_err(|invalid| Failure::from(invalid).during(call.method))?;
            let Fetched { value, date, unreadable, .. } = self.fetch::<wire::GetPeopleResponse>(call, &url).await?;
            gathered.unreadable.add(&unreadable);
            gathered.value.extend(people::found_people(value));
            gathered.date = date;
        }
        Ok(gathered)
    }
}

/// A name by which `spaces.get` finds a space.
pub(super) trait SpaceAlias: Send {
    /// The resource name in the request, `spaces/…`.
    fn path(&self) -> String;
}

impl SpaceAlias for &SpaceName {
    fn path(&self) -> String {
        self.as_str().to_owned()
    }
}

impl SpaceAlias for &MeetingCode {
    fn path(&self) -> String {
        format!("spaces/{self}")
    }
}

fn google_time(date: &HeaderValue) -> Option<Timestamp> {
    response_hints::date(date.to_str().ok()?)
}
