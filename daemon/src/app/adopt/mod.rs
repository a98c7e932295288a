//! Adopting: what the user has in the folders of agents, compared with a collection, and taken into it.

mod survey;

pub use survey::{SurveyRequest, SurveyRow, Surveyed};
