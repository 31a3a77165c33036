//! What the operator has to do, one sentence a cause. The log, the status and `check` all say these.

use super::error::Reason;
use super::request::GoogleApi;

pub(super) const MALFORMED: &str =
    "see whether a proxy or a wrong `endpoint` answers in Google's place; if neither does, report it as a defect";
pub(super) const NETWORK: &str = "see whether this machine can reach Google (name resolution, firewall, `proxy`)";
pub(super) const CERTIFICATE: &str =
    "see which certificate answers: a proxy that opens TLS, or a clock far off, is the usual cause";
pub(super) const OWN_SHARE: &str =
    "watch less with this identity, or ask Google for more quota and raise `[google.quota]` to it";
pub(super) const NO_SUCH_IDENTITY: &str = "use the name of an `[[identity]]` of the configuration";

const MEET_DISABLED: &str = "enable the Google Meet API in the project that the credentials belong to (Cloud console, \
     APIs & Services, Library), then wait a few minutes";
const PEOPLE_DISABLED: &str = "enable the People API in the project that the credentials belong to (Cloud console, \
     APIs & Services, Library), or take `lookup` away from the identity";
const MEET_SCOPE: &str = "grant the scope https://www.googleapis.com/auth/meetings.space.readonly: in the Admin console \
     under domain-wide delegation, with `meetwatch login` again, or where the access token is made";
const PEOPLE_SCOPE: &str = "grant the scopes https://www.googleapis.com/auth/directory.readonly, \
     https://www.googleapis.com/auth/contacts.readonly and https://www.googleapis.com/auth/contacts.other.readonly (with \
     `meetwatch login --people` for a user), or take `lookup` away from the identity";
const NO_ACCESS: &str =
    "name an identity that organizes or takes part in this conference; Google shows it to nobody else";
const NOT_FOUND: &str =
    "see whether the name is right and younger than 30 days, and whether the identity organizes it or takes part";
const UNAUTHENTICATED: &str = "Google refuses a fresh token too: see whether the account is suspended, the clock is \
     right, and, for an access token file, whether somebody keeps it fresh";
const BAD_REQUEST: &str = "report it as a defect: Google did not understand the request";
const CREDENTIALS: &str = "see whether the credentials of this identity are still valid";
const DELEGATION: &str = "in the Admin console under Security, API controls, Domain-wide delegation, let the service \
     account's client id have the scopes that docs/GOOGLE_SETUP.md names";

/// What helps against a reason of which nothing nearer is known. Empty where waiting does.
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
