//! The protocol itself: health, reflection, errors, limits, pages.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use skillmeat_proto::v1::artifact_service_client::ArtifactServiceClient;
use skillmeat_proto::v1::search_service_client::SearchServiceClient;
use skillmeat_proto::{status_to_error, v1};
use skillmeat_shared::Code;
use skillmeat_tests::home::{skill, write};
use skillmeat_tests::{Sandbox, daemon, until};
use tokio_stream::StreamExt as _;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const SERVICES: [&str; 7] = [
    "skillmeat.v1.AdoptService",
    "skillmeat.v1.ArtifactService",
    "skillmeat.v1.CacheService",
    "skillmeat.v1.CollectionService",
    "skillmeat.v1.DaemonService",
    "skillmeat.v1.EventService",
    "skillmeat.v1.SearchService",
];

#[test]
fn every_service_is_healthy_when_ready() {
    let sandbox = Sandbox::initialised();
    sandbox.ready();
    let rpc = sandbox.rpc();
    let mut health = HealthClient::new(rpc.channel());
    for service in SERVICES.into_iter().chain([""]) {
        until("a healthy service", || {
            let request = HealthCheckRequest {
                service: service.to_owned(),
            };
            let answer = rpc.wait(health.check(request)).unwrap().into_inner();
            (answer.status() == ServingStatus::Serving).then_some(())
        });
    }
    let nobody = HealthCheckRequest {
        service: "skillmeat.v1.Nobody".to_owned(),
    };
    let status = rpc.wait(health.check(nobody)).unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}

#[test]
fn the_services_describe_themselves() {
    let sandbox = Sandbox::initialised();
    let rpc = sandbox.rpc();
    let mut reflection = ServerReflectionClient::new(rpc.channel());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answer = rpc.wait(async {
        let stream = reflection
            .server_reflection_info(tokio_stream::once(request))
            .await
            .unwrap();
        stream.into_inner().next().await.unwrap().unwrap()
    });
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let names: Vec<String> = list.service.into_iter().map(|one| one.name).collect();
    for service in SERVICES {
        assert!(names.contains(&service.to_owned()), "{names:?}");
    }
}

#[test]
fn errors_carry_code_message_and_hints() {
    let sandbox = Sandbox::initialised();
    let rpc = sandbox.rpc();
    let mut artifacts = ArtifactServiceClient::new(rpc.channel());
    let request = v1::ShowArtifactRequest {
        artifact: Some(v1::ArtifactRef {
            name: "nobody".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let status = rpc.wait(artifacts.show(request)).unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let error = status_to_error(&status);
    assert_eq!(error.code, Code::ArtifactNotFound);
    assert!(error.message.contains("`nobody`"), "{error:?}");
    let request = v1::ListArtifactsRequest {
        page_token: "rubbish".to_owned(),
        ..Default::default()
    };
    let status = rpc.wait(artifacts.list(request)).unwrap_err();
    assert_eq!(status_to_error(&status).code, Code::InvalidArgument);
    // An empty request is answered, with an error or without.
    let status = rpc
        .wait(artifacts.show(v1::ShowArtifactRequest::default()))
        .unwrap_err();
    assert_ne!(status_to_error(&status).code, Code::Internal, "{status:?}");
}

#[test]
fn pages_are_stable_while_rows_change() {
    let sandbox = Sandbox::initialised();
    for n in 0..60 {
        skill(
            &sandbox.collection("default", "skills"),
            &format!("s{n:02}"),
            "Paged",
        );
    }
    drop(sandbox.run(&["cache", "refresh"]).ok());
    let rpc = sandbox.rpc();
    let mut artifacts = ArtifactServiceClient::new(rpc.channel());
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let request = v1::ListArtifactsRequest {
            page_size: 7,
            page_token: token,
            ..Default::default()
        };
        let page = rpc.wait(artifacts.list(request)).unwrap().into_inner();
        assert!(page.artifacts.len() <= 7);
        seen.extend(page.artifacts.into_iter().map(|one| one.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        if seen.len() == 21 {
            // Gone from a page that was read, and new on one that was read: nothing is skipped or doubled.
            std::fs::remove_dir_all(sandbox.collection("default", "skills/s03")).unwrap();
            skill(&sandbox.collection("default", "skills"), "a-new-one", "New");
            sandbox.shows("a-new-one", "the change", |_| true);
        }
    }
    let wanted: Vec<String> = (0..60).map(|n| format!("s{n:02}")).collect();
    assert_eq!(seen, wanted);
}

#[test]
fn huge_requests_are_refused_and_the_daemon_lives() {
    let sandbox = Sandbox::initialised();
    let rpc = sandbox.rpc();
    let mut search = SearchServiceClient::new(rpc.channel());
    let request = v1::SearchRequest {
        query: vec![b'a'; 32 << 20],
        ..Default::default()
    };
    let status = rpc.wait(search.search(request)).unwrap_err();
    assert_ne!(status.code(), tonic::Code::Ok);
    let before = sandbox.json(&["daemon", "status"])["instance"].clone();
    assert_eq!(rpc.status().instance, before.as_str().unwrap());
}

#[test]
fn many_channels_at_once_are_served() {
    let sandbox = Sandbox::initialised();
    write(
        sandbox.collection("default", "commands/one.md"),
        "---\ndescription: One\n---\n",
    );
    sandbox.shows("one", "the command", |_| true);
    let channels: Vec<_> = (0..60).map(|_| sandbox.rpc()).collect();
    for rpc in &channels {
        let answer = rpc.within(Duration::from_secs(20), async {
            ArtifactServiceClient::new(rpc.channel())
                .list(v1::ListArtifactsRequest::default())
                .await
        });
        assert_eq!(answer.unwrap().unwrap().into_inner().total, 1);
    }
}

#[test]
fn connections_are_bounded_and_leave_room_for_files() {
    let sandbox = Sandbox::initialised();
    let at = daemon::rendezvous(sandbox.home()).unwrap();
    let descriptors = || {
        let folder = format!("/proc/{}/fd", at.pid);
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    };
    let before = descriptors();
    let silent: Vec<UnixStream> = (0..600)
        .map(|_| UnixStream::connect(&at.socket).unwrap())
        .collect();
    until("all connections that it takes", || {
        (descriptors() >= before + 500).then_some(())
    });
    assert!(descriptors() <= before + 530, "{}", descriptors());
    drop(silent);
    drop(sandbox.run(&["list"]).ok());
    until("the end of these connections", || {
        (descriptors() <= before + 10).then_some(())
    });
}

#[test]
fn the_cache_is_held_by_as_many_descriptors_whatever_is_asked_at_once() {
    // The writer and four readers each hold database and log; who follows the log holds it, too; the memory that they
    // share is held once.
    const HELD: usize = 5 * 2 + 1 + 1;
    let sandbox = Sandbox::new();
    let skills = sandbox.collection("default", "skills");
    (0..200).for_each(|number| drop(skill(&skills, &format!("many-{number}"), "One of many")));
    drop(sandbox.run(&["init"]).ok());
    sandbox.ready();
    let held = || {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", sandbox.pid())).unwrap();
        let held = entries.filter_map(|entry| entry.unwrap().path().read_link().ok());
        let cache = sandbox.home().cache_dir();
        held.filter(|place| place.starts_with(&cache)).count()
    };
    let is_as_ever = || (held() == HELD).then_some(());
    until("the connections before", is_as_ever);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let rpc = sandbox.rpc();
                let mut artifacts = ArtifactServiceClient::new(rpc.channel());
                for _ in 0..30 {
                    let answer = rpc.wait(artifacts.list(v1::ListArtifactsRequest::default()));
                    assert_eq!(answer.unwrap().into_inner().total, 200);
                }
            });
        }
    });
    until("the connections afterwards", is_as_ever);
}

#[test]
fn another_user_is_turned_away_even_where_the_socket_is_open() {
    let sandbox = Sandbox::initialised();
    let socket = daemon::rendezvous(sandbox.home()).unwrap().socket;
    let ours = sandbox.path("");
    let stranger = |args: &[&str]| {
        let mut command = Command::new("/usr/bin/python3");
        command.args(args).current_dir("/").uid(65534).gid(65534);
        command.output()
    };
    // Only the administrator can be somebody else, and only here are the folders ours to open.
    let is_possible = rustix::process::geteuid().is_root() && socket.starts_with(&ours);
    if !is_possible || stranger(&["-V"]).is_err() {
        return;
    }
    let open = |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    let folders = socket.ancestors().skip(1);
    folders
        .take_while(|path| path.starts_with(&ours))
        .for_each(open);
    open(&socket);
    let script = "import socket, sys\n\
        one = socket.socket(socket.AF_UNIX)\n\
        one.settimeout(30)\n\
        one.connect(sys.argv[1])\n\
        try:\n    one.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + bytes([0, 0, 0, 4] + 5 * [0]))\n    said = one.recv(1)\n\
        except ConnectionError:\n    said = b''\n\
        print('turned away' if said == b'' else 'served')\n";
    let answer = stranger(&["-c", script, socket.to_str().unwrap()]).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&answer.stdout),
        "turned away\n",
        "{answer:?}"
    );
    // Our own connections are served: the settings of the server come first.
    let mut own = UnixStream::connect(&socket).unwrap();
    own.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    own.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    assert_eq!(own.read(&mut [0]).unwrap(), 1);
    until("a word about the stranger", || {
        let log = std::fs::read_to_string(sandbox.home().log_file()).unwrap();
        log.contains("another user was refused uid=65534")
            .then_some(())
    });
}
