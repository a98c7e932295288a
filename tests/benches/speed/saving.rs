//! From a saved file to the answer that shows it.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use skillmeat_proto::v1;
use skillmeat_proto::v1::artifact_service_client::ArtifactServiceClient as Artifacts;

use skillmeat_tests::bench::daemon::{Daemon, Home};
use skillmeat_tests::bench::table::{Samples, Table};

/// Files that are saved, each in an artifact of its own.
const SAVES: usize = 120;

/// The rest between two questions.
const REST: Duration = Duration::from_millis(1);

/// Longer than any change may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Saves files as an editor does, in place, and asks until the new description is served.
pub(crate) fn measure(home: &Home, daemon: &Daemon, table: &mut Table) {
    let mut client = Artifacts::new(daemon.rpc.channel());
    let request = v1::ListArtifactsRequest {
        page_size: u32::try_from(SAVES).unwrap(),
        kinds: vec!["skill".to_owned()],
        ..Default::default()
    };
    let skills = daemon
        .wait(client.list(request))
        .unwrap()
        .into_inner()
        .artifacts;
    let mut times = Vec::new();
    for skill in skills {
        let file = home.collection().join(&skill.path).join("SKILL.md");
        let wanted = format!("Saved anew as {}.", skill.name);
        let text = format!(
            "---\nname: {}\ndescription: {wanted}\n---\n# New\n",
            skill.name
        );
        let start = Instant::now();
        File::create(&file)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        loop {
            let artifact = Some(v1::ArtifactRef {
                kind: "skill".to_owned(),
                name: skill.name.clone(),
            });
            let request = v1::ShowArtifactRequest {
                artifact,
                ..Default::default()
            };
            let shown = daemon.wait(client.show(request)).unwrap().into_inner();
            let summary = shown.artifact.and_then(|artifact| artifact.summary);
            if summary.and_then(|summary| summary.description).as_ref() == Some(&wanted) {
                break;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{} is never served",
                file.display()
            );
            std::thread::park_timeout(REST);
        }
        times.push(start.elapsed());
    }
    let samples = Samples::new(times);
    table.time(
        "a file is saved, the new value is served, p50",
        samples.p50(),
        Duration::from_millis(120),
    );
    table.time(
        "a file is saved, the new value is served, p99",
        samples.p99(),
        Duration::from_millis(300),
    );
}
