//! Whether the service, if there is one, is as it should be.

use skillmeat_shared::doctor::{Finding, SERVICE_NOT_LINGERING, SERVICE_UNSOUND};
use skillmeat_shared::paths::{Environment, Home};

use crate::service::{Control, survey};

/// What it is, in words, and what is wrong with it. Asks its manager only if a file of it is there.
pub(super) fn look(home: &Home, env: &dyn Environment) -> (String, Vec<Finding>) {
    let is_there = Control::of(home, env).is_ok_and(|control| {
        let files = control.service().files();
        files.iter().any(|file| file.symlink_metadata().is_ok())
    });
    if !is_there {
        return ("not installed".to_owned(), Vec::new());
    }
    let survey = match survey(home, env) {
        Ok(survey) => survey,
        Err(error) => {
            let message = format!(
                "{}; mend that, then run `sm service install`",
                error.message
            );
            let finding = Finding::new(&SERVICE_UNSOUND, "", message);
            return (String::new(), vec![finding]);
        }
    };
    let name = survey.control.service().name();
    let place = survey.files.last().map(|file| file.path.clone());
    let mut findings: Vec<Finding> = survey
        .problems()
        .into_iter()
        .map(|(message, hint)| {
            let message = format!("the service `{name}`: {message}; {hint}");
            let finding = Finding::new(&SERVICE_UNSOUND, name, message);
            match &place {
                Some(place) => finding.at(place, None),
                None => finding,
            }
        })
        .collect();
    if survey.lingers == Some(false) {
        let message = format!("the service `{name}` ends when you log out");
        findings.push(Finding::new(&SERVICE_NOT_LINGERING, name, message));
    }
    (format!("`{name}` is installed"), findings)
}
