//! The annotated example configuration: every key, with its default.

/// A complete configuration, as `meetwatch check --example` prints it. A line that begins with `#` and a key shows an
/// optional key.
pub const EXAMPLE: &str = include_str!("example.toml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::config::diagnostics::Diagnostics;
    use crate::config::load::{OTHER_SECTIONS, Origin, load_store, read_text};
    use crate::config::{Config, Environment};
    use crate::meet::settings::GoogleSettings;
    use crate::serve::ServerSettings;
    use crate::store::StoreSettings;
    use crate::watch::WatchSettings;

    /// A folder with the files that the example names.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let key = r#"{"type": "service_account", "client_email": "a@b", "private_key": "k"}"#;
        std::fs::write(folder.path().join("key.json"), key).unwrap();
        std::fs::write(folder.path().join("ops.secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        folder
    }

    fn judged(text: &str, folder: &Path) -> (Config, Diagnostics) {
        let environment = Environment::default();
        let origin = Origin { file: "example.toml", folder, environment: &environment, world_readable: false };
        let diagnostics = Diagnostics::new("example.toml", text);
        (read_text(text, &origin, &diagnostics), diagnostics)
    }

    /// The keys in a text with their sections, including the optional ones.
    fn keys(text: &str) -> BTreeSet<String> {
        let mut section = String::new();
        let mut keys = BTreeSet::new();
        for line in text.lines() {
            let line = line.strip_prefix('#').unwrap_or(line);
            if line.starts_with('[') {
                section = line.trim_matches(['[', ']']).to_owned();
                let top = section.split('.').next().unwrap().to_owned();
                keys.extend([top, section.clone()]);
            } else if let Some((key, _)) = line.split_once(" = ")
                && !line.starts_with(' ')
            {
                keys.insert(format!("{section}.{key}"));
            }
        }
        keys
    }

    #[test]
    fn the_example_is_valid_and_shows_the_defaults() {
        let folder = folder();
        let (config, diagnostics) = judged(EXAMPLE, folder.path());
        diagnostics.finish().unwrap();
        assert_eq!((config.identities.len(), config.targets.len(), config.webhooks.len()), (3, 4, 1));
        assert_eq!(format!("{:?}", config.google), format!("{:?}", GoogleSettings::default()));
        assert_eq!(config.watch, WatchSettings::default());
        assert_eq!(config.store, StoreSettings::default());
        assert_eq!(format!("{:?}", config.server), format!("{:?}", ServerSettings::default()));
    }

    #[test]
    fn the_store_can_be_read_alone_whatever_sections_are_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (_, diagnostics) = judged(EXAMPLE, folder.path());
        let known: Vec<_> = diagnostics.known_keys().into_iter().filter(|key| !key.contains('.')).collect();
        let mut other_sections = OTHER_SECTIONS.to_vec();
        other_sections.push("store");
        other_sections.sort_unstable();
        assert_eq!(other_sections, known);
        // None of the files that the example names exists here.
        let path = folder.path().join("m.toml");
        std::fs::write(&path, EXAMPLE).unwrap();
        assert_eq!(load_store(&path, &Environment::default()).unwrap(), StoreSettings::default());
    }

    #[test]
    fn the_example_shows_the_defaults_of_a_webhook() {
        let folder = folder();
        let (shown, _) = judged(EXAMPLE, folder.path());
        let (bare, _) = judged(
            "[[webhook]]\nname = \"ops\"\nurl = \"https://hooks.example.com/meet\"\nsecret_file = \"ops.secret\"",
            folder.path(),
        );
        let (shown, bare) = (&shown.webhooks[0], &bare.webhooks[0]);
        let of = |webhook: &crate::delivery::EndpointSettings| {
            let times = [webhook.timeout, webhook.window, webhook.settle, webhook.max_hold];
            let others =
                (webhook.concurrency, webhook.ordered, webhook.drain_per_second, webhook.max_age, webhook.names);
            (times, webhook.schedule.clone(), others)
        };
        assert_eq!(of(shown), of(bare));
        assert_eq!(shown.format.name(), bare.format.name());
    }

    #[test]
    fn the_example_documents_every_key_and_no_other() {
        let folder = folder();
        let (_, diagnostics) = judged(EXAMPLE, folder.path());
        let documented = keys(EXAMPLE);
        let known = diagnostics.known_keys();
        let missing: Vec<_> = known.difference(&documented).collect();
        let unknown: Vec<_> = documented.difference(&known).collect();
        assert!(missing.is_empty(), "not in the example: {missing:?}");
        assert!(unknown.is_empty(), "in the example, and unknown: {unknown:?}");
    }

    #[test]
    fn docs_configuration_md_has_every_key_in_its_section() {
        let folder = folder();
        let (_, diagnostics) = judged(EXAMPLE, folder.path());
        let manual = include_str!("../../docs/CONFIGURATION.md");
        for known in diagnostics.known_keys() {
            let Some((section, key)) = known.rsplit_once('.') else { continue };
            let headings = [format!("# `[[{section}]]`"), format!("# `[{section}]`")];
            let begins = headings.iter().find_map(|heading| manual.find(heading.as_str()));
            let chapter = begins.map(|at| &manual[at + 2..]).unwrap_or_default();
            let chapter = chapter.split("\n## ").next().unwrap();
            let row =
                |line: &str| line.starts_with('|') && line.split('|').nth(1).unwrap().contains(&format!("`{key}`"));
            // These are sections of their own and have no row in the section above.
            let is_section = ["google.quota", "server.api", "server.metrics"].contains(&known.as_str());
            assert!(chapter.lines().any(row) || is_section, "{known} is not in the manual");
        }
    }

    #[test]
    fn every_optional_key_has_a_value_of_the_right_form() {
        let folder = folder();
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        let mut index = 0;
        while index < lines.len() {
            // A key alone, or a section with all its keys.
            let can_be_added = |line: &&str| line.strip_prefix('#').is_some_and(|rest| !rest.starts_with([' ', '#']));
            let section = lines[index].starts_with("#[[");
            let added =
                lines[index..].iter().take_while(|line| can_be_added(line)).count().min(if section { 9 } else { 1 });
            let mut changed = lines.clone();
            for line in &mut changed[index..index + added] {
                *line = &line[1..];
            }
            index += added.max(1);
            if added == 0 {
                continue;
            }
            let (_, diagnostics) = judged(&changed.join("\n"), folder.path());
            let problems = diagnostics.finish().err().map(|problems| problems.to_string()).unwrap_or_default();
            let wrong =
                ["must be a", "unknown key", "syntax error", "not a list", "from "].map(|word| problems.contains(word));
            assert_eq!(wrong, [false; 5], "line {index}: {problems}");
        }
    }
}
