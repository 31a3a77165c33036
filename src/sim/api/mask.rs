//! Field masks: `fields=participants(name,earliestStartTime),nextPageToken`, or the same as `x-goog-fieldmask`.
//!
//! A mask removes the fields it does not name, `nextPageToken` included. Names are snake_case or camelCase, levels are
//! separated by `/` or `.`, several names of one level are in parentheses, and `*` is all of a level.

use std::collections::BTreeMap;

use serde_json::Value;

/// The deepest nesting accepted.
const MAX_DEPTH: usize = 8;

/// The fields of an answer that the caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    All,
    Only(BTreeMap<String, Mask>),
}

/// Why a text is not a field mask for an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MaskError {
    #[error("Invalid field selection {0}")]
    UnknownField(String),
    #[error("Invalid field mask")]
    Malformed,
}

/// The fields of an answer, as the discovery document lists them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FieldTree {
    Leaf,
    /// Any name is accepted below; the fields are not described.
    Open,
    Fields(&'static [(&'static str, FieldTree)]),
}

const CONFERENCE: FieldTree = FieldTree::Fields(&[
    ("name", FieldTree::Leaf),
    ("startTime", FieldTree::Leaf),
    ("endTime", FieldTree::Leaf),
    ("expireTime", FieldTree::Leaf),
    ("space", FieldTree::Leaf),
]);
const NAMED: FieldTree = FieldTree::Fields(&[("displayName", FieldTree::Leaf)]);
const PARTICIPANT: FieldTree = FieldTree::Fields(&[
    ("name", FieldTree::Leaf),
    ("signedinUser", FieldTree::Fields(&[("user", FieldTree::Leaf), ("displayName", FieldTree::Leaf)])),
    ("anonymousUser", NAMED),
    ("phoneUser", NAMED),
    ("earliestStartTime", FieldTree::Leaf),
    ("latestEndTime", FieldTree::Leaf),
]);
const SESSION: FieldTree =
    FieldTree::Fields(&[("name", FieldTree::Leaf), ("startTime", FieldTree::Leaf), ("endTime", FieldTree::Leaf)]);
const SPACE: FieldTree = FieldTree::Fields(&[
    ("name", FieldTree::Leaf),
    ("meetingUri", FieldTree::Leaf),
    ("meetingCode", FieldTree::Leaf),
    ("config", FieldTree::Open),
    ("activeConference", FieldTree::Fields(&[("conferenceRecord", FieldTree::Leaf)])),
    ("phoneAccess", FieldTree::Open),
    ("gatewaySipAccess", FieldTree::Open),
]);

impl FieldTree {
    pub(crate) const CONFERENCE: Self = CONFERENCE;
    pub(crate) const PARTICIPANT: Self = PARTICIPANT;
    pub(crate) const SESSION: Self = SESSION;
    pub(crate) const SPACE: Self = SPACE;
    pub(crate) const CONFERENCES: Self =
        Self::Fields(&[("conferenceRecords", CONFERENCE), ("nextPageToken", Self::Leaf)]);
    pub(crate) const PARTICIPANTS: Self =
        Self::Fields(&[("participants", PARTICIPANT), ("nextPageToken", Self::Leaf), ("totalSize", Self::Leaf)]);
    pub(crate) const SESSIONS: Self = Self::Fields(&[("participantSessions", SESSION), ("nextPageToken", Self::Leaf)]);
}

impl Mask {
    /// Parses a mask for an answer with these fields.
    pub(crate) fn parse(text: &str, known: FieldTree) -> Result<Self, MaskError> {
        let mut parser = Parser { rest: text };
        let mask = parser.level(0)?;
        if !parser.rest.is_empty() {
            return Err(MaskError::Malformed);
        }
        mask.check(known)?;
        Ok(mask)
    }

    /// Returns whether the mask names this field of the first level.
    #[must_use]
    pub fn names(&self, field: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(fields) => fields.contains_key(field),
        }
    }

    /// Removes the fields that the mask does not name.
    pub fn apply(&self, value: &mut Value) {
        match (self, value) {
            (Self::All, _) => {}
            (_, Value::Array(items)) => items.iter_mut().for_each(|item| self.apply(item)),
            (Self::Only(fields), Value::Object(object)) => {
                object.retain(|name, _| fields.contains_key(name));
                for (name, value) in object.iter_mut() {
                    if let Some(mask) = fields.get(name) {
                        mask.apply(value);
                    }
                }
            }
            _ => {}
        }
    }

    fn check(&self, known: FieldTree) -> Result<(), MaskError> {
        let Self::Only(fields) = self else { return Ok(()) };
        for (name, mask) in fields {
            let below = match known {
                FieldTree::Open => FieldTree::Open,
                FieldTree::Leaf => return Err(MaskError::UnknownField(name.clone())),
                FieldTree::Fields(fields) => {
                    let found = fields.iter().find(|(known, _)| known == name);
                    found.ok_or_else(|| MaskError::UnknownField(name.clone()))?.1
                }
            };
            mask.check(below)?;
        }
        Ok(())
    }

    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut left), Self::Only(right)) => {
                for (name, mask) in right {
                    let merged = match left.remove(&name) {
                        Some(before) => before.merge(mask),
                        None => mask,
                    };
                    left.insert(name, merged);
                }
                Self::Only(left)
            }
            _ => Self::All,
        }
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    /// Parses `a,b/c,d(e,f)` up to the end or a closing parenthesis.
    fn level(&mut self, depth: usize) -> Result<Mask, MaskError> {
        let mut mask = self.path(depth)?;
        while self.take(',') {
            mask = mask.merge(self.path(depth)?);
        }
        Ok(mask)
    }

    fn path(&mut self, depth: usize) -> Result<Mask, MaskError> {
        if depth >= MAX_DEPTH {
            return Err(MaskError::Malformed);
        }
        if self.take('*') {
            return Ok(Mask::All);
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err(MaskError::Malformed);
        }
        self.rest = rest;
        let below = if self.take('/') || self.take('.') {
            self.path(depth + 1)?
        } else if self.take('(') {
            let mask = self.level(depth + 1)?;
            if !self.take(')') {
                return Err(MaskError::Malformed);
            }
            mask
        } else {
            Mask::All
        };
        Ok(Mask::Only(BTreeMap::from([(camel_case(name), below)])))
    }

    fn take(&mut self, c: char) -> bool {
        let after = self.rest.strip_prefix(c);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }
}

pub(crate) fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut out, word| {
        let mut letters = word.chars();
        out.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(letters.as_str());
        out
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn masked(mask: &str) -> Value {
        let mut value = json!({
            "participants": [{"name": "p1", "signedinUser": {"user": "users/1", "displayName": "Ada"}}, {"name": "p2"}],
            "nextPageToken": "t", "totalSize": 2
        });
        Mask::parse(mask, FieldTree::PARTICIPANTS).unwrap().apply(&mut value);
        value
    }

    #[test]
    fn a_mask_removes_the_fields_it_does_not_name() {
        let names = json!({"participants": [{"name": "p1"}, {"name": "p2"}]});
        assert_eq!(masked("participants(name)"), names);
        assert_eq!(masked("participants/name"), names);
        assert_eq!(masked("participants.name"), names);
        assert_eq!(masked("participants.name,next_page_token")["nextPageToken"], "t");
        assert_eq!(masked("totalSize"), json!({"totalSize": 2}));
        assert_eq!(masked("*"), masked("participants/*,nextPageToken,totalSize"));
        assert_eq!(
            masked("participants(name,signedinUser/displayName)")["participants"][0],
            json!({"name": "p1", "signedinUser": {"displayName": "Ada"}})
        );
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let refused = |mask| Mask::parse(mask, FieldTree::PARTICIPANTS).unwrap_err();
        assert_eq!(refused("participants/email"), MaskError::UnknownField("email".into()));
        assert_eq!(refused("conferenceRecords"), MaskError::UnknownField("conferenceRecords".into()));
        for malformed in ["", "participants(", "participants)", "a,,b", "(name)", "participants/"] {
            assert_eq!(refused(malformed), MaskError::Malformed, "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_mask_or_an_error(text in "[a-zA-Z_(),./*é]{0,60}") {
            let _ = Mask::parse(&text, FieldTree::PARTICIPANTS);
        }
    }
}
