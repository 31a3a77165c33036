//! Which room may know which, and what must never stand in a file: held here, where the compiler does not hold it.

mod purity;
pub(crate) mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use scan::{code_of, paths_in};

/// A room: a folder or a file directly under `src`, and the rooms it may use. Where a room is followed by modules, only
/// those of its modules may be used besides what the room itself shows.
struct Room {
    name: &'static str,
    may_use: &'static [(&'static str, Modules)],
}

/// Which modules of a room another may reach into.
#[derive(Clone, Copy)]
enum Modules {
    Any,
    /// What the room itself shows, and these of its modules.
    FacadeAnd(&'static [&'static str]),
    /// These modules alone, and not even what the room itself shows.
    Just(&'static [&'static str]),
}

use Modules::{Any, FacadeAnd, Just};

const EVERYTHING: &[(&str, Modules)] = &[
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
    ("heartbeat", Any),
    ("pseudonym", Any),
    ("retry_after", Any),
    ("secret_file", Any),
    ("serve", Any),
    ("systemd", Any),
    ("sim", Any),
    ("status", Any),
    ("store", Any),
    ("token_bucket", Any),
    ("verify", Any),
    ("watch", Any),
    ("delivery", Any),
];

const ROOMS: &[Room] = &[
    Room { name: "model", may_use: &[] },
    // Tests arm it; those who pass its points know it.
    Room { name: "failpoints", may_use: &[] },
    Room { name: "clock", may_use: &[] },
    Room { name: "backoff", may_use: &[] },
    Room { name: "capped_body", may_use: &[] },
    Room { name: "retry_after", may_use: &[] },
    Room { name: "token_bucket", may_use: &[("clock", Any)] },
    Room { name: "log", may_use: &[] },
    Room { name: "pseudonym", may_use: &[] },
    Room { name: "secret_file", may_use: &[] },
    Room { name: "heartbeat", may_use: &[("clock", Any)] },
    Room { name: "status", may_use: &[("model", Any)] },
    Room {
        name: "meet",
        may_use: &[
            ("model", Any),
            ("clock", Any),
            ("backoff", Any),
            ("status", Any),
            ("capped_body", Any),
            ("retry_after", Any),
            ("token_bucket", Any),
        ],
    },
    Room {
        name: "watch",
        may_use: &[
            ("failpoints", Any),
            ("model", Any),
            ("clock", Any),
            ("backoff", Any),
            ("heartbeat", Any),
            ("status", Any),
            ("store", Any),
            // What can be asked and what comes back; nothing of HTTP.
            ("meet", FacadeAnd(&["error", "filter", "reader"])),
        ],
    },
    Room {
        name: "store",
        may_use: &[("failpoints", Any), ("model", Any), ("clock", Any), ("heartbeat", Any), ("pseudonym", Any)],
    },
    Room {
        name: "delivery",
        may_use: &[
            ("failpoints", Any),
            ("pseudonym", Any),
            ("secret_file", Any),
            ("model", Any),
            ("clock", Any),
            ("backoff", Any),
            ("capped_body", Any),
            ("retry_after", Any),
            ("token_bucket", Any),
            ("heartbeat", Any),
            ("store", Any),
        ],
    },
    Room {
        name: "serve",
        may_use: &[("model", Any), ("store", Any), ("clock", Any), ("status", Any), ("secret_file", Any)],
    },
    Room {
        name: "systemd",
        may_use: &[("clock", Any), ("heartbeat", Any), ("status", Any), ("store", Any), ("model", Any)],
    },
    Room {
        name: "config",
        may_use: &[
            ("model", Any),
            ("log", Any),
            ("meet", FacadeAnd(&["settings"])),
            ("watch", FacadeAnd(&["settings"])),
            ("store", FacadeAnd(&["settings"])),
            ("serve", FacadeAnd(&["settings"])),
            ("delivery", FacadeAnd(&["settings", "sign"])),
        ],
    },
    Room {
        name: "sim",
        may_use: &[
            ("model", Any),
            ("clock", Any),
            ("backoff", Any),
            ("meet", Just(&["wire"])),
            ("delivery", Just(&["sign"])),
        ],
    },
    Room {
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
    // Whole histories: everything but the command line.
    Room {
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
            ("watch", Any),
            ("delivery", Any),
        ],
    },
    Room { name: "cli", may_use: EVERYTHING },
];

/// Files and folders that decide and do nothing: `now` and chance are arguments, and IO is somebody else's.
const PURE: &[&str] = &[
    "src/model",
    "src/meet/quota/bucket.rs",
    "src/meet/quota/priority_queue.rs",
    "src/systemd/summary.rs",
    "src/systemd/watchdog.rs",
    "src/token_bucket.rs",
    "src/watch/closing.rs",
    "src/watch/gap.rs",
    "src/watch/lookup.rs",
    "src/watch/persist.rs",
    "src/watch/roster",
    "src/watch/clock_skew.rs",
    "src/watch/stretch.rs",
];

/// Files and folders that are steps: as pure, but that they draw on the seeded chance they are handed, and may log and
/// count.
const STEPS: &[&str] = &[
    "src/watch/plan.rs",
    "src/watch/scheduler",
    "src/watch/target",
    "src/watch/conference",
    "src/delivery/breaker.rs",
    "src/delivery/decide.rs",
    "src/delivery/pace.rs",
    "src/delivery/queue.rs",
    "src/delivery/ready.rs",
    "src/delivery/step.rs",
];

/// The only files that may lift the ban on clocks, the environment and unseeded randomness.
const EXEMPT: &[&str] = &["src/backoff.rs", "src/build.rs", "src/clock.rs", "src/config/environment.rs"];

/// What may lie at the top, besides dotfiles.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "deploy",
    "docs",
    "src",
    "systemd",
    "target",
    "tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under a folder, or the file itself, named from the root.
fn files_under(path: &str) -> Vec<String> {
    let whole = root().join(path);
    if whole.is_file() {
        return vec![path.to_owned()];
    }
    let Ok(entries) = fs::read_dir(whole) else { return Vec::new() };
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names.iter().flat_map(|name| files_under(&Path::new(path).join(name).to_string_lossy())).collect()
}

pub(crate) fn rust_files_under(path: &str) -> Vec<String> {
    files_under(path).into_iter().filter(|file| file.ends_with(".rs")).collect()
}

pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// The module path of a file under `src`: `src/watch/roster/mod.rs` is `watch`, `roster`.
fn module_of(file: &str) -> Vec<&str> {
    let inner = file.strip_prefix("src/").unwrap_or(file).strip_suffix(".rs").unwrap_or(file);
    let mut path: Vec<&str> = inner.split('/').collect();
    if path.last() == Some(&"mod") {
        path.pop();
    }
    path
}

/// What a file uses that its room may not.
fn trespasses(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(room) = ROOMS.iter().find(|room| room.name == module[0]) else {
        return vec![format!("{file}: the room `{}` is in no table", module[0])];
    };
    let foreign = paths_in(&code_of(text), &module).into_iter().filter(|path| path[0] != room.name);
    foreign
        .filter(|path| !is_allowed(room, path))
        .map(|path| format!("{file}: uses crate::{}", path.join("::")))
        .collect()
}

fn is_allowed(room: &Room, path: &[String]) -> bool {
    let Some((_, modules)) = room.may_use.iter().find(|(name, _)| *name == path[0]) else {
        // What lies at the root of the crate and is no room, such as a macro.
        return !ROOMS.iter().any(|other| other.name == path[0]);
    };
    let next = path.get(1).map(String::as_str);
    let is_module = next.is_some_and(|name| name.starts_with(|c: char| c.is_lowercase()));
    let named = |allowed: &[&str]| next.is_some_and(|name| allowed.contains(&name));
    match modules {
        Any => true,
        FacadeAnd(allowed) => !is_module || named(allowed),
        Just(allowed) => named(allowed),
    }
}

#[test]
fn every_room_uses_only_the_rooms_it_may_know() {
    let files = rust_files_under("src");
    let outside = ["src/lib.rs", "src/main.rs", "src/build.rs"];
    let inside = files.iter().filter(|file| !outside.contains(&file.as_str()));
    let found: Vec<String> = inside.flat_map(|file| trespasses(file, &read(file))).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn watching_and_delivering_do_not_know_each_other() {
    let allowed = |from: &str, to: &str| {
        ROOMS.iter().find(|room| room.name == from).unwrap().may_use.iter().any(|(name, _)| *name == to)
    };
    assert!(!allowed("watch", "delivery") && !allowed("delivery", "watch"));
}

#[test]
fn the_table_of_rooms_can_be_offended() {
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

#[test]
fn the_bans_on_clocks_environment_and_chance_are_lifted_where_they_live_and_nowhere_else() {
    let lifts = |file: &&String| code_of(&read(file)).contains("clippy::disallowed_methods");
    let found: Vec<String> = rust_files_under("src").iter().filter(lifts).cloned().collect();
    assert_eq!(found, EXEMPT);
    for ban in ["SystemTime::now", "Instant::now", "Timestamp::now", "env::var", "env::vars_os", "fastrand::Rng::new"] {
        assert!(read(".clippy.toml").contains(ban), "{ban} is no longer banned");
    }
}

/// The types of the statics that can change while the program runs.
fn changing_statics(text: &str) -> Vec<String> {
    const CHANGING: [&str; 8] = ["mut ", "Atomic", "Mutex", "RwLock", "Cell", "OnceLock", "LazyLock", "thread_local"];
    let code = code_of(text);
    let statics = code.split("static ").skip(1).map(|rest| rest.split(['=', ';']).next().unwrap_or_default());
    let found = statics.filter(|declared| CHANGING.iter().any(|word| declared.contains(word))).map(str::to_owned);
    found.chain(code.contains("thread_local!").then(|| "thread_local!".to_owned())).collect()
}

#[test]
fn nothing_process_wide_can_change() {
    for file in rust_files_under("src") {
        let found = changing_statics(&read(&file));
        assert!(found.is_empty(), "{file}: {found:?}");
    }
    assert_eq!(changing_statics("static mut N: u8 = 0;").len(), 1);
    assert_eq!(changing_statics("pub static N: AtomicU8 = AtomicU8::new(0);").len(), 1);
    assert!(changing_statics("static N: &'static str = \"Mutex\"; struct M(Mutex<u8>);").is_empty());
}

#[test]
fn nothing_lies_at_the_top_that_does_not_belong_there() {
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let strange: Vec<String> = entries.filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str())).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn no_file_names_a_registry_or_the_place_where_it_was_written() {
    // Put together here, so that this file does not name them either.
    let dotted = |parts: &[&str]| parts.join(".");
    let forbidden = [
        dotted(&["crates", "io"]),
        dotted(&["pypi", "org"]),
        dotted(&["pythonhosted", "org"]),
        dotted(&["npmjs", "org"]),
        dotted(&["deb", "debian", "org"]),
        dotted(&["golang", "org"]),
        format!("/{}/", "work"),
        format!("/{}/", "root"),
    ];
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // What cargo writes by itself names its registry, and what git keeps is not ours.
    let ours = top.filter(|name| !["Cargo.lock", "target", ".git"].contains(&name.as_str()));
    for file in ours.flat_map(|name| files_under(&name)) {
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        let found: Vec<&String> = forbidden.iter().filter(|word| text.contains(word.as_str())).collect();
        assert!(found.is_empty(), "{file}: {found:?}");
    }
}
