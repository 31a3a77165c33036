//! Turns a request into a valid call, or into Google's error for it.

use super::error::GoogleError;
use super::filter::{self, ListFilter};
use super::mask::{FieldTree, Mask, camel_case};
use super::method::GoogleMethod;
use super::people::PersonFields;
use super::request::Request;

/// One read of the API. Ids are the last segments of resource names.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadCall {
    Conferences(ListParameters),
    Conference {
        conference: String,
    },
    Participants {
        conference: String,
        listing: ListParameters,
    },
    Participant {
        conference: String,
        participant: String,
    },
    Sessions {
        conference: String,
        participant: String,
        listing: ListParameters,
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

/// The parameters of every list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListParameters {
    pub filter: ListFilter,
    /// The filter as written; a page token is bound to it.
    pub filter_text: String,
    /// 0 selects the default.
    pub page_size: i32,
    pub page_token: String,
    /// Whether the field mask names `totalSize`.
    pub total_size: bool,
}

/// How an answer is serialized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnswerStyle {
    pub(super) mask: Mask,
    pub(super) pretty: bool,
}

/// What a request's path addresses.
#[derive(Debug)]
pub(super) enum RequestTarget {
    Read(GoogleMethod),
    Token,
    Consent,
    /// A method of Google's that the simulator does not implement.
    Unimplemented,
    /// No API: Google's front end answers with an HTML page.
    Nowhere,
}

/// The query parameters that every method accepts.
const SYSTEM_PARAMETERS: [&str; 18] = [
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

/// Returns what the path and HTTP method address.
pub(super) fn route(request: &Request) -> RequestTarget {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let read = match segments.as_slice() {
        ["v2", "conferenceRecords"] => GoogleMethod::ListConferences,
        ["v2", "conferenceRecords", _] => GoogleMethod::GetConference,
        ["v2", "conferenceRecords", _, "participants"] => GoogleMethod::ListParticipants,
        ["v2", "conferenceRecords", _, "participants", _] => GoogleMethod::GetParticipant,
        ["v2", "conferenceRecords", _, "participants", _, "participantSessions"] => GoogleMethod::ListSessions,
        ["v2", "conferenceRecords", _, "participants", _, "participantSessions", _] => GoogleMethod::GetSession,
        ["v2", "spaces", id] if !id.contains(':') => GoogleMethod::GetSpace,
        ["v1", "people:batchGet"] => GoogleMethod::GetPeople,
        ["v1", "people", id] if !id.contains(':') => GoogleMethod::GetPerson,
        ["token"] if request.method == "POST" => return RequestTarget::Token,
        ["auth"] if request.method == "GET" => return RequestTarget::Consent,
        ["v2", "conferenceRecords" | "spaces", ..] | ["v1", "people", ..] => return RequestTarget::Unimplemented,
        _ => return RequestTarget::Nowhere,
    };
    if request.method == "GET" { RequestTarget::Read(read) } else { RequestTarget::Unimplemented }
}

/// Reads the parameters that determine how the answer is written.
pub(super) fn style(method: GoogleMethod, request: &Request) -> Result<AnswerStyle, GoogleError> {
    let alt = request.parameter("$alt").or_else(|| request.parameter("alt")).unwrap_or("json");
    if !matches!(alt.split(';').next(), Some("json" | "")) {
        return Err(GoogleError::invalid_argument("alt", "Unsupported alternative representation."));
    }
    for (name, _) in &request.query {
        let known = SYSTEM_PARAMETERS.contains(&name.as_str())
            || method.parameters().contains(&name.as_str())
            || method.parameters().contains(&camel_case(name).as_str());
        if !known {
            return Err(GoogleError::unknown_parameter(name));
        }
    }
    let fields = request.parameter("fields").or_else(|| request.parameter("$fields"));
    let mask = match fields.or(request.field_mask.as_deref()).filter(|mask| !mask.is_empty()) {
        Some(text) => Mask::parse(text, fields_of(method))
            .map_err(|error| GoogleError::invalid_argument("fields", &error.to_string()))?,
        None => Mask::All,
    };
    let pretty = request.parameter("prettyPrint").or_else(|| request.parameter("$prettyPrint"));
    Ok(AnswerStyle { mask, pretty: pretty != Some("false") })
}

const fn fields_of(method: GoogleMethod) -> FieldTree {
    match method {
        GoogleMethod::ListConferences => FieldTree::CONFERENCES,
        GoogleMethod::GetConference => FieldTree::CONFERENCE,
        GoogleMethod::ListParticipants => FieldTree::PARTICIPANTS,
        GoogleMethod::GetParticipant => FieldTree::PARTICIPANT,
        GoogleMethod::ListSessions => FieldTree::SESSIONS,
        GoogleMethod::GetSession => FieldTree::SESSION,
        GoogleMethod::GetSpace => FieldTree::SPACE,
        _ => FieldTree::Open,
    }
}

/// Reads the call itself. `names_total_size`: whether a mask names that field.
pub(super) fn call(method: GoogleMethod, request: &Request, names_total_size: bool) -> Result<ReadCall, GoogleError> {
    let segment = |index: usize| request.segments.get(index).cloned().unwrap_or_default();
    let (conference, participant) = (segment(2), segment(4));
    Ok(match method {
        GoogleMethod::ListConferences => ReadCall::Conferences(listing(method, request, false)?),
        GoogleMethod::GetConference => ReadCall::Conference { conference },
        GoogleMethod::ListParticipants => {
            ReadCall::Participants { conference, listing: listing(method, request, names_total_size)? }
        }
        GoogleMethod::GetParticipant => ReadCall::Participant { conference, participant },
        GoogleMethod::ListSessions => {
            ReadCall::Sessions { conference, participant, listing: listing(method, request, false)? }
        }
        GoogleMethod::GetSession => ReadCall::Session { conference, participant, session: segment(6) },
        GoogleMethod::GetSpace => ReadCall::Space { id: segment(2) },
        GoogleMethod::GetPerson => ReadCall::Person { id: segment(2), fields: PersonFields::parse(request)? },
        GoogleMethod::GetPeople | GoogleMethod::Token | GoogleMethod::Consent => {
            ReadCall::People { names: resource_names(request)?, fields: PersonFields::parse(request)? }
        }
    })
}

fn listing(method: GoogleMethod, request: &Request, total_size: bool) -> Result<ListParameters, GoogleError> {
    let either = |camel: &str, snake: &str| request.parameter(camel).or_else(|| request.parameter(snake));
    let page_size = match either("pageSize", "page_size").unwrap_or("0").parse::<i32>() {
        Ok(size) if size >= 0 => size,
        Ok(_) => return Err(GoogleError::invalid_argument("page_size", "Page size must not be negative.")),
        Err(_) => return Err(GoogleError::invalid_argument("page_size", "Invalid value at 'page_size' (TYPE_INT32)")),
    };
    let filter_text = request.parameter("filter").unwrap_or_default().to_owned();
    let invalid =
        |error: filter::FilterError| GoogleError::invalid_argument("filter", &format!("Invalid filter: {error}."));
    let filter = filter::parse(&filter_text).map_err(invalid)?;
    filter.check(method.filter_fields()).map_err(invalid)?;
    let page_token = either("pageToken", "page_token").unwrap_or_default().to_owned();
    Ok(ListParameters { filter, filter_text, page_size, page_token, total_size })
}

fn resource_names(request: &Request) -> Result<Vec<String>, GoogleError> {
    let names: Vec<String> = request
        .query
        .iter()
        .filter(|(name, _)| name == "resourceNames" || name == "resource_names")
        .map(|(_, value)| value.clone())
        .collect();
    match names.len() {
        0 => Err(GoogleError::invalid_argument("resource_names", "Must specify at least one resource name.")),
        1..=200 => Ok(names),
        _ => Err(GoogleError::invalid_argument("resource_names", "Too many resource names; the maximum is 200.")),
    }
}

impl ReadCall {
    /// Returns the method of this call.
    #[must_use]
    pub const fn method(&self) -> GoogleMethod {
        match self {
            Self::Conferences(_) => GoogleMethod::ListConferences,
            Self::Conference { .. } => GoogleMethod::GetConference,
            Self::Participants { .. } => GoogleMethod::ListParticipants,
            Self::Participant { .. } => GoogleMethod::GetParticipant,
            Self::Sessions { .. } => GoogleMethod::ListSessions,
            Self::Session { .. } => GoogleMethod::GetSession,
            Self::Space { .. } => GoogleMethod::GetSpace,
            Self::Person { .. } => GoogleMethod::GetPerson,
            Self::People { .. } => GoogleMethod::GetPeople,
        }
    }

    /// Returns the id of the conference that this call is about.
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

    /// Returns the list parameters of a call that lists.
    #[must_use]
    pub const fn listing(&self) -> Option<&ListParameters> {
        match self {
            Self::Conferences(listing) | Self::Participants { listing, .. } | Self::Sessions { listing, .. } => {
                Some(listing)
            }
            _ => None,
        }
    }
}
