//! What the operator has to do about a failure: one sentence for each cause, shown in the log, in the status and by `check`.

use super::error::Reason;
use super::request::GoogleApi;

pub(super) const MALFORMED: &str =
    "check whether a proxy or a wrong `endpoint` answers instead of Google; if neither does, report this as a bug";
pub(super) const NETWORK: &str = "check that this machine can reach Google (name resolution, firewall, `proxy`)";
pub(super) const CERTIFICATE: &str = "check which certificate the server presents; the usual causes are a proxy that intercepts TLS and a wrong system clock";
pub(super) const OWN_SHARE: &str =
    "watch fewer targets with this identity, or request more quota from Google and raise `[google.quota]` accordingly";
pub(super) const NO_SUCH_IDENTITY: &str = "use the name of an `[[identity]]` in the configuration";

const MEET_DISABLED: &str = "enable the Google Meet API in the project that the credentials belong to (Cloud console, \
     APIs & Services, Library), then wait a few minutes";
const PEOPLE_DISABLED: &str = "enable the People API in the project that the credentials belong to (Cloud console, \
     APIs & Services, Library), or remove `lookup` from the identity";
const MEET_SCOPE: &str = "grant the scope https://www.googleapis.com/auth/meetings.space.readonly: in the Admin console \
     under domain-wide delegation, with `meetwatch login` again, or where the access token is made";
const PEOPLE_SCOPE: &str = "grant the scopes https://www.googleapis.com/auth/directory.readonly, \
     https://www.googleapis.com/auth/contacts.readonly and https://www.googleapis.com/auth/contacts.other.readonly (with \
     `meetwatch login --people` for a user), or remove `lookup` from the identity";
const NO_ACCESS: &str =
    "use an identity that organizes this conference or takes part in it; Google shows it to nobody else";
const NOT_FOUND: &str = "check the name, that the conference ended less than 30 days ago, and that the identity organizes it or takes part in it";
const UNAUTHENTICATED: &str = "Google refuses a new token too: check that the account is not suspended, that the system \
     clock is right and, for an access token file, that the program that writes it still runs";
const BAD_REQUEST: &str = "report this as a bug: Google refused the request as invalid";
const CREDENTIALS: &str = "check that the credentials of this identity are still valid";
const DELEGATION: &str = "in the Admin console under Security, API controls, Domain-wide delegation, give the service \
     account's client id the scopes that docs/GOOGLE_SETUP.md names";

/// Returns the remedy for a reason if nothing more specific is known. Empty if waiting is enough.
#[must_use]
pub(super) const fn of(reason: Reason, api: GoogleApi) -> &'static str {
    match (reason, api) {
        (Reason::ApiDisabled, GoogleApi::Meet) => MEET_DISABLED,
        (Reason::ApiDisabled, GoogleApi::People) => PEOPLE_DISABLED,
        (Reason::ScopeMissing, GoogleApi::Meet) => MEET_SCOPE,
        (Reason::ScopeMissing, GoogleApi::People) => PEOPLE_SCOPE,
        (Reason::Delegation, _) => DELEGATION,
        (Reason::Credentials, _) => CREDENTIALS,
        (Reason::Unauthenticated, _) => UNAUTHENTICATED,
        (Reason::NoAccess, _) => NO_ACCESS,
        (Reason::NotFound, _) => NOT_FOUND,
        (Reason::BadRequest, _) => BAD_REQUEST,
        (Reason::Network, _) => NETWORK,
        (Reason::Malformed, _) => MALFORMED,
        (Reason::Throttled | Reason::Server | Reason::Timeout, _) => "",
    }
}
