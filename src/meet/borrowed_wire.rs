//! `ListParticipantsResponse` with texts that borrow from the body. This response is read every few seconds for every
//! conference and dropped after parsing, so owned texts would be wasted. A test checks that it means the same as
//! [`super::wire::Participants`].

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::wire;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Participants<'a> {
    #[serde(borrow)]
    pub(super) participants: Option<Vec<Participant<'a>>>,
    #[serde(borrow)]
    pub(super) next_page_token: Option<Text<'a>>,
    pub(super) total_size: Option<i32>,
    /// Beside a list there is no error.
    pub(super) error: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Participant<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) signedin_user: Option<SignedinUser<'a>>,
    #[serde(borrow)]
    pub(super) anonymous_user: Option<NamedUser<'a>>,
    #[serde(borrow)]
    pub(super) phone_user: Option<NamedUser<'a>>,
    #[serde(borrow)]
    pub(super) earliest_start_time: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) latest_end_time: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SignedinUser<'a> {
    #[serde(borrow)]
    pub(super) user: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) display_name: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NamedUser<'a> {
    #[serde(borrow)]
    pub(super) display_name: Option<Text<'a>>,
}

/// Text that may be absent or null. Serde borrows inside an `Option` only what has a type of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Text<'_> {
    /// Returns the text, or an empty one if it is absent.
    pub(super) fn of<'t>(text: &'t Option<Text<'_>>) -> &'t str {
        text.as_ref().map_or("", |text| text.0.as_ref())
    }
}

impl<'a> From<&'a wire::Participant> for Participant<'a> {
    fn from(owned: &'a wire::Participant) -> Self {
        let text = |text: &'a String| Text(text.as_str().into());
        let named = |user: &'a wire::NamedUser| NamedUser { display_name: Some(text(&user.display_name)) };
        Self {
            name: Some(text(&owned.name)),
            signedin_user: owned.signedin_user.as_ref().map(|user| SignedinUser {
                user: Some(text(&user.user)),
                display_name: Some(text(&user.display_name)),
            }),
            anonymous_user: owned.anonymous_user.as_ref().map(named),
            phone_user: owned.phone_user.as_ref().map(named),
            earliest_start_time: owned.earliest_start_time.as_ref().map(text),
            latest_end_time: owned.latest_end_time.as_ref().map(text),
        }
    }
}
