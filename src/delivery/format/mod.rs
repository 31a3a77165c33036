//! Formats: how an event that is already redacted, or several, become the body of a message.
//!
//! A new format is one file that implements `spec::Encode` and has a `SPEC`, and one line in [`FORMATS`].

pub mod body;
pub mod sample;
pub mod spec;

mod chat;
mod chat_text;
mod cloudevents;
mod google_chat;
mod sentence;
mod slack;
mod standard;
mod template;
mod template_bounds;
mod template_filters;

pub use body::{FrozenEvent, MessageBody, Unwritable};
pub use sample::{samples, test_event};
pub use spec::{Format, FormatOptions, FormatSpec, Grouping, InvalidFormat, Signing};

/// Every format. The first one is the default.
pub static FORMATS: &[&FormatSpec] =
    &[&standard::SPEC, &cloudevents::SPEC, &slack::SPEC, &google_chat::SPEC, &template::SPEC];

/// Returns the format of that name in the configuration.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static FormatSpec> {
    FORMATS.iter().copied().find(|spec| spec.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_found_by_its_name_and_makes_a_format_of_that_name() {
        for spec in FORMATS.iter().copied() {
            assert_eq!(by_name(spec.name).unwrap().name, spec.name);
            let options = FormatOptions { template: Some("{}"), ..FormatOptions::default() };
            assert_eq!((spec.build)(options).unwrap().name(), spec.name);
        }
        assert_eq!(FORMATS[0].name, Format::default().name());
    }
}
