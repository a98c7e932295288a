//! The search over the wire.

use std::sync::Arc;

use skillmeat_proto::v1;
use skillmeat_shared::collection::ratings::Ratings;
use tonic::{Request, Response, Status};
use v1::search_service_server::SearchService;

use super::{read, wire};
use crate::app::{App, SearchHit, SearchRequest, SearchScope};

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl SearchService for Service {
    async fn search(
        &self,
        request: Request<v1::SearchRequest>,
    ) -> Result<Response<v1::SearchResponse>, Status> {
        let request = request.into_inner();
        let scope = match request.scope() {
            v1::SearchScope::Metadata => SearchScope::Metadata,
            v1::SearchScope::Content => SearchScope::Content,
            v1::SearchScope::All | v1::SearchScope::Unspecified => SearchScope::All,
        };
        let request = SearchRequest {
            query: request.query,
            collection: request.collection,
            kinds: request.kinds,
            tags: request.tags,
            scope,
            limit: request.limit,
        };
        let answer = read(&self.0, move |app| {
            let searched = app.search(&request)?;
            let ratings = app.ratings();
            Ok(v1::SearchResponse {
                hits: searched
                    .hits
                    .into_iter()
                    .map(|found| hit(app, &ratings, found))
                    .collect(),
                more: searched.more,
                corrections: searched
                    .corrections
                    .into_iter()
                    .map(|(from, to)| v1::Correction { from, to })
                    .collect(),
                unindexed: searched.unindexed,
                evicted: searched.evicted,
                hints: searched.hints,
                freshness: Some(wire::freshness(&searched.freshness)),
            })
        });
        Ok(Response::new(answer.await?))
    }
}

fn hit(app: &App, ratings: &Ratings, found: SearchHit) -> v1::SearchHit {
    let path = found.path;
    let snippet = found.snippet.map(|snippet| v1::Snippet {
        highlights: snippet
            .matches
            .iter()
            .map(|range| v1::Highlight {
                start: u32::try_from(range.start).unwrap_or(u32::MAX),
                end: u32::try_from(range.end).unwrap_or(u32::MAX),
            })
            .collect(),
        text: snippet.text,
        path,
        line: snippet.line,
    });
    v1::SearchHit {
        artifact: Some(wire::summary(app, ratings, found.summary)),
        score: found.score,
        matched: found.found.as_str().to_owned(),
        snippet,
    }
}
