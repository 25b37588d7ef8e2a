//! What a declaration may not take, since the platform has it already.

use gatepost_app::resources::Resources;
use gatepost_contract::Contract;
use gatepost_resources::Taken;
use gatepost_webhooks::RESERVED_EVENT_TYPES;

use crate::{openapi::document, operations};

/// Schemas that are in the document only where something is declared, and then for all types.
const SHARED_SCHEMAS: [&str; 4] =
    ["DeletedRecordItem", "DeletedRecordView", "RecordAnalyticsItem", "RecordAnalyticsView"];

/// What a declaration may not take beside the words that are reserved. Which features there are is not known
/// here.
pub fn taken(contract: &Contract) -> Taken {
    let document = document(contract, &Resources::default());
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let schemas = schemas.map(|(name, _)| name.as_str()).chain(SHARED_SCHEMAS);
    let first = |path: &str| path.split('/').nth(1).unwrap_or_default().to_owned();
    Taken {
        paths: operations().map(|operation| first(operation.path)).collect(),
        events: RESERVED_EVENT_TYPES.iter().map(|word| word.trim_end_matches('.').to_owned()).collect(),
        operations: operations().map(|operation| operation.id.to_owned()).collect(),
        schemas: schemas.map(str::to_owned).collect(),
        ..Taken::default()
    }
}
