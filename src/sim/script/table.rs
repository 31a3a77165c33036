//! Reads one TOML table key by key and notes its mistakes.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Mistake;

/// Collects mistakes and converts offsets in the text to lines.
#[derive(Debug)]
pub(super) struct Notes<'t> {
    text: &'t str,
    mistakes: Vec<Mistake>,
}

impl<'t> Notes<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, mistakes: Vec::new() }
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    pub(super) fn note(&mut self, offset: usize, message: impl Into<String>) {
        let line = self.line(offset);
        self.mistakes.push(Mistake { line, message: message.into() });
    }

    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }
}

/// A table whose keys are read one by one; keys that were not read are unknown.
pub(super) struct Table<'a, 't> {
    table: &'a DeTable<'t>,
    /// Where the table begins, for mistakes about missing keys.
    pub(super) offset: usize,
    known: Vec<&'static str>,
}

impl<'a, 't> Table<'a, 't> {
    pub(super) fn new(value: &'a Spanned<DeValue<'t>>, what: &str, notes: &mut Notes<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Self { table, offset: value.span().start, known: Vec::new() }),
            _ => {
                notes.note(value.span().start, format!("{what} has to be a table"));
                None
            }
        }
    }

    pub(super) const fn root(table: &'a DeTable<'t>) -> Self {
        Self { table, offset: 0, known: Vec::new() }
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Accepts these keys without reading them.
    pub(super) fn allow(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Returns the tables of an array or the entries of a table under this key.
    pub(super) fn entries(
        &mut self,
        key: &'static str,
        notes: &mut Notes<'_>,
    ) -> Vec<(String, &'a Spanned<DeValue<'t>>)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Table(table) => {
                let mut entries: Vec<_> = table.iter().collect();
                entries.sort_by_key(|(name, _)| name.span().start);
                entries.into_iter().map(|(name, value)| (name.get_ref().to_string(), value)).collect()
            }
            DeValue::Array(array) => array.iter().map(|value| (String::new(), value)).collect(),
            _ => {
                notes.note(value.span().start, format!("'{key}' has to be a table or an array of tables"));
                Vec::new()
            }
        }
    }

    pub(super) fn text(&mut self, key: &'static str, notes: &mut Notes<'_>) -> Option<(&'a str, usize)> {
        let value = self.value(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            notes.note(value.span().start, format!("'{key}' has to be text, in quotes"));
        }
        text.map(|text| (text, value.span().start))
    }

    pub(super) fn texts(&mut self, key: &'static str, notes: &mut Notes<'_>) -> Vec<(&'a str, usize)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let items = match value.get_ref() {
            DeValue::Array(array) => array.iter().collect(),
            _ => vec![value],
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => texts.push((text, item.span().start)),
                None => notes.note(item.span().start, format!("'{key}' has to be text, in quotes, or a list of it")),
            }
        }
        texts
    }

    pub(super) fn duration(&mut self, key: &'static str, notes: &mut Notes<'_>) -> Option<Duration> {
        let (text, offset) = self.text(key, notes)?;
        match humantime::parse_duration(text) {
            Ok(duration) => Some(duration),
            Err(_) => {
                notes.note(offset, format!("'{key}' has to be a duration such as \"10s\" or \"1m 30s\""));
                None
            }
        }
    }

    pub(super) fn whole(&mut self, key: &'static str, notes: &mut Notes<'_>) -> Option<(i64, usize)> {
        let value = self.value(key)?;
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        if number.is_none() {
            notes.note(value.span().start, format!("'{key}' has to be a whole number"));
        }
        number.map(|number| (number, value.span().start))
    }

    /// A number from 0 to 1.
    pub(super) fn share(&mut self, key: &'static str, notes: &mut Notes<'_>) -> Option<f64> {
        let value = self.value(key)?;
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let share = number.filter(|number| (0.0..=1.0).contains(number));
        if share.is_none() {
            notes.note(value.span().start, format!("'{key}' has to be a number from 0 to 1"));
        }
        share
    }

    /// Notes every key that was not read.
    pub(super) fn finish(self, notes: &mut Notes<'_>) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let nearest = nearest(name, &self.known);
                notes.note(key.span().start, format!("unknown key '{name}'{nearest}"));
            }
        }
    }
}

/// Returns `; did you mean 'x'?` if a known name is similar, and the list of known names otherwise.
pub(super) fn nearest(name: &str, known: &[&str]) -> String {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    match known.iter().map(|known| (distance(known), known)).min() {
        Some((distance, nearest)) if distance <= (name.chars().count() / 2).max(1) => {
            format!("; did you mean '{nearest}'?")
        }
        Some(_) => format!("; known: {}", known.join(", ")),
        None => String::new(),
    }
}
