//! What it costs to change many artifacts at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use skillmeat_proto::v1;
use skillmeat_proto::v1::collection_service_client::CollectionServiceClient as Collections;
use skillmeat_proto::v1::curation_service_client::CurationServiceClient as Curation;
use skillmeat_proto::v1::operation_service_client::OperationServiceClient as Operations;
use skillmeat_tests::bench::table::{Samples, Table};
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use super::{Bench, CHANGED, middle, skills, timed};

/// The collection that artifacts are moved to.
const OTHER: &str = "other";

/// How long a change of some artifacts may take: most of it is to read a manifest and a lock file of thousands of
/// entries, and to prove that only what was meant was edited.
const PATIENCE: Duration = Duration::from_secs(4);

type Events = Result<Response<Streaming<v1::ChangeEvent>>, Status>;

/// Changes all, removes some, moves some; and takes each back, so that the next round finds the same.
pub(super) fn measure(bench: &Bench<'_>, root: &Path, scratch: &Path, table: &mut Table) {
    let all = skills(root, usize::MAX);
    let files: Vec<PathBuf> = all.iter().map(|one| one.join("SKILL.md")).collect();
    let copies = scratch.join("texts");
    fs::create_dir(&copies).unwrap();
    for (number, file) in files.iter().enumerate() {
        fs::copy(file, copies.join(number.to_string())).unwrap();
    }
    let rewriting = middle(|| {
        let copies = fs::read_dir(&copies).unwrap();
        let copies = copies.map(|entry| entry.unwrap().path());
        timed(
            Command::new("sed")
                .arg("-i")
                .arg("s/^author:.*//")
                .args(copies),
        )
    });
    let mut round = 0;
    let setting = middle(|| {
        round += 1;
        let fields = vec![v1::Field {
            key: "author".to_owned(),
            value: format!("Author {round}"),
        }];
        bench.change(all.len(), async move |channel| {
            let selection = Some(v1::Selection {
                kinds: vec!["skill".to_owned()],
                ..Default::default()
            });
            let request = v1::SetFieldsRequest {
                selection,
                fields,
                ..Default::default()
            };
            Curation::new(channel).set(request).await
        })
    });
    let what = format!("the author of {} skills", all.len());
    table.against(&what, setting, ("sed -i of them", rewriting), 20.0);

    let some = skills(root, CHANGED);
    let names = some
        .iter()
        .map(|one| one.file_name().unwrap().to_str().unwrap());
    let selection = Some(v1::Selection {
        kinds: vec!["skill".to_owned()],
        names: names.map(str::to_owned).collect(),
        ..Default::default()
    });
    let mut back = Vec::new();
    let removing = middle(|| {
        let request = v1::RemoveArtifactsRequest {
            selection: selection.clone(),
            ..Default::default()
        };
        let took = bench.change(some.len(), async |channel| {
            Curation::new(channel).remove(request).await
        });
        back.push(bench.undo());
        took
    });
    table.time(&format!("removing {CHANGED} artifacts"), removing, PATIENCE);
    bench.daemon.wait(async {
        let request = v1::CreateCollectionRequest {
            name: OTHER.to_owned(),
        };
        let mut client = Collections::new(bench.daemon.rpc.channel());
        client.create(request).await.unwrap();
    });
    let moving = middle(|| {
        let request = v1::TransferArtifactsRequest {
            selection: selection.clone(),
            to: OTHER.to_owned(),
            ..Default::default()
        };
        let took = bench.change(some.len(), async |channel| {
            Curation::new(channel).transfer(request).await
        });
        back.push(bench.undo());
        took
    });
    table.time(&format!("moving {CHANGED} artifacts"), moving, PATIENCE);
    let undoing = Samples::new(back).longest();
    table.time("undoing one of these", undoing, PATIENCE);
}

impl Bench<'_> {
    /// Makes a change of so many artifacts; how long it took.
    fn change(&self, artifacts: usize, call: impl AsyncFnOnce(Channel) -> Events) -> Duration {
        let start = Instant::now();
        let done = self.daemon.wait(async {
            let mut stream = call(self.daemon.rpc.channel()).await.unwrap().into_inner();
            let mut done = 0;
            while let Some(message) = stream.message().await.unwrap() {
                if let Some(v1::change_event::Event::Item(item)) = message.event {
                    done += usize::from(item.code.is_empty());
                }
            }
            done
        });
        let took = start.elapsed();
        assert_eq!(done, artifacts, "not all were changed");
        took
    }

    /// Takes the last change back; how long it took.
    fn undo(&self) -> Duration {
        self.change(1, async |channel| {
            let request = v1::UndoRequest::default();
            Operations::new(channel).undo(request).await
        })
    }
}
