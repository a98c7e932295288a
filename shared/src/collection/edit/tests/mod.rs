mod examples;
mod members;
mod random;

use serde_json::Value as Json;

use super::*;
use crate::collection::manifest::Manifest;
use crate::document::{self, Lines};
use crate::{ArtifactId, Kind, Result};

fn skill(name: &str) -> Key {
    Key::Artifact(ArtifactId::new(Kind::Skill, name))
}

fn group(name: &str) -> Key {
    Key::Group(name.to_owned())
}

fn read(text: &str) -> Manifest {
    Manifest::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn model(text: &str) -> Json {
    let root =
        document::parse(text, &Lines::of(text)).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Json::Object(document::table_to_json(root.get_ref()))
}

fn set(text: &str, key: Key, path: &str, value: impl Into<Value>) -> String {
    edit(text, key, Change::set(path, value)).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn edit(text: &str, key: Key, to: Change) -> Result<String> {
    change(text, &[(key, vec![to])])
}
