//! Reads one table of the file. Each key is asked for by name; a key that is not asked for is unknown and a problem.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::configuration::FileLine;
use super::diagnostics::Diagnostics;
use super::suggest;

/// A table, such as `[watch]` or one `[[webhook]]`.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// The path of the table, such as `google.quota`. Empty for the whole file.
    path: String,
    /// The line on which it begins. `None` if the file does not have it.
    line: Option<usize>,
    table: Option<&'a DeTable<'a>>,
    diagnostics: &'a Diagnostics,
    requested: RefCell<Vec<&'static str>>,
    /// Whether unknown keys are passed over.
    lenient: Cell<bool>,
}

/// A value with its key and line.
#[derive(Debug)]
pub(super) struct Located<'a, T> {
    pub(super) value: T,
    key: String,
    line: usize,
    diagnostics: &'a Diagnostics,
}

impl<'a> Section<'a> {
    /// Reads the whole file with `read`.
    pub(super) fn read_root<T>(
        table: &'a DeTable<'a>,
        diagnostics: &'a Diagnostics,
        read: impl FnOnce(&Self) -> T,
    ) -> T {
        Self {
            path: String::new(),
            line: None,
            table: Some(table),
            diagnostics,
            requested: RefCell::default(),
            lenient: Cell::default(),
        }
        .read(read)
    }

    /// Reads the table `key` with `read`. A missing table is read as an empty one.
    pub(super) fn table<T>(&self, key: &'static str, read: impl FnOnce(&Self) -> T) -> T {
        let path = self.path_of(key);
        let found = self.get(key);
        let table = found.as_ref().and_then(|found| match found.value {
            DeValue::Table(table) => Some(table),
            DeValue::Array(_) => {
                found.problem(format!("is a list; write `[{path}]`, once"));
                None
            }
            _ => {
                found.problem(format!("is a single value; write a section `[{path}]`"));
                None
            }
        });
        let line = table.and(found.as_ref().map(|found| found.line));
        let requested = RefCell::default();
        Self { path, line, table, diagnostics: self.diagnostics, requested, lenient: Cell::default() }.read(read)
    }

    /// Reads each table of the list `key` with `read`.
    pub(super) fn tables<T>(&self, key: &'static str, mut read: impl FnMut(&Self) -> T) -> Vec<T> {
        let path = self.path_of(key);
        let Some(found) = self.get(key) else { return Vec::new() };
        let wanted = format!("write `[[{path}]]`, once for each");
        let DeValue::Array(items) = found.value else {
            found.problem(format!("is not a list; {wanted}"));
            return Vec::new();
        };
        let mut all = Vec::new();
        for item in items {
            let line = self.diagnostics.line_of(item.span().start);
            if let DeValue::Table(table) = item.get_ref() {
                let requested = RefCell::default();
                let section = Self {
                    path: path.clone(),
                    line: Some(line),
                    table: Some(table),
                    diagnostics: self.diagnostics,
                    requested,
                    lenient: Cell::default(),
                };
                all.push(section.read(&mut read));
            } else {
                self.diagnostics.problem(Some(line), &path, format!("is not a section; {wanted}"));
            }
        }
        all
    }

    fn read<T>(self, read: impl FnOnce(&Self) -> T) -> T {
        let value = read(&self);
        self.report_unknown_keys();
        value
    }

    fn report_unknown_keys(&self) {
        if self.lenient.get() {
            return;
        }
        let requested = self.requested.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if requested.contains(&name) {
                continue;
            }
            let line = self.diagnostics.line_of(key.span().start);
            let hint = suggest::hint(name, &requested);
            self.diagnostics.problem(Some(line), &self.path_of(&suggest::shown(name)), format!("unknown key; {hint}"));
        }
    }

    /// The key with its section in front.
    pub(super) fn path_of(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    fn get(&self, key: &'static str) -> Option<Located<'a, &'a DeValue<'a>>> {
        self.requested.borrow_mut().push(key);
        self.diagnostics.note_key(self.path_of(key));
        let value = self.table?.get(key)?;
        Some(self.found(key, value, value.get_ref()))
    }

    fn found<T>(&self, key: &str, at: &Spanned<DeValue<'a>>, value: T) -> Located<'a, T> {
        let line = self.diagnostics.line_of(at.span().start);
        Located { value, key: self.path_of(key), line, diagnostics: self.diagnostics }
    }

    /// Makes these keys known without reading them.
    pub(super) fn ignore(&self, keys: &[&'static str]) {
        self.requested.borrow_mut().extend(keys);
    }

    /// Passes over all keys that are not read.
    pub(super) fn ignore_unknown(&self) {
        self.lenient.set(true);
    }

    /// Whether the file has this key, with a valid value or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Adds a problem with `key` at the line of the section.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) {
        self.diagnostics.problem(self.line, &self.path_of(key), message);
    }

    /// Adds the problem that `key` is missing.
    pub(super) fn absent(&self, key: &str, message: impl Into<String>) {
        self.diagnostics.absent(self.line, &self.path_of(key), message);
    }

    /// Adds a warning about `key` at its line, or at that of the section.
    pub(super) fn warning(&self, key: &str, message: impl Into<String>) {
        let value = self.table.and_then(|table| table.get(key));
        let line = value.map(|value| self.diagnostics.line_of(value.span().start)).or(self.line);
        self.diagnostics.warning(line, &self.path_of(key), message);
    }

    /// Notes that `key`, if it is set, is a secret, so that the file should not be readable for every user.
    pub(super) fn mark_secret(&self, key: &str) {
        if let Some(value) = self.table.and_then(|table| table.get(key)) {
            self.diagnostics.note_secret(self.diagnostics.line_of(value.span().start), &self.path_of(key));
        }
    }

    /// A string.
    pub(super) fn text(&self, key: &'static str) -> Option<Located<'a, &'a str>> {
        self.get(key)?.must_be("a string in quotes", |value| match value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => None,
        })
    }

    /// A string that `parse` accepts. `expected` completes the sentence "must be …".
    pub(super) fn parsed<T>(
        &self,
        key: &'static str,
        expected: impl Display,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Located<'a, T>> {
        self.text(key)?.must_be(expected, parse)
    }

    /// A list of strings.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<Located<'a, &'a str>>> {
        let found = self.get(key)?;
        let DeValue::Array(items) = found.value else {
            found.problem("must be a list of strings, such as [\"…\", \"…\"]");
            return None;
        };
        let one = |item: &'a Spanned<DeValue<'a>>| {
            self.found(key, item, item.get_ref()).must_be("a list of strings in quotes", |value| match value {
                DeValue::String(text) => Some(text.as_ref()),
                _ => None,
            })
        };
        Some(items.iter().filter_map(one).collect())
    }

    /// A list of strings that `parse` accepts. Empty if the key is missing.
    pub(super) fn each<T>(&self, key: &'static str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let texts = self.texts(key).unwrap_or_default();
        texts.into_iter().filter_map(|text| text.must_be(expected, &parse)).map(|found| found.value).collect()
    }

    /// The entries of a table with free keys. `parse` gets each key and its value, a string. Empty if the table is missing.
    pub(super) fn entries<T>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&str, &str) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let Some(found) = self.get(key) else { return BTreeMap::new() };
        let DeValue::Table(table) = found.value else {
            found.problem("must be a table, such as `{ name = \"…\" }`");
            return BTreeMap::new();
        };
        let one = |(name, item): (&Spanned<Cow<'a, str>>, &'a Spanned<DeValue<'a>>)| {
            let name = name.get_ref();
            let value = self.found(key, item, item.get_ref()).must_be(expected, |value| match value {
                DeValue::String(text) => parse(name, text),
                _ => None,
            });
            Some((name.to_string(), value?.value))
        };
        table.iter().filter_map(one).collect()
    }

    /// A duration such as `10s` or `1h 30m`.
    pub(super) fn duration(&self, key: &'static str, default: Duration, allowed: RangeInclusive<Duration>) -> Duration {
        let Some(found) = self.get(key) else { return default };
        match duration(found.value, &allowed) {
            Ok(duration) => duration,
            Err(problem) => {
                found.problem(problem);
                default
            }
        }
    }

    /// A whole number.
    pub(super) fn integer(&self, key: &'static str, default: u32, allowed: RangeInclusive<u32>) -> u32 {
        let expected = format!("a whole number from {} to {}{}", allowed.start(), allowed.end(), self.unquoted(key));
        let parse = |value: &DeValue<'_>| match value {
            DeValue::Integer(integer) => u32::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        let found = self
            .get(key)
            .and_then(|found| found.must_be(expected, |value| parse(value).filter(|number| allowed.contains(number))));
        found.map_or(default, |found| found.value)
    }

    /// A share above 0 and at most 1.
    pub(super) fn share(&self, key: &'static str, default: f64) -> f64 {
        let parse = |value: &DeValue<'_>| match value {
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            DeValue::Integer(integer) => integer.as_str().parse::<f64>().ok(),
            _ => None,
        };
        let found = self.get(key).and_then(|found| {
            found.must_be(format!("a number above 0 and at most 1, such as 0.8{}", self.unquoted(key)), |value| {
                parse(value).filter(|share| *share > 0.0 && *share <= 1.0)
            })
        });
        found.map_or(default, |found| found.value)
    }

    /// What to add to the expectation of a value that is no string, where a string was given.
    fn unquoted(&self, key: &str) -> &'static str {
        let value = self.table.and_then(|table| table.get(key));
        if value.is_some_and(|value| matches!(value.get_ref(), DeValue::String(_))) { ", without quotes" } else { "" }
    }

    /// A boolean. `None` if the key is missing.
    pub(super) fn flag(&self, key: &'static str) -> Option<Located<'a, bool>> {
        self.get(key)?.must_be(format!("true or false{}", self.unquoted(key)), |value| match value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        })
    }
}

/// Reads a duration, or returns what is wrong with it.
fn duration(value: &DeValue<'_>, allowed: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let range = format!("from {} to {}", shown_duration(*allowed.start()), shown_duration(*allowed.end()));
    let DeValue::String(text) = value else {
        return Err(format!("must be a duration in quotes and with its unit, such as \"30s\" or \"2m\", {range}"));
    };
    match humantime::parse_duration(text) {
        Ok(duration) if allowed.contains(&duration) => Ok(duration),
        Ok(_) if text.trim_end().ends_with('M') => Err(format!("must be {range}; `M` means months, and `m` minutes")),
        Ok(_) => Err(format!("must be a duration {range}")),
        Err(_) => {
            Err(format!("must be a duration such as \"10s\" or \"2m\", {range}; the units are `s`, `m`, `h` and `d`"))
        }
    }
}

/// Returns a duration in the largest unit that needs no fraction.
fn shown_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let unit = [(86_400, "d"), (3600, "h"), (60, "m")]
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

impl<'a, T> Located<'a, T> {
    /// The line of the value, counted from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The file and the line of the value.
    pub(super) fn place(&self) -> FileLine {
        FileLine { file: self.diagnostics.file(), line: self.line }
    }

    /// Adds a problem with this value.
    pub(super) fn problem(&self, message: impl Into<String>) {
        self.diagnostics.problem(Some(self.line), &self.key, message);
    }

    /// Adds the problem that this value refers to something that is missing elsewhere in the file.
    pub(super) fn dangling(&self, message: impl Into<String>) {
        self.diagnostics.absent(Some(self.line), &self.key, message);
    }

    /// Adds a warning: this value is allowed but dangerous.
    pub(super) fn warning(&self, message: impl Into<String>) {
        self.diagnostics.warning(Some(self.line), &self.key, message);
    }

    /// Adds a warning that the file which this value names does not exist yet.
    pub(super) fn not_there(&self, message: impl Into<String>) {
        self.diagnostics.not_there(self.line, &self.key, message);
    }

    /// Another value with the same key and line.
    pub(super) fn with<U>(&self, value: U) -> Located<'a, U> {
        Located { value, key: self.key.clone(), line: self.line, diagnostics: self.diagnostics }
    }

    /// Parses the value. If `parse` returns `None`, adds the problem "must be `expected`".
    pub(super) fn must_be<U>(
        self,
        expected: impl Display,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Option<Located<'a, U>> {
        let Self { value, key, line, diagnostics } = self;
        match parse(value) {
            Some(value) => Some(Located { value, key, line, diagnostics }),
            None => {
                diagnostics.problem(Some(line), &key, format!("must be {expected}"));
                None
            }
        }
    }
}
