//! Clocks, the environment, unseeded randomness and process-wide state.

use super::scan::code_of;
use super::{read, rust_files_under};

/// The only files that may lift the ban of `.clippy.toml` on clocks, the environment and unseeded randomness.
const EXEMPT: &[&str] = &["src/backoff.rs", "src/build.rs", "src/clock.rs", "src/config/environment.rs"];

#[test]
fn the_bans_on_clocks_environment_and_randomness_are_lifted_only_in_the_files_that_wrap_them() {
    let lifts = |file: &&String| code_of(&read(file)).contains("clippy::disallowed_methods");
    let found: Vec<String> = rust_files_under("src").iter().filter(lifts).cloned().collect();
    assert_eq!(found, EXEMPT);
    for ban in ["SystemTime::now", "Instant::now", "Timestamp::now", "env::var", "env::vars_os", "fastrand::Rng::new"] {
        assert!(read(".clippy.toml").contains(ban), "{ban} is no longer banned in .clippy.toml");
    }
}

/// The declared types of the statics in `text` that can change while the program runs.
fn changing_statics(text: &str) -> Vec<String> {
    const CHANGING: [&str; 8] = ["mut ", "Atomic", "Mutex", "RwLock", "Cell", "OnceLock", "LazyLock", "thread_local"];
    let code = code_of(text);
    let statics = code.split("static ").skip(1).map(|rest| rest.split(['=', ';']).next().unwrap_or_default());
    let found = statics.filter(|declared| CHANGING.iter().any(|word| declared.contains(word))).map(str::to_owned);
    found.chain(code.contains("thread_local!").then(|| "thread_local!".to_owned())).collect()
}

#[test]
fn no_static_is_mutable() {
    for file in rust_files_under("src") {
        let found = changing_statics(&read(&file));
        assert!(found.is_empty(), "{file}: {found:?}");
    }
    assert_eq!(changing_statics("static mut N: u8 = 0;").len(), 1);
    assert_eq!(changing_statics("pub static N: AtomicU8 = AtomicU8::new(0);").len(), 1);
    assert!(changing_statics("static N: &'static str = \"Mutex\"; struct M(Mutex<u8>);").is_empty());
}
