//! The methods of Google's APIs that are used, and the addresses of requests with all their documented parameters.

use std::fmt::Display;

use reqwest::Url;

use super::people::PersonQuery;

/// Which of Google's APIs. Each has its own scopes and its own quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoogleApi {
    Meet,
    People,
}

crate::string_enum! {
    /// A method of one of Google's APIs, with its name in Google's discovery document, which is the value of the metric label
    /// `method`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Method {
        GetConference = "conferenceRecords.get",
        ListConferences = "conferenceRecords.list",
        GetParticipant = "participants.get",
        ListParticipants = "participants.list",
        GetSession = "participantSessions.get",
        ListSessions = "participantSessions.list",
        GetSpace = "spaces.get",
        GetPerson = "people.get",
        BatchGetPeople = "people.getBatchGet",
    }
}

impl Method {
    /// What the method does, for the text of an error.
    #[must_use]
    pub const fn attempted(self) -> &'static str {
        match self {
            Self::GetConference => "get conference record",
            Self::ListConferences => "list conference records",
            Self::GetParticipant => "get participant",
            Self::ListParticipants => "list participants",
            Self::GetSession => "get participant session",
            Self::ListSessions => "list participant sessions",
            Self::GetSpace => "get space",
            Self::GetPerson => "get person",
            Self::BatchGetPeople => "get people",
        }
    }

    /// The API that the method belongs to.
    #[must_use]
    pub const fn api(self) -> GoogleApi {
        match self {
            Self::GetPerson | Self::BatchGetPeople => GoogleApi::People,
            _ => GoogleApi::Meet,
        }
    }

    /// The largest page size that Google documents; it reduces a larger one to this. Zero for methods without pages.
    #[must_use]
    pub const fn max_page_size(self) -> u32 {
        match self {
            Self::ListConferences => 100,
            Self::ListParticipants | Self::ListSessions => 250,
            _ => 0,
        }
    }
}

/// Which page of a list to request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageRequest<'a> {
    /// The most items to return; the documented maximum if `None`. Google may return fewer.
    pub size: Option<u32>,
    /// The `next_page_token` of the page before. `None` for the first page.
    pub token: Option<&'a str>,
}

/// The base address of an API, to which paths are appended. Parsed once, because parsing the host is the expensive part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    endpoint: Url,
    path: String,
}

impl Base {
    /// A base address. A path in `endpoint` is kept; its query and fragment are dropped.
    pub(super) fn new(endpoint: &Url, version: &str) -> Self {
        let mut endpoint = endpoint.clone();
        endpoint.set_query(None);
        endpoint.set_fragment(None);
        let path = format!("{}/{version}/", endpoint.path().trim_end_matches('/'));
        Self { endpoint, path }
    }

    /// The address of a resource. The model has validated the name, so it cannot change the rest of the address.
    pub(super) fn get(&self, name: impl Display) -> Result<Url, InvalidUrl> {
        if self.endpoint.cannot_be_a_base() {
            return Err(InvalidUrl);
        }
        let mut url = self.endpoint.clone();
        url.set_path(&format!("{}{name}", self.path));
        Ok(url)
    }

    /// The address of one page of a collection.
    pub(super) fn list(
        &self,
        collection: impl Display,
        method: Method,
        filter: impl Display,
        page: PageRequest<'_>,
    ) -> Result<Url, InvalidUrl> {
        let mut url = self.get(collection)?;
        let size = page.size.unwrap_or(method.max_page_size());
        let mut query = url.query_pairs_mut();
        query.append_pair("pageSize", &size.to_string());
        let filter = filter.to_string();
        if !filter.is_empty() {
            query.append_pair("filter", &filter);
        }
        if let Some(token) = page.token.filter(|token| !token.is_empty()) {
            query.append_pair("pageToken", token);
        }
        drop(query);
        Ok(url)
    }

    /// The address of one person, `people/…`.
    pub(super) fn person(&self, name: &str, query: PersonQuery<'_>) -> Result<Url, InvalidUrl> {
        let mut url = self.get(name)?;
        add_person_query(&mut url, query);
        Ok(url)
    }

    /// The address of several people at once.
    pub(super) fn people(&self, names: &[String], query: PersonQuery<'_>) -> Result<Url, InvalidUrl> {
        let mut url = self.get("people:batchGet")?;
        url.query_pairs_mut().extend_pairs(names.iter().map(|name| ("resourceNames", name)));
        add_person_query(&mut url, query);
        Ok(url)
    }
}

fn add_person_query(url: &mut Url, query: PersonQuery<'_>) {
    let mut pairs = url.query_pairs_mut();
    pairs.append_pair("personFields", query.fields);
    pairs.extend_pairs(query.sources.iter().map(|source| ("sources", source.as_str())));
}

/// An address could not be built, because the endpoint cannot have a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint is an address that cannot have a path")]
pub(super) struct InvalidUrl;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meet::ParticipantFilter;

    fn base(endpoint: &str) -> Base {
        Base::new(&Url::parse(endpoint).unwrap(), "v2")
    }

    #[test]
    fn an_endpoint_may_have_a_path_and_a_trailing_slash() {
        for (endpoint, url) in [
            ("https://meet.googleapis.com", "https://meet.googleapis.com/v2/spaces/a"),
            ("http://127.0.0.1:9/", "http://127.0.0.1:9/v2/spaces/a"),
            ("http://127.0.0.1:9/meet/?x=y", "http://127.0.0.1:9/meet/v2/spaces/a"),
        ] {
            assert_eq!(base(endpoint).get("spaces/a").unwrap().as_str(), url);
        }
    }

    #[test]
    fn a_list_asks_for_the_largest_page_and_escapes_its_filter() {
        let base = base("https://meet.googleapis.com");
        let url = base
            .list("c/participants", Method::ListParticipants, ParticipantFilter::Active, PageRequest::default())
            .unwrap();
        assert_eq!(
            url.as_str(),
            "https://meet.googleapis.com/v2/c/participants?pageSize=250&filter=latest_end_time+IS+NULL"
        );
        let person = base.person("people/12", PersonQuery::default()).unwrap();
        assert_eq!(
            person.query(),
            Some(
                "personFields=names%2CemailAddresses&sources=READ_SOURCE_TYPE_PROFILE&sources=READ_SOURCE_TYPE_CONTACT\
                 &sources=READ_SOURCE_TYPE_OTHER_CONTACT"
            )
        );
        let people = base.people(&["people/1".to_owned(), "people/2".to_owned()], PersonQuery::default()).unwrap();
        assert!(people.as_str().starts_with(
            "https://meet.googleapis.com/v2/people:batchGet?resourceNames=people%2F1&resourceNames=people%2F2&personFields="
        ));
        let second = PageRequest { size: Some(7), token: Some("a&b=c") };
        let url = base.list("c/participants", Method::ListParticipants, ParticipantFilter::All, second).unwrap();
        assert_eq!(url.query(), Some("pageSize=7&pageToken=a%26b%3Dc"));
    }
}
