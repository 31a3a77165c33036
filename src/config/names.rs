//! The names of identities, targets and webhooks, each of which has to be unique.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::section::{Located, Section};
use super::suggest;
use crate::model::InvalidName;

/// The names of one kind of section and their lines. Contains also the names of sections with problems, so that a reference
/// to such a section is not reported as unknown.
#[derive(Debug)]
pub(super) struct DeclaredNames {
    /// The kind of section, such as `target`.
    kind: &'static str,
    given: RefCell<BTreeMap<String, Option<usize>>>,
}

impl DeclaredNames {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, given: RefCell::default() }
    }

    /// Reads the name of this section. `None` if it is missing, malformed or taken.
    pub(super) fn read<'a, N>(
        &self,
        section: &Section<'a>,
        parse: fn(&str) -> Result<N, InvalidName>,
    ) -> Option<Located<'a, N>> {
        let Some(text) = section.text("name") else {
            section.absent("name", format!("is missing; give the {} a name", self.kind));
            return None;
        };
        if let Some(line) = self.given.borrow().get(text.value) {
            let line = line.map(|line| format!(" in line {line}")).unwrap_or_default();
            text.problem(format!("is already the name of another {}{line}; choose another name", self.kind));
            return None;
        }
        self.add(text.value, Some(text.line()));
        if text.value.contains('@') {
            text.warning("looks like an e-mail address, and names appear in logs and metrics; choose a name that is not personal data");
        }
        let name = parse(text.value).inspect_err(|invalid| text.problem(format!("must be {}", invalid.shape)));
        name.ok().map(|name| text.with(name))
    }

    /// Adds a name. `line` is `None` for a name that is derived and not in the file.
    pub(super) fn add(&self, name: &str, line: Option<usize>) {
        self.given.borrow_mut().insert(name.to_owned(), line);
    }

    /// Whether a section has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.borrow().contains_key(name)
    }

    /// Reports that no section has the name that was found.
    pub(super) fn report_unknown(&self, found: &Located<'_, &str>) {
        let given = self.given.borrow();
        let names: Vec<&str> = given.keys().map(String::as_str).collect();
        let hint = match names.as_slice() {
            [] => format!("there is no [[{}]] in the file", self.kind),
            names => suggest::hint(found.value, names),
        };
        found.dangling(format!("no [[{}]] has this name; {hint}", self.kind));
    }
}
