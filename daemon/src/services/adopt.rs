//! Adopting over the wire.

use std::path::PathBuf;
use std::sync::Arc;

use skillmeat_proto::{error_to_status, v1};
use skillmeat_shared::artifact::discover::Candidate;
use skillmeat_shared::{Code, Error};
use tonic::{Request, Response, Status};
use v1::adopt_service_server::AdoptService;

use super::change::{self, ChangeStream};
use super::{WORK, once_built};
use crate::app::{AddRequest, App, SurveyRequest, SurveyRow, Surveyed};

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl AdoptService for Service {
    async fn survey(
        &self,
        request: Request<v1::SurveyRequest>,
    ) -> Result<Response<v1::SurveyResponse>, Status> {
        let request = request.into_inner();
        let request = SurveyRequest {
            collection: request.collection,
            from: request.from,
            variables: request.variables.into_iter().collect(),
        };
        let surveyed = once_built(&self.0, &WORK, move |app| app.survey(&request)).await?;
        Ok(Response::new(response(surveyed)))
    }

    type TakeStream = ChangeStream;

    async fn take(
        &self,
        request: Request<v1::TakeRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request =
            take_request(request.into_inner()).map_err(|error| error_to_status(&error))?;
        Ok(change::stream(&self.0, move |app, caller| app.add(&request, caller)).await)
    }
}

fn take_request(request: v1::TakeRequest) -> Result<AddRequest, Error> {
    let chosen = request
        .chosen
        .into_iter()
        .map(|one| {
            let path = PathBuf::from(one.path);
            if !path.is_absolute() {
                let message = format!("`{}` is not absolute", path.display());
                return Err(Error::new(Code::InvalidArgument, message));
            }
            Ok(Candidate {
                kind: one.kind.parse()?,
                name: one.name,
                path,
                plugin: None,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    if chosen.is_empty() {
        return Err(Error::new(Code::InvalidArgument, "nothing is chosen"));
    }
    Ok(AddRequest {
        collection: request.collection,
        chosen,
        dry_run: request.dry_run,
        ..AddRequest::default()
    })
}

fn response(surveyed: Surveyed) -> v1::SurveyResponse {
    let text = |path: PathBuf| path.display().to_string();
    v1::SurveyResponse {
        collection: surveyed.collection,
        rows: surveyed.rows.into_iter().map(row).collect(),
        skipped: surveyed
            .skipped
            .into_iter()
            .map(|(path, reason)| v1::SurveySkip {
                path: text(path),
                reason,
            })
            .collect(),
        folders: surveyed.folders.into_iter().map(text).collect(),
    }
}

fn row(row: SurveyRow) -> v1::SurveyRow {
    v1::SurveyRow {
        id: row.id.to_string(),
        kind: row.id.kind.to_string(),
        name: row.id.name,
        description: row.description,
        content_hash: row.content_hash.unwrap_or_default(),
        places: row
            .places
            .into_iter()
            .map(|place| v1::SurveyPlace {
                path: place.place.display().to_string(),
                name: place.name,
                agents: place.agents,
            })
            .collect(),
        state: row.state.to_owned(),
        known_as: row.known_as.map(|id| id.to_string()).unwrap_or_default(),
    }
}
