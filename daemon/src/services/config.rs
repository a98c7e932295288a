//! Changes of the config over the wire.

use std::sync::Arc;

use skillmeat_proto::v1;
use tonic::{Request, Response, Status};
use v1::change_config_request::Action;
use v1::config_service_server::ConfigService;

use super::{WORK, run};
use crate::app::{App, ConfigAction};

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl ConfigService for Service {
    async fn change(
        &self,
        request: Request<v1::ChangeConfigRequest>,
    ) -> Result<Response<v1::ChangeConfigResponse>, Status> {
        let action = match request.into_inner().action {
            Some(Action::Set(set)) => ConfigAction::Set {
                key: set.key,
                value: set.value,
            },
            Some(Action::Unset(key)) => ConfigAction::Unset { key },
            Some(Action::Replace(replace)) => ConfigAction::Replace {
                before: replace.before,
                text: replace.text,
            },
            None => {
                let message = "no change of the config that this daemon knows";
                return Err(Status::invalid_argument(message));
            }
        };
        let answer = run(&self.0, &WORK, move |app| app.change_config(&action));
        let (changed, operation) = answer.await?;
        Ok(Response::new(v1::ChangeConfigResponse {
            changed,
            operation: operation.unwrap_or_default(),
        }))
    }
}
