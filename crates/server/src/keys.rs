//! `gatepost keys …`

use gatepost_app::{App, Caller, UnitOfWork, keys::api_keys};
use gatepost_kernel::{
    ApiKeyId, CalendarTime, Clock, Environment, ExternalId, ItemError, SystemClock, WorkspaceId, chain,
    random, text,
};
use gatepost_keys::{ApiKey, ScopeOrder, ScopeSet, Token, TokenFormat};
use serde_json::{Value, json};

use crate::{Failure, cli::KeysCommand, config::Config, database, output, paging};

/// Runs a command.
pub async fn run(config: &Config, command: KeysCommand) -> Result<(), Failure> {
    let app = match command {
        KeysCommand::Create { .. } => database::open_with_root(config).await?,
        KeysCommand::List { .. } | KeysCommand::Revoke { .. } => database::open(config).await?,
        KeysCommand::Generate { environment, json } => {
            return generate(&config.contract.tokens, environment, json);
        }
    };
    match command {
        KeysCommand::Create { name, workspace, scopes, environment, tier, expires_in, external_id, json } => {
            let input = create_input(
                &name,
                (&scopes, app.scope_order()),
                environment,
                tier,
                expires_in,
                external_id,
            )?;
            let caller = Caller::command_line(WorkspaceId(workspace));
            let create = async move |unit: &mut UnitOfWork<'_>| api_keys::create(unit, input).await;
            let new = app.transact(&caller, create).await.map_err(|e| explain(&e, "workspace", workspace))?;
            if json {
                let mut object = describe(&new.key, app.scope_order());
                object["key"] = json!(new.secret.expose());
                output::json(&object)?;
            } else {
                output::line(&format!(
                    "API key {} created; it is shown only now:\n{}",
                    new.key.id,
                    new.secret.expose()
                ))?;
            }
        }
        KeysCommand::Generate { .. } => {}
        KeysCommand::List { workspace, json } => list(&app, WorkspaceId(workspace), json).await?,
        KeysCommand::Revoke { id, json } => {
            // A number is one key's in all workspaces, and the operator may revoke any.
            let workspace =
                app.workspace_of_key(ApiKeyId(id)).await.map_err(|e| explain(&e, "API key", id))?;
            let caller = Caller::command_line(workspace);
            let revoke = async move |unit: &mut UnitOfWork<'_>| api_keys::revoke(unit, ApiKeyId(id)).await;
            app.transact(&caller, revoke).await.map_err(|e| explain(&e, "API key", id))?;
            if json {
                output::json(&json!({ "id": id, "revoked": true }))?;
            } else {
                output::line(&format!("API key {id} revoked"))?;
            }
        }
    }
    Ok(())
}

/// Prints a token that no database knows yet.
pub fn generate(format: &TokenFormat, environment: Environment, json: bool) -> Result<(), Failure> {
    let token = Token::generate(format, environment, &mut random::rng()).into_secret();
    if json {
        output::json(&json!({ "environment": environment, "key": token.expose() }))?;
    } else {
        output::line(token.expose())?;
    }
    Ok(())
}

fn create_input(
    name: &str,
    (scopes, order): (&[String], ScopeOrder),
    environment: Environment,
    tier: Option<String>,
    expires_in: Option<std::time::Duration>,
    external_id: Option<ExternalId>,
) -> Result<api_keys::CreateApiKey, Failure> {
    let texts: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let scopes = ScopeSet::parse_in(order, &texts).map_err(|errors| {
        let of_item = |error: ItemError| match error.index.and_then(|index| texts.get(index)) {
            Some(text) => format!("--scope {text:?}: {}", error.text),
            None => error.text,
        };
        errors.into_iter().map(of_item).collect::<Vec<_>>().join("\n")
    })?;
    let now = SystemClock.now();
    let expires_at = expires_in.map(|lifetime| now.plus(lifetime));
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err("--expires-in: must be longer than nothing".into());
    }
    Ok(api_keys::CreateApiKey {
        name: text::name("name", name)?,
        scopes: (!texts.is_empty()).then_some(scopes),
        environment: Some(environment),
        rate_limit_tier: tier,
        expires_at,
        external_id,
        ..api_keys::CreateApiKey::default()
    })
}

async fn list(app: &App, workspace: WorkspaceId, json: bool) -> Result<(), Failure> {
    let caller = Caller::command_line(workspace);
    let query = api_keys::ListApiKeys::default();
    let keys =
        paging::every(async |request| Ok(api_keys::list(app, &caller, query.clone(), request).await?.0));
    let keys = keys.await?;
    if json {
        let keys: Vec<Value> = keys.iter().map(|key| describe(key, app.scope_order())).collect();
        output::json(&json!({ "data": keys }))?;
    } else {
        for key in &keys {
            let status = key.status(app.now()).as_str();
            output::line(&format!(
                "{}\t{}\t{}\t{status}\t{}",
                key.id, key.prefix, key.environment, key.name
            ))?;
        }
    }
    Ok(())
}

fn describe(key: &ApiKey, order: ScopeOrder) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "workspace_id": key.workspace_id,
        "environment": key.environment,
        "scopes": key.scopes.texts(order),
        "rate_limit_tier": key.rate_limit_tier,
        "expires_at": key.expires_at.map(CalendarTime),
        "external_id": key.external_id,
        "enabled": key.disabled_at.is_none(),
        "created_at": key.created_at,
    })
}

/// An error in the words of the command line: "Resource not found" alone would not say which.
pub fn explain(error: &gatepost_kernel::Error, kind: &str, id: i64) -> Failure {
    match error {
        gatepost_kernel::Error::NotFound => format!("there is no {kind} {id}").into(),
        gatepost_kernel::Error::Validation(errors) => {
            let errors: Vec<&str> =
                errors.iter().flat_map(|(_, messages)| messages).map(String::as_str).collect();
            errors.join("\n").into()
        }
        error => match error.cause() {
            Some(cause) => format!("{error} ({})", chain(cause)).into(),
            None => error.to_string().into(),
        },
    }
}
