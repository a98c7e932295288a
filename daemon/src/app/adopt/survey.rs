//! Looking: which artifacts there are, which of them are the same, and which the collection has.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use skillmeat_shared::artifact::read::as_copied;
use skillmeat_shared::artifact::{detect, name};
use skillmeat_shared::config;
use skillmeat_shared::deployment::agents::{Agents, Folder};
use skillmeat_shared::deployment::found::{self, Found};
use skillmeat_shared::error::word;
use skillmeat_shared::paths::ProcessEnvironment;
use skillmeat_shared::{ArtifactId, Code, Error, Kind, Result};

use crate::app::App;
use crate::store::list;

/// What is looked for.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields of SurveyRequest; see adopt.proto")]
pub struct SurveyRequest {
    pub collection: String,
    pub from: Vec<String>,
    pub variables: BTreeMap<String, String>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields of SurveyResponse; see adopt.proto")]
pub struct Surveyed {
    pub collection: String,
    pub rows: Vec<SurveyRow>,
    pub skipped: Vec<(PathBuf, String)>,
    pub folders: Vec<PathBuf>,
}

/// One artifact, wherever it stands.
#[derive(Debug, Clone)]
pub struct SurveyRow {
    /// What it would be.
    pub id: ArtifactId,
    /// What it says of itself.
    pub description: String,
    /// The hash of its content.
    pub content_hash: Option<String>,
    /// Where it stands; the first is the one that is taken.
    pub places: Vec<Found>,
    /// new, present, differs or rival.
    pub state: &'static str,
    /// The artifact in the collection.
    pub known_as: Option<ArtifactId>,
}

impl App {
    /// Looks into the folders of agents, and compares what is there with a collection.
    pub fn survey(&self, request: &SurveyRequest) -> Result<Surveyed> {
        let store = self.store()?;
        let collection = self.collection_or_default(&request.collection);
        let known = self.asked(&store, &collection, false)?;
        let existing = match known.first() {
            Some((row, _)) => store.read(|connection| list::existing(connection, *row))?,
            None => return Err(crate::app::collections::not_found(&collection)),
        };
        let mut folders = self.folders(request)?;
        folders.retain(|folder| folder.path.exists());
        let findings = found::look(&folders, &mut |_| {});
        let mut surveyed = Surveyed {
            collection,
            skipped: findings.skipped,
            folders: folders
                .into_iter()
                .filter(|folder| folder.kind != Kind::Hook)
                .map(|folder| folder.path)
                .collect(),
            ..Surveyed::default()
        };
        surveyed.folders.sort_unstable();
        surveyed.folders.dedup();
        surveyed.gather(findings.found);
        surveyed.compare(&existing);
        Ok(surveyed)
    }

    /// The folders that are asked for; many do not exist.
    fn folders(&self, request: &SurveyRequest) -> Result<Vec<Folder>> {
        let agents = Agents::load(&self.boot.home)?;
        // As it is now: whoever changed it a moment ago means what they wrote.
        let config = config::load(&self.boot.home, &ProcessEnvironment).config;
        let projects = |root: &Path| {
            let (depth, excluded) = (config.search_max_depth, &config.search_exclude_dirs);
            found::projects(&agents, root, depth, excluded)
                .into_iter()
                .flat_map(|project| agents.of_project(None, &project))
                .collect::<Vec<_>>()
        };
        if request.from.is_empty() {
            let mut folders = agents.of_user(None, &request.variables);
            for root in &config.search_project_roots {
                folders.extend(projects(root));
            }
            return Ok(folders);
        }
        let home = request.variables.get("HOME").map(Path::new);
        let mut folders = Vec::new();
        for from in &request.from {
            let path = Path::new(from);
            if !path.is_absolute() {
                let agent = agents.get(from)?;
                folders.extend(agents.of_user(Some(agent), &request.variables));
                continue;
            }
            let found = std::fs::metadata(path).map_err(|error| Error::io("read", path, &error))?;
            if !found.is_dir() {
                let message = format!("`{from}` is no folder");
                return Err(Error::new(Code::InvalidArgument, message)
                    .hint("`sm add` takes single files")
                    .at(path, None));
            }
            let mut here = agents.at(path);
            if here.is_empty() {
                if home == Some(path) {
                    here.extend(agents.of_user(None, &request.variables));
                }
                here.extend(agents.of_project(None, path));
                // A project's parts may have folders of their own; of a home only those of the user are meant.
                if home != Some(path) || !here.iter().any(|folder| folder.path.exists()) {
                    here.extend(projects(path));
                }
            }
            if !here.iter().any(|folder| folder.path.exists()) {
                let message = format!("`{from}` holds no folder of an agent");
                return Err(Error::new(Code::FileNotFound, message)
                    .hint("name an agent's folder (`~/.claude`), a project, or a folder with projects")
                    .hint(format!("`sm add --all {}` finds artifacts in any folder", word(from))));
            }
            folders.extend(here);
        }
        Ok(folders)
    }
}

impl Surveyed {
    /// Makes rows of what was found: same content, one row.
    fn gather(&mut self, found: Vec<Found>) {
        let mut rows: HashMap<(String, String), usize> = HashMap::new();
        for one in found {
            let id = ArtifactId::new(one.kind.clone(), one.name.clone());
            let checked = name::validate(&id.name)
                .and_then(|()| detect::check(&id.kind, &one.real))
                .and_then(|()| as_copied(&id, &one.real));
            let reading = match checked {
                Ok(reading) => reading,
                Err(error) => {
                    self.skipped.push((one.place, error.message));
                    continue;
                }
            };
            // What has no hash is the same only where it is the same place.
            let hash = reading.hashes.content;
            let same = hash
                .clone()
                .unwrap_or_else(|| one.real.display().to_string());
            let key = (id.kind.to_string(), same);
            if let Some(row) = rows.get(&key).and_then(|at| self.rows.get_mut(*at)) {
                row.places.push(one);
                continue;
            }
            rows.insert(key, self.rows.len());
            self.rows.push(SurveyRow {
                id,
                description: reading.metadata.description.unwrap_or_default(),
                content_hash: hash,
                places: vec![one],
                state: "new",
                known_as: None,
            });
        }
        self.rows.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// Says of each row how it stands with the collection.
    fn compare(&mut self, existing: &[list::Existing]) {
        let by_hash: HashMap<&str, &ArtifactId> = existing
            .iter()
            .filter_map(|one| one.content_hash.as_deref().map(|hash| (hash, &one.id)))
            .collect();
        let by_id: HashSet<&ArtifactId> = existing
            .iter()
            .filter(|one| one.status != "missing" && one.status != "declared")
            .map(|one| &one.id)
            .collect();
        let mut taken = HashSet::new();
        for row in &mut self.rows {
            let hash = row.content_hash.as_deref().unwrap_or_default();
            if let Some(same) = by_hash.get(hash).filter(|same| same.kind == row.id.kind) {
                row.state = "present";
                row.known_as = Some((*same).clone());
            } else if by_id.contains(&row.id) {
                row.state = "differs";
                row.known_as = Some(row.id.clone());
            } else if !taken.insert(row.id.clone()) {
                row.state = "rival";
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, hash: &str) -> SurveyRow {
        SurveyRow {
            id: ArtifactId::new(Kind::Skill, name),
            description: String::new(),
            content_hash: Some(hash.to_owned()),
            places: Vec::new(),
            state: "new",
            known_as: None,
        }
    }

    #[test]
    fn rows_are_compared_by_content_first() {
        let existing = |name: &str, hash: &str, status: &str| list::Existing {
            id: ArtifactId::new(Kind::Skill, name),
            path: String::new(),
            status: status.to_owned(),
            content_hash: Some(hash.to_owned()),
        };
        let mut surveyed = Surveyed {
            rows: vec![
                row("a", "1"),
                row("b", "2"),
                row("c", "3"),
                row("c", "4"),
                row("d", "5"),
            ],
            ..Surveyed::default()
        };
        surveyed.compare(&[
            existing("other", "1", "managed"),
            existing("b", "9", "managed"),
            existing("d", "8", "missing"),
        ]);
        let states: Vec<&str> = surveyed.rows.iter().map(|row| row.state).collect();
        assert_eq!(states, ["present", "differs", "new", "rival", "new"]);
        assert_eq!(surveyed.rows[0].known_as.as_ref().unwrap().name, "other");
    }
}
