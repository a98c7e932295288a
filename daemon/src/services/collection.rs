//! Collections over the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use skillmeat_proto::v1;
use tonic::{Request, Response, Status};
use v1::collection_service_server::CollectionService;

use super::change::{self, ChangeStream};
use super::{FIRST_ROWS, WORK, once_built, read, run, wire};
use crate::app::{App, CollectionAction, CollectionRequest, Described, Freshness};

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl CollectionService for Service {
    async fn list(
        &self,
        _: Request<v1::ListCollectionsRequest>,
    ) -> Result<Response<v1::ListCollectionsResponse>, Status> {
        let listed = read(&self.0, |app| {
            // Before: what is built while they are read may be missing in them.
            let complete = app.is_everything_built();
            Ok((app.collections()?, complete))
        });
        let (described, complete) = listed.await?;
        let freshness = Freshness {
            verified_at: described
                .iter()
                .map(|one| one.freshness.verified_at)
                .min()
                .flatten(),
            stale: described.iter().map(|one| one.freshness.stale).sum(),
            complete,
            catching_up: described.iter().any(|one| one.freshness.catching_up),
            ..Freshness::default()
        };
        Ok(Response::new(v1::ListCollectionsResponse {
            freshness: Some(wire::freshness(&freshness)),
            collections: described.into_iter().map(collection).collect(),
        }))
    }

    async fn show(
        &self,
        request: Request<v1::ShowCollectionRequest>,
    ) -> Result<Response<v1::ShowCollectionResponse>, Status> {
        let name = request.into_inner().name;
        // Who asks looks for a group or a tag in it, which may be new since the last run.
        self.0.until_compared(FIRST_ROWS).await;
        let whole = read(&self.0, move |app| app.collection(&name)).await?;
        Ok(Response::new(v1::ShowCollectionResponse {
            freshness: Some(wire::freshness(&whole.described.freshness)),
            unknown_keys: whole.described.view.unknown_keys.clone(),
            collection: Some(collection(whole.described)),
            groups: whole
                .groups
                .into_iter()
                .map(|view| v1::Group {
                    name: view.group.name,
                    description: view.group.description,
                    color: view.group.color,
                    icon: view.group.icon,
                    position: view.group.position,
                    members: view
                        .group
                        .members
                        .into_iter()
                        .zip(view.resolved)
                        .map(|(member, id)| v1::GroupMember { member, id })
                        .collect(),
                })
                .collect(),
            tag_definitions: whole
                .tag_definitions
                .into_iter()
                .map(|tag| v1::TagDefinition {
                    name: tag.name,
                    slug: tag.slug,
                    color: tag.color,
                    description: tag.description,
                })
                .collect(),
            tags: whole
                .tags
                .into_iter()
                .map(|(name, count)| v1::Count { name, count })
                .collect(),
        }))
    }

    async fn create(
        &self,
        request: Request<v1::CreateCollectionRequest>,
    ) -> Result<Response<v1::CreateCollectionResponse>, Status> {
        let name = request.into_inner().name;
        let described = run(&self.0, &WORK, move |app| app.create_collection(&name)).await?;
        Ok(Response::new(v1::CreateCollectionResponse {
            collection: Some(collection(described)),
        }))
    }

    async fn r#use(
        &self,
        request: Request<v1::UseCollectionRequest>,
    ) -> Result<Response<v1::UseCollectionResponse>, Status> {
        let name = request.into_inner().name;
        let wanted = name.clone();
        let before = once_built(&self.0, &WORK, move |app| app.use_collection(&wanted)).await?;
        Ok(Response::new(v1::UseCollectionResponse { name, before }))
    }

    async fn init(
        &self,
        request: Request<v1::InitRequest>,
    ) -> Result<Response<v1::InitResponse>, Status> {
        let name = request.into_inner().name;
        let done = run(&self.0, &WORK, move |app| app.initialise(&name)).await?;
        Ok(Response::new(v1::InitResponse {
            home: done.home.display().to_string(),
            collection: done.collection,
            config: done.config.display().to_string(),
            created_collection: done.created_collection,
            created_config: done.created_config,
            artifacts: done.artifacts,
        }))
    }

    type ChangeStream = ChangeStream;

    async fn change(
        &self,
        request: Request<v1::ChangeCollectionRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = action(request.into_inner())
            .ok_or_else(|| Status::invalid_argument("no change that this daemon knows"))?;
        Ok(change::stream(&self.0, move |app, caller| {
            app.change_collections(&request, caller)
        })
        .await)
    }

    async fn export(
        &self,
        request: Request<v1::ExportCollectionRequest>,
    ) -> Result<Response<v1::ExportCollectionResponse>, Status> {
        let request = request.into_inner();
        let path = request.path.clone();
        let (name, done) = once_built(&self.0, &WORK, move |app| {
            app.export_collection(&request.name, request.path.as_ref(), request.force)
        })
        .await?;
        Ok(Response::new(v1::ExportCollectionResponse {
            name,
            path,
            files: done.files,
            bytes: done.bytes,
            left_out: done
                .left_out
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        }))
    }
}

/// What a call asks for; nothing if this daemon doesn't know it.
fn action(request: v1::ChangeCollectionRequest) -> Option<CollectionRequest> {
    use v1::change_collection_request::Action;
    let action = match request.action? {
        Action::Rename(rename) => CollectionAction::Rename {
            name: rename.name,
            new_name: rename.new_name,
        },
        Action::Delete(delete) => CollectionAction::Delete { name: delete.name },
        Action::Create(create) => CollectionAction::Create { name: create.name },
        Action::Use(wanted) => CollectionAction::Use { name: wanted.name },
        Action::Import(import) => CollectionAction::Import {
            source: import.source,
            name: import.name,
            copy: import.copy,
        },
    };
    Some(CollectionRequest {
        dry_run: request.dry_run,
        action,
    })
}

fn collection(described: Described) -> v1::Collection {
    let view = described.view;
    let artifacts = view.artifacts();
    let mut by_kind = BTreeMap::new();
    let mut by_status = BTreeMap::new();
    let mut size = 0;
    for (kind, status, count, bytes) in view.counts {
        *by_kind.entry(kind).or_insert(0) += count;
        *by_status.entry(status).or_insert(0) += count;
        size += bytes;
    }
    let counts = |counts: BTreeMap<String, u64>| {
        counts
            .into_iter()
            .map(|(name, count)| v1::Count { name, count })
            .collect()
    };
    v1::Collection {
        name: view.name,
        path: view.path,
        state: view.state.as_str().to_owned(),
        is_default: described.is_default,
        external: view.external,
        artifacts,
        by_kind: counts(by_kind),
        by_status: counts(by_status),
        manifest_version: view.header.version,
        created: view.header.created,
        updated: view.header.updated,
        verified_at: described.freshness.verified_at.map(|at| at.0),
        problems: view.problems.into_iter().map(wire::problem).collect(),
        stale: described.freshness.stale,
        size,
    }
}
