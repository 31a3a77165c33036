//! Google's Python clients read the simulator, and what they read agrees with the world.

use std::path::Path;
use std::process::Stdio;

use jiff::Timestamp;
use meetwatch::sim::api::ApiSettings;
use meetwatch::sim::world::WorldSettings;
use meetwatch::sim::{Settings, Simulator, Time, World};
use serde_json::json;
use tokio::io::AsyncWriteExt;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/meet_clients.py");
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");

fn expected(world: &World) -> serde_json::Value {
    let text = |time: Option<Timestamp>| time.map(|time| time.as_nanosecond().to_string());
    json!({
        "conferences": world.conferences().map(|c| json!([c.conference, text(Some(c.start)), text(c.end)])).collect::<Vec<_>>(),
        "participants": world.participants().map(|p| json!([
            p.participant, p.kind.as_str(), p.display_name, text(Some(p.earliest_start)), text(p.latest_end), p.email,
        ])).collect::<Vec<_>>(),
        "sessions": world.sessions().map(|s| json!([s.session, text(Some(s.start)), text(s.end)])).collect::<Vec<_>>(),
        "spaces": world.spaces().map(|(key, space)| json!([
            space.name, space.code, world.live_in(key).map(|live| live.name.clone()),
        ])).collect::<Vec<_>>(),
    })
}

#[tokio::test]
#[ignore = "needs Python with google-apps-meet and google-api-python-client"]
async fn googles_python_clients_read_the_whole_world_and_agree_with_it() {
    let start: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let now: Timestamp = "2026-01-05T10:02:00Z".parse().unwrap();
    let settings = WorldSettings { speed: 15.0, conferences: 3, people: 8, ..WorldSettings::starting(start, 21) };
    let mut world = World::new(settings);
    world.step(now);
    let expected = expected(&world);
    let api = ApiSettings { max_page: Some(4), ..ApiSettings::default() };
    let sim =
        Simulator::start(Settings { api, time: Time::from_fn(move || now), ..Settings::new(world) }).await.unwrap();

    let python = if Path::new(VENV).exists() { VENV } else { "python3" };
    let mut child = tokio::process::Command::new(python)
        .args([SCRIPT, sim.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(expected.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let output =
        tokio::time::timeout(std::time::Duration::from_secs(120), child.wait_with_output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    for client in ["google-apps-meet", "google-api-python-client"] {
        assert!(printed.contains(&format!("{client}: agrees")), "{printed}");
    }
    sim.stop().await;
}
