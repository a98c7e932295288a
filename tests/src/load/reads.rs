//! Reads of every kind, as many clients mix them.

use skillmeat_proto::v1;
use skillmeat_proto::v1::artifact_service_client::ArtifactServiceClient as Artifacts;
use skillmeat_proto::v1::cache_service_client::CacheServiceClient as Cache;
use skillmeat_proto::v1::collection_service_client::CollectionServiceClient as Collections;
use skillmeat_proto::v1::daemon_service_client::DaemonServiceClient as Daemon;
use skillmeat_proto::v1::search_service_client::SearchServiceClient as Search;
use tonic::Status;
use tonic::transport::Channel;

use crate::generate::{Random, Words};

/// What is read, drawn at random.
#[derive(Debug)]
pub struct Reads {
    random: Random,
    words: Words,
    names: Vec<(String, String)>,
}

impl Reads {
    /// The same reads for the same seed and the same rows. Learns the names of the first thousand artifacts.
    ///
    /// # Errors
    /// When the daemon does not list them.
    pub async fn new(channel: Channel, seed: u64) -> Result<Self, Status> {
        let request = v1::ListArtifactsRequest {
            all_collections: true,
            page_size: 1000,
            ..Default::default()
        };
        let listed = Artifacts::new(channel).list(request).await?.into_inner();
        let names = listed.artifacts.into_iter().map(|row| (row.kind, row.name));
        Ok(Self {
            random: Random::new(seed),
            words: Words::new(),
            names: names.collect(),
        })
    }

    /// Reads something.
    ///
    /// # Errors
    /// What the daemon answers.
    pub async fn next(&mut self, channel: Channel) -> Result<(), Status> {
        match self.random.below(20) {
            0..8 => {
                let request = v1::ListArtifactsRequest {
                    all_collections: true,
                    page_size: 50,
                    ..Default::default()
                };
                Artifacts::new(channel).list(request).await?;
            }
            8..13 if !self.names.is_empty() => {
                let (kind, name) = self.names[self.random.below(self.names.len())].clone();
                let request = v1::ShowArtifactRequest {
                    artifact: Some(v1::ArtifactRef { kind, name }),
                    ..Default::default()
                };
                Artifacts::new(channel).show(request).await?;
            }
            13 => {
                let request = v1::CompleteNamesRequest {
                    prefix: self.words.at(40 + self.random.below(400)).to_owned(),
                    what: "artifact".to_owned(),
                    ..Default::default()
                };
                Artifacts::new(channel).complete_names(request).await?;
            }
            14 => {
                let request = v1::CacheStatusRequest {};
                Cache::new(channel).status(request).await?;
            }
            15 => {
                let request = v1::ListCollectionsRequest::default();
                Collections::new(channel).list(request).await?;
            }
            16 => {
                let request = v1::StatusRequest {};
                Daemon::new(channel).status(request).await?;
            }
            _ => {
                let word = |at: usize| self.words.at(at).to_owned();
                let first = word(40 + self.random.below(2000));
                let query = if self.random.below(2) == 0 {
                    first
                } else {
                    format!("{first} {}", word(40 + self.random.below(400)))
                };
                let request = v1::SearchRequest {
                    query: query.into_bytes(),
                    ..Default::default()
                };
                Search::new(channel).search(request).await?;
            }
        }
        Ok(())
    }
}
