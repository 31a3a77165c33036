//! `people.get` and `people:batchGet`: who a signed-in participant is.

use serde::Serialize;

use super::error::GoogleError;
use super::request::Request;
use crate::sim::world::{KnownFrom, SimPerson, World};

/// The fields of a person that a request asks for, and the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PersonFields {
    pub names: bool,
    pub email_addresses: bool,
    /// `READ_SOURCE_TYPE_PROFILE`
    pub profile: bool,
    /// `READ_SOURCE_TYPE_OTHER_CONTACT`
    pub other_contact: bool,
}

/// The valid fields, as the discovery document lists them.
const VALID_FIELDS: &str = "addresses ageRanges biographies birthdays calendarUrls clientData coverPhotos \
    emailAddresses events externalIds genders imClients interests locales locations memberships metadata \
    miscKeywords names nicknames occupations organizations phoneNumbers photos relations sipAddresses skills urls \
    userDefined";

impl PersonFields {
    pub(super) fn parse(request: &Request) -> Result<Self, GoogleError> {
        let mask = request.parameter("personFields").or_else(|| request.parameter("person_fields")).unwrap_or_default();
        let fields: Vec<&str> = mask.split(',').map(str::trim).filter(|field| !field.is_empty()).collect();
        if fields.is_empty() {
            return Err(GoogleError::invalid_argument(
                "person_fields",
                "personFields mask is required. Please specify one or more valid paths. Valid paths are documented \
                 at https://developers.google.com/people/api/rest/v1/people/get.",
            ));
        }
        if let Some(unknown) = fields.iter().find(|field| !VALID_FIELDS.split(' ').any(|valid| valid == **field)) {
            let text = format!("Invalid personFields mask path: \"{unknown}\".");
            return Err(GoogleError::invalid_argument("person_fields", &text));
        }
        let mut sources =
            request.query.iter().filter(|(name, _)| name == "sources").map(|(_, v)| v.as_str()).peekable();
        let unset = sources.peek().is_none();
        let sources: Vec<&str> = sources.collect();
        if let Some(unknown) = sources.iter().find(|source| !source.starts_with("READ_SOURCE_TYPE_")) {
            let text = format!("Invalid value at 'sources' (TYPE_ENUM), \"{unknown}\"");
            return Err(GoogleError::invalid_argument("sources", &text));
        }
        Ok(Self {
            names: fields.contains(&"names"),
            email_addresses: fields.contains(&"emailAddresses"),
            profile: unset || sources.contains(&"READ_SOURCE_TYPE_PROFILE"),
            other_contact: sources.contains(&"READ_SOURCE_TYPE_OTHER_CONTACT"),
        })
    }
}

/// `Person`, with the fields asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonBody {
    pub resource_name: String,
    etag: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<NameBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    email_addresses: Vec<EmailBody>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NameBody {
    metadata: Metadata,
    display_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    family_name: String,
    given_name: String,
    unstructured_name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct EmailBody {
    metadata: Metadata,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    primary: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    source_primary: bool,
    source: SourceBody,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct SourceBody {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
}

/// `GetPeopleResponse`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeopleBody {
    pub responses: Vec<PersonResponseBody>,
}

/// One item of [`PeopleBody`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonResponseBody {
    http_status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonBody>,
    pub requested_resource_name: String,
    status: LookupStatus,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct LookupStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

/// `people.get` of an account id, or of `me`.
pub(super) fn get(
    world: &World,
    id: &str,
    me: Option<&SimPerson>,
    fields: PersonFields,
) -> Result<PersonBody, GoogleError> {
    let person = match id {
        "me" => me,
        account => world.person_by_account(account).map(|key| world.person(key)),
    };
    person.and_then(|person| body(person, fields)).ok_or_else(GoogleError::not_found)
}

/// `people:batchGet`: one item for each name, found or not.
pub(super) fn batch(
    world: &World,
    names: &[String],
    me: Option<&SimPerson>,
    fields: PersonFields,
) -> Result<PeopleBody, GoogleError> {
    let item = |name: &String| {
        let id = name.strip_prefix("people/").filter(|id| !id.is_empty() && !id.contains('/'));
        let id = id.ok_or_else(|| GoogleError::invalid_argument("resource_names", "Invalid resource name."))?;
        let found = get(world, id, me, fields);
        let (code, status) = match found {
            Ok(_) => (200, LookupStatus::default()),
            Err(_) => (404, LookupStatus { code: Some(5), message: "Requested entity was not found.".to_owned() }),
        };
        Ok(PersonResponseBody {
            http_status_code: code,
            person: found.ok(),
            requested_resource_name: name.clone(),
            status,
        })
    };
    Ok(PeopleBody { responses: names.iter().map(item).collect::<Result<_, GoogleError>>()? })
}

fn body(person: &SimPerson, fields: PersonFields) -> Option<PersonBody> {
    let (kind, asked) = match person.directory {
        KnownFrom::DomainProfile => ("DOMAIN_PROFILE", fields.profile),
        KnownFrom::Profile => ("PROFILE", fields.profile),
        KnownFrom::OtherContact => ("OTHER_CONTACT", fields.other_contact),
        KnownFrom::Nowhere => return None,
    };
    let source_primary = person.directory == KnownFrom::DomainProfile;
    let metadata =
        || Metadata { primary: true, source_primary, source: SourceBody { kind, id: person.account.clone() } };
    let (given, family) = person.display_name.split_once(' ').unwrap_or((&person.display_name, ""));
    let names = (fields.names && asked).then(|| NameBody {
        metadata: metadata(),
        display_name: person.display_name.clone(),
        family_name: family.to_owned(),
        given_name: given.to_owned(),
        unstructured_name: person.display_name.clone(),
    });
    let email = person.email.clone().filter(|_| fields.email_addresses && asked);
    Some(PersonBody {
        resource_name: format!("people/{}", person.account),
        etag: format!("%EgUBAgkuNxoEAQIFByIM{}=", person.account.chars().take(8).collect::<String>()),
        names: names.into_iter().collect(),
        email_addresses: email.map(|value| EmailBody { metadata: metadata(), value }).into_iter().collect(),
    })
}
