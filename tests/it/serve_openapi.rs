//! The OpenAPI document is true: what it describes is served and nothing else, and a live daemon's answers are as it says.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Registry;
use meetwatch::model::EventType;
use meetwatch::sim::world::SimPerson;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::house::House;

pub(crate) const OPENAPI: &str = include_str!("../../docs/openapi.json");
pub(crate) const EVENT: &str = include_str!("../../docs/event.schema.json");
const ROUTES: &str = include_str!("../../src/serve/routes.rs");

/// Where the document would lie, so that what it refers to has a name.
const PLACE: &str = "https://meetwatch.invalid/openapi.json";

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// What is described: the methods of each path.
pub(crate) fn described() -> BTreeMap<String, BTreeSet<Method>> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let methods = |operations: &Value| {
        operations.as_object().unwrap().keys().map(|method| method.to_uppercase().parse().unwrap()).collect()
    };
    paths.iter().map(|(path, operations)| (path.clone(), methods(operations))).collect()
}

/// The document, and answers held to it.
struct Judge {
    document: Value,
    registry: Registry<'static>,
    /// Which answers came up, by operation.
    seen: BTreeMap<String, BTreeSet<u16>>,
}

impl Judge {
    fn new() -> Self {
        let event: Value = serde_json::from_str(EVENT).unwrap();
        let registry = Registry::new().add(PLACE, document()).unwrap();
        let registry = registry.add(PLACE.replace("openapi", "event.schema"), event).unwrap().prepare().unwrap();
        Self { document: document(), registry, seen: BTreeMap::new() }
    }

    /// What the document says of an answer: where, and with references followed.
    fn said(&self, method: &Method, template: &str, status: u16) -> (String, &Value) {
        let of = |text: &str| text.replace('~', "~0").replace('/', "~1");
        let pointer = format!("/paths/{}/{}/responses/{status}", of(template), method.as_str().to_lowercase());
        let answer = self.document.pointer(&pointer);
        let answer = answer.unwrap_or_else(|| panic!("{method} {template} has an answer {status}, and no word of it"));
        match answer["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap();
                (pointer.to_owned(), self.document.pointer(pointer).unwrap())
            }
            None => (pointer, answer),
        }
    }

    fn hold(&mut self, method: &Method, template: &str, status: u16, kind: &str, body: &str) {
        let (pointer, answer) = self.said(method, template, status);
        let (media, _) = answer["content"].as_object().unwrap().iter().next().unwrap();
        assert!(kind.starts_with(media.as_str()), "{method} {template} {status}: {kind} instead of {media}");
        if media == "application/json" {
            let pointer = pointer.replace('{', "%7B").replace('}', "%7D");
            let at = format!("{PLACE}#{pointer}/content/application~1json/schema");
            let options = jsonschema::options().with_registry(&self.registry).should_validate_formats(true);
            let validator = options.build(&json!({"$ref": at})).unwrap();
            let body: Value = serde_json::from_str(body).unwrap();
            let wrong: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{method} {template} {status}: {wrong:?}\n{body:#}");
        }
        self.seen.entry(format!("{method} {template}")).or_default().insert(status);
    }
}

/// A daemon to be asked, and who judges its answers.
struct Asked<'h> {
    house: &'h House,
    judge: Judge,
    client: Client,
    token: String,
}

impl<'h> Asked<'h> {
    fn new(house: &'h House) -> Self {
        let token = std::fs::read_to_string(house.path("meetwatch.db.token")).unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { house, judge: Judge::new(), client, token: token.trim().to_owned() }
    }

    /// Asks for a described path with this in place of what is no constant of it, and this behind it.
    async fn ask(&mut self, what: &str, fill: &str, query: &str, body: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let (method, template) = what.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let path = match template.split_once('{') {
            Some((before, rest)) => format!("{before}{fill}{}", rest.split_once('}').unwrap().1),
            None => template.to_owned(),
        };
        let url = format!("http://{}{path}{query}", self.house.address());
        let mut request = self.client.request(method.clone(), url).body(body.to_owned());
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.bearer_auth(&self.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let body = answer.text().await.unwrap();
        self.judge.hold(&method, template, status, &kind, &body);
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// Asks for what is there.
    async fn get(&mut self, template: &str, fill: &str, query: &str) -> Value {
        let (status, answer) = self.ask(&format!("GET {template}"), fill, query, "", &[]).await;
        assert_eq!(status, 200, "{template} {fill} {query}: {answer}");
        answer
    }

    async fn is(&mut self, status: u16, what: &str, fill: &str, query: &str, body: &str) {
        let (got, answer) = self.ask(what, fill, query, body, &[]).await;
        assert_eq!(got, status, "{what} {fill} {query} {body}: {answer}");
    }
}

#[test]
fn what_is_routed_is_described_and_the_other_way_round() {
    let code = ROUTES.split("#[cfg(test)]").next().unwrap();
    let routes = code.split(".route(").skip(1).map(|rest| {
        let path = rest.split('"').nth(1).unwrap().to_owned();
        let call = rest.split_once("\", ").unwrap().1;
        let method = call.split('(').next().unwrap().to_uppercase().parse::<Method>().unwrap();
        assert!(!call.split(")\n").next().unwrap().contains(")."), "{path} has several methods; read them all here");
        (path, BTreeSet::from([method]))
    });
    let routed: BTreeMap<_, _> = routes.collect();
    assert!(routed.len() > 15);
    assert_eq!(described(), routed);
}

#[test]
fn each_operation_has_a_name_of_its_own_and_each_reference_leads_somewhere() {
    let (document, event) = (document(), serde_json::from_str::<Value>(EVENT).unwrap());
    jsonschema::meta::validate(&event).unwrap();
    let mut names = BTreeSet::new();
    for operation in document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{operation:#}");
    }
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        jsonschema::meta::validate(schema).unwrap();
    }
    let mut left = vec![&document];
    let mut used = BTreeSet::new();
    while let Some(value) = left.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#');
            assert!(
                pointer.map_or(reference == "event.schema.json", |at| document.pointer(at).is_some()),
                "{reference}"
            );
            used.insert(reference);
        }
        match value {
            Value::Object(fields) => left.extend(fields.values()),
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    for kind in ["schemas", "responses", "parameters"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(used.contains(format!("#/components/{kind}/{name}").as_str()), "nobody refers to {kind}/{name}");
        }
    }
}

#[tokio::test]
async fn no_path_takes_a_method_that_is_not_described() {
    let mut house = House::new().await;
    let asked = Asked::new(&house);
    for (path, methods) in described() {
        let url = format!("http://{}{}", house.address(), path.replace(['{', '}'], ""));
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let method: Method = method.parse().unwrap();
            if methods.contains(&method) {
                continue;
            }
            let answer = asked.client.request(method.clone(), &url).bearer_auth(&asked.token).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            let allowed = answer.headers()["allow"].to_str().unwrap().split(',');
            let allowed: BTreeSet<Method> = allowed.map(|name| name.trim().parse().unwrap()).collect();
            let head = methods.contains(&Method::GET).then_some(Method::HEAD);
            assert_eq!(allowed, methods.iter().cloned().chain(head).collect(), "{path}");
        }
    }
    house.stop().await;
}

/// A house in which something has happened.
pub(crate) async fn lived_in() -> House {
    let house = House::new().await;
    let (ada, bo) =
        (house.person(SimPerson::signed_in("Ada", "ada@example.com")), house.person(SimPerson::anonymous("Bo")));
    house.join(ada, "laptop");
    house.join(bo, "laptop");
    house.until_told(EventType::ParticipantJoined, 2).await;
    house.end();
    house.until_told(EventType::ConferenceEnded, 1).await;
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 3).await;
    house
}

#[tokio::test]
async fn the_answers_of_a_live_daemon_are_as_the_document_says() {
    let mut house = lived_in().await;
    let told = house.log().await.len();
    let mut asked = Asked::new(&house);
    for path in ["/livez", "/readyz", "/api/v1/status", "/api/v1/endpoints", "/api/v1/conferences"] {
        asked.get(path, "", "").await;
    }
    asked.get("/metrics", "", "").await;
    asked.get("/readyz", "", "?verbose").await;
    assert_eq!(asked.get("/api/v1/openapi.json", "", "").await, document());
    assert_eq!(asked.get("/api/v1/event.schema.json", "", "").await["title"], "An event of meetwatch, schema 1");
    let log = asked.get("/api/v1/events", "", "?limit=1000").await;
    assert!(log["events"].as_array().unwrap().len() >= told);
    let conferences = asked.get("/api/v1/conferences", "", "").await;
    let live = conferences["conferences"].as_array().unwrap().iter().find(|one| one["phase"] == "live").unwrap();
    let id = live["name"].as_str().unwrap().split('/').nth(1).unwrap();
    let attended = asked.get("/api/v1/conferenceRecords/{id}/attendance", id, "").await;
    assert_eq!(attended["participants"][0]["last_leave"], Value::Null);
    let all = "?target=board&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";
    assert_eq!(asked.get("/api/v1/attendance", "", all).await["conferences"].as_array().unwrap().len(), 2);
    let page = asked.get("/api/v1/deliveries", "", "?state=done&state=pending&state=leased&limit=2").await;
    let delivery = page["deliveries"][0]["id"].to_string();
    asked.get("/api/v1/deliveries", "", &format!("?before={}", page["next"])).await;
    asked.get("/api/v1/deliveries/{id}", &delivery, "").await;
    asked.get("/api/v1/endpoints/{name}/skipped", "ops", "").await;

    let [replay, enable] = ["POST /api/v1/deliveries/replay", "POST /api/v1/endpoints/{name}/enable"];
    let [disable, test] = ["POST /api/v1/endpoints/{name}/disable", "POST /api/v1/endpoints/{name}/test"];
    let [forget, reload, remove] = ["POST /api/v1/forget", "POST /-/reload", "DELETE /api/v1/endpoints/{name}"];
    asked.is(200, test, "ops", "", "").await;
    asked.is(200, disable, "ops", "", "{}").await;
    asked.is(200, replay, "", "", &format!("{{\"delivery\": {delivery}}}")).await;
    asked.is(200, replay, "", "", r#"{"endpoint": "ops", "dead": true}"#).await;
    asked.is(200, enable, "ops", "", r#"{"from": "now"}"#).await;
    asked.get("/api/v1/endpoints/{name}/skipped", "ops", "").await;
    asked.is(200, enable, "ops", "", "{}").await;
    asked.is(200, forget, "", "", r#"{"who": "users/nobody", "dry_run": true}"#).await;

    // What is refused.
    for (path, methods) in described() {
        for method in methods {
            let what = format!("{method} {path}");
            if path.starts_with("/api/") {
                let wrong = [("authorization", "Bearer no")];
                assert_eq!(asked.ask(&what, "x", "", "", &wrong).await.0, 401, "{what}");
                assert_eq!(asked.ask(&what, "x", "", "", &[("host", "evil.example")]).await.0, 403, "{what}");
                asked.is(400, &what, "ops", "?what=1", "").await;
                asked.is(413, &what, "ops", "", &"x".repeat(20_000)).await;
            }
            if path.contains('{') && path.contains("endpoints") {
                asked.is(404, &what, "nobody", "", "").await;
                asked.is(404, &what, "no%20name", "", "").await;
                asked.is(400, &what, "%ff", "", "").await;
            }
        }
    }
    asked.is(400, "GET /api/v1/attendance", "", "", "").await;
    asked.is(404, "GET /api/v1/conferenceRecords/{id}/attendance", "nobody", "", "").await;
    asked.is(404, "GET /api/v1/deliveries/{id}", "-1", "", "").await;
    asked.is(404, forget, "", "", r#"{"who": "x@y", "dry_run": true}"#).await;
    asked.is(409, remove, "ops", "", "").await;

    // Another configuration, which names the endpoint no more; and one that is none.
    let file = house.path("meetwatch.toml");
    std::fs::write(&file, house.config().replace("name = \"ops\"", "name = \"other\"")).unwrap();
    asked.is(200, reload, "", "", "").await;
    asked.get("/api/v1/endpoints", "", "").await;
    asked.is(200, remove, "ops", "", "").await;
    std::fs::write(&file, "wat").unwrap();
    asked.is(422, reload, "", "", "").await;

    for (path, methods) in described() {
        for method in methods {
            let what = format!("{method} {path}");
            assert!(asked.judge.seen.get(&what).is_some_and(|seen| seen.contains(&200)), "{what} was never well");
        }
    }
    house.stop().await;
}
