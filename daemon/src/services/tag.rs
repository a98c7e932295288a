//! Tags over the wire.

use std::sync::Arc;

use skillmeat_proto::{error_to_status, v1};
use skillmeat_shared::{Code, Error};
use tonic::{Request, Response, Status};
use v1::change_tags_request::Action;
use v1::tag_service_server::TagService;

use super::change::{self, ChangeStream};
use super::curation::selection;
use crate::app::{App, TagAction, TagRequest};

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl TagService for Service {
    type ChangeStream = ChangeStream;

    async fn change(
        &self,
        request: Request<v1::ChangeTagsRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = decode(request.into_inner()).map_err(|error| error_to_status(&error))?;
        Ok(change::stream(&self.0, move |app, caller| {
            app.change_tags(&request, caller)
        })
        .await)
    }
}

fn decode(request: v1::ChangeTagsRequest) -> Result<TagRequest, Error> {
    let action = match request.action {
        Some(Action::Define(define)) => TagAction::Define {
            name: define.name,
            color: define.color,
            description: define.description,
            only_new: define.only_new,
        },
        Some(Action::Rename(rename)) => TagAction::Rename(rename.name, rename.new_name),
        Some(Action::Delete(delete)) => TagAction::Delete(delete.names),
        Some(Action::Add(add)) => TagAction::Add(add.tags, selection(add.artifacts)),
        Some(Action::Remove(remove)) => TagAction::Remove(remove.tags, selection(remove.artifacts)),
        None => {
            let message = "the request names no change of tags that this daemon knows";
            return Err(Error::new(Code::InvalidArgument, message));
        }
    };
    Ok(TagRequest {
        collection: request.collection,
        dry_run: request.dry_run,
        action,
    })
}
