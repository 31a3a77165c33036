//! Many connections that try passwords do not keep the right user out.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use meetwatch::clock::Clock;
use meetwatch::serve::settings::PasswordHash;
use meetwatch::serve::{Keys, ServerSettings};
use reqwest::StatusCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::serve_access::{Running, on, start};

const USERS: usize = 8;

/// How many connections try passwords at once.
const GUESSERS: usize = 18;

fn user(number: usize) -> String {
    format!("user{number}")
}

fn hash(password: &str, cost: u32) -> PasswordHash {
    PasswordHash::parse(&bcrypt::hash(password, cost).unwrap()).unwrap()
}

async fn server() -> Arc<Running> {
    let users = (0..USERS).map(|number| (user(number), hash(&format!("right {number}"), 4)));
    let api = Keys { token: None, users: users.collect() };
    Arc::new(start(ServerSettings { api, ..on(Ipv4Addr::LOCALHOST) }).await)
}

/// Presents a password. Returns the status of the answer.
async fn log_in(server: &Running, client: &reqwest::Client, user: &str, password: &str) -> StatusCode {
    let url = format!("http://{}/api/v1/status", server.address);
    client.get(url).basic_auth(user, Some(password)).send().await.unwrap().status()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Lets connections try passwords for `guessed` until `stop`, each as fast as it is answered.
fn guess(server: &Arc<Running>, guessed: impl Fn(usize) -> String, stop: &CancellationToken) -> TaskTracker {
    let guessers = TaskTracker::new();
    for number in 0..GUESSERS {
        let (server, stop, name) = (Arc::clone(server), stop.clone(), guessed(number));
        guessers.spawn(async move {
            let client = client();
            let mut tried = 0;
            while !stop.is_cancelled() {
                let status = log_in(&server, &client, &name, &format!("guess {number} {tried}")).await;
                assert_ne!(status, StatusCode::OK);
                tried += 1;
            }
            assert!(tried > 0);
        });
    }
    guessers.close();
    guessers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_user_gets_through_while_18_connections_try_passwords() {
    // Names that nobody has, the names of others, and the name of the user itself.
    let kinds: [fn(usize) -> String; 3] = [|number| format!("nobody{number}"), |number| user(number % 3), |_| user(7)];
    for guessed in kinds {
        let server = server().await;
        let stop = CancellationToken::new();
        let guessers = guess(&server, guessed, &stop);
        for number in [7, 6, 5, 4, 3] {
            let status = log_in(&server, &client(), &user(number), &format!("right {number}")).await;
            assert_eq!(status, StatusCode::OK, "user {number} is refused");
            let again = log_in(&server, &client(), &user(number), &format!("right {number}")).await;
            assert_eq!(again, StatusCode::OK, "user {number} is refused the second time");
        }
        stop.cancel();
        guessers.wait().await;
    }
}

#[tokio::test]
async fn an_unknown_user_costs_as_much_time_as_a_known_one() {
    let users = BTreeMap::from([("ada".to_owned(), hash("right", 8))]);
    let server = start(ServerSettings { api: Keys { token: None, users }, ..on(Ipv4Addr::LOCALHOST) }).await;
    let (clock, client) = (Clock::new(), client());
    let mut fastest = BTreeMap::new();
    for _ in 0..5 {
        for name in ["ada", "nobody"] {
            let begun = clock.mono();
            assert_eq!(log_in(&server, &client, name, "wrong").await, StatusCode::UNAUTHORIZED);
            let took = clock.mono().saturating_sub(begun);
            let best = fastest.entry(name).or_insert(Duration::MAX);
            *best = took.min(*best);
        }
    }
    // Not checking a password would take a hundredth of the time.
    let (known, unknown) = (fastest["ada"], fastest["nobody"]);
    assert!(unknown * 3 > known && known * 3 > unknown, "{fastest:?}");
}
