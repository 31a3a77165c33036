//! Ids that look like Google's, drawn from a seed. All resource names of a world are built here.

use fastrand::Rng;

use crate::model::{ConferenceName, InvalidName, MeetingCode, ParticipantName, SessionName, SpaceName};

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8; 10] = b"0123456789";

/// The ids of many records of one project have the same suffix.
const RECORD_SUFFIX: &str = "DxIQOAIIigIgABgBCA";

fn text(random: &mut Rng, alphabet: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(alphabet[random.usize(..alphabet.len())])).collect()
}

/// A conference record: 38 to 44 characters of base64url, the last 18 of them shared.
pub(super) fn conference(random: &mut Rng) -> Result<ConferenceName, InvalidName> {
    let length = random.usize(20..=26);
    ConferenceName::parse(&format!("conferenceRecords/{}{RECORD_SUFFIX}", text(random, BASE64URL, length)))
}

/// A space: 12 characters, case sensitive.
pub(super) fn space(random: &mut Rng) -> Result<SpaceName, InvalidName> {
    SpaceName::parse(&format!("spaces/{}", text(random, BASE64URL, 12)))
}

/// A meeting code: `abc-mnop-xyz`.
pub(super) fn meeting_code(random: &mut Rng) -> Result<MeetingCode, InvalidName> {
    let [first, second, third] = [3, 4, 3].map(|length| text(random, LETTERS, length));
    MeetingCode::parse(&format!("{first}-{second}-{third}"))
}

/// An account: 21 digits, beginning with a 1.
pub(super) fn account(random: &mut Rng) -> String {
    format!("1{}", text(random, DIGITS, 20))
}

/// A participant: the account's id for a signed-in user, a non-numeric id for all others.
pub(super) fn participant(
    conference: &ConferenceName,
    account: Option<&str>,
    random: &mut Rng,
) -> Result<ParticipantName, InvalidName> {
    let id = account.map_or_else(|| format!("A{}", text(random, BASE64URL, 21)), str::to_owned);
    ParticipantName::parse(&format!("{conference}/participants/{id}"))
}

/// A session of a participant: up to 19 digits.
pub(super) fn session(participant: &ParticipantName, random: &mut Rng) -> Result<SessionName, InvalidName> {
    let id = random.u64(1_000_000_000_000..9_000_000_000_000_000_000);
    SessionName::parse(&format!("{participant}/participantSessions/{id}"))
}

/// Returns the last segment of a resource name.
pub(crate) fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shapes_that_google_uses() {
        let mut random = Rng::with_seed(1);
        for _ in 0..200 {
            let record = conference(&mut random).unwrap();
            assert!((38..=44).contains(&id_of(record.as_str()).len()));
            assert!(record.as_str().ends_with(RECORD_SUFFIX));
            assert_eq!(id_of(space(&mut random).unwrap().as_str()).len(), 12);
            assert_eq!(meeting_code(&mut random).unwrap().as_str().len(), 12);
            let account = account(&mut random);
            assert_eq!(account.len(), 21);
            let signed_in = participant(&record, Some(&account), &mut random).unwrap();
            assert_eq!(id_of(signed_in.as_str()), account);
            let guest = participant(&record, None, &mut random).unwrap();
            assert!(id_of(guest.as_str()).parse::<u128>().is_err());
        }
    }
}
