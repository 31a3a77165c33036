//! Which top-level module may use which.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{code_of, paths_in};
use super::{module_of, read, rust_files_under};

/// A top-level module (a folder or a file directly under `src`) and the other top-level modules it may use.
struct Module {
    name: &'static str,
    may_use: &'static [(&'static str, Parts)],
}

/// Which parts of a module another one may use.
#[derive(Clone, Copy)]
enum Parts {
    Any,
    /// The items that the module itself defines or re-exports, and these submodules.
    FacadeAnd(&'static [&'static str]),
    /// These submodules only, without what the module itself defines or re-exports.
    Just(&'static [&'static str]),
}

use Parts::{Any, FacadeAnd, Just};

const EVERYTHING: &[(&str, Parts)] = &[
    ("failpoints", Any),
    ("app", Any),
    ("backoff", Any),
    ("capped_body", Any),
    ("cli", Any),
    ("clock", Any),
    ("config", Any),
    ("log", Any),
    ("meet", Any),
    ("model", Any),
    ("open_files", Any),
    ("heartbeat", Any),
    ("pseudonym", Any),
    ("retry_after", Any),
    ("secret_file", Any),
    ("serve", Any),
    ("systemd", Any),
    ("sim", Any),
    ("status", Any),
    ("store", Any),
    ("tls_roots", Any),
    ("quota_bucket", Any),
    ("token_bucket", Any),
    ("verify", Any),
    ("watch", Any),
    ("delivery", Any),
];

const MODULES: &[Module] = &[
    Module { name: "model", may_use: &[] },
    // Armed by tests; used by every module that has a failpoint.
    Module { name: "failpoints", may_use: &[] },
    Module { name: "clock", may_use: &[] },
    Module { name: "backoff", may_use: &[] },
    Module { name: "capped_body", may_use: &[] },
    Module { name: "retry_after", may_use: &[] },
    Module { name: "tls_roots", may_use: &[] },
    Module { name: "token_bucket", may_use: &[("clock", Any)] },
    Module { name: "quota_bucket", may_use: &[("clock", Any), ("token_bucket", Any)] },
    Module { name: "log", may_use: &[] },
    Module { name: "open_files", may_use: &[] },
    Module { name: "pseudonym", may_use: &[] },
    Module { name: "secret_file", may_use: &[] },
    Module { name: "heartbeat", may_use: &[("clock", Any)] },
    Module { name: "status", may_use: &[("model", Any)] },
    Module {
        name: "meet",
        may_use: &[
            ("model", Any),
            ("clock", Any),
            ("backoff", Any),
            ("status", Any),
            ("capped_body", Any),
            ("open_files", Any),
            ("retry_after", Any),
            ("tls_roots", Any),
            ("quota_bucket", Any),
            ("token_bucket", Any),
        ],
    },
    Module {
        name: "watch",
        may_use: &[
            ("failpoints", Any),
            ("model", Any),
            ("clock", Any),
            ("backoff", Any),
            ("heartbeat", Any),
            ("status", Any),
            ("store", Any),
            ("quota_bucket", Any),
            // The reads and their answers, without the HTTP client.
            ("meet", FacadeAnd(&["error", "filter", "reader"])),
        ],
    },
    Module {
        name: "store",
        may_use: &[("failpoints", Any), ("model", Any), ("clock", Any), ("heartbeat", Any), ("pseudonym", Any)],
    },
    Module {
        name: "delivery",
        may_use: &[
            ("open_files", Any),
            ("pseudonym", Any),
            ("secret_file", Any),
            ("failpoints", Any),
            ("model", Any),
            ("clock", Any),
            ("backoff", Any),
            ("capped_body", Any),
            ("retry_after", Any),
            ("tls_roots", Any),
            ("token_bucket", Any),
            ("heartbeat", Any),
            ("store", Any),
        ],
    },
    Module {
        name: "serve",
        may_use: &[
            ("model", Any),
            ("store", Any),
            ("clock", Any),
            ("heartbeat", Any),
            ("open_files", Any),
            ("status", Any),
            ("secret_file", Any),
        ],
    },
    Module {
        name: "systemd",
        may_use: &[("clock", Any), ("heartbeat", Any), ("status", Any), ("store", Any), ("model", Any)],
    },
    Module {
        name: "config",
        may_use: &[
            ("model", Any),
            ("log", Any),
            ("meet", FacadeAnd(&["settings"])),
            ("watch", FacadeAnd(&["settings"])),
            ("store", FacadeAnd(&["settings"])),
            ("serve", FacadeAnd(&["settings"])),
            ("delivery", FacadeAnd(&["format", "settings", "sign"])),
        ],
    },
    Module {
        name: "sim",
        may_use: &[
            ("model", Any),
            ("clock", Any),
            ("backoff", Any),
            ("meet", Just(&["wire"])),
            ("delivery", Just(&["sign"])),
        ],
    },
    Module {
        name: "app",
        may_use: &[
            ("failpoints", Any),
            ("backoff", Any),
            ("clock", Any),
            ("config", Any),
            ("log", Any),
            ("meet", Any),
            ("model", Any),
            ("heartbeat", Any),
            ("serve", Any),
            ("systemd", Any),
            ("status", Any),
            ("store", Any),
            ("watch", Any),
            ("delivery", Any),
        ],
    },
    // Simulates whole daemons: uses everything except the command line.
    Module {
        name: "verify",
        may_use: &[
            ("app", Any),
            ("backoff", Any),
            ("clock", Any),
            ("config", Any),
            ("log", Any),
            ("meet", Any),
            ("model", Any),
            ("serve", Any),
            ("sim", Any),
            ("status", Any),
            ("store", Any),
            ("token_bucket", Any),
            ("watch", Any),
            ("delivery", Any),
        ],
    },
    Module { name: "cli", may_use: EVERYTHING },
];

/// What each module may use, as `docs/ARCHITECTURE.md` writes it: `meet` for a module or what it re-exports, and
/// `meet::error` for a submodule.
pub(super) fn uses_as_documented() -> BTreeMap<&'static str, BTreeSet<String>> {
    let written = |(name, parts): &(&str, Parts)| match parts {
        Any => vec![(*name).to_owned()],
        FacadeAnd(inner) => {
            let inner = inner.iter().map(|part| format!("{name}::{part}"));
            inner.chain([(*name).to_owned()]).collect()
        }
        Just(inner) => inner.iter().map(|part| format!("{name}::{part}")).collect(),
    };
    let row = |module: &Module| {
        let others = module.may_use.iter().filter(|(name, _)| *name != module.name);
        (module.name, others.flat_map(written).collect())
    };
    MODULES.iter().map(row).collect()
}

/// The paths in a file that lead to a module its own module may not use.
fn trespasses(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(own) = MODULES.iter().find(|own| own.name == module[0]) else {
        return vec![format!("{file}: the module `{}` is missing from MODULES", module[0])];
    };
    let foreign = paths_in(&code_of(text), &module).into_iter().filter(|path| path[0] != own.name);
    foreign
        .filter(|path| !is_allowed(own, path))
        .map(|path| format!("{file}: uses crate::{}", path.join("::")))
        .collect()
}

fn is_allowed(user: &Module, path: &[String]) -> bool {
    let Some((_, parts)) = user.may_use.iter().find(|(name, _)| *name == path[0]) else {
        // An item at the root of the crate that is not a module, such as a macro.
        return !MODULES.iter().any(|other| other.name == path[0]);
    };
    let next = path.get(1).map(String::as_str);
    let is_module = next.is_some_and(|name| name.starts_with(|c: char| c.is_lowercase()));
    let named = |allowed: &[&str]| next.is_some_and(|name| allowed.contains(&name));
    match parts {
        Any => true,
        FacadeAnd(allowed) => !is_module || named(allowed),
        Just(allowed) => named(allowed),
    }
}

#[test]
fn every_module_uses_only_the_modules_it_may() {
    let files = rust_files_under("src");
    let outside = ["src/lib.rs", "src/main.rs", "src/build.rs"];
    let inside = files.iter().filter(|file| !outside.contains(&file.as_str()));
    let found: Vec<String> = inside.flat_map(|file| trespasses(file, &read(file))).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn watch_and_delivery_do_not_use_each_other() {
    let allowed = |from: &str, to: &str| {
        MODULES.iter().find(|module| module.name == from).unwrap().may_use.iter().any(|(name, _)| *name == to)
    };
    assert!(!allowed("watch", "delivery") && !allowed("delivery", "watch"));
}

#[test]
fn a_use_that_the_table_does_not_allow_is_noticed() {
    let offends = |file: &str, text: &str| !trespasses(file, text).is_empty();
    assert!(offends("src/model/event.rs", "use crate::store::rows;"));
    assert!(offends("src/watch/poll.rs", "use crate::{model::Kind, delivery::EndpointSettings};"));
    assert!(offends("src/delivery/mod.rs", "use super::watch::TargetSettings;"));
    assert!(offends("src/delivery/send/tls.rs", "fn f() -> super::super::super::watch::What { todo!() }"));
    assert!(offends("src/watch/poll.rs", "use crate::meet::client::Client;"));
    assert!(offends("src/sim/server.rs", "use crate::meet::Reader;"));
    assert!(offends("src/config/target.rs", "use crate::store::sql::Sql;"));
    assert!(offends("src/app.rs", "fn f() { crate::sim::start() }"));
    assert!(offends("src/attic/x.rs", ""));
    assert!(!offends("src/watch/poll.rs", "use crate::meet::{Reader, error::Reason}; // use crate::delivery::Format;"));
    assert!(!offends("src/sim/server.rs", "use crate::meet::wire::Listing;"));
    assert!(!offends("src/delivery/send/tls.rs", "use super::super::settings; use super::Sent;"));
    assert!(!offends("src/cli/run.rs", "use crate::{app, sim::world};"));
}
