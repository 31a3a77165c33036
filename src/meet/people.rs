//! Who somebody is, from the People API: which of several names and addresses counts.
//!
//! What the account says of itself (`ACCOUNT`, `PROFILE`, `DOMAIN_PROFILE`) goes before what the domain's address book
//! says, and that before the identity's own contacts, where anybody may have typed anything. Within one source the
//! primary value goes first, then the source's own primary, then the first.

use std::cmp::Reverse;

use super::wire;
use crate::model::resources::display_name;
use crate::model::{Person, UserName};

/// The most that one `people:batchGet` takes.
pub const MAX_PEOPLE_PER_REQUEST: usize = 200;

/// Where the People API looks (`sources`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadSource {
    Profile,
    Contact,
    DomainContact,
    OtherContact,
}

impl ReadSource {
    /// Profile, contacts and other contacts, as Google's guide on Meet's participants has it.
    pub const USUAL: &[Self] = &[Self::Profile, Self::Contact, Self::OtherContact];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "READ_SOURCE_TYPE_PROFILE",
            Self::Contact => "READ_SOURCE_TYPE_CONTACT",
            Self::DomainContact => "READ_SOURCE_TYPE_DOMAIN_CONTACT",
            Self::OtherContact => "READ_SOURCE_TYPE_OTHER_CONTACT",
        }
    }
}

/// What the People API is asked of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonQuery<'a> {
    /// `personFields`: a comma between the fields. Only `names` and `emailAddresses` are read.
    pub fields: &'a str,
    pub sources: &'a [ReadSource],
}

impl Default for PersonQuery<'_> {
    fn default() -> Self {
        Self { fields: "names,emailAddresses", sources: ReadSource::USUAL }
    }
}

/// `people/{id}` of `users/{id}`: the same account at the other API.
pub(super) fn resource_name(user: &UserName) -> String {
    format!("people/{}", user.as_str().trim_start_matches("users/"))
}

/// Those of an answer who were found, each as the user that was asked for.
pub(super) fn found(answer: wire::GetPeopleResponse) -> Vec<Person> {
    answer
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

/// The name and the address that count.
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

/// Less is better.
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

/// Whether it can be an address: one `@` with something around it, nothing invisible, no longer than addresses get.
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
    fn what_the_account_says_of_itself_goes_before_what_others_wrote_down() {
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
    fn nothing_known_is_nothing_and_nonsense_is_no_address() {
        let nobody = of("{}");
        assert_eq!((nobody.display_name, nobody.email), (None, None));
        for bad in ["", "ada", "@example.com", "ada@", "a b@example.com", "a\\n@example.com"] {
            assert_eq!(of(&format!(r#"{{"emailAddresses":[{{"value":"{bad}"}}]}}"#)).email, None, "{bad}");
        }
    }

    #[test]
    fn who_was_not_found_is_missing_and_the_others_are_whom_was_asked_for() {
        let answer = r#"{"responses":[
            {"requestedResourceName":"people/1","status":{"code":5,"message":"not found"}},
            {"requestedResourceName":"people/2","status":{},"person":{"resourceName":"people/c99","names":[{"displayName":"Bo"}]}},
            {"requestedResourceName":"people/3"},
            {"requestedResourceName":"contactGroups/4","person":{}}]}"#;
        let people = found(serde_json::from_str(answer).unwrap());
        let names: Vec<&str> = people.iter().map(|person| person.user.as_str()).collect();
        assert_eq!(names, vec!["users/2"]);
        assert_eq!(people[0].display_name.as_deref(), Some("Bo"));
    }
}
