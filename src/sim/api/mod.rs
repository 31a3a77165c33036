//! Google's side of the wire, without sockets: a [`Request`] goes in, a [`Reply`] comes out, and nothing else happens.
//!
//! A request is routed and read ([`Call`]), the faults are asked what goes wrong with it, the caller is looked at, and
//! the call is answered from what shows of the world. [`Api::answer`] goes the whole way; [`Api::read`] answers a call
//! in the wire's types, for those who have no use for JSON.

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
mod view;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use access::{Caller, Strangers};
pub use call::{Call, Listing};
pub use error::{Forbidden, Hint, PROJECT, Refusal};
pub use mask::Mask;
pub use method::Method;
pub use people::{PeopleBody, PersonBody, PersonFields, PersonResponseBody};
pub use quota::Quota;
pub use reads::{Payload, SpaceBody};
pub use reply::{Delivery, Reply};
pub use request::Request;
pub use service_key::KeyError;

use super::faults::{Fault, Faults, Seen};
use super::world::World;
use call::Target;
use oauth::Authority;

/// How the simulator answers.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Seals page tokens and draws access tokens.
    pub seed: u64,
    /// Gives fewer things on a page than asked, as the real one may.
    pub max_page: Option<usize>,
    /// Only tokens issued here, unexpired and with the right scope, are accepted.
    pub require_auth: bool,
    pub strangers: Strangers,
    pub quota: Option<Quota>,
    /// What domain-wide delegation grants the service account. `None` is every scope.
    pub delegated_scopes: Option<Vec<String>>,
    /// Where the simulator is reached, without a slash at the end.
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

/// See the module.
#[derive(Debug)]
pub struct Api {
    pub world: World,
    pub faults: Faults,
    settings: ApiSettings,
    authority: Authority,
    judge: Option<quota::Judge>,
    requests: u64,
    tally: BTreeMap<(Method, u16), u64>,
}

impl Api {
    /// An API that shows this world.
    #[must_use]
    pub fn new(world: World, faults: Faults, settings: ApiSettings) -> Self {
        let authority = Authority::new(&settings);
        let judge = settings.quota.map(quota::Judge::new);
        Self { world, faults, settings, authority, judge, requests: 0, tally: BTreeMap::new() }
    }

    /// How it answers.
    #[must_use]
    pub const fn settings(&self) -> &ApiSettings {
        &self.settings
    }

    /// How many requests of which method were answered with which status.
    #[must_use]
    pub const fn tally(&self) -> &BTreeMap<(Method, u16), u64> {
        &self.tally
    }

    /// How many requests of this method came in, whatever became of them.
    #[must_use]
    pub fn count(&self, method: Method) -> u64 {
        self.tally.iter().filter(|((other, _), _)| *other == method).map(|(_, count)| count).sum()
    }

    /// A service account key (as Google's console hands it out) whose token address is this API's. Made at first use.
    ///
    /// # Errors
    /// [`KeyError`] where no RSA key can be made.
    pub fn service_account_key(&mut self) -> Result<serde_json::Value, KeyError> {
        self.authority.service_account_key()
    }

    /// A client secret (as Google's console hands it out) whose addresses are this API's.
    #[must_use]
    pub fn client_secret(&self) -> serde_json::Value {
        self.authority.client_secret()
    }

    /// An access token for a caller, good for an hour from `now`, as if it had been fetched.
    pub fn issue_token(&mut self, caller: Caller, scopes: &[&str], now: Timestamp) -> String {
        self.authority.issue(caller, scopes.iter().map(|scope| (*scope).to_owned()).collect(), now)
    }

    /// Makes every access token that was issued so far worthless.
    pub fn revoke_tokens(&mut self) {
        self.authority.revoke();
    }

    /// Answers a request at `now`: lets the world get there, and answers.
    pub fn answer(&mut self, request: &Request, now: Timestamp) -> Reply {
        self.world.step(now);
        let now = now.max(self.world.now());
        let (method, reply) = match call::route(request) {
            Target::Read(method) => (method, self.answer_read(method, request, now)),
            Target::Token => (Method::Token, self.answer_oauth(Method::Token, request, now)),
            Target::Consent => (Method::Consent, self.answer_oauth(Method::Consent, request, now)),
            Target::Unimplemented => return Reply::refusal(&Refusal::server(501)).spoiled(&[], now),
            Target::Nowhere => return Reply::html(404).spoiled(&[], now),
        };
        *self.tally.entry((method, reply.status)).or_default() += 1;
        reply
    }

    fn answer_oauth(&mut self, method: Method, request: &Request, now: Timestamp) -> Reply {
        let faults = self.faults.decide(&Seen { method, conference: None, page: 1, caller: None }, now);
        let refused = faults.iter().find_map(|fault| match fault {
            Fault::OAuth(error, description) => Some(oauth::refusal(error, description)),
            other => refusal_of(other, method).map(|refusal| Reply::refusal(&refusal)),
        });
        let reply = refused.unwrap_or_else(|| match method {
            Method::Token => self.authority.token(request, &self.world, now),
            _ => self.authority.consent(request, &self.world, now),
        });
        reply.spoiled(&faults, now)
    }

    fn answer_read(&mut self, method: Method, request: &Request, now: Timestamp) -> Reply {
        let granted = self.authority.admit(request, method, self.settings.require_auth, now);
        let caller = granted.as_ref().map_or(Caller::Anybody, |caller| *caller);
        let style = call::style(method, request);
        let total = style.as_ref().is_ok_and(|style| style.mask != Mask::All && style.mask.names("totalSize"));
        let all = request.parameter("fields").or(request.field_mask.as_deref()) == Some("*");
        let call = call::call(method, request, total || all);
        // Google's front end turns a caller away before anybody looks at the request.
        let ready = match (granted, style, call) {
            (Ok(_), Ok(style), Ok(call)) => Ok((style, call)),
            (Err(refusal), ..) | (_, Err(refusal), _) | (_, _, Err(refusal)) => Err(refusal),
        };
        match ready {
            Ok((style, call)) => {
                let (answer, faults) = self.read_at(&call, caller, now);
                let reply = match answer {
                    Ok(payload) => Reply::styled(&payload, &style),
                    Err(refusal) => Reply::refusal(&refusal),
                };
                reply.spoiled(&faults, now)
            }
            Err(refusal) => {
                let page = request.parameter("pageToken").map_or(1, page::page_number);
                let conference = request.segments.get(2).map(String::as_str);
                let faults = self.decide(method, conference, page, caller, now);
                let refusal = faults.iter().find_map(|fault| refusal_of(fault, method)).unwrap_or(refusal);
                Reply::refusal(&refusal).spoiled(&faults, now)
            }
        }
    }

    /// Answers a call at `now`, and tells which faults struck, those that only spoil a connection included.
    ///
    /// # Errors
    /// [`Refusal`] as Google's error body says it.
    pub fn read(&mut self, call: &Call, caller: Caller, now: Timestamp) -> (Result<Payload, Refusal>, Vec<Fault>) {
        self.world.step(now);
        let (answer, faults) = self.read_at(call, caller, now.max(self.world.now()));
        let status = answer.as_ref().map_or_else(|refusal| refusal.code, |_| 200);
        *self.tally.entry((call.method(), status)).or_default() += 1;
        (answer, faults)
    }

    fn read_at(&mut self, call: &Call, caller: Caller, now: Timestamp) -> (Result<Payload, Refusal>, Vec<Fault>) {
        let method = call.method();
        let page = call.listing().map_or(1, |listing| page::page_number(&listing.page_token));
        let faults = self.decide(method, call.conference(), page, caller, now);
        let user = self.address(caller).unwrap_or_default();
        let admitted = match &mut self.judge {
            Some(judge) => judge.admit(&user, method, now),
            None => Ok(()),
        };
        let refused = faults.iter().find_map(|fault| refusal_of(fault, method));
        let answer = match refused {
            Some(refusal) => Err(refusal),
            None => admitted.and_then(|()| self.payload(call, caller, &faults, now)),
        };
        (answer, faults)
    }

    fn decide(
        &mut self,
        method: Method,
        conference: Option<&str>,
        page: u32,
        caller: Caller,
        now: Timestamp,
    ) -> Vec<Fault> {
        self.requests += 1;
        let address = self.address(caller);
        self.faults.decide(&Seen { method, conference, page, caller: address.as_deref() }, now)
    }

    fn address(&self, caller: Caller) -> Option<String> {
        match caller {
            Caller::User(person) => self.world.person(person).email.clone(),
            Caller::Anybody | Caller::ServiceAccount => None,
        }
    }
}

/// The refusal that a fault answers with, if it does.
fn refusal_of(fault: &Fault, method: Method) -> Option<Refusal> {
    Some(match fault {
        Fault::Throttled(hint) => Refusal::rate_limited(*hint, 600, method.service()),
        Fault::Server(code) => Refusal::server(*code),
        Fault::Forbidden(meaning) => Refusal::forbidden(*meaning, method.service(), method.rpc()),
        Fault::Unauthenticated => Refusal::unauthenticated(false, method.service(), method.rpc()),
        Fault::NotFound => Refusal::not_found(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
