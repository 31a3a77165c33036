//! The OpenAPI document is true: it describes exactly the paths that are routed, and the responses of a running daemon match it.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Registry;
use meetwatch::model::EventType;
use meetwatch::sim::world::SimPerson;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::architecture::{read, rust_files_under};
use crate::house::House;

pub(crate) const OPENAPI: &str = include_str!("../../docs/openapi.json");
pub(crate) const EVENT: &str = include_str!("../../docs/event.schema.json");

/// A base URL for the document, so that its references resolve.
const BASE_URL: &str = "https://meetwatch.invalid/openapi.json";

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// The documented methods of each path.
pub(crate) fn described() -> BTreeMap<String, BTreeSet<Method>> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let methods = |operations: &Value| {
        operations.as_object().unwrap().keys().map(|method| method.to_uppercase().parse().unwrap()).collect()
    };
    paths.iter().map(|(path, operations)| (path.clone(), methods(operations))).collect()
}

/// Checks responses against the document.
struct ResponseValidator {
    document: Value,
    registry: Registry<'static>,
    /// The statuses that were returned, by operation.
    seen: BTreeMap<String, BTreeSet<u16>>,
}

impl ResponseValidator {
    fn new() -> Self {
        let event: Value = serde_json::from_str(EVENT).unwrap();
        let registry = Registry::new().add(BASE_URL, document()).unwrap();
        let registry = registry.add(BASE_URL.replace("openapi", "event.schema"), event).unwrap().prepare().unwrap();
        Self { document: document(), registry, seen: BTreeMap::new() }
    }

    /// Returns the documented response for a status and its JSON pointer, with references resolved.
    fn documented(&self, method: &Method, template: &str, status: u16) -> (String, &Value) {
        let escaped = |text: &str| text.replace('~', "~0").replace('/', "~1");
        let pointer = format!("/paths/{}/{}/responses/{status}", escaped(template), method.as_str().to_lowercase());
        let answer = self.document.pointer(&pointer);
        let answer = answer.unwrap_or_else(|| panic!("{method} {template} returned {status}, which is not documented"));
        match answer["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap();
                (pointer.to_owned(), self.document.pointer(pointer).unwrap())
            }
            None => (pointer, answer),
        }
    }

    fn check(&mut self, method: &Method, template: &str, status: u16, kind: &str, body: &str) {
        let (pointer, answer) = self.documented(method, template, status);
        let (media, _) = answer["content"].as_object().unwrap().iter().next().unwrap();
        assert!(kind.starts_with(media.as_str()), "{method} {template} {status}: {kind} instead of {media}");
        if media == "application/json" {
            let pointer = pointer.replace('{', "%7B").replace('}', "%7D");
            let at = format!("{BASE_URL}#{pointer}/content/application~1json/schema");
            let options = jsonschema::options().with_registry(&self.registry).should_validate_formats(true);
            let validator = options.build(&json!({"$ref": at})).unwrap();
            let body: Value = serde_json::from_str(body).unwrap();
            let wrong: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{method} {template} {status}: {wrong:?}\n{body:#}");
        }
        self.seen.entry(format!("{method} {template}")).or_default().insert(status);
    }
}

/// A client of a running daemon that checks every response against the document.
struct CheckedClient<'h> {
    house: &'h House,
    validator: ResponseValidator,
    client: Client,
    token: String,
}

impl<'h> CheckedClient<'h> {
    fn new(house: &'h House) -> Self {
        let token = std::fs::read_to_string(house.path("meetwatch.db.token")).unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { house, validator: ResponseValidator::new(), client, token: token.trim().to_owned() }
    }

    /// Sends a request to a documented path, with `fill` for its variable segment.
    async fn send(
        &mut self,
        operation: &str,
        fill: &str,
        query: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let (method, template) = operation.split_once(' ').unwrap();
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
        self.validator.check(&method, template, status, &kind, &body);
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// Sends a GET request that must succeed.
    async fn get(&mut self, template: &str, fill: &str, query: &str) -> Value {
        let (status, answer) = self.send(&format!("GET {template}"), fill, query, "", &[]).await;
        assert_eq!(status, 200, "{template} {fill} {query}: {answer}");
        answer
    }

    async fn expect(&mut self, status: u16, operation: &str, fill: &str, query: &str, body: &str) {
        let (got, answer) = self.send(operation, fill, query, body, &[]).await;
        assert_eq!(got, status, "{operation} {fill} {query} {body}: {answer}");
    }
}

#[test]
fn the_document_describes_exactly_the_paths_and_methods_that_are_routed() {
    let mut routed = BTreeMap::new();
    for file in rust_files_under("src/serve") {
        let text = read(&file);
        let code = text.split("#[cfg(test)]").next().unwrap();
        for rest in code.split(".route(").skip(1) {
            let path = rest.split('"').nth(1).unwrap().to_owned();
            let call = rest.split_once("\", ").unwrap().1;
            let method = call.split('(').next().unwrap().to_uppercase().parse::<Method>().unwrap();
            assert!(
                !call.split(")\n").next().unwrap().contains(")."),
                "{path} has several methods; parse them all here"
            );
            assert!(routed.insert(path.clone(), BTreeSet::from([method])).is_none(), "{path} is routed twice");
        }
    }
    assert!(routed.len() > 15);
    assert_eq!(described(), routed);
}

#[test]
fn operation_ids_are_unique_and_references_resolve() {
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
            assert!(used.contains(format!("#/components/{kind}/{name}").as_str()), "{kind}/{name} is not referenced");
        }
    }
}

#[tokio::test]
async fn no_path_accepts_an_undocumented_method() {
    let mut house = House::new().await;
    let client = CheckedClient::new(&house);
    for (path, methods) in described() {
        let url = format!("http://{}{}", house.address(), path.replace(['{', '}'], ""));
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let method: Method = method.parse().unwrap();
            if methods.contains(&method) {
                continue;
            }
            let answer = client.client.request(method.clone(), &url).bearer_auth(&client.token).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            let allowed = answer.headers()["allow"].to_str().unwrap().split(',');
            let allowed: BTreeSet<Method> = allowed.map(|name| name.trim().parse().unwrap()).collect();
            let head = methods.contains(&Method::GET).then_some(Method::HEAD);
            assert_eq!(allowed, methods.iter().cloned().chain(head).collect(), "{path}");
        }
    }
    house.stop().await;
}

/// A daemon with a conference that ended and one that is live.
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
async fn the_responses_of_a_running_daemon_match_the_document() {
    let mut house = lived_in().await;
    let logged = house.log().await.len();
    let mut client = CheckedClient::new(&house);
    for path in ["/livez", "/readyz", "/api/v1/status", "/api/v1/endpoints", "/api/v1/conferences"] {
        client.get(path, "", "").await;
    }
    client.get("/metrics", "", "").await;
    client.get("/readyz", "", "?verbose").await;
    assert_eq!(client.get("/api/v1/openapi.json", "", "").await, document());
    assert_eq!(client.get("/api/v1/event.schema.json", "", "").await["title"], "An event of meetwatch, schema 1");
    let log = client.get("/api/v1/events", "", "?limit=1000").await;
    assert!(log["events"].as_array().unwrap().len() >= logged);
    let conferences = client.get("/api/v1/conferences", "", "").await;
    let live = conferences["conferences"].as_array().unwrap().iter().find(|one| one["phase"] == "live").unwrap();
    let id = live["name"].as_str().unwrap().split('/').nth(1).unwrap();
    let attended = client.get("/api/v1/conferenceRecords/{id}/attendance", id, "").await;
    assert_eq!(attended["participants"][0]["last_leave"], Value::Null);
    let all = "?target=board&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";
    assert_eq!(client.get("/api/v1/attendance", "", all).await["conferences"].as_array().unwrap().len(), 2);
    let page = client.get("/api/v1/deliveries", "", "?state=done&state=pending&state=leased&limit=2").await;
    let delivery = page["deliveries"][0]["id"].to_string();
    client.get("/api/v1/deliveries", "", &format!("?before={}", page["next"])).await;
    client.get("/api/v1/deliveries/{id}", &delivery, "").await;
    client.get("/api/v1/endpoints/{name}/skipped", "ops", "").await;

    let [replay, enable] = ["POST /api/v1/deliveries/replay", "POST /api/v1/endpoints/{name}/enable"];
    let [disable, test] = ["POST /api/v1/endpoints/{name}/disable", "POST /api/v1/endpoints/{name}/test"];
    let [forget, reload, remove] = ["POST /api/v1/forget", "POST /-/reload", "DELETE /api/v1/endpoints/{name}"];
    client.expect(200, test, "ops", "", "").await;
    client.expect(200, disable, "ops", "", "{}").await;
    client.expect(200, replay, "", "", &format!("{{\"delivery\": {delivery}}}")).await;
    client.expect(200, replay, "", "", r#"{"endpoint": "ops", "dead": true}"#).await;
    client.expect(200, enable, "ops", "", r#"{"from": "now"}"#).await;
    client.get("/api/v1/endpoints/{name}/skipped", "ops", "").await;
    client.expect(200, enable, "ops", "", "{}").await;
    client.expect(200, forget, "", "", r#"{"who": "users/nobody", "dry_run": true}"#).await;

    // Requests that are refused.
    for (path, methods) in described() {
        for method in methods {
            let operation = format!("{method} {path}");
            if path.starts_with("/api/") {
                let wrong = [("authorization", "Bearer no")];
                assert_eq!(client.send(&operation, "x", "", "", &wrong).await.0, 401, "{operation}");
                assert_eq!(
                    client.send(&operation, "x", "", "", &[("host", "evil.example")]).await.0,
                    403,
                    "{operation}"
                );
                client.expect(400, &operation, "ops", "?what=1", "").await;
                client.expect(413, &operation, "ops", "", &"x".repeat(20_000)).await;
            }
            if path.contains('{') && path.contains("endpoints") {
                client.expect(404, &operation, "nobody", "", "").await;
                client.expect(404, &operation, "no%20name", "", "").await;
                client.expect(400, &operation, "%ff", "", "").await;
            }
        }
    }
    client.expect(400, "GET /api/v1/attendance", "", "", "").await;
    client.expect(404, "GET /api/v1/conferenceRecords/{id}/attendance", "nobody", "", "").await;
    client.expect(404, "GET /api/v1/deliveries/{id}", "-1", "", "").await;
    client.expect(404, forget, "", "", r#"{"who": "x@y", "dry_run": true}"#).await;
    client.expect(409, remove, "ops", "", "").await;

    // A configuration without the endpoint, and an invalid one.
    let file = house.path("meetwatch.toml");
    std::fs::write(&file, house.config().replace("name = \"ops\"", "name = \"other\"")).unwrap();
    client.expect(200, reload, "", "", "").await;
    client.get("/api/v1/endpoints", "", "").await;
    client.expect(200, remove, "ops", "", "").await;
    std::fs::write(&file, "wat").unwrap();
    client.expect(422, reload, "", "", "").await;

    for (path, methods) in described() {
        for method in methods {
            let operation = format!("{method} {path}");
            assert!(
                client.validator.seen.get(&operation).is_some_and(|seen| seen.contains(&200)),
                "{operation} never returned 200"
            );
        }
    }
    house.stop().await;
}
