//! Separate passwords and tokens for the API and for the metrics.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use meetwatch::serve::settings::PasswordHash;
use meetwatch::serve::{Expose, Keys, ServerSettings};
use reqwest::StatusCode;

use crate::house::House;
use crate::serve_access::{TOKEN, on, start};

/// The hash of `open sesame`, as `htpasswd -nbBC 4 NAME PASSWORD` prints it.
fn hash() -> PasswordHash {
    PasswordHash::parse(&bcrypt::hash("open sesame", 4).unwrap().replacen("$2b$", "$2y$", 1)).unwrap()
}

fn keys(user: &str, token: Option<&str>) -> Keys {
    Keys { token: token.map(Into::into), users: BTreeMap::from([(user.to_owned(), hash())]) }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes()))
}

#[tokio::test]
async fn each_group_of_paths_opens_to_its_own_keys_and_to_the_token_of_the_server() {
    let settings = ServerSettings {
        api: keys("ada", None),
        metrics: keys("prometheus", Some("a-token-of-metrics")),
        ..on(Ipv4Addr::LOCALHOST)
    };
    let server = start(settings).await;
    let (ada, prometheus) = (basic("ada", "open sesame"), basic("prometheus", "open sesame"));
    let (all, metrics) = (format!("Bearer {TOKEN}"), "Bearer a-token-of-metrics".to_owned());
    let wrong = basic("ada", "open");
    for (path, good, bad) in [
        ("/metrics", [&prometheus, &metrics, &all], [&ada, &wrong]),
        ("/api/v1/status", [&ada, &ada, &all], [&prometheus, &metrics]),
    ] {
        for authorization in good {
            assert_eq!(server.status(path, &[("authorization", authorization)]).await, StatusCode::OK, "{path}");
        }
        for authorization in bad {
            let refused = server.get(path, &[("authorization", authorization)]).await;
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
            let challenges: Vec<_> = refused.headers().get_all("www-authenticate").iter().collect();
            assert_eq!(challenges, ["Bearer realm=\"meetwatch\"", "Basic realm=\"meetwatch\""]);
        }
        assert_eq!(server.status(path, &[]).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(server.status("/livez", &[]).await, StatusCode::OK, "health needs no key on loopback");
}

#[tokio::test]
async fn metrics_with_keys_of_their_own_need_one_even_if_exposed() {
    let expose = Expose { metrics: true, health: true };
    let settings = ServerSettings { metrics: keys("prometheus", None), expose, ..on(Ipv4Addr::UNSPECIFIED) };
    let server = start(settings).await;
    assert_eq!(server.status("/metrics", &[]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(server.status("/readyz", &[]).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_reload_adds_and_removes_keys() {
    let house = House::new().await;
    let hash = bcrypt::hash("open sesame", 4).unwrap();
    let with = format!("{}\n[server.metrics]\nbasic_auth_users = {{ prometheus = \"{hash}\" }}\n", house.config());
    assert!(house.get("/metrics").await.contains("meetwatch_build_info"));
    house.reload(&with).await.unwrap();
    assert!(house.get("/metrics").await.contains("authentication required"));
    house.reload(&house.config()).await.unwrap();
    assert!(house.get("/metrics").await.contains("meetwatch_build_info"));
}
