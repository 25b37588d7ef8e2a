//! Requests on records.

use std::sync::Arc;

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    dev::Payload,
    web::{self, ServiceConfig},
};
use gatepost_app::{
    UnitOfWork,
    resources::{
        self,
        records::{self, ListRecords, RecordPath},
    },
    visits::analytics,
};
use gatepost_contract::{ApiError, Deleted, Message};
use gatepost_kernel::{Error, Json, JsonObject, ListErrors};
use gatepost_resources::{Field, Kind};
use serde_json::value::RawValue;

use super::{
    analytics::{AnalyticsQuery, RecordAnalyticsView},
    operations::RecordOperation,
    queries::{RecordQuery, RecordsQuery},
    verb::Verb,
    words::listed,
};
use crate::{
    State,
    body::{BodyForm, Fields, NoBody},
    call::Call,
    extensions::Route,
    fallback::no_such_operation,
    lists::{AsksList, Shape},
    query::{NoQuery, ReadQuery},
};

/// The forms of paths below the base: of all records, of one, of an action or of all that belong to one, of
/// one of those, and of an action on that.
const PATTERNS: [&str; 5] = [
    "/{of}",
    "/{of}/{id}",
    "/{of}/{id}/{sub}",
    "/{of}/{id}/{sub}/{sub_id}",
    "/{of}/{id}/{sub}/{sub_id}/{action}",
];

/// Whoever holds the scope that the declaration says.
struct Declared;

type RecordCall<Q, B> = Call<Declared, Q, B>;

/// Registers what takes requests on records, behind everything else below the base.
pub fn configure(config: &mut ServiceConfig) {
    config.service(web::resource(PATTERNS).to(handle));
}

async fn handle(req: HttpRequest, payload: web::Payload) -> Result<HttpResponse, ApiError> {
    let Some(state) = req.app_data::<State>().cloned() else { return Err(Error::NotFound.into()) };
    let below = req.path().strip_prefix(state.contract().base_path.as_ref()).unwrap_or_default();
    let Some((operation, path)) = state.records().find(req.method(), below) else {
        return no_such_operation(req).await;
    };
    req.extensions_mut().insert(Route(operation.operation.full_path(state.contract())));
    let payload = payload.into_inner();
    match operation.verb {
        Verb::List => list(req, payload, operation, path.parent_id).await,
        Verb::Get => get(req, payload, operation, path).await,
        Verb::Create | Verb::Update | Verb::Act(_) => write(req, payload, operation, path).await,
        Verb::Delete => delete(req, payload, operation, path).await,
        Verb::Count => count(req, payload, operation).await,
    }
}

type Of = Arc<RecordOperation>;

async fn list(
    req: HttpRequest,
    payload: Payload,
    of: Of,
    parent_id: Option<String>,
) -> Result<HttpResponse, ApiError> {
    let read = |parameters: &mut _| RecordsQuery::read(parameters, &of.resource, &of.options);
    let call = RecordCall::<RecordsQuery, NoBody>::accept(
        req,
        payload,
        of.requirement(),
        read,
        BodyForm::of::<NoBody>(),
    );
    let call = call.await?;
    let request = call.list_request().await?;
    let query = ListRecords {
        parent_id,
        filters: call.query().filters.clone(),
        include: call.query().asked().shape().included().to_vec(),
    };
    let page = records::list(call.app(), call.caller(), &of.resource, query, request).await?;
    call.rows(page, |record| Ok(record.members)).await
}

async fn get(req: HttpRequest, payload: Payload, of: Of, path: RecordPath) -> Result<HttpResponse, ApiError> {
    let read = |parameters: &mut _| Some(RecordQuery(Shape::read(parameters, &of.options)));
    let call = RecordCall::<RecordQuery, NoBody>::accept(
        req,
        payload,
        of.requirement(),
        read,
        BodyForm::of::<NoBody>(),
    );
    let call = call.await?;
    let shape = &call.query().0;
    let include = shape.included().to_vec();
    let record = records::get(call.app(), call.caller(), &of.resource, path, include).await?;
    call.shaped(shape, &record.members, Some(record.updated_at))
}

async fn count(req: HttpRequest, payload: Payload, of: Of) -> Result<HttpResponse, ApiError> {
    let declared = &of.resource.declared;
    let read = |parameters: &mut _| AnalyticsQuery::read(parameters, declared);
    let form = BodyForm::of::<NoBody>();
    let call =
        RecordCall::<AnalyticsQuery, NoBody>::accept(req, payload, of.requirement(), read, form).await?;
    let AnalyticsQuery { span, group_by } = call.query();
    let group_by = group_by.and_then(|name| declared.field(name));
    let query = span.of(of.resource.counted_by(group_by));
    let counts = analytics::count(call.app(), call.caller(), query).await?;
    Ok(call.item(&RecordAnalyticsView::new(counts, group_by))?.into_inner())
}

/// Makes a record, changes it, or does to it what is declared.
async fn write(
    req: HttpRequest,
    payload: Payload,
    of: Of,
    path: RecordPath,
) -> Result<HttpResponse, ApiError> {
    let (body, call) = accept_body(req, payload, &of).await?;
    let answer = call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let (body, resource) = (body?, &of.resource);
        let record = match (of.verb, of.action()) {
            (Verb::Create, _) => records::create(unit, resource, path.parent_id, body).await?,
            (Verb::Act(_), Some(action)) => records::act(unit, resource, action, path, body).await?,
            _ => records::update(unit, resource, path, body).await?,
        };
        let done = of.operation.sentence();
        Ok(match of.verb {
            Verb::Create => Message::created(done, record.members),
            _ => Message::done(done, record.members),
        })
    });
    Ok(answer.await?.into_inner())
}

async fn delete(
    req: HttpRequest,
    payload: Payload,
    of: Of,
    path: RecordPath,
) -> Result<HttpResponse, ApiError> {
    let form = BodyForm::of::<NoBody>();
    let call =
        RecordCall::<NoQuery, NoBody>::accept(req, payload, of.requirement(), NoQuery::read, form).await?;
    let answer = call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let id = path.id.clone();
        resources::delete(unit, &of.resource, path).await?;
        Ok(Deleted(id))
    });
    Ok(answer.await?.into_inner())
}

/// Lets a request in that brings fields of a record; what they are, or their errors.
async fn accept_body(
    req: HttpRequest,
    payload: Payload,
    of: &Of,
) -> Result<(Result<JsonObject, Error>, RecordCall<NoQuery, ()>), ApiError> {
    let form = BodyForm {
        limit_bytes: 1 << 20,
        is_taken: of.action().is_none_or(|action| action.fields().next().is_some()),
        is_optional: of.action().is_some_and(|action| action.input.is_empty()),
        media_types: &["application/json"],
        read: {
            let of = of.clone();
            move |fields: &mut Fields<'_>| Some(read_fields(fields, &of))
        },
    };
    let call = RecordCall::<NoQuery, JsonObject>::accept(req, payload, of.requirement(), NoQuery::read, form);
    Ok(call.await?.into_body())
}

/// The fields that an operation takes; what is wrong with them goes to `fields`.
fn read_fields(fields: &mut Fields<'_>, of: &RecordOperation) -> JsonObject {
    let declared = &of.resource.declared;
    let mut given = JsonObject::default();
    let of_action = of.action().map(|action| action.fields().collect::<Vec<_>>());
    for field in &declared.fields {
        let is_taken = match &of_action {
            Some(taken) => taken.contains(&field.name),
            None => declared.parent_field() != Some(field.name),
        };
        if !is_taken {
            continue;
        }
        let is_blocked = of_action.is_none() && field.set_by_actions;
        let value = fields.nullable_by(field.name, |fields, value| match is_blocked {
            true => Some(Json::written(&())),
            false => read_value(fields, field, value),
        });
        if is_blocked && value.is_some() {
            let actions: Vec<String> = declared.actions_of(field.name).map(str::to_owned).collect();
            let by = if actions.is_empty() { "the platform".to_owned() } else { listed(&actions, "or") };
            fields.error(field.name, format!("The {} is set by {by} alone.", field.label()));
            continue;
        }
        match value {
            Some(Some(value)) => given.set(field.name, value),
            Some(None) => given.set(field.name, Json::written(&())),
            None => {}
        }
    }
    given
}

/// A value of a field.
fn read_value<'b>(fields: &mut Fields<'b>, field: &Field, value: &'b RawValue) -> Option<Json> {
    let name = field.name;
    match &field.kind {
        Kind::Integer { min, max } => {
            fields.integer(name, value, *min..=*max).map(|number| Json::written(&number))
        }
        Kind::Boolean => fields.boolean(name, value).map(|value| Json::written(&value)),
        Kind::Json { .. } => {
            let json = fields.json(name, value)?;
            match field.kind.error(name, &json) {
                None => Some(json),
                Some(message) => {
                    fields.error(name, message);
                    None
                }
            }
        }
        Kind::Texts { max_items, .. } => fields.texts(name, value, |texts| {
            if texts.len() > *max_items {
                let message = format!("The {} may not have more than {max_items} items.", field.label());
                return Err(ListErrors::of_list(message));
            }
            let (mut items, mut errors) = (Vec::with_capacity(texts.len()), ListErrors::default());
            for (index, text) in texts.iter().enumerate() {
                match field.kind.text(name, text) {
                    Ok(item) if items.contains(&item) => {}
                    Ok(item) => items.push(item),
                    Err(error) => errors.add(index, error),
                }
            }
            errors.none_or(Json::written(&items))
        }),
        kind => fields.text(name, value, |text| kind.text(name, text).map(|text| Json::written(&text))),
    }
}
