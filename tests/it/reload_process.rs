//! A reload by SIGHUP to the real process.

use meetwatch::sim::world::SimPerson;

use crate::kill_daemon::{Scene, becomes_true, write_private};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reloads_the_file_and_an_invalid_one_changes_nothing() {
    let scene = Scene::set(3).await;
    let good = std::fs::read_to_string(&scene.config).unwrap();
    let mut daemon = scene.start(&[]);
    daemon.says("watching").await;
    write_private(&scene.config, &good[..good.len() / 2]);
    daemon.hang_up();
    let line = daemon.says("was not reloaded").await;
    assert!(line.contains("meetwatch.toml"), "{line}");
    write_private(&scene.config, &format!("{good}\n[log]\nlevel = \"debug\"\n").replace("\"all\"", "\"everything\""));
    daemon.hang_up();
    daemon.says("was reloaded").await;
    let (space, guest) = scene
        .simulator
        .with(|api, _| (api.world.add_space(None).unwrap(), api.world.add_person(SimPerson::anonymous("Guest"))));
    scene.simulator.join(space, guest, "laptop").unwrap();
    becomes_true("somebody joined", || scene.count("events WHERE type = 'participant.joined'") == 1).await;
    assert_eq!(scene.count("targets WHERE name = 'everything'"), 1);
    daemon.says("\"delivered\"").await;
    daemon.stop().await;
    assert_eq!(daemon.said("was not reloaded"), 1);
}
