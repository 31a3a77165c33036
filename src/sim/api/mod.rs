//! The simulated APIs without sockets: a function from a [`Request`] to an [`ApiReply`].
//!
//! A request is routed and parsed ([`ReadCall`]), the fault rules decide what fails, the caller is authorized, and the
//! call is answered from the visible part of the world. [`SimApi::answer`] does all of it; [`SimApi::read`] answers a
//! parsed call in the types of the wire, without JSON.

mod access;
mod call;
mod error;
pub mod filter;
mod lists;
mod mask;
mod method;
mod oauth;
mod page;
mod people;
mod quota;
mod reads;
mod reply;
mod request;
mod service_key;
mod spoil;
mod visible;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use access::{Caller, Strangers};
pub use call::{ListParameters, ReadCall};
pub use error::{Forbidden, GoogleError, Hint, PROJECT};
pub use mask::Mask;
pub use method::GoogleMethod;
pub use people::{PeopleBody, PersonBody, PersonFields, PersonResponseBody};
pub use quota::SimQuota;
pub use reads::{ReadResponse, SpaceBody};
pub use reply::{ApiReply, Transmission};
pub use request::Request;
pub use service_key::KeyGenerationError;

use super::faults::{Fault, FaultContext, Faults};
use super::hash::hash;
use super::world::World;
use call::RequestTarget;
use oauth::AuthorizationServer;

/// The settings of the simulated APIs.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Seals page tokens and draws access tokens.
    pub seed: u64,
    /// Limits the page size below what is requested, as the real API may.
    pub max_page: Option<usize>,
    /// Accepts only unexpired tokens that were issued here and have the required scope.
    pub require_auth: bool,
    pub strangers: Strangers,
    pub quota: Option<SimQuota>,
    /// The scopes that domain-wide delegation grants the service account. `None` is every scope.
    pub delegated_scopes: Option<Vec<String>>,
    /// The address of the simulator, without a trailing slash.
    pub base_url: String,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            seed: 0,
            max_page: None,
            require_auth: false,
            strangers: Strangers::default(),
            quota: None,
            delegated_scopes: None,
            base_url: "http://127.0.0.1".to_owned(),
        }
    }
}

/// The simulated Meet and People APIs over a world, with faults: see the module.
#[derive(Debug)]
pub struct SimApi {
    pub world: World,
    pub faults: Faults,
    settings: ApiSettings,
    authorization: AuthorizationServer,
    quota: Option<quota::QuotaMeter>,
    requests: u64,
    tally: BTreeMap<(GoogleMethod, u16), u64>,
}

impl SimApi {
    /// Creates an API that serves this world.
    #[must_use]
    pub fn new(world: World, faults: Faults, settings: ApiSettings) -> Self {
        let authorization = AuthorizationServer::new(&settings);
        let quota = settings.quota.map(quota::QuotaMeter::new);
        Self { world, faults, settings, authorization, quota, requests: 0, tally: BTreeMap::new() }
    }

    /// Returns the settings.
    #[must_use]
    pub const fn settings(&self) -> &ApiSettings {
        &self.settings
    }

    /// Returns how many requests of each method were answered with each status.
    #[must_use]
    pub const fn tally(&self) -> &BTreeMap<(GoogleMethod, u16), u64> {
        &self.tally
    }

    /// Returns how many requests of this method were answered, with any status.
    #[must_use]
    pub fn count(&self, method: GoogleMethod) -> u64 {
        self.tally.iter().filter(|((other, _), _)| *other == method).map(|(_, count)| count).sum()
    }

    /// Returns a service account key in the format of Google's console whose token address is this API's. The first
    /// call generates it.
    ///
    /// # Errors
    /// [`KeyGenerationError`] if no RSA key can be generated.
    pub fn service_account_key(&mut self) -> Result<serde_json::Value, KeyGenerationError> {
        self.authorization.service_account_key()
    }

    /// Returns a client secret in the format of Google's console whose addresses are this API's.
    #[must_use]
    pub fn client_secret(&self) -> serde_json::Value {
        self.authorization.client_secret()
    }

    /// Issues an access token for a caller that is valid for an hour from `now`.
    pub fn issue_token(&mut self, caller: Caller, scopes: &[&str], now: Timestamp) -> String {
        self.authorization.issue(caller, scopes.iter().map(|scope| (*scope).to_owned()).collect(), now)
    }

    /// Revokes every access token issued so far.
    pub fn revoke_tokens(&mut self) {
        self.authorization.revoke();
    }

    /// Steps the world to `now` and answers a request.
    pub fn answer(&mut self, request: &Request, now: Timestamp) -> ApiReply {
        self.world.step(now);
        let now = now.max(self.world.now());
        let (method, reply) = match call::route(request) {
            RequestTarget::Read(method) => (method, self.answer_read(method, request, now)),
            RequestTarget::Token => (GoogleMethod::Token, self.answer_oauth(GoogleMethod::Token, request, now)),
            RequestTarget::Consent => (GoogleMethod::Consent, self.answer_oauth(GoogleMethod::Consent, request, now)),
            RequestTarget::Unimplemented => return ApiReply::refusal(&GoogleError::server(501)).with_faults(&[], now),
            RequestTarget::Nowhere => return ApiReply::html(404).with_faults(&[], now),
        };
        *self.tally.entry((method, reply.status)).or_default() += 1;
        reply
    }

    fn answer_oauth(&mut self, method: GoogleMethod, request: &Request, now: Timestamp) -> ApiReply {
        let faults = self.faults.decide(&FaultContext { method, conference: None, page: 1, caller: None }, now);
        let refused = faults.iter().find_map(|fault| match fault {
            Fault::OAuth(error, description) => Some(oauth::refusal(error, description)),
            other => error_of(other, method).map(|refusal| ApiReply::refusal(&refusal)),
        });
        let reply = refused.unwrap_or_else(|| match method {
            GoogleMethod::Token => self.authorization.token(request, &self.world, now),
            _ => self.authorization.consent(request, &self.world, now),
        });
        reply.with_faults(&faults, now)
    }

    fn answer_read(&mut self, method: GoogleMethod, request: &Request, now: Timestamp) -> ApiReply {
        let granted = self.authorization.admit(request, method, self.settings.require_auth, now);
        let caller = granted.as_ref().map_or(Caller::Anybody, |caller| *caller);
        let style = call::style(method, request);
        let total = style.as_ref().is_ok_and(|style| style.mask != Mask::All && style.mask.names("totalSize"));
        let all = request.parameter("fields").or(request.field_mask.as_deref()) == Some("*");
        let call = call::call(method, request, total || all);
        // Google's front end authorizes the caller before the request is validated.
        let ready = match (granted, style, call) {
            (Ok(_), Ok(style), Ok(call)) => Ok((style, call)),
            (Err(refusal), ..) | (_, Err(refusal), _) | (_, _, Err(refusal)) => Err(refusal),
        };
        match ready {
            Ok((style, call)) => {
                let (answer, faults) = self.read_at(&call, caller, now);
                let reply = match answer {
                    Ok(response) => ApiReply::styled(&response, &style),
                    Err(refusal) => ApiReply::refusal(&refusal),
                };
                reply.with_faults(&faults, now)
            }
            Err(refusal) => {
                let page = request.parameter("pageToken").map_or(1, page::page_number);
                let conference = request.segments.get(2).map(String::as_str);
                let faults = self.decide(method, conference, page, caller, now);
                let refusal = faults.iter().find_map(|fault| error_of(fault, method)).unwrap_or(refusal);
                ApiReply::refusal(&refusal).with_faults(&faults, now)
            }
        }
    }

    /// Steps the world to `now` and answers a call. Also returns the faults that applied, including those that only
    /// affect the transmission.
    ///
    /// # Errors
    /// [`GoogleError`], the content of Google's error body.
    pub fn read(
        &mut self,
        call: &ReadCall,
        caller: Caller,
        now: Timestamp,
    ) -> (Result<ReadResponse, GoogleError>, Vec<Fault>) {
        self.world.step(now);
        let (answer, faults) = self.read_at(call, caller, now.max(self.world.now()));
        let status = answer.as_ref().map_or_else(|refusal| refusal.code, |_| 200);
        *self.tally.entry((call.method(), status)).or_default() += 1;
        (answer, faults)
    }

    fn read_at(
        &mut self,
        call: &ReadCall,
        caller: Caller,
        now: Timestamp,
    ) -> (Result<ReadResponse, GoogleError>, Vec<Fault>) {
        let method = call.method();
        let page = call.listing().map_or(1, |listing| page::page_number(&listing.page_token));
        let faults = self.decide(method, call.conference(), page, caller, now);
        let user = self.address(caller).unwrap_or_default();
        let admitted = match &mut self.quota {
            Some(meter) => meter.admit(&user, method, now),
            None => Ok(()),
        };
        let refused = faults.iter().find_map(|fault| error_of(fault, method));
        let answer = match refused {
            Some(refusal) => Err(refusal),
            None => admitted.and_then(|()| self.response(call, caller, &faults, now)),
        };
        let answer = answer.map(|response| self.spoiled(response, &faults));
        (answer, faults)
    }

    fn spoiled(&self, mut response: ReadResponse, faults: &[Fault]) -> ReadResponse {
        for fault in faults {
            if let Fault::Spoiled(part) = fault {
                spoil::spoil(&mut response, *part, hash(self.settings.seed, &[&self.requests.to_be_bytes()]));
            }
        }
        response
    }

    fn decide(
        &mut self,
        method: GoogleMethod,
        conference: Option<&str>,
        page: u32,
        caller: Caller,
        now: Timestamp,
    ) -> Vec<Fault> {
        self.requests += 1;
        let address = self.address(caller);
        self.faults.decide(&FaultContext { method, conference, page, caller: address.as_deref() }, now)
    }

    fn address(&self, caller: Caller) -> Option<String> {
        match caller {
            Caller::User(person) => self.world.person(person).email.clone(),
            Caller::Anybody | Caller::ServiceAccount => None,
        }
    }
}

/// Returns the error that a fault answers with, if it does.
fn error_of(fault: &Fault, method: GoogleMethod) -> Option<GoogleError> {
    Some(match fault {
        Fault::Throttled(hint) => GoogleError::rate_limited(*hint, 600, method.service()),
        Fault::Server(code) => GoogleError::server(*code),
        Fault::Forbidden(meaning) => GoogleError::forbidden(*meaning, method.service(), method.rpc()),
        Fault::Unauthenticated => GoogleError::unauthenticated(false, method.service(), method.rpc()),
        Fault::NotFound => GoogleError::not_found(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
