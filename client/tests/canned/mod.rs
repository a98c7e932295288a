//! The services of a daemon that answers the same to everybody.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use skillmeat_proto::v1::artifact_service_server::ArtifactService;
use skillmeat_proto::v1::event_service_server::EventService;
use skillmeat_proto::{Encoded, error_to_status, v1};
use skillmeat_shared::{Code, Error};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// How many artifacts the daemon says it has.
pub(crate) const TOTAL: u64 = 1_203;

/// Answers the same to everybody.
#[derive(Clone, Default)]
pub(crate) struct Canned {
    /// Calls for the artifact `busy` so far.
    busy: Arc<AtomicUsize>,
}

fn artifact(number: u64) -> v1::ArtifactSummary {
    v1::ArtifactSummary {
        id: format!("skill:s{number}"),
        name: format!("s{number}"),
        kind: "skill".to_owned(),
        collection: "default".to_owned(),
        status: "managed".to_owned(),
        description: Some(format!("number {number} \u{1b}[31m")),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl ArtifactService for Canned {
    async fn list(
        &self,
        request: Request<v1::ListArtifactsRequest>,
    ) -> Result<Response<Encoded<v1::ListArtifactsResponse>>, Status> {
        assert!(
            request.metadata().get("grpc-timeout").is_some(),
            "a call without a deadline"
        );
        let request = request.into_inner();
        let start: u64 = request.page_token.parse().unwrap_or(0);
        let end = (start + u64::from(request.page_size)).min(TOTAL);
        let page = v1::ListArtifactsResponse {
            artifacts: (start..end).map(artifact).collect(),
            total: TOTAL,
            next_page_token: if end < TOTAL {
                end.to_string()
            } else {
                String::new()
            },
            freshness: Some(v1::Freshness {
                complete: false,
                ..Default::default()
            }),
            collections: vec!["default".to_owned()],
            hints: Vec::new(),
        };
        Ok(Response::new(page.into()))
    }

    async fn show(
        &self,
        request: Request<v1::ShowArtifactRequest>,
    ) -> Result<Response<v1::ShowArtifactResponse>, Status> {
        let asked = request.into_inner().artifact.unwrap_or_default();
        match asked.name.as_str() {
            "s1" => Ok(Response::new(v1::ShowArtifactResponse {
                artifact: Some(v1::Artifact {
                    summary: Some(artifact(1)),
                    files: vec![v1::ArtifactFile {
                        path: "bad\nname.md".to_owned(),
                        size: 2_048,
                        kind: "file".to_owned(),
                        ..Default::default()
                    }],
                    problems: vec![v1::Problem {
                        code: "frontmatter.invalid".to_owned(),
                        message: "a quote is missing".to_owned(),
                        path: Some("skills/s1/SKILL.md".to_owned()),
                        line: Some(3),
                    }],
                    ..Default::default()
                }),
                freshness: Some(v1::Freshness {
                    complete: true,
                    ..Default::default()
                }),
            })),
            "slow" => std::future::pending().await,
            "busy" => {
                let code = match self.busy.fetch_add(1, Ordering::Relaxed) {
                    0 | 1 => Code::DaemonStarting,
                    2 => Code::DaemonDraining,
                    _ => Code::ArtifactAmbiguous,
                };
                Err(error_to_status(&Error::new(code, "not now")))
            }
            name => Err(error_to_status(
                &Error::new(
                    Code::ArtifactNotFound,
                    format!("there is no artifact `{name}`"),
                )
                .hint("did you mean `s1`?"),
            )),
        }
    }

    type AddStream = Answers<v1::ChangeEvent>;

    async fn add(
        &self,
        request: Request<v1::AddArtifactsRequest>,
    ) -> Result<Response<Self::AddStream>, Status> {
        use v1::change_event::Event;
        let request = request.into_inner();
        let items = request.paths.iter().map(|path| {
            let result = path.rsplit('/').next().unwrap_or_default().to_owned();
            Event::Item(v1::ChangeItem {
                id: "skill:x".to_owned(),
                source: path.clone(),
                code: match result.as_str() {
                    "conflict" => "artifact.exists".to_owned(),
                    "failed" => "artifact.invalid".to_owned(),
                    _ => String::new(),
                },
                result,
                reason: "it is so".to_owned(),
                ..Default::default()
            })
        });
        let counts = ["added", "conflict", "failed"].map(|result| {
            let end = format!("/{result}");
            let of = request.paths.iter().filter(|path| path.ends_with(&end));
            v1::ChangeCount {
                result: result.to_owned(),
                count: of.count().try_into().unwrap(),
            }
        });
        let summary = Event::Summary(v1::ChangeSummary {
            collection: "default".to_owned(),
            counts: counts.to_vec(),
            ..Default::default()
        });
        let events: Vec<_> = items
            .chain([summary])
            .map(|event| Ok(v1::ChangeEvent { event: Some(event) }))
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(events))))
    }

    async fn complete_names(
        &self,
        request: Request<v1::CompleteNamesRequest>,
    ) -> Result<Response<v1::CompleteNamesResponse>, Status> {
        let request = request.into_inner();
        let completions = vec![v1::Completion {
            value: format!("{}-{}", request.prefix, request.what),
            help: "a name".to_owned(),
        }];
        Ok(Response::new(v1::CompleteNamesResponse { completions }))
    }
}

#[tonic::async_trait]
impl EventService for Canned {
    type SubscribeStream = Answers<v1::Event>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let since = request.into_inner().since_seq;
        let first = v1::Event {
            seq: 41,
            at: 1_000_000_000,
            kind: "stream.started".to_owned(),
            continuous: Some(since.is_none_or(|since| since >= 40)),
            ..Default::default()
        };
        let second = v1::Event {
            seq: 42,
            at: 1_000_000_000,
            kind: "artifact.changed".to_owned(),
            artifact: "skill:s1".to_owned(),
            ..Default::default()
        };
        // Then silence, as when nothing changes.
        let events = tokio_stream::iter([Ok(first), Ok(second)]).chain(tokio_stream::pending());
        Ok(Response::new(Box::pin(events)))
    }
}
