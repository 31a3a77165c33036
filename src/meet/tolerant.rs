//! Reads an answer item by item and field by field, after it could not be parsed as a whole: what can be read is used, and
//! what cannot is counted. Null is absent. Text is repaired first. Values of fields that nobody reads are not looked at.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::repair::repaired;
use super::unreadable::{UnreadableField, UnreadableFields};
use super::wire;

/// A field that is read.
#[derive(Debug)]
pub(super) struct FieldSpec {
    key: &'static str,
    kind: FieldKind,
}

#[derive(Debug)]
enum FieldKind {
    /// Text that is parsed further, such as a name or a time.
    Text,
    /// Text that is shown as it is.
    Shown(UnreadableField),
    /// An object with these fields, as it is counted if it is none.
    Object(&'static [FieldSpec], UnreadableField),
}

/// Takes the place of a text that is no text. Nothing can be parsed from it.
const NO_TEXT: &str = "\0";

const fn text(key: &'static str) -> FieldSpec {
    FieldSpec { key, kind: FieldKind::Text }
}

const fn object(key: &'static str, fields: &'static [FieldSpec], field: UnreadableField) -> FieldSpec {
    FieldSpec { key, kind: FieldKind::Object(fields, field) }
}

const DISPLAY_NAME: FieldSpec = FieldSpec { key: "displayName", kind: FieldKind::Shown(UnreadableField::DisplayName) };

/// A type of the wire, with the fields that are read of it.
pub(super) trait Shape: DeserializeOwned {
    const FIELDS: &'static [FieldSpec];
}

impl Shape for wire::ConferenceRecord {
    const FIELDS: &'static [FieldSpec] = &[text("name"), text("space"), text("startTime"), text("endTime")];
}

impl Shape for wire::Participant {
    const FIELDS: &'static [FieldSpec] = &[
        text("name"),
        object("signedinUser", &[text("user"), DISPLAY_NAME], UnreadableField::User),
        object("anonymousUser", &[DISPLAY_NAME], UnreadableField::User),
        object("phoneUser", &[DISPLAY_NAME], UnreadableField::User),
        text("earliestStartTime"),
        text("latestEndTime"),
    ];
}

impl Shape for wire::ParticipantSession {
    const FIELDS: &'static [FieldSpec] = &[text("name"), text("startTime"), text("endTime")];
}

impl Shape for wire::Space {
    const FIELDS: &'static [FieldSpec] = &[
        text("name"),
        text("meetingCode"),
        object("activeConference", &[text("conferenceRecord")], UnreadableField::ActiveConference),
    ];
}

/// One page of a list, as far as it can be read.
#[derive(Debug)]
pub(super) struct TolerantPage<W> {
    pub(super) items: Vec<W>,
    pub(super) next_page_token: Option<String>,
    pub(super) total_size: Option<i32>,
}

/// Reads a page whose items are under `list`. `None` if it is no page, or its continuation cannot be read.
pub(super) fn page<W: Shape>(bytes: &[u8], list: &str, unreadable: &mut UnreadableFields) -> Option<TolerantPage<W>> {
    let body = repaired(bytes);
    let fields = fields(&body)?;
    let items = match fields.get(list) {
        _ if fields.contains_key("error") => return None,
        None if fields.keys().all(|key| belongs_to_page(key, list)) => Vec::new(),
        None => return None,
        Some(items) => serde_json::from_str::<Vec<&RawValue>>(items.get()).ok()?,
    };
    let next_page_token = match fields.get("nextPageToken") {
        None => None,
        Some(token) => Some(serde_json::from_str(token.get()).ok()?),
    };
    let total_size = fields.get("totalSize").and_then(|size| serde_json::from_str(size.get()).ok());
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        match shaped(item.get(), unreadable) {
            Some(item) => read.push(item),
            None => unreadable.skipped(UnreadableField::Item),
        }
    }
    Some(TolerantPage { items: read, next_page_token, total_size })
}

/// Reads one resource. `None` if it is no object.
pub(super) fn resource<W: Shape>(bytes: &[u8], unreadable: &mut UnreadableFields) -> Option<W> {
    shaped(&repaired(bytes), unreadable)
}

/// Reads the items of a list that have no known shape, each as a whole.
pub(super) fn whole_items<W: DeserializeOwned>(
    bytes: &[u8],
    list: &str,
    unreadable: &mut UnreadableFields,
) -> Option<Vec<W>> {
    let body = repaired(bytes);
    let items: Vec<&RawValue> = serde_json::from_str(fields(&body)?.get(list)?.get()).ok()?;
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        match serde_json::from_str(item.get()) {
            Ok(item) => read.push(item),
            Err(_) => unreadable.skipped(UnreadableField::Item),
        }
    }
    Some(read)
}

/// Returns whether a field belongs to a page of this list, so that a page without the list is an empty one.
pub(super) fn belongs_to_page(key: &str, list: &str) -> bool {
    key == list || matches!(key, "nextPageToken" | "totalSize")
}

fn shaped<W: Shape>(text: &str, unreadable: &mut UnreadableFields) -> Option<W> {
    serde_json::from_value(Value::Object(mended(text, W::FIELDS, unreadable)?)).ok()
}

/// Returns the known fields of an object, each of the type that is expected.
fn mended(text: &str, specs: &[FieldSpec], unreadable: &mut UnreadableFields) -> Option<Map<String, Value>> {
    let fields = fields(text)?;
    let mut mended = Map::new();
    for FieldSpec { key, kind } in specs {
        let Some(value) = fields.get(*key) else { continue };
        let text = || serde_json::from_str::<String>(value.get()).ok();
        let value = match kind {
            FieldKind::Text => Value::String(text().unwrap_or_else(|| NO_TEXT.to_owned())),
            FieldKind::Shown(field) => Value::String(text().unwrap_or_else(|| {
                unreadable.left_out(*field);
                String::new()
            })),
            FieldKind::Object(specs, field) => Value::Object(mended_or_empty(value.get(), specs, *field, unreadable)),
        };
        mended.insert((*key).to_owned(), value);
    }
    Some(mended)
}

fn mended_or_empty(
    text: &str,
    specs: &[FieldSpec],
    field: UnreadableField,
    unreadable: &mut UnreadableFields,
) -> Map<String, Value> {
    mended(text, specs, unreadable).unwrap_or_else(|| {
        unreadable.left_out(field);
        Map::new()
    })
}

/// Returns the fields of an object that are not null.
fn fields(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    fields.retain(|_, value| value.get() != "null");
    Some(fields)
}
