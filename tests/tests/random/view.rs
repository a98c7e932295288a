//! All that a daemon tells over the wire, in a form that does not depend on how it came to be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use skillmeat_proto::v1;
use skillmeat_proto::v1::artifact_service_client::ArtifactServiceClient;
use skillmeat_proto::v1::cache_service_client::CacheServiceClient;
use skillmeat_proto::v1::collection_service_client::CollectionServiceClient;
use skillmeat_proto::v1::search_service_client::SearchServiceClient;
use skillmeat_tests::client::Rpc;
use tonic::Status;

/// What is searched for: names, words of descriptions, of manifests, of texts.
const QUERIES: [&str; 8] = [
    "alpha",
    "about",
    "zebra",
    "\"body of\"",
    "shared",
    "serves",
    "日本",
    "naive wal",
];

/// Lines, by collection and by what they are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// By collection and `type:name|path`.
    artifacts: BTreeMap<(String, String), String>,
    /// Those among them that wait to be looked at.
    stale: BTreeSet<(String, String)>,
    /// By collection.
    collections: BTreeMap<String, String>,
    /// By query.
    found: BTreeMap<String, Vec<String>>,
}

impl View {
    /// Asks a daemon for everything. `root` is left out of all texts.
    pub(crate) fn of(rpc: &Rpc, root: &str) -> Result<Self, Status> {
        let mut view = Self::default();
        view.ask(rpc)?;
        let clean = |text: &mut String| *text = text.replace(root, "~");
        view.artifacts.values_mut().for_each(clean);
        view.collections.values_mut().for_each(clean);
        Ok(view)
    }

    fn ask(&mut self, rpc: &Rpc) -> Result<(), Status> {
        let mut cache = CacheServiceClient::new(rpc.channel());
        let status = rpc
            .wait(cache.status(v1::CacheStatusRequest {}))?
            .into_inner();
        if status.unindexed_artifacts > 0 {
            return Err(Status::unavailable("texts are being indexed"));
        }
        let mut artifacts = ArtifactServiceClient::new(rpc.channel());
        let mut token = String::new();
        loop {
            let request = v1::ListArtifactsRequest {
                all_collections: true,
                page_size: 7,
                page_token: token,
                ..Default::default()
            };
            let page = rpc.wait(artifacts.list(request))?.into_inner();
            if !page.freshness.is_some_and(|freshness| freshness.complete) {
                return Err(Status::unavailable("rows are being built"));
            }
            for mut row in page.artifacts {
                row.synced_at = 0;
                let key = (row.collection.clone(), format!("{}|{}", row.id, row.path));
                if std::mem::take(&mut row.stale) {
                    self.stale.insert(key.clone());
                }
                let before = self.artifacts.insert(key.clone(), format!("{row:?}"));
                assert_eq!(before, None, "twice on the pages: {key:?}");
            }
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        self.show(rpc, &mut artifacts)?;
        self.ask_collections(rpc)?;
        self.search(rpc)
    }

    fn show(
        &mut self,
        rpc: &Rpc,
        artifacts: &mut ArtifactServiceClient<tonic::transport::Channel>,
    ) -> Result<(), Status> {
        for ((collection, key), line) in &mut self.artifacts {
            let (kind, rest) = key.split_once(':').unwrap();
            let name = rest.split_once('|').unwrap().0;
            let request = v1::ShowArtifactRequest {
                collection: collection.clone(),
                artifact: Some(v1::ArtifactRef {
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                }),
            };
            let mut shown = match rpc.wait(artifacts.show(request)) {
                Ok(shown) => shown.into_inner().artifact.unwrap(),
                Err(status) if status.code() == tonic::Code::InvalidArgument => {
                    line.push_str(status.message());
                    continue;
                }
                Err(status) => return Err(status),
            };
            let summary = shown.summary.as_mut().unwrap();
            (summary.synced_at, summary.stale) = (0, false);
            write!(line, "\n{shown:?}").unwrap();
        }
        Ok(())
    }

    fn ask_collections(&mut self, rpc: &Rpc) -> Result<(), Status> {
        let mut client = CollectionServiceClient::new(rpc.channel());
        let all = rpc.wait(client.list(v1::ListCollectionsRequest {}))?;
        for one in all.into_inner().collections {
            let request = v1::ShowCollectionRequest {
                name: one.name.clone(),
            };
            let mut shown = rpc.wait(client.show(request))?.into_inner();
            shown.freshness = None;
            if let Some(collection) = &mut shown.collection {
                collection.verified_at = None;
            }
            self.collections.insert(one.name, format!("{shown:?}"));
        }
        Ok(())
    }

    fn search(&mut self, rpc: &Rpc) -> Result<(), Status> {
        let mut client = SearchServiceClient::new(rpc.channel());
        for query in QUERIES {
            let request = v1::SearchRequest {
                query: query.into(),
                limit: 200,
                ..Default::default()
            };
            let answer = rpc.wait(client.search(request))?.into_inner();
            // Near words of texts are taken from a list that may be a minute old.
            let is_exact = answer.corrections.is_empty();
            let mut lines: Vec<String> = answer
                .hits
                .iter()
                .filter(|_| is_exact)
                .map(|hit| {
                    let artifact = hit.artifact.as_ref().unwrap();
                    format!(
                        "{} {} {} {:.6} {} {:?}",
                        artifact.collection,
                        artifact.id,
                        artifact.path,
                        hit.score,
                        hit.matched,
                        hit.snippet
                    )
                })
                .collect();
            lines.sort();
            self.found.insert(query.to_owned(), lines);
        }
        Ok(())
    }

    /// Leaves out what can't be compared: collections whose files can't be read now.
    pub(crate) fn without(mut self, collections: &BTreeSet<String>) -> Self {
        if !collections.is_empty() {
            self.artifacts
                .retain(|(of, _), _| !collections.contains(of));
            self.stale.retain(|(of, _)| !collections.contains(of));
            self.collections.retain(|of, _| !collections.contains(of));
            // Which words are near, and how rare they are, depends on all rows.
            self.found.clear();
        }
        self
    }

    /// How often each id stands in each collection.
    pub(crate) fn ids(&self) -> BTreeMap<(String, String), i64> {
        let mut ids = BTreeMap::new();
        for (collection, key) in self.artifacts.keys() {
            let id = key.split_once('|').unwrap().0.to_owned();
            *ids.entry((collection.clone(), id)).or_default() += 1;
        }
        ids
    }

    /// Collections and ids of the artifacts that differ.
    pub(crate) fn differing(&self, other: &Self) -> BTreeSet<(String, String)> {
        let keys: BTreeSet<_> = self
            .artifacts
            .keys()
            .chain(other.artifacts.keys())
            .collect();
        keys.into_iter()
            .filter(|key| self.artifacts.get(key) != other.artifacts.get(key))
            .map(|(collection, key)| {
                let id = key.split_once('|').unwrap().0;
                (collection.clone(), id.to_owned())
            })
            .collect()
    }

    /// What differs from another view, for a message.
    pub(crate) fn difference(&self, fresh: &Self) -> String {
        let mut lines = Vec::new();
        let mut compare = |what: String, live: Option<&String>, fresh: Option<&String>| {
            if live != fresh {
                lines.push(format!("{what}\n    live:  {live:?}\n    fresh: {fresh:?}"));
            }
        };
        let keys: BTreeSet<_> = self
            .artifacts
            .keys()
            .chain(fresh.artifacts.keys())
            .collect();
        for key in keys {
            compare(
                format!("{key:?}"),
                self.artifacts.get(key),
                fresh.artifacts.get(key),
            );
        }
        let keys: BTreeSet<_> = self
            .collections
            .keys()
            .chain(fresh.collections.keys())
            .collect();
        for key in keys {
            compare(
                format!("collection {key}"),
                self.collections.get(key),
                fresh.collections.get(key),
            );
        }
        compare(
            "stale".to_owned(),
            Some(&format!("{:?}", self.stale)),
            Some(&format!("{:?}", fresh.stale)),
        );
        for (query, live) in &self.found {
            let text = |lines: &Vec<String>| lines.join("\n           ");
            compare(
                format!("search {query}"),
                Some(&text(live)),
                fresh.found.get(query).map(text).as_ref(),
            );
        }
        lines.join("\n")
    }
}
