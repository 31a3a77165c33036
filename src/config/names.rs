//! The names that an operator gives, each once.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::section::{Located, Section};
use super::suggest;
use crate::model::InvalidName;

/// The names of one kind of thing, and where each was given. A thing that is wrong in another way has its name here
/// all the same, so that whoever names it is not explain that it does not exist.
#[derive(Debug)]
pub(super) struct DeclaredNames {
    /// What is named, as its section is called.
    what: &'static str,
    given: RefCell<BTreeMap<String, Option<usize>>>,
}

impl DeclaredNames {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, given: RefCell::default() }
    }

    /// The name of this section, if it has a good one that no other has.
    pub(super) fn read<'a, N>(
        &self,
        section: &Section<'a>,
        parse: fn(&str) -> Result<N, InvalidName>,
    ) -> Option<Located<'a, N>> {
        let Some(text) = section.text("name") else {
            section.absent("name", format!("is missing; give this {} a name", self.what));
            return None;
        };
        if let Some(line) = self.given.borrow().get(text.value) {
            let line = line.map(|line| format!(" in line {line}")).unwrap_or_default();
            text.problem(format!("is the name of another {}{line}; give each its own", self.what));
            return None;
        }
        self.add(text.value, Some(text.line()));
        if text.value.contains('@') {
            text.warning("looks like an address, and goes into logs and metrics; choose a name that is nobody's");
        }
        let name = parse(text.value).inspect_err(|invalid| text.problem(format!("must be {}", invalid.shape)));
        name.ok().map(|name| text.with(name))
    }

    /// Adds a name that does not stand in the file in this way.
    pub(super) fn add(&self, name: &str, line: Option<usize>) {
        self.given.borrow_mut().insert(name.to_owned(), line);
    }

    /// Whether something has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.borrow().contains_key(name)
    }

    /// Says that nothing has the name that was found.
    pub(super) fn refuse(&self, found: &Located<'_, &str>) {
        let given = self.given.borrow();
        let names: Vec<&str> = given.keys().map(String::as_str).collect();
        let hint = match names.as_slice() {
            [] => format!("there is no [[{}]] at all", self.what),
            names => suggest::hint(found.value, names),
        };
        found.dangling(format!("no [[{}]] has this name; {hint}", self.what));
    }
}
