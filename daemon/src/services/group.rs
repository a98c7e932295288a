//! Groups over the wire.

use std::sync::Arc;

use skillmeat_proto::{error_to_status, v1};
use skillmeat_shared::collection::edit::GroupChange;
use skillmeat_shared::collection::manifest::Group;
use skillmeat_shared::{Code, Error};
use tonic::{Request, Response, Status};
use v1::change_groups_request::Action;
use v1::group_service_server::GroupService;

use super::change::{self, ChangeStream};
use super::curation::selection;
use crate::app::{App, GroupAction, GroupRequest};

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl GroupService for Service {
    type ChangeStream = ChangeStream;

    async fn change(
        &self,
        request: Request<v1::ChangeGroupsRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = decode(request.into_inner()).map_err(|error| error_to_status(&error))?;
        Ok(change::stream(&self.0, move |app, caller| {
            app.change_groups(&request, caller)
        })
        .await)
    }
}

fn decode(request: v1::ChangeGroupsRequest) -> Result<GroupRequest, Error> {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let action = match request.action {
        Some(Action::Create(create)) => GroupAction::Create(
            Group {
                name: create.name,
                description: create.description,
                color: create.color,
                icon: create.icon,
                position: 0,
                members: Vec::new(),
            },
            create.position,
            create.members.map(|members| selection(Some(members))),
        ),
        Some(Action::Update(update)) => GroupAction::Update(
            update.name,
            GroupChange {
                name: update.new_name,
                description: update.description,
                color: update.color,
                icon: update.icon,
                position: update.position,
                members: None,
            },
        ),
        Some(Action::Delete(delete)) => GroupAction::Delete(delete.names),
        Some(Action::Add(add)) => {
            GroupAction::Add(add.group, selection(add.members), add.at.map(place))
        }
        Some(Action::Remove(remove)) => {
            GroupAction::Remove(remove.group, selection(remove.members))
        }
        Some(Action::Move(moved)) => {
            GroupAction::Move(moved.from, moved.to, selection(moved.members))
        }
        Some(Action::Copy(copy)) => GroupAction::Copy(copy.name, copy.to_collection, copy.new_name),
        Some(Action::Reorder(reorder)) => GroupAction::Reorder(reorder.names),
        Some(Action::ReorderMembers(reorder)) => {
            GroupAction::ReorderMembers(reorder.group, reorder.members)
        }
        None => {
            let message = "the request names no change of groups that this daemon knows";
            return Err(Error::new(Code::InvalidArgument, message));
        }
    };
    Ok(GroupRequest {
        collection: request.collection,
        dry_run: request.dry_run,
        action,
    })
}
