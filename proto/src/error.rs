//! Domain errors on the wire: a gRPC status whose details carry an [`ErrorDetail`].

use std::error::Error as _;

use prost::Message as _;
use skillmeat_shared::{Code, Error, ErrorKind};
use tonic::Status;

use crate::v1::{ErrorDetail, RpcAny, RpcStatus};

const TYPE_URL: &str = "type.googleapis.com/skillmeat.v1.ErrorDetail";

impl From<&Error> for ErrorDetail {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code.as_str().to_owned(),
            message: error.message.clone(),
            hints: error.hints.clone(),
            path: error.path.as_ref().map(|path| path.display().to_string()),
            line: error.line,
        }
    }
}

impl From<ErrorDetail> for Error {
    fn from(detail: ErrorDetail) -> Self {
        Self {
            code: Code::parse(&detail.code).unwrap_or(Code::Internal),
            message: detail.message,
            hints: detail.hints,
            path: detail.path.map(Into::into),
            line: detail.line,
        }
    }
}

const fn grpc_code(error: &Error) -> tonic::Code {
    match error.code {
        Code::CollectionExists | Code::ArtifactExists => return tonic::Code::AlreadyExists,
        Code::CacheNewerSchema => return tonic::Code::FailedPrecondition,
        _ => {}
    }
    match error.kind() {
        ErrorKind::Internal => tonic::Code::Internal,
        ErrorKind::Usage => tonic::Code::InvalidArgument,
        ErrorKind::NotFound => tonic::Code::NotFound,
        ErrorKind::Conflict | ErrorKind::Interrupted | ErrorKind::Partial => tonic::Code::Aborted,
        ErrorKind::Permission => tonic::Code::PermissionDenied,
        ErrorKind::Upstream | ErrorKind::Unavailable => tonic::Code::Unavailable,
        ErrorKind::Timeout => tonic::Code::DeadlineExceeded,
    }
}

/// The status that carries a domain error.
pub fn error_to_status(error: &Error) -> Status {
    let code = grpc_code(error);
    let details = RpcStatus {
        code: code as i32,
        message: error.message.clone(),
        details: vec![RpcAny {
            type_url: TYPE_URL.to_owned(),
            value: ErrorDetail::from(error).encode_to_vec(),
        }],
    };
    Status::with_details(code, error.message.clone(), details.encode_to_vec().into())
}

/// The domain error that a status carries; a status from elsewhere (transport, framework) is translated.
pub fn status_to_error(status: &Status) -> Error {
    if let Ok(details) = RpcStatus::decode(status.details())
        && let Some(any) = details.details.iter().find(|any| any.type_url == TYPE_URL)
        && let Ok(detail) = ErrorDetail::decode(any.value.as_slice())
        && !detail.message.is_empty()
    {
        return detail.into();
    }
    let message = status.message();
    match status.code() {
        tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => {
            Error::new(Code::DaemonTimeout, "the daemon did not answer in time")
                .hint("look at `sm daemon status`, or try `sm daemon restart`")
        }
        tonic::Code::Unimplemented => {
            Error::new(Code::DaemonProtocol, "the daemon does not know this call")
                .hint("run `sm daemon restart`, so that the installed version serves")
        }
        // A status with a cause was made on this side, when the connection broke.
        tonic::Code::Unknown | tonic::Code::Internal if status.source().is_some() => gone(message),
        tonic::Code::Unavailable => gone(message),
        tonic::Code::ResourceExhausted | tonic::Code::OutOfRange => Error::new(
            Code::FileTooLarge,
            format!("the message is too large: {message}"),
        ),
        code => Error::new(Code::Internal, format!("{message} ({code:?})")),
    }
}

fn gone(why: &str) -> Error {
    Error::new(
        Code::DaemonUnavailable,
        format!("the daemon went away: {why}"),
    )
    .hint("run the command again; `sm daemon logs` tells what happened")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_without_a_word_are_not_believed() {
        let details = RpcStatus {
            details: vec![RpcAny {
                type_url: TYPE_URL.to_owned(),
                value: Vec::new(),
            }],
            ..RpcStatus::default()
        };
        let details = details.encode_to_vec().into();
        let status = Status::with_details(tonic::Code::Internal, "why", details);
        assert_eq!(status_to_error(&status).message, "why (Internal)");
    }

    #[test]
    fn every_code_survives_the_wire() {
        for code in Code::ALL {
            let error = Error::new(*code, format!("about {code}"))
                .hint("first")
                .hint("second")
                .at("/a/b.toml", Some(7));
            assert_eq!(status_to_error(&error_to_status(&error)), error);
        }
    }
}
