//! Curation over the wire.

use std::sync::Arc;

use skillmeat_proto::{error_to_status, v1};
use skillmeat_shared::Result as Outcome;
use skillmeat_shared::id::ArtifactRef;
use tonic::{Request, Response, Status};
use v1::curation_service_server::CurationService;

use super::change::{self, ChangeStream};
use super::{WORK, once_built, read, validation};
use crate::app::{
    App, Field, RateRequest, RemoveRequest, RenameRequest, SaveRequest, Selection, SetRequest,
    TransferRequest,
};

pub(super) struct Service(pub(super) Arc<App>);

pub(super) fn selection(from: Option<v1::Selection>) -> Selection {
    let from = from.unwrap_or_default();
    Selection {
        collection: from.collection,
        names: from.names,
        kinds: from.kinds,
        tags: from.tags,
        group: from.group,
    }
}

fn reference(from: Option<v1::ArtifactRef>) -> Outcome<ArtifactRef> {
    let from = from.unwrap_or_default();
    let kind = if from.kind.is_empty() {
        None
    } else {
        Some(from.kind.parse()?)
    };
    Ok(ArtifactRef {
        kind,
        name: from.name,
    })
}

fn refused(error: &skillmeat_shared::Error) -> Status {
    error_to_status(error)
}

#[tonic::async_trait]
impl CurationService for Service {
    type RemoveStream = ChangeStream;
    type RenameStream = ChangeStream;
    type TransferStream = ChangeStream;
    type SetStream = ChangeStream;
    type RateStream = ChangeStream;
    type SaveStream = ChangeStream;

    async fn remove(
        &self,
        request: Request<v1::RemoveArtifactsRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = request.into_inner();
        let request = RemoveRequest {
            selection: selection(request.selection),
            keep_files: request.keep_files,
            dry_run: request.dry_run,
        };
        Ok(change::stream(&self.0, move |app, caller| app.remove(&request, caller)).await)
    }

    async fn rename(
        &self,
        request: Request<v1::RenameArtifactRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = request.into_inner();
        let request = RenameRequest {
            collection: request.collection,
            artifact: reference(request.artifact).map_err(|error| refused(&error))?,
            name: request.name,
            dry_run: request.dry_run,
        };
        Ok(change::stream(&self.0, move |app, caller| app.rename(&request, caller)).await)
    }

    async fn transfer(
        &self,
        request: Request<v1::TransferArtifactsRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = request.into_inner();
        let request = TransferRequest {
            selection: selection(request.selection),
            to: request.to,
            name: Some(request.name).filter(|name| !name.is_empty()),
            copy: request.copy,
            dry_run: request.dry_run,
        };
        Ok(change::stream(&self.0, move |app, caller| app.transfer(&request, caller)).await)
    }

    async fn set(
        &self,
        request: Request<v1::SetFieldsRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = request.into_inner();
        let fields = request
            .fields
            .iter()
            .map(|field| Field::parse(&field.key, &field.value))
            .collect::<Outcome<Vec<_>>>();
        let request = SetRequest {
            selection: selection(request.selection),
            fields: fields.map_err(|error| refused(&error))?,
            dry_run: request.dry_run,
        };
        Ok(change::stream(&self.0, move |app, caller| app.set(&request, caller)).await)
    }

    async fn rate(
        &self,
        request: Request<v1::RateArtifactsRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = request.into_inner();
        let stars = u8::try_from(request.stars).unwrap_or(u8::MAX);
        let request = RateRequest {
            selection: selection(request.selection),
            stars: Some(stars).filter(|stars| *stars > 0),
            dry_run: request.dry_run,
        };
        Ok(change::stream(&self.0, move |app, caller| app.rate(&request, caller)).await)
    }

    async fn open(
        &self,
        request: Request<v1::OpenFileRequest>,
    ) -> Result<Response<v1::OpenFileResponse>, Status> {
        let request = request.into_inner();
        let artifact = reference(request.artifact).map_err(|error| refused(&error))?;
        let answer = read(&self.0, move |app| {
            let opened = app.open_file(&request.collection, &artifact, &request.file)?;
            Ok(v1::OpenFileResponse {
                collection: opened.collection,
                id: opened.id,
                file: opened.file,
                path: opened.path.display().to_string(),
                content: opened.content,
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn save(
        &self,
        request: Request<v1::SaveFileRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = request.into_inner();
        let request = SaveRequest {
            collection: request.collection,
            artifact: reference(request.artifact).map_err(|error| refused(&error))?,
            file: request.file,
            before: request.before,
            content: request.content,
            dry_run: request.dry_run,
        };
        Ok(change::stream(&self.0, move |app, caller| app.save_file(&request, caller)).await)
    }

    async fn validate(
        &self,
        request: Request<v1::ValidateRequest>,
    ) -> Result<Response<v1::ValidateResponse>, Status> {
        let request = validation::request(request.into_inner());
        let answer = once_built(&self.0, &WORK, move |app| app.validate(&request));
        Ok(Response::new(validation::answer(answer.await?)))
    }
}
