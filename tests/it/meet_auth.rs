//! Access tokens from every kind of credentials: cached, renewed, and each refusal with its own reason.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use data_encoding::{BASE64, BASE64URL};
use meetwatch::meet::auth::token_store::StoredToken;
use meetwatch::meet::settings::Credentials;
use meetwatch::meet::{Read, Reason};
use meetwatch::model::UserName;
use serde_json::{Value, json as object};

use crate::meet_fake::{Bench, CONFERENCE, Fake, Reply, error, json, token, written};

/// One key for all tests, generated in each run.
fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// The file of a service account's key whose tokens come from the fake.
pub(crate) fn key_file(fake: &Fake, folder: &Path) -> PathBuf {
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64.encode(key().as_der().unwrap().as_ref())
    );
    let file = object!({
        "type": "service_account", "private_key": pem, "client_email": "robot@project.example",
        "token_uri": fake.url("/token"),
    });
    written(folder, "key.json", &file.to_string())
}

fn consented(fake: &Fake, folder: &Path) -> Credentials {
    let client = object!({"installed": {"client_id": "id", "client_secret": "hush", "token_uri": fake.url("/token")}});
    let scopes = vec!["https://www.googleapis.com/auth/meetings.space.readonly".to_owned()];
    let token_store = folder.join("token.json");
    StoredToken { refresh_token: "R-1".to_owned(), scopes }.save(&token_store).unwrap();
    Credentials::UserConsent { client_secret: written(folder, "client.json", &client.to_string()), token_store }
}

async fn delegated() -> Bench {
    let subject = Some("alice@example.com".to_owned());
    Bench::with(|_, _| {}, |fake, folder| Credentials::ServiceAccount { key: key_file(fake, folder), subject }).await
}

async fn user() -> Bench {
    Bench::with(|_, _| {}, consented).await
}

fn form(body: &str, name: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://x/?{body}")).unwrap();
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

/// The claims of a signed assertion, once its signature has been checked.
fn claims(assertion: &str) -> Value {
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key().public_key().as_ref());
    public.verify(signed.as_bytes(), &BASE64URL.decode(signature.as_bytes()).unwrap()).unwrap();
    serde_json::from_slice(&BASE64URL.decode(signed.split('.').nth(1).unwrap().as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_service_account_acts_for_its_subject_and_caches_the_token() {
    let bench = delegated().await;
    bench.fake.will_grant([token("T-1")]);
    bench.fake.will([json(200, CONFERENCE), json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    bench.get().await.unwrap();
    let asked = bench.fake.tokens_asked();
    assert_eq!(asked.len(), 1);
    let claims = claims(&form(&asked[0].body, "assertion"));
    assert_eq!(claims["sub"], "alice@example.com");
    assert_eq!(claims["iss"], "robot@project.example");
    assert_eq!(claims["aud"], bench.fake.url("/token"));
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/meetings.space.readonly");
    assert_eq!(bench.fake.asked()[1].authorization.as_deref(), Some("Bearer T-1"));
}

#[tokio::test]
async fn a_service_account_without_a_subject_acts_for_itself() {
    let bench = Bench::with(
        |_, _| {},
        |fake, folder| Credentials::ServiceAccount { key: key_file(fake, folder), subject: None },
    )
    .await;
    bench.fake.will_grant([token("T-1")]);
    bench.fake.will([json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    assert_eq!(claims(&form(&bench.fake.tokens_asked()[0].body, "assertion")).get("sub"), Some(&Value::Null));
}

#[tokio::test]
async fn each_set_of_scopes_has_a_token_of_its_own() {
    let bench = delegated().await;
    bench.fake.will_grant([token("T-1"), json(401, r#"{"error":"unauthorized_client"}"#)]);
    bench.fake.will([json(200, CONFERENCE), json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    let people = Read::People(vec![UserName::parse("users/1").unwrap()]);
    assert_eq!(bench.read(people).await.unwrap_err().reason, Reason::Delegation);
    bench.get().await.unwrap();
    let scope = claims(&form(&bench.fake.tokens_asked()[1].body, "assertion"))["scope"].clone();
    assert!(scope.as_str().unwrap().contains("directory.readonly") && !scope.as_str().unwrap().contains("meetings"));
    assert_eq!(bench.status.read().identities["me"].up, Some(true));
}

#[tokio::test]
async fn each_refusal_of_a_token_has_its_own_reason() {
    for (status, body, reason, remedy) in [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Invalid email or User ID"}"#,
            Reason::Credentials,
            "subject",
        ),
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
            Reason::Credentials,
            "new key",
        ),
        (
            401,
            r#"{"error":"unauthorized_client","error_description":"x"}"#,
            Reason::Delegation,
            "Domain-wide delegation",
        ),
        (400, r#"{"error":"invalid_scope"}"#, Reason::ScopeMissing, "meetings.space.readonly"),
        (503, "<html>busy</html>", Reason::Malformed, "proxy"),
        (200, "{}", Reason::Malformed, "proxy"),
    ] {
        let bench = delegated().await;
        bench.fake.will_grant([json(status, body)]);
        let error = bench.get().await.unwrap_err();
        assert_eq!(error.reason, reason, "{body}");
        assert!(error.remedy.contains(remedy), "{body}: {}", error.remedy);
        assert!(bench.fake.asked().is_empty());
        let down = matches!(reason, Reason::Credentials | Reason::Delegation | Reason::ScopeMissing);
        assert_eq!(bench.status.read().identities["me"].up, down.then_some(false), "{body}");
    }
}

#[tokio::test]
async fn a_failing_identity_does_not_request_a_token_at_each_read() {
    let bench = delegated().await;
    bench.fake.will_grant([json(401, r#"{"error":"unauthorized_client"}"#), token("never")]);
    for _ in 0..5 {
        assert_eq!(bench.get().await.unwrap_err().reason, Reason::Delegation);
    }
    assert_eq!(bench.fake.tokens_asked().len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let bench = delegated().await;
    bench.fake.will_grant([token("T-1"), token("T-2")]);
    bench.fake.will([error(401, "UNAUTHENTICATED", ""), json(200, CONFERENCE), json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    bench.get().await.unwrap();
    let bearers: Vec<_> = bench.fake.asked().into_iter().filter_map(|asked| asked.authorization).collect();
    assert_eq!(bearers, ["Bearer T-1", "Bearer T-2", "Bearer T-2"]);
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_fails_the_read() {
    let bench = delegated().await;
    bench.fake.will_grant([token("T-1"), token("T-2"), token("never")]);
    bench.fake.will(std::iter::repeat_n(error(401, "UNAUTHENTICATED", ""), 9));
    assert_eq!(bench.get().await.unwrap_err().reason, Reason::Unauthenticated);
    assert_eq!((bench.fake.asked().len(), bench.fake.tokens_asked().len()), (2, 2));
    assert_eq!(bench.get().await.unwrap_err().reason, Reason::Unauthenticated);
    assert_eq!(bench.fake.tokens_asked().len(), 2, "the next read does not ask for another one right away");
    assert_eq!(bench.status.read().identities["me"].reason, Some("unauthenticated"));
}

#[tokio::test]
async fn an_access_token_file_is_read_at_each_use() {
    let bench = Bench::new().await;
    bench.fake.will([json(200, CONFERENCE), json(200, CONFERENCE), error(401, "UNAUTHENTICATED", "")]);
    bench.get().await.unwrap();
    std::fs::write(bench.path("access"), "T-9\n").unwrap();
    bench.get().await.unwrap();
    assert_eq!(bench.fake.asked()[1].authorization.as_deref(), Some("Bearer T-9"));
    assert_eq!(bench.get().await.unwrap_err().reason, Reason::Unauthenticated);
    assert_eq!(bench.fake.asked().len(), 3, "the same token is not tried again");
    std::fs::remove_file(bench.path("access")).unwrap();
    let error = bench.get().await.unwrap_err();
    assert_eq!((error.reason, error.detail.as_str()), (Reason::Credentials, "the credentials file does not exist"));
}

#[tokio::test]
async fn a_consent_is_refreshed_and_a_rotated_token_is_stored() {
    let bench = user().await;
    let rotated = r#"{"access_token":"T-1","expires_in":3599,"refresh_token":"R-2",
        "scope":"https://www.googleapis.com/auth/meetings.space.readonly openid"}"#;
    bench.fake.will_grant([json(200, rotated), token("T-2")]);
    bench.fake.will([json(200, CONFERENCE), error(401, "UNAUTHENTICATED", ""), json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    bench.get().await.unwrap();
    let asked = bench.fake.tokens_asked();
    assert_eq!([0, 1].map(|n| form(&asked[n].body, "refresh_token")), ["R-1", "R-2"]);
    assert_eq!(form(&asked[0].body, "grant_type"), "refresh_token");
    assert_eq!(StoredToken::load(&bench.path("token.json")).unwrap().refresh_token, "R-2");
}

#[tokio::test]
async fn a_revoked_consent_and_a_missing_scope_have_different_reasons() {
    let narrow = r#"{"access_token":"T","expires_in":3599,"scope":"openid"}"#;
    for (reply, reason, remedy) in [
        (
            json(400, r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#),
            Reason::Credentials,
            "meetwatch login",
        ),
        (json(401, r#"{"error":"deleted_client"}"#), Reason::Credentials, "OAuth client"),
        (json(200, narrow), Reason::ScopeMissing, "meetings.space.readonly"),
    ] {
        let bench = user().await;
        bench.fake.will_grant([reply]);
        let error = bench.get().await.unwrap_err();
        assert_eq!(error.reason, reason);
        assert!(error.remedy.contains(remedy), "{}", error.remedy);
    }
    let bench = user().await;
    let people = Read::People(vec![UserName::parse("users/1").unwrap()]);
    assert_eq!(bench.read(people).await.unwrap_err().reason, Reason::ScopeMissing);
    assert!(bench.fake.tokens_asked().is_empty(), "what was not agreed to is not asked for");
}

#[tokio::test]
async fn a_failing_token_endpoint_is_retried_and_a_hanging_one_times_out() {
    let bench = user().await;
    bench.fake.will_grant([Reply::Close]);
    assert_eq!(bench.get().await.unwrap_err().reason, Reason::Network);
    let bench = Bench::with(|google, _| google.token_timeout = std::time::Duration::from_millis(50), consented).await;
    bench.fake.will_grant([Reply::Stall(vec![])]);
    assert_eq!(bench.get().await.unwrap_err().reason, Reason::Timeout);
}

#[tokio::test]
async fn default_credentials_may_be_a_users_own_file() {
    let bench = Bench::with(
        |_, _| {},
        |fake, folder| {
            let file = object!({
                "type": "authorized_user", "client_id": "id", "client_secret": "hush", "refresh_token": "R-1",
                "token_uri": fake.url("/token"),
            });
            Credentials::ApplicationDefault { file: Some(written(folder, "adc.json", &file.to_string())) }
        },
    )
    .await;
    bench.fake.will_grant([token("T-1")]);
    bench.fake.will([json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    assert_eq!(bench.fake.asked()[0].authorization.as_deref(), Some("Bearer T-1"));
}

#[tokio::test]
async fn the_error_for_an_unusable_key_says_what_is_wrong_with_it() {
    let bench = delegated().await;
    let key = std::fs::read_to_string(bench.path("key.json")).unwrap();
    let begin = "BEGIN PRIVATE KEY-----\\n";
    let broken = key.replace(begin, &format!("{begin}AAAA"));
    assert_ne!(broken, key);
    for (text, detail) in [
        ("not a key", "the credentials file is not JSON"),
        (broken.as_str(), "the private key in the key file cannot be used"),
    ] {
        let bench = delegated().await;
        std::fs::write(bench.path("key.json"), text).unwrap();
        let error = bench.get().await.unwrap_err();
        assert_eq!((error.reason, error.detail.as_str()), (Reason::Credentials, detail));
    }
}

#[tokio::test]
async fn a_replaced_key_file_is_used_without_a_restart() {
    let bench = delegated().await;
    bench.fake.will_grant([token("T-1"), token("T-2")]);
    bench.fake.will([json(200, CONFERENCE), error(401, "UNAUTHENTICATED", ""), json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    let key = std::fs::read_to_string(bench.path("key.json")).unwrap();
    std::fs::write(bench.path("key.json"), key.replace("robot@", "android@")).unwrap();
    bench.get().await.unwrap();
    let issuers = bench.fake.tokens_asked();
    let issuer = |n: usize| claims(&form(&issuers[n].body, "assertion"))["iss"].clone();
    assert_eq!([issuer(0), issuer(1)], ["robot@project.example", "android@project.example"]);
}

#[tokio::test]
async fn with_a_proxy_every_request_goes_through_it() {
    let bench = Bench::with(
        |google, fake| {
            google.endpoint = "http://meet.invalid/".parse().unwrap();
            google.proxy = Some(fake.url("/").parse().unwrap());
        },
        |fake, folder| {
            let key = key_file(fake, folder);
            let text = std::fs::read_to_string(&key).unwrap();
            std::fs::write(&key, text.replace(&fake.url("/token"), "http://oauth.invalid:81/token")).unwrap();
            Credentials::ServiceAccount { key, subject: None }
        },
    )
    .await;
    bench.fake.will_grant([token("T-1")]);
    bench.fake.will([json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    assert_eq!(bench.fake.tunnels(), ["oauth.invalid:81"]);
    assert_eq!(bench.fake.asked()[0].path, "http://meet.invalid/v2/conferenceRecords/c");
}
