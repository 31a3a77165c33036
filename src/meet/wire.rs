//! The JSON of the Meet API v2 and the People API v1, as their discovery documents define it.
//!
//! Unknown fields are ignored; what is missing or null is empty. Only `meet`, which parses these types into
//! [`crate::model`], and the simulator, which serves them, use this module.

use serde::{Deserialize, Deserializer, Serialize};

/// `ConferenceRecord`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConferenceRecord {
    #[serde(deserialize_with = "null_as_absent")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
}

/// `Participant`. At most one of the three users is set. A kind of user that this program does not know sets none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Participant {
    #[serde(deserialize_with = "null_as_absent")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signedin_user: Option<SignedinUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous_user: Option<NamedUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_user: Option<NamedUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earliest_start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_end_time: Option<String>,
}

/// `SignedinUser`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignedinUser {
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_absent")]
    pub user: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_absent")]
    pub display_name: String,
}

/// `AnonymousUser` and `PhoneUser`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamedUser {
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_absent")]
    pub display_name: String,
}

/// `ParticipantSession`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParticipantSession {
    #[serde(deserialize_with = "null_as_absent")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
}

/// `Space`, with the fields that are read here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Space {
    #[serde(deserialize_with = "null_as_absent")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meeting_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meeting_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object_or_absent")]
    pub active_conference: Option<ActiveConference>,
}

/// `ActiveConference`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ActiveConference {
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_absent")]
    pub conference_record: String,
}

/// `ListConferenceRecordsResponse`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConferenceRecords {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_absent")]
    pub conference_records: Vec<ConferenceRecord>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_absent")]
    pub next_page_token: String,
}

/// `ListParticipantsResponse`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Participants {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_absent")]
    pub participants: Vec<Participant>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_absent")]
    pub next_page_token: String,
    /// Sent only when the field mask names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_size: Option<i32>,
}

/// `ListParticipantSessionsResponse`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParticipantSessions {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_absent")]
    pub participant_sessions: Vec<ParticipantSession>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_absent")]
    pub next_page_token: String,
}

/// `Person` of the People API, with the fields of the mask `names,emailAddresses`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Person {
    #[serde(deserialize_with = "null_as_absent")]
    pub resource_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_absent")]
    pub names: Vec<PersonName>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_absent")]
    pub email_addresses: Vec<EmailAddress>,
}

/// `Name` of the People API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersonName {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<FieldMetadata>,
    #[serde(deserialize_with = "null_as_absent")]
    pub display_name: String,
}

/// `EmailAddress` of the People API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmailAddress {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<FieldMetadata>,
    #[serde(deserialize_with = "null_as_absent")]
    pub value: String,
}

/// `FieldMetadata` of the People API: how much a value counts among several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldMetadata {
    #[serde(deserialize_with = "null_as_absent")]
    pub primary: bool,
    #[serde(deserialize_with = "null_as_absent")]
    pub source_primary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<FieldSource>,
}

/// `Source` of the People API: `PROFILE`, `DOMAIN_PROFILE`, `CONTACT`, `OTHER_CONTACT` …
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldSource {
    #[serde(rename = "type", deserialize_with = "null_as_absent")]
    pub kind: String,
    #[serde(deserialize_with = "null_as_absent")]
    pub id: String,
}

/// `GetPeopleResponse` of `people:batchGet`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GetPeopleResponse {
    #[serde(deserialize_with = "null_as_absent")]
    pub responses: Vec<PersonResponse>,
}

/// One item of [`GetPeopleResponse`]: a person, or why there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersonResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    #[serde(deserialize_with = "null_as_absent")]
    pub requested_resource_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RpcStatus>,
}

/// `google.rpc.Status` of one item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcStatus {
    #[serde(deserialize_with = "null_as_absent")]
    pub code: i32,
    #[serde(deserialize_with = "null_as_absent")]
    pub message: String,
}

/// The body of every error response: `{"error": …}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    #[serde(deserialize_with = "null_as_absent")]
    pub error: ErrorStatus,
}

/// `code`, `message`, `status` and typed details.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorStatus {
    #[serde(deserialize_with = "null_as_absent")]
    pub code: i32,
    #[serde(deserialize_with = "null_as_absent")]
    pub message: String,
    #[serde(deserialize_with = "null_as_absent")]
    pub status: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "known_details")]
    pub details: Vec<ErrorDetail>,
}

/// One typed detail. Only `google.rpc.ErrorInfo` and `google.rpc.RetryInfo` are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "@type")]
pub enum ErrorDetail {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo {
        #[serde(default, deserialize_with = "null_as_absent")]
        reason: String,
        #[serde(default, deserialize_with = "null_as_absent")]
        domain: String,
        #[serde(
            default,
            skip_serializing_if = "std::collections::BTreeMap::is_empty",
            deserialize_with = "null_as_absent"
        )]
        metadata: std::collections::BTreeMap<String, String>,
    },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo")]
    RetryInfo {
        /// Seconds with up to nine fractional digits and an `s`: `12s`, `0.5s`.
        #[serde(rename = "retryDelay", default, deserialize_with = "null_as_absent")]
        retry_delay: String,
    },
    #[serde(other)]
    Other,
}

/// Deserializes a value that is empty if it is null.
fn null_as_absent<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// Deserializes an object that may be absent. An array is none, though serde would take one for the object's fields.
fn object_or_absent<'de, T: serde::de::DeserializeOwned, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    let object: Option<serde_json::Map<String, serde_json::Value>> = Option::deserialize(value)?;
    object
        .map(|object| serde_json::from_value(serde_json::Value::Object(object)))
        .transpose()
        .map_err(serde::de::Error::custom)
}

/// Deserializes the details of an error. One of another form is [`ErrorDetail::Other`], so that the error keeps its meaning.
fn known_details<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<ErrorDetail>, D::Error> {
    let details: Option<Vec<serde_json::Value>> = Option::deserialize(value)?;
    let known = |detail| serde_json::from_value(detail).unwrap_or(ErrorDetail::Other);
    Ok(details.unwrap_or_default().into_iter().map(known).collect())
}
