//! Warnings come, tell since when, and go by themselves; whoever watches is told.

use skillmeat_shared::time::Timestamp;
use skillmeat_tests::home::{replace, text, write};
use skillmeat_tests::{Sandbox, until};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

#[test]
fn a_warning_tells_since_when_and_goes_by_itself() {
    let sandbox = Sandbox::initialised();
    sandbox.ready();
    let mut stream = sandbox.stream(&["watch", "--json"]);
    assert_eq!(stream.json()["kind"], "stream.started");
    let manifest = sandbox.collection("default", "collection.toml");
    let good = std::fs::read_to_string(&manifest).unwrap();
    replace(&manifest, format!("{good}oops\n"));
    let told = |word: &'static str| {
        move |event: &serde_json::Value| {
            let detail = event["detail"].as_str().unwrap_or_default();
            event["kind"] == "health.changed"
                && detail.starts_with(word)
                && detail.contains("`collection-broken`")
        }
    };
    drop(stream.json_until(told("error")));
    let first = sandbox.json(&["status"]);
    let warning = &first["warnings"][0];
    assert_eq!(warning["code"], "collection-broken", "{first:#}");
    assert_eq!(warning["subject"], "default");
    let since = Timestamp::parse(&text(&warning["since"])).unwrap();
    let started = text(&first["daemon"]["started_at"]);
    assert!(since >= Timestamp::parse(&started).unwrap());
    let seen = sandbox.run(&["status"]).ok().stdout;
    assert!(seen.contains("(for "), "{seen}");
    // It is one warning for as long as it stands.
    let second = sandbox.json(&["status"]);
    assert_eq!(second["warnings"][0]["since"], warning["since"]);
    replace(&manifest, good);
    drop(stream.json_until(told("mended")));
    assert_eq!(sandbox.json(&["status"])["warnings"], serde_json::json!([]));
}

#[test]
fn the_health_service_says_what_a_daemon_without_its_cache_can_do() {
    let sandbox = Sandbox::initialised();
    sandbox.ready();
    sandbox.stop();
    let database = sandbox.home().cache_dir().join("skillmeatd.db");
    let mut bytes = std::fs::read(&database).unwrap();
    // The schema's number stands at byte 60: a newer program wrote this.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    write(&database, bytes);
    let status = sandbox.status_until("a daemon without its cache", |status| {
        status["daemon"]["state"] == "degraded"
    });
    assert!(
        status["warnings"].to_string().contains("cache-unavailable"),
        "{status:#}"
    );
    assert!(status["artifacts"].is_null() && status["stale"].is_null());
    let seen = sandbox.run(&["status"]).ok().stdout;
    assert!(
        seen.contains("not known") && !seen.contains("stale"),
        "{seen}"
    );
    let rpc = sandbox.rpc();
    let mut health = HealthClient::new(rpc.channel());
    let mut serves = |service: &str| {
        let service = service.to_owned();
        let answer = rpc.wait(health.check(HealthCheckRequest { service }));
        answer.unwrap().into_inner().status() == ServingStatus::Serving
    };
    until("the daemon's own service", || {
        serves("skillmeat.v1.DaemonService").then_some(())
    });
    for service in [
        "",
        "skillmeat.v1.AdoptService",
        "skillmeat.v1.ArtifactService",
        "skillmeat.v1.SearchService",
    ] {
        assert!(!serves(service), "{service}");
    }
    drop(sandbox.run(&["cache", "clear"]).ok());
    for service in ["", "skillmeat.v1.ArtifactService", "skillmeat.v1.DbService"] {
        until("a service that serves again", || {
            serves(service).then_some(())
        });
    }
    sandbox.status_until("no warning", |status| {
        status["warnings"] == serde_json::json!([])
    });
}
