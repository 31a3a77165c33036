//! From a request to a call that makes sense, or to the refusal it deserves.

use super::error::Refusal;
use super::filter::{self, Filter};
use super::mask::{Mask, Shape, camel_case};
use super::method::Method;
use super::people::PersonFields;
use super::request::Request;

/// One read. Ids are the last segments of resource names.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Conferences(Listing),
    Conference {
        conference: String,
    },
    Participants {
        conference: String,
        listing: Listing,
    },
    Participant {
        conference: String,
        participant: String,
    },
    Sessions {
        conference: String,
        participant: String,
        listing: Listing,
    },
    Session {
        conference: String,
        participant: String,
        session: String,
    },
    /// A space's id or a meeting code.
    Space {
        id: String,
    },
    Person {
        id: String,
        fields: PersonFields,
    },
    People {
        names: Vec<String>,
        fields: PersonFields,
    },
}

/// What all lists take.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    pub filter: Filter,
    /// As it was written, because a page token belongs to it.
    pub filter_text: String,
    /// 0 is the default.
    pub page_size: i32,
    pub page_token: String,
    /// Whether the field mask names `totalSize`.
    pub total_size: bool,
}

/// How the answer is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) mask: Mask,
    pub(super) pretty: bool,
}

/// Where a request leads.
#[derive(Debug)]
pub(super) enum Target {
    Read(Method),
    Token,
    Consent,
    /// Something of Google's that this simulator does not have.
    Unimplemented,
    /// Google's front end answers with a page.
    Nowhere,
}

const EVERYWHERE: [&str; 18] = [
    "$.xgafv",
    "$alt",
    "$fields",
    "$key",
    "$prettyPrint",
    "$userProject",
    "access_token",
    "alt",
    "callback",
    "fields",
    "key",
    "oauth_token",
    "passive",
    "prettyPrint",
    "quotaUser",
    "uploadType",
    "upload_protocol",
    "userIp",
];

/// Finds the method by path.
pub(super) fn route(request: &Request) -> Target {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let read = match segments.as_slice() {
        ["v2", "conferenceRecords"] => Method::ListConferences,
        ["v2", "conferenceRecords", _] => Method::GetConference,
        ["v2", "conferenceRecords", _, "participants"] => Method::ListParticipants,
        ["v2", "conferenceRecords", _, "participants", _] => Method::GetParticipant,
        ["v2", "conferenceRecords", _, "participants", _, "participantSessions"] => Method::ListSessions,
        ["v2", "conferenceRecords", _, "participants", _, "participantSessions", _] => Method::GetSession,
        ["v2", "spaces", id] if !id.contains(':') => Method::GetSpace,
        ["v1", "people:batchGet"] => Method::GetPeople,
        ["v1", "people", id] if !id.contains(':') => Method::GetPerson,
        ["token"] if request.method == "POST" => return Target::Token,
        ["auth"] if request.method == "GET" => return Target::Consent,
        ["v2", "conferenceRecords" | "spaces", ..] | ["v1", "people", ..] => return Target::Unimplemented,
        _ => return Target::Nowhere,
    };
    if request.method == "GET" { Target::Read(read) } else { Target::Unimplemented }
}

/// Reads the parameters that shape the answer.
pub(super) fn style(method: Method, request: &Request) -> Result<Style, Refusal> {
    let alt = request.parameter("$alt").or_else(|| request.parameter("alt")).unwrap_or("json");
    if !matches!(alt.split(';').next(), Some("json" | "")) {
        return Err(Refusal::invalid_argument("alt", "Unsupported alternative representation."));
    }
    for (name, _) in &request.query {
        let known = EVERYWHERE.contains(&name.as_str())
            || method.parameters().contains(&name.as_str())
            || method.parameters().contains(&camel_case(name).as_str());
        if !known {
            return Err(Refusal::unknown_parameter(name));
        }
    }
    let fields = request.parameter("fields").or_else(|| request.parameter("$fields"));
    let mask = match fields.or(request.field_mask.as_deref()).filter(|mask| !mask.is_empty()) {
        Some(text) => {
            Mask::parse(text, shape(method)).map_err(|error| Refusal::invalid_argument("fields", &error.to_string()))?
        }
        None => Mask::All,
    };
    let pretty = request.parameter("prettyPrint").or_else(|| request.parameter("$prettyPrint"));
    Ok(Style { mask, pretty: pretty != Some("false") })
}

const fn shape(method: Method) -> Shape {
    match method {
        Method::ListConferences => Shape::CONFERENCES,
        Method::GetConference => Shape::CONFERENCE,
        Method::ListParticipants => Shape::PARTICIPANTS,
        Method::GetParticipant => Shape::PARTICIPANT,
        Method::ListSessions => Shape::SESSIONS,
        Method::GetSession => Shape::SESSION,
        Method::GetSpace => Shape::SPACE,
        _ => Shape::Open,
    }
}

/// Reads the call itself. `names_total_size` says whether a mask named that field.
pub(super) fn call(method: Method, request: &Request, names_total_size: bool) -> Result<Call, Refusal> {
    let segment = |index: usize| request.segments.get(index).cloned().unwrap_or_default();
    let (conference, participant) = (segment(2), segment(4));
    Ok(match method {
        Method::ListConferences => Call::Conferences(listing(method, request, false)?),
        Method::GetConference => Call::Conference { conference },
        Method::ListParticipants => {
            Call::Participants { conference, listing: listing(method, request, names_total_size)? }
        }
        Method::GetParticipant => Call::Participant { conference, participant },
        Method::ListSessions => Call::Sessions { conference, participant, listing: listing(method, request, false)? },
        Method::GetSession => Call::Session { conference, participant, session: segment(6) },
        Method::GetSpace => Call::Space { id: segment(2) },
        Method::GetPerson => Call::Person { id: segment(2), fields: PersonFields::parse(request)? },
        Method::GetPeople | Method::Token | Method::Consent => {
            Call::People { names: resource_names(request)?, fields: PersonFields::parse(request)? }
        }
    })
}

fn listing(method: Method, request: &Request, total_size: bool) -> Result<Listing, Refusal> {
    let either = |camel: &str, snake: &str| request.parameter(camel).or_else(|| request.parameter(snake));
    let page_size = match either("pageSize", "page_size").unwrap_or("0").parse::<i32>() {
        Ok(size) if size >= 0 => size,
        Ok(_) => return Err(Refusal::invalid_argument("page_size", "Page size must not be negative.")),
        Err(_) => return Err(Refusal::invalid_argument("page_size", "Invalid value at 'page_size' (TYPE_INT32)")),
    };
    let filter_text = request.parameter("filter").unwrap_or_default().to_owned();
    let invalid =
        |error: filter::FilterError| Refusal::invalid_argument("filter", &format!("Invalid filter: {error}."));
    let filter = filter::parse(&filter_text).map_err(invalid)?;
    filter.check(method.filter_fields()).map_err(invalid)?;
    let page_token = either("pageToken", "page_token").unwrap_or_default().to_owned();
    Ok(Listing { filter, filter_text, page_size, page_token, total_size })
}

fn resource_names(request: &Request) -> Result<Vec<String>, Refusal> {
    let names: Vec<String> = request
        .query
        .iter()
        .filter(|(name, _)| name == "resourceNames" || name == "resource_names")
        .map(|(_, value)| value.clone())
        .collect();
    match names.len() {
        0 => Err(Refusal::invalid_argument("resource_names", "Must specify at least one resource name.")),
        1..=200 => Ok(names),
        _ => Err(Refusal::invalid_argument("resource_names", "Too many resource names; the maximum is 200.")),
    }
}

impl Call {
    /// The method that this calls.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Conferences(_) => Method::ListConferences,
            Self::Conference { .. } => Method::GetConference,
            Self::Participants { .. } => Method::ListParticipants,
            Self::Participant { .. } => Method::GetParticipant,
            Self::Sessions { .. } => Method::ListSessions,
            Self::Session { .. } => Method::GetSession,
            Self::Space { .. } => Method::GetSpace,
            Self::Person { .. } => Method::GetPerson,
            Self::People { .. } => Method::GetPeople,
        }
    }

    /// The conference that this is about, by id.
    #[must_use]
    pub fn conference(&self) -> Option<&str> {
        match self {
            Self::Conference { conference }
            | Self::Participants { conference, .. }
            | Self::Participant { conference, .. }
            | Self::Sessions { conference, .. }
            | Self::Session { conference, .. } => Some(conference),
            _ => None,
        }
    }

    /// The list that this asks for a page of.
    #[must_use]
    pub const fn listing(&self) -> Option<&Listing> {
        match self {
            Self::Conferences(listing) | Self::Participants { listing, .. } | Self::Sessions { listing, .. } => {
                Some(listing)
            }
            _ => None,
        }
    }
}
