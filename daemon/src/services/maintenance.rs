//! Repairs over the wire.

use std::sync::Arc;

use skillmeat_proto::v1;
use tonic::{Request, Response, Status};
use v1::maintenance_service_server::MaintenanceService;

use super::change::{self, ChangeStream};
use crate::app::{App, RepairRequest};

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl MaintenanceService for Service {
    type RepairStream = ChangeStream;

    async fn repair(
        &self,
        request: Request<v1::RepairRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = request.into_inner();
        let request = RepairRequest {
            repair: request.repair,
            collection: request.collection,
            execute: request.execute,
        };
        Ok(change::stream(&self.0, move |app, caller| app.repair(&request, caller)).await)
    }
}
