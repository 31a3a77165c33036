//! The read quota per minute, as a sliding window: no interval of sixty seconds holds more reads than allowed.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::error::{GoogleError, Hint};
use super::method::GoogleMethod;
use crate::clock::elapsed;

const MINUTE: Duration = Duration::from_secs(60);

/// How many reads are answered per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimQuota {
    pub per_project: u32,
    /// For each user, by the address of the token's subject. All unauthenticated callers count as one user.
    pub per_user: u32,
    /// The People API's, for each user.
    pub people_per_user: u32,
    /// How a 429 says when to retry.
    pub hint: Hint,
}

#[derive(Debug)]
pub(super) struct QuotaMeter {
    quota: SimQuota,
    project: VecDeque<Timestamp>,
    users: HashMap<(String, bool), VecDeque<Timestamp>>,
}

impl QuotaMeter {
    pub(super) fn new(quota: SimQuota) -> Self {
        Self { quota, project: VecDeque::new(), users: HashMap::new() }
    }

    /// Counts a read, or refuses it without counting it.
    pub(super) fn admit(&mut self, user: &str, method: GoogleMethod, now: Timestamp) -> Result<(), GoogleError> {
        let is_people = matches!(method, GoogleMethod::GetPerson | GoogleMethod::GetPeople);
        let own_limit = if is_people { self.quota.people_per_user } else { self.quota.per_user };
        let own = self.users.entry((user.to_owned(), is_people)).or_default();
        forget(own, now);
        forget(&mut self.project, now);
        let refused = |limit| Err(GoogleError::rate_limited(self.quota.hint, limit, method.service()));
        if own.len() >= own_limit as usize {
            return refused(own_limit);
        }
        // The project's limit is the Meet API's.
        if !is_people {
            if self.project.len() >= self.quota.per_project as usize {
                return refused(self.quota.per_project);
            }
            self.project.push_back(now);
        }
        own.push_back(now);
        Ok(())
    }
}

fn forget(window: &mut VecDeque<Timestamp>, now: Timestamp) {
    while window.front().is_some_and(|first| elapsed(*first, now) >= MINUTE) {
        window.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sixty_seconds_hold_more_than_allowed() {
        let quota = SimQuota { per_project: 5, per_user: 3, people_per_user: 1, hint: Hint::None };
        let mut meter = QuotaMeter::new(quota);
        let mut admit = |user: &str, method, second: i64| {
            meter.admit(user, method, Timestamp::from_second(second).unwrap()).map_err(|refusal| refusal.code)
        };
        for second in [0, 30, 59] {
            assert_eq!(admit("a", GoogleMethod::GetSpace, second), Ok(()));
        }
        assert_eq!(admit("a", GoogleMethod::GetSpace, 59), Err(429));
        assert_eq!(admit("a", GoogleMethod::GetSpace, 60), Ok(()), "the first is a minute ago");
        assert_eq!(admit("a", GoogleMethod::GetSpace, 60), Err(429));
        assert_eq!(admit("b", GoogleMethod::GetSpace, 60), Ok(()));
        assert_eq!(admit("b", GoogleMethod::GetSpace, 60), Ok(()));
        assert_eq!(admit("c", GoogleMethod::GetSpace, 60), Err(429), "the project's quota is used up");
        assert_eq!(admit("c", GoogleMethod::GetPerson, 60), Ok(()), "the People API has its own quota");
        assert_eq!(admit("c", GoogleMethod::GetPerson, 60), Err(429));
    }
}
