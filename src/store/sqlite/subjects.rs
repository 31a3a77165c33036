//! Finds what is stored of a person.

use rusqlite::{Connection, OptionalExtension};

use super::reader::StoreReader;
use super::values::parse_at;
use crate::model::ParticipantName;
use crate::store::error::StoreError;
use crate::store::forget::{ParticipantKey, Subject, Traces};

impl StoreReader {
    /// Returns Google's names by which a person is recognized; none if it is unclear who is meant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn subject_names(&self, subject: &Subject) -> Result<Vec<String>, StoreError> {
        names(self.connection(), subject)
    }

    /// Returns the participants that these names select, and how much is stored of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn participants_named(&self, names: &[String]) -> Result<(Vec<ParticipantKey>, Traces), StoreError> {
        rows(self.connection(), names)
    }
}

fn names(connection: &Connection, subject: &Subject) -> Result<Vec<String>, StoreError> {
    match subject {
        Subject::User(user) => Ok(vec![user.as_str().to_owned()]),
        Subject::Email(email) => accounts(connection, email),
        Subject::Participant(name) => {
            let user = connection
                .prepare_cached(
                    "SELECT p.user FROM conferences c CROSS JOIN participants p ON p.conference = c.id AND p.name = ?2
                     WHERE c.name = ?1",
                )?
                .query_row([name.conference().as_str(), name.as_str()], |row| row.get::<_, Option<String>>(0))
                .optional()?;
            Ok(user.map(|user| user.unwrap_or_else(|| name.as_str().to_owned())).into_iter().collect())
        }
    }
}

fn rows(connection: &Connection, names: &[String]) -> Result<(Vec<ParticipantKey>, Traces), StoreError> {
    let (mut found, mut traces) = (Vec::new(), Traces::default());
    let mut statement = connection.prepare_cached(
        "SELECT p.conference, p.name, c.phase <> 'closed' AS unfinished,
                (SELECT count(*) FROM events e
                 WHERE e.conference = p.conference AND e.sequence IS NOT NULL AND e.participant = p.name) AS events
         FROM participants p JOIN conferences c ON c.id = p.conference
         WHERE p.user = ?1 OR p.name = ?1 OR substr(p.name, -length(?2)) = ?2",
    )?;
    for name in names {
        // A participant of an account ends with the account's id. Any other name must match no participant by its end:
        // none ends with a slash.
        let id = name.strip_prefix("users/").map_or_else(|| "/".to_owned(), |id| format!("/participants/{id}"));
        let mut rows = statement.query([name, &id])?;
        while let Some(row) = rows.next()? {
            found.push((row.get("conference")?, parse_at(row, "name", ParticipantName::parse)?));
            traces.conferences += 1;
            traces.unfinished += u64::from(row.get::<_, bool>("unfinished")?);
            traces.events += u64::try_from(row.get::<_, i64>("events")?).unwrap_or(0);
        }
    }
    Ok((found, traces))
}

/// Returns the accounts with this address.
fn accounts(connection: &Connection, email: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT user FROM participants WHERE user IS NOT NULL AND email = ?1 COLLATE NOCASE",
    )?;
    let found = statement.query_map([email], |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
