//! Validation over the wire.

use skillmeat_proto::v1;
use skillmeat_shared::artifact::validate::Finding;
use skillmeat_shared::collection::spelling;

use super::change::item;
use super::curation::selection;
use crate::app::{ValidateRequest, Validated, Validation};

pub(super) fn request(from: v1::ValidateRequest) -> ValidateRequest {
    ValidateRequest {
        selection: selection(from.selection),
        paths: from.paths.into_iter().map(Into::into).collect(),
        strict: from.strict,
        fix: from.fix,
        dry_run: from.dry_run,
    }
}

pub(super) fn answer(done: Validated) -> v1::ValidateResponse {
    v1::ValidateResponse {
        checked: done.checked,
        artifacts: done.artifacts.into_iter().map(validation).collect(),
        failed: done.failed.into_iter().map(item).collect(),
        mended: done
            .mended
            .into_iter()
            .map(|(id, rule)| v1::Mended {
                id,
                rule: rule.to_owned(),
            })
            .collect(),
        operation: done.operation.unwrap_or_default(),
        truncated: done.truncated,
    }
}

fn validation(one: Validation) -> v1::Validation {
    v1::Validation {
        id: one.id,
        collection: one.collection,
        path: spelling::spell(&one.path),
        findings: one.findings.into_iter().map(finding).collect(),
    }
}

fn finding(finding: Finding) -> v1::Finding {
    v1::Finding {
        rule: finding.rule.id.to_owned(),
        severity: finding.severity.as_str().to_owned(),
        file: finding.file,
        line: finding.line,
        message: finding.message,
        wanted: finding.rule.text.to_owned(),
        fixable: finding.fix.is_some(),
    }
}
