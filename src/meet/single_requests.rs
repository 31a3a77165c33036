//! Single requests with every parameter that Google's reference documents, for `meetwatch api` and `check --online`. They
//! use the same quota, tokens, retries and errors as the reads of the daemon.

use super::auth::Scopes;
use super::client::Client;
use super::error::ReadError;
use super::failure::Failure;
use super::fetch::{Fetched, RequestContext, Spent};
use super::filter::{ConferenceFilter, ParticipantFilter, SessionFilter};
use super::page::Page;
use super::people::{self, PersonQuery};
use super::reader::Priority;
use super::request::{InvalidUrl, Method, PageRequest};
use super::response_body::ResponseBody;
use super::wire;
use crate::model::{Conference, ConferenceName, IdentityName, Participant, ParticipantName, Person, Session, UserName};
use reqwest::Url;

/// An operator waits for the answer.
const PRIORITY: Priority = Priority::Listing;

impl Client {
    /// Obtains a token for these scopes, unless there is one already. Reads nothing with it; only a read shows whether Google
    /// accepts it.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn obtain_token(&self, identity: &IdentityName, scopes: Scopes) -> Result<(), ReadError> {
        let known = self.0.identity(identity, Method::ListConferences)?;
        let obtained = known.tokens.bearer(scopes).await;
        let without =
            |failure: Failure| ReadError { attempted: "get a token", ..failure.during(Method::ListConferences) };
        obtained.map(drop).map_err(without)
    }

    /// `conferenceRecords.list`: one page.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn list_conferences_page(
        &self,
        identity: &IdentityName,
        filter: &ConferenceFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<Conference>, ReadError> {
        let method = Method::ListConferences;
        let url = self.0.meet.list("conferenceRecords", method, filter, page);
        self.ask(identity, method, url).await.map(|fetched| fetched.value)
    }

    /// `conferenceRecords.participants.list`: one page.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn list_participants_page(
        &self,
        identity: &IdentityName,
        parent: &ConferenceName,
        filter: ParticipantFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<Participant>, ReadError> {
        let method = Method::ListParticipants;
        let url = self.0.meet.list(format_args!("{parent}/participants"), method, filter, page);
        self.ask(identity, method, url).await.map(|fetched| fetched.value)
    }

    /// `conferenceRecords.participants.participantSessions.list`: one page.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn list_sessions_page(
        &self,
        identity: &IdentityName,
        parent: &ParticipantName,
        filter: SessionFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<Session>, ReadError> {
        let method = Method::ListSessions;
        let url = self.0.meet.list(format_args!("{parent}/participantSessions"), method, filter, page);
        self.ask(identity, method, url).await.map(|fetched| fetched.value)
    }

    /// `people.get`: one person.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn get_person(
        &self,
        identity: &IdentityName,
        user: &UserName,
        query: PersonQuery<'_>,
    ) -> Result<Person, ReadError> {
        let method = Method::GetPerson;
        let url = self.0.people.person(&people::resource_name(user), query);
        let fetched = self.ask::<wire::Person>(identity, method, url).await?;
        Ok(people::person(user.clone(), &fetched.value))
    }

    async fn ask<T: ResponseBody>(
        &self,
        identity: &IdentityName,
        method: Method,
        url: Result<Url, InvalidUrl>,
    ) -> Result<Fetched<T>, ReadError> {
        let url = url.map_err(|invalid| Failure::from(invalid).during(method))?;
        let (identity, spent) = (self.0.identity(identity, method)?, Spent::default());
        let call = RequestContext { identity, method, priority: PRIORITY, spent: &spent };
        self.0.fetch(call, &url).await
    }
}
