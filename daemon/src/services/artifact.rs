//! Artifacts over the wire.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use skillmeat_proto::{error_to_status, v1};
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{Code, Error, Kind};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use v1::artifact_service_server::ArtifactService;

use super::{READ, WORK, read, run, wire};
use crate::app::{AddEvent, AddItem, AddRequest, AddSummary, App, ListRequest, Shown};
use crate::store::list::Sort;

pub(super) struct Service(pub(super) Arc<App>);

/// Messages of an addition that may wait for a slow client.
const QUEUE: usize = 256;

#[tonic::async_trait]
impl ArtifactService for Service {
    async fn list(
        &self,
        request: Request<v1::ListArtifactsRequest>,
    ) -> Result<Response<v1::ListArtifactsResponse>, Status> {
        let request = request.into_inner();
        let sort = match request.sort() {
            v1::ArtifactSort::Updated => Sort::Updated,
            v1::ArtifactSort::Size => Sort::Size,
            v1::ArtifactSort::Name | v1::ArtifactSort::Unspecified => Sort::Name,
        };
        let request = ListRequest {
            collection: request.collection,
            all_collections: request.all_collections,
            kinds: request.kinds,
            tags: request.tags,
            group: request.group,
            origin: request.origin,
            status: request.status,
            sort,
            page_size: request.page_size,
            page_token: request.page_token,
        };
        let answer = read(&self.0, move |app| {
            let listed = app.list(&request)?;
            Ok(v1::ListArtifactsResponse {
                artifacts: wire::summaries(app, listed.rows),
                total: listed.total,
                next_page_token: listed.next,
                freshness: Some(wire::freshness(&listed.freshness)),
                collections: listed.collections,
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn show(
        &self,
        request: Request<v1::ShowArtifactRequest>,
    ) -> Result<Response<v1::ShowArtifactResponse>, Status> {
        let request = request.into_inner();
        let answer = read(&self.0, move |app| {
            let named = request.artifact.unwrap_or_default();
            let kind = if named.kind.is_empty() {
                None
            } else {
                Some(named.kind.parse()?)
            };
            let reference = ArtifactRef {
                kind,
                name: named.name,
            };
            let shown = app.show(&request.collection, &reference)?;
            let freshness = Some(wire::freshness(&shown.freshness));
            Ok(v1::ShowArtifactResponse {
                artifact: Some(artifact(app, shown)),
                freshness,
            })
        });
        Ok(Response::new(answer.await?))
    }

    type AddStream = Pin<Box<dyn Stream<Item = Result<v1::AddArtifactsEvent, Status>> + Send>>;

    async fn add(
        &self,
        request: Request<v1::AddArtifactsRequest>,
    ) -> Result<Response<Self::AddStream>, Status> {
        let request = add_request(request.into_inner()).map_err(|error| error_to_status(&error))?;
        let app = Arc::clone(&self.0);
        let (sender, receiver) = tokio::sync::mpsc::channel(QUEUE);
        let busy = app.begin_call();
        let room = WORK.room.acquire().await;
        // The addition goes on when the client leaves: half of it would help nobody.
        drop(tokio::task::spawn_blocking(move || {
            let _room = (room, busy);
            let backlog = RefCell::new(VecDeque::new());
            let tell = |event: AddEvent| {
                // Progress may be lost on a slow client, items may not.
                let may_be_lost = matches!(event, AddEvent::Progress(..));
                let mut backlog = backlog.borrow_mut();
                send_waiting(&sender, &mut backlog);
                if !(may_be_lost && (sender.capacity() == 0 || !backlog.is_empty())) {
                    backlog.push_back(Ok(add_event(event)));
                    send_waiting(&sender, &mut backlog);
                }
            };
            let last = match app.add(&request, &tell) {
                Ok(summary) => Ok(add_summary(summary)),
                Err(error) => Err(error_to_status(&error)),
            };
            let mut rest = backlog.into_inner();
            rest.push_back(last);
            drop(tokio::spawn(async move {
                for message in rest {
                    if sender.send(message).await.is_err() {
                        return;
                    }
                }
            }));
        }));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn complete_names(
        &self,
        request: Request<v1::CompleteNamesRequest>,
    ) -> Result<Response<v1::CompleteNamesResponse>, Status> {
        let request = request.into_inner();
        let found = run(&self.0, &READ, move |app| {
            app.complete(&request.what, &request.prefix, request.limit)
        });
        let completions = found
            .await?
            .into_iter()
            .map(|(value, help)| v1::Completion { value, help })
            .collect();
        Ok(Response::new(v1::CompleteNamesResponse { completions }))
    }
}

type AddMessage = Result<v1::AddArtifactsEvent, Status>;

/// Sends what there is room for. Never waits: a client that has stopped reading must not hold up an addition,
/// and with it all others.
fn send_waiting(sender: &Sender<AddMessage>, backlog: &mut VecDeque<AddMessage>) {
    while let Some(message) = backlog.pop_front() {
        if let Err(TrySendError::Full(message)) = sender.try_send(message) {
            backlog.push_front(message);
            return;
        }
    }
}

fn add_request(request: v1::AddArtifactsRequest) -> Result<AddRequest, Error> {
    let kind: Option<Kind> = if request.kind.is_empty() {
        None
    } else {
        Some(request.kind.parse()?)
    };
    let paths: Vec<std::path::PathBuf> = request.paths.into_iter().map(Into::into).collect();
    if paths.is_empty() {
        return Err(Error::new(Code::InvalidArgument, "no path is named"));
    }
    if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
        let message = format!("`{}` is not absolute", path.display());
        return Err(Error::new(Code::InvalidArgument, message));
    }
    Ok(AddRequest {
        collection: request.collection,
        paths,
        kind,
        name: (!request.name.is_empty()).then_some(request.name),
        all: request.all,
        dry_run: request.dry_run,
    })
}

fn add_event(event: AddEvent) -> v1::AddArtifactsEvent {
    use v1::add_artifacts_event::Event;
    let event = match event {
        AddEvent::Progress(done, total, phase) => Event::Progress(v1::AddProgress {
            done,
            total,
            phase: phase.to_owned(),
        }),
        AddEvent::Item(AddItem {
            id,
            source,
            result,
            reason,
            path,
            code,
        }) => Event::Item(v1::AddItem {
            id,
            source: source.display().to_string(),
            result: result.to_owned(),
            reason,
            path,
            code: code
                .map(|code| code.as_str().to_owned())
                .unwrap_or_default(),
        }),
    };
    v1::AddArtifactsEvent { event: Some(event) }
}

fn add_summary(summary: AddSummary) -> v1::AddArtifactsEvent {
    let summary = v1::AddSummary {
        collection: summary.collection,
        added: summary.added,
        unchanged: summary.unchanged,
        skipped: summary.skipped,
        conflicts: summary.conflicts,
        failed: summary.failed,
        dry_run: summary.dry_run,
        seq: summary.seq,
    };
    v1::AddArtifactsEvent {
        event: Some(v1::add_artifacts_event::Event::Summary(summary)),
    }
}

fn artifact(app: &App, shown: Shown) -> v1::Artifact {
    let differences = shown
        .differences()
        .into_iter()
        .map(|(field, in_files, in_manifest)| v1::Difference {
            field: field.to_owned(),
            in_files,
            in_manifest,
        })
        .collect();
    let modified = shown.modified();
    let (manifest_json, lock_json) = (shown.manifest_json(), shown.lock_json());
    let detail = shown.detail;
    let absolute_path = if detail.summary.path.is_empty() {
        String::new()
    } else {
        format!("{}/{}", detail.root, detail.summary.path)
    };
    v1::Artifact {
        summary: Some(wire::summary(app, detail.summary)),
        absolute_path,
        tool_patterns: detail.tool_patterns,
        dependencies: detail.dependencies,
        frontmatter_json: detail.frontmatter,
        parse_error: detail.parse_error,
        parse_error_line: detail.parse_line,
        manifest_json,
        lock_json,
        modified,
        files: detail
            .files
            .into_iter()
            .map(|file| v1::ArtifactFile {
                path: file.path,
                size: file.size,
                kind: file.kind,
                executable: file.executable,
                modified_at: file.modified_at,
            })
            .collect(),
        groups: detail
            .groups
            .into_iter()
            .map(|(name, position)| v1::ArtifactGroup { name, position })
            .collect(),
        differences,
        problems: detail.problems.into_iter().map(wire::problem).collect(),
    }
}
