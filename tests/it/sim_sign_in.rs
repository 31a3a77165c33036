//! Authentication end to end: the library that signs in to Google signs in to the simulator.

use meetwatch::sim::api::ApiSettings;
use meetwatch::sim::api::GoogleMethod;
use meetwatch::sim::faults::{Fault, Rule, When};
use meetwatch::sim::world::SimPerson;
use meetwatch::sim::{Running, Settings, Simulator, Time, World};
use yup_oauth2::{ServiceAccountAuthenticator, ServiceAccountKey};

const MEET: &str = "https://www.googleapis.com/auth/meetings.space.readonly";
const PEOPLE: &str = "https://www.googleapis.com/auth/directory.readonly";

async fn with_authentication(delegated_scopes: Option<Vec<String>>) -> Running {
    let start = Time::default().now();
    let mut world = World::empty(1, start);
    let ada = world.add_person(SimPerson::signed_in("Ada", "ada@example.com"));
    let space = world.add_space(Some(ada)).unwrap();
    world.join(space, ada, "laptop", start).unwrap();
    let other = world.add_space(None).unwrap();
    world.start(other, start).unwrap();
    let api = ApiSettings { require_auth: true, delegated_scopes, ..ApiSettings::default() };
    Simulator::start(Settings { api, ..Settings::new(world) }).await.unwrap()
}

async fn token(sim: &Running, subject: Option<&str>, scope: &str) -> Result<String, String> {
    let key: ServiceAccountKey = serde_json::from_value(sim.service_account_key().unwrap()).unwrap();
    let builder = ServiceAccountAuthenticator::builder(key);
    let builder = match subject {
        Some(subject) => builder.subject(subject),
        None => builder,
    };
    let token = builder.build().await.unwrap().token(&[scope]).await.map_err(|error| error.to_string())?;
    Ok(token.token().unwrap().to_owned())
}

async fn records(sim: &Running, token: &str) -> (u16, usize) {
    let url = format!("{}/v2/conferenceRecords", sim.url());
    let response = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    let status = response.status().as_u16();
    let body: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (status, body["conferenceRecords"].as_array().map_or(0, Vec::len))
}

#[tokio::test]
async fn a_service_account_with_a_subject_sees_what_the_subject_organizes() {
    let sim = with_authentication(None).await;
    let ada = token(&sim, Some("ada@example.com"), MEET).await.unwrap();
    assert_eq!(records(&sim, &ada).await, (200, 1));
    let itself = token(&sim, None, MEET).await.unwrap();
    assert_eq!(records(&sim, &itself).await, (200, 0));
    assert_eq!(records(&sim, "ya29.made-up").await, (401, 0));
    let people = token(&sim, Some("ada@example.com"), PEOPLE).await.unwrap();
    assert_eq!(records(&sim, &people).await, (403, 0));
    sim.stop().await;
}

#[tokio::test]
async fn an_undelegated_scope_and_an_unknown_subject_are_refused_with_googles_errors() {
    let sim = with_authentication(Some(vec![MEET.to_owned()])).await;
    assert!(token(&sim, Some("ada@example.com"), MEET).await.is_ok());
    let people = token(&sim, Some("ada@example.com"), PEOPLE).await.unwrap_err();
    assert!(people.contains("unauthorized_client") || people.contains("unauthorized to retrieve"), "{people}");
    let unknown = token(&sim, Some("nobody@example.com"), MEET).await.unwrap_err();
    assert!(unknown.contains("Invalid email or User ID"), "{unknown}");
    sim.with(|api, _| {
        let revoked = Fault::OAuth("invalid_grant", "Invalid JWT Signature.");
        api.faults.add(Rule::new(revoked).on(&[GoogleMethod::Token]).when(When::Always));
    });
    assert!(token(&sim, Some("ada@example.com"), MEET).await.unwrap_err().contains("Invalid JWT Signature"));
    sim.stop().await;
}

#[tokio::test]
async fn an_invalid_assertion_or_one_signed_by_another_key_is_refused() {
    let sim = with_authentication(None).await;
    let other = with_authentication(None).await;
    let mut key = other.service_account_key().unwrap();
    key["token_uri"] = format!("{}/token", sim.url()).into();
    sim.service_account_key().unwrap();
    let key: ServiceAccountKey = serde_json::from_value(key).unwrap();
    let authenticator = ServiceAccountAuthenticator::builder(key).subject("ada@example.com").build().await.unwrap();
    assert!(authenticator.token(&[MEET]).await.is_err());
    for assertion in ["", "a.b.c", "e30.e30.e30"] {
        let form = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
        let reply = reqwest::Client::new().post(format!("{}/token", sim.url())).body(form).send().await.unwrap();
        assert_eq!(reply.status(), 400);
    }
    sim.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_user_consents_in_the_browser_and_the_refresh_token_stays_valid() {
    let sim = with_authentication(None).await;
    let secret = sim.with(|api, _| api.client_secret());
    let installed = |key: &str| secret["installed"][key].as_str().unwrap().to_owned();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    // The example challenge of RFC 7636, and its verifier.
    let page = format!(
        "{}?client_id={}&response_type=code&scope={MEET}&state=s%201&redirect_uri=http://127.0.0.1:9/back\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
        installed("auth_uri"),
        installed("client_id"),
    );
    let redirect = client.get(&page).send().await.unwrap();
    assert_eq!(redirect.status(), 302);
    let back = reqwest::Url::parse(redirect.headers()["location"].to_str().unwrap()).unwrap();
    let answer = |name: &str| back.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    assert_eq!((back.port(), answer("state").as_str()), (Some(9), "s 1"));

    let exchange = async |fields: &[(&str, &str)]| {
        let mut form: Vec<(&str, String)> = fields.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        form.push(("client_id", installed("client_id")));
        form.push(("client_secret", installed("client_secret")));
        let query = reqwest::Url::parse_with_params("http://x/", &form).unwrap().query().unwrap().to_owned();
        let reply = client.post(installed("token_uri")).body(query).send().await.unwrap();
        serde_json::from_slice::<serde_json::Value>(&reply.bytes().await.unwrap()).unwrap()
    };
    let code = answer("code");
    let fields = |verifier| {
        [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", "http://127.0.0.1:9/back"),
            ("code_verifier", verifier),
        ]
    };
    let granted = exchange(&fields("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")).await;
    assert_eq!(granted["scope"], MEET);
    assert_eq!(records(&sim, granted["access_token"].as_str().unwrap()).await, (200, 1));
    assert_eq!(exchange(&fields("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")).await["error"], "invalid_grant");

    sim.with(|api, _| api.revoke_tokens());
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", granted["refresh_token"].as_str().unwrap())];
    let refreshed = exchange(&refresh).await;
    assert_eq!(records(&sim, refreshed["access_token"].as_str().unwrap()).await, (200, 1));
    let unknown = exchange(&[("grant_type", "refresh_token"), ("refresh_token", "1//no")]).await;
    assert_eq!(unknown["error"], "invalid_grant");

    let elsewhere = page.replace("http://127.0.0.1:9/back", "https://evil.example/");
    assert_eq!(client.get(elsewhere).send().await.unwrap().status(), 400);
    sim.stop().await;
}
