//! The daemon itself over the wire.

use std::sync::Arc;

use skillmeat_proto::{CAPABILITIES, PROTOCOL, v1};
use skillmeat_shared::version;
use tonic::{Request, Response, Status};
use v1::daemon_service_server::DaemonService;

use super::{STATUS, run};
use crate::app::App;
use crate::lifecycle::memory;

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl DaemonService for Service {
    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(
            run(&self.0, &STATUS, |app| Ok(status(app))).await?,
        ))
    }

    async fn hello(
        &self,
        request: Request<v1::HelloRequest>,
    ) -> Result<Response<v1::HelloResponse>, Status> {
        let client = request.into_inner();
        tracing::debug!(
            client.version,
            client.protocol,
            "a client of another version"
        );
        let boot = self.0.boot();
        let capabilities = CAPABILITIES.iter().map(|(name, _)| (*name).to_owned());
        Ok(Response::new(v1::HelloResponse {
            version: version::program().to_owned(),
            protocol: version::protocol(PROTOCOL).to_owned(),
            build: boot.build.clone(),
            instance: boot.instance.clone(),
            manager: boot.manager.clone(),
            capabilities: capabilities.collect(),
        }))
    }

    async fn diagnose(
        &self,
        _: Request<v1::DiagnoseRequest>,
    ) -> Result<Response<v1::DiagnoseResponse>, Status> {
        let environment = self.0.environment().into_iter();
        Ok(Response::new(v1::DiagnoseResponse {
            environment: environment
                .map(|(name, value)| v1::EnvironmentVariable { name, value })
                .collect(),
        }))
    }

    async fn shutdown(
        &self,
        request: Request<v1::ShutdownRequest>,
    ) -> Result<Response<v1::ShutdownResponse>, Status> {
        let at_once = request.into_inner().mode() == v1::ShutdownMode::Now;
        self.0.shut_down(at_once);
        Ok(Response::new(v1::ShutdownResponse {
            pid: std::process::id(),
        }))
    }
}

fn status(app: &App) -> v1::StatusResponse {
    let boot = app.boot();
    let overview = app.overview();
    let (log_instance, last_seq) = app.last_event();
    v1::StatusResponse {
        state: app.phase().as_str().to_owned(),
        version: version::program().to_owned(),
        protocol: version::protocol(PROTOCOL).to_owned(),
        instance: boot.instance.clone(),
        pid: std::process::id(),
        started_at: boot.started_at.0,
        home: boot.home.root().display().to_string(),
        socket: boot.socket.display().to_string(),
        log_file: boot.log_file.display().to_string(),
        manager: boot.manager.clone(),
        memory_bytes: memory::resident(),
        artifacts: overview.by_status.values().sum(),
        artifacts_by_status: overview
            .by_status
            .into_iter()
            .map(|(name, count)| v1::StatusCount { name, count })
            .collect(),
        roots: app
            .roots()
            .into_iter()
            .map(|(root, pass)| v1::RootStatus {
                collection: root.name,
                path: root.path.display().to_string(),
                state: root.state.as_str().to_owned(),
                backend: root.by.as_str().to_owned(),
                last_event_at: root.last_event_at.map(|at| at.0),
                last_full_pass_at: pass.map(|pass| pass.at.0),
                last_full_pass_reason: pass.map_or_else(String::new, |pass| pass.why.to_owned()),
                reason: root.reason,
                events: root.events,
                echoes: root.echoes,
                overflows: root.overflows,
            })
            .collect(),
        warnings: app
            .warnings()
            .into_iter()
            .map(|warning| v1::Warning {
                code: warning.code.to_owned(),
                severity: warning.severity.as_str().to_owned(),
                message: warning.message,
                hints: warning.hints,
                subject: warning.subject,
                since: warning.since.0,
            })
            .collect(),
        schedules: app
            .schedules()
            .into_iter()
            .map(|schedule| v1::ScheduleStatus {
                name: schedule.name,
                next_due: schedule.next_due.0,
                last_run: schedule.last_run.map(|at| at.0),
                every: skillmeat_shared::config::duration::format(schedule.every),
            })
            .collect(),
        tasks: app
            .tasks()
            .into_iter()
            .map(|task| v1::TaskStatus {
                name: task.name,
                essential: task.essential,
                running: task.running,
            })
            .collect(),
        error: app.failure().as_ref().map(Into::into),
        default_collection: app.config().config.default_collection.clone(),
        stale_artifacts: overview.stale,
        last_seq,
        log_instance,
    }
}
