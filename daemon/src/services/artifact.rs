//! Artifacts over the wire.

use std::sync::Arc;

use skillmeat_proto::{Encoded, error_to_status, v1};
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{Code, Error, Kind};
use tonic::{Request, Response, Status};
use v1::artifact_service_server::ArtifactService;

use super::change::{self, ChangeStream};
use super::{READ, read, run, wire};
use crate::app::{AddRequest, App, ListRequest, Replace, Shown};
use crate::store::list::Sort;

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl ArtifactService for Service {
    async fn list(
        &self,
        request: Request<v1::ListArtifactsRequest>,
    ) -> Result<Response<Encoded<v1::ListArtifactsResponse>>, Status> {
        let request = request.into_inner();
        let sort = match request.sort() {
            v1::ArtifactSort::Updated => Sort::Updated,
            v1::ArtifactSort::Size => Sort::Size,
            v1::ArtifactSort::Position => Sort::Position,
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
            let mut answer = Encoded::default();
            let mut part = v1::ListArtifactsResponse::default();
            let ratings = app.ratings();
            let listed = app.list(&request, &mut |row| {
                part.artifacts.clear();
                part.artifacts.push(wire::summary(app, &ratings, row));
                answer.add(&part);
            })?;
            answer.add(&v1::ListArtifactsResponse {
                artifacts: Vec::new(),
                total: listed.total,
                next_page_token: listed.next,
                freshness: Some(wire::freshness(&listed.freshness)),
                collections: listed.collections,
                hints: listed.hints,
            });
            Ok(answer)
        });
        Ok(Response::new(answer.await?))
    }

    async fn show(
        &self,
        request: Request<v1::ShowArtifactRequest>,
    ) -> Result<Response<v1::ShowArtifactResponse>, Status> {
        let request = request.into_inner();
        let named = request.artifact.unwrap_or_default();
        let answer = read(&self.0, move |app| {
            let kind = if named.kind.is_empty() {
                None
            } else {
                Some(named.kind.parse()?)
            };
            let reference = ArtifactRef {
                kind,
                name: named.name.clone(),
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

    type AddStream = ChangeStream;

    async fn add(
        &self,
        request: Request<v1::AddArtifactsRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = add_request(request.into_inner()).map_err(|error| error_to_status(&error))?;
        Ok(change::stream(&self.0, move |app, caller| app.add(&request, caller)).await)
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

fn add_request(request: v1::AddArtifactsRequest) -> Result<AddRequest, Error> {
    let replace = match request.replace() {
        v1::Replace::Unspecified => Replace::Never,
        v1::Replace::Changed => Replace::Changed,
        v1::Replace::Always => Replace::Always,
    };
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
        replace,
        chosen: Vec::new(),
        paths,
        kind,
        name: (!request.name.is_empty()).then_some(request.name),
        all: request.all,
        dry_run: request.dry_run,
    })
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
    let (modified, position) = (shown.modified(), shown.position());
    let (manifest_json, lock_json) = (shown.manifest_json(), shown.lock_json());
    let detail = shown.detail;
    let absolute_path = if detail.summary.path.is_empty() {
        String::new()
    } else {
        format!("{}/{}", detail.root, detail.summary.path)
    };
    v1::Artifact {
        summary: Some(wire::summary(app, &app.ratings(), detail.summary)),
        absolute_path,
        tool_patterns: detail.tool_patterns,
        dependencies: detail.dependencies,
        frontmatter_json: detail.frontmatter,
        parse_error: detail.parse_error,
        parse_error_line: detail.parse_line,
        manifest_json,
        lock_json,
        modified,
        position,
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
