//! Chooses the name and the address of a person among the several that the People API returns.
//!
//! The account's own values (`ACCOUNT`, `PROFILE`, `DOMAIN_PROFILE`) come first, then the domain's address book, then the
//! identity's own contacts, which the identity's user may have typed. Within one source the primary value comes first, then
//! the source's own primary, then the first in the list.

use std::cmp::Reverse;

use super::wire;
use crate::model::resources::display_name;
use crate::model::{Person, UserName};

/// The most people that one `people:batchGet` accepts.
pub const MAX_PEOPLE_PER_REQUEST: usize = 200;

/// Where the People API looks for a person (the parameter `sources`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadSource {
    Profile,
    Contact,
    DomainContact,
    OtherContact,
}

impl ReadSource {
    /// Profile, contacts and other contacts, as Google's guide to Meet's participants recommends.
    pub const DEFAULT: &[Self] = &[Self::Profile, Self::Contact, Self::OtherContact];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "READ_SOURCE_TYPE_PROFILE",
            Self::Contact => "READ_SOURCE_TYPE_CONTACT",
            Self::DomainContact => "READ_SOURCE_TYPE_DOMAIN_CONTACT",
            Self::OtherContact => "READ_SOURCE_TYPE_OTHER_CONTACT",
        }
    }
}

/// The parameters of a request for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonQuery<'a> {
    /// `personFields`, separated by commas. Only `names` and `emailAddresses` are read from the response.
    pub fields: &'a str,
    pub sources: &'a [ReadSource],
}

impl Default for PersonQuery<'_> {
    fn default() -> Self {
        Self { fields: "names,emailAddresses", sources: ReadSource::DEFAULT }
    }
}

/// Returns `people/{id}` for `users/{id}`: the name of the same account in the People API.
pub(super) fn resource_name(user: &UserName) -> String {
    format!("people/{}", user.as_str().trim_start_matches("users/"))
}

/// Returns the people in a response who were found, each under the user name that was requested.
pub(super) fn found_people(response: wire::GetPeopleResponse) -> Vec<Person> {
    response
        .responses
        .into_iter()
        .filter(|item| item.status.as_ref().is_none_or(|status| status.code == 0))
        .filter_map(|item| {
            let id = item.requested_resource_name.strip_prefix("people/")?;
            let user = UserName::parse(&format!("users/{id}")).ok()?;
            Some(person(user, item.person.as_ref()?))
        })
        .collect()
}

/// Returns the person with the name and the address that rank first.
pub(super) fn person(user: UserName, person: &wire::Person) -> Person {
    let name = person
        .names
        .iter()
        .filter(|name| !name.display_name.is_empty())
        .min_by_key(|name| rank(name.metadata.as_ref()))
        .and_then(|name| display_name(&name.display_name));
    let email = person
        .email_addresses
        .iter()
        .filter(|email| is_address(&email.value))
        .min_by_key(|email| rank(email.metadata.as_ref()))
        .map(|email| email.value.as_str().into());
    Person { user, display_name: name, email }
}

/// The rank of a value; the lowest is used.
fn rank(metadata: Option<&wire::FieldMetadata>) -> (u8, Reverse<bool>, Reverse<bool>) {
    let source = metadata.and_then(|metadata| metadata.source.as_ref()).map_or("", |source| source.kind.as_str());
    let class = match source {
        "ACCOUNT" | "PROFILE" | "DOMAIN_PROFILE" => 0,
        "DOMAIN_CONTACT" => 1,
        "CONTACT" => 2,
        "OTHER_CONTACT" => 3,
        _ => 4,
    };
    let is = |flag: fn(&wire::FieldMetadata) -> bool| Reverse(metadata.is_some_and(flag));
    (class, is(|metadata| metadata.primary), is(|metadata| metadata.source_primary))
}

/// Whether a text can be an address: an `@` with text on both sides, no white space or control character, at most 254
/// bytes.
fn is_address(text: &str) -> bool {
    let split = text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    split && text.len() <= 254 && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Person {
        person(UserName::parse("users/1").unwrap(), &serde_json::from_str(json).unwrap())
    }

    #[test]
    fn the_accounts_own_values_come_before_contacts() {
        let ada = of(r#"{"names":[
            {"displayName":"Boss","metadata":{"primary":true,"source":{"type":"CONTACT"}}},
            {"displayName":"Ada L","metadata":{"source":{"type":"PROFILE"}}},
            {"displayName":"Ada","metadata":{"sourcePrimary":true,"source":{"type":"DOMAIN_PROFILE"}}}],
            "emailAddresses":[
            {"value":"ada@home.example","metadata":{"source":{"type":"OTHER_CONTACT"}}},
            {"value":"alias@example.com","metadata":{"source":{"type":"ACCOUNT"}}},
            {"value":"ada@example.com","metadata":{"primary":true,"source":{"type":"DOMAIN_PROFILE"}}}]}"#);
        assert_eq!(ada.display_name.as_deref(), Some("Ada"));
        assert_eq!(ada.email.as_deref(), Some("ada@example.com"));
    }

    #[test]
    fn missing_values_stay_empty_and_malformed_addresses_are_dropped() {
        let nobody = of("{}");
        assert_eq!((nobody.display_name, nobody.email), (None, None));
        for bad in ["", "ada", "@example.com", "ada@", "a b@example.com", "a\\n@example.com"] {
            assert_eq!(of(&format!(r#"{{"emailAddresses":[{{"value":"{bad}"}}]}}"#)).email, None, "{bad}");
        }
    }

    #[test]
    fn only_people_who_were_found_are_returned_under_the_name_that_was_requested() {
        let answer = r#"{"responses":[
            {"requestedResourceName":"people/1","status":{"code":5,"message":"not found"}},
            {"requestedResourceName":"people/2","status":{},"person":{"resourceName":"people/c99","names":[{"displayName":"Bo"}]}},
            {"requestedResourceName":"people/3"},
            {"requestedResourceName":"contactGroups/4","person":{}}]}"#;
        let people = found_people(serde_json::from_str(answer).unwrap());
        let names: Vec<&str> = people.iter().map(|person| person.user.as_str()).collect();
        assert_eq!(names, vec!["users/2"]);
        assert_eq!(people[0].display_name.as_deref(), Some("Bo"));
    }
}
