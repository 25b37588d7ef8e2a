//! Secrets of webhook endpoints, and those that members' authenticator apps share with the server, as they are
//! stored: which keys they need, and storing them anew under the present one.

use std::collections::{BTreeMap, BTreeSet};

use gatepost_kernel::{MemberId, Result, Secret, Timestamp, WebhookEndpointId, random};
use gatepost_sealing::{Kept, SealedColumn, Vault};
use gatepost_storage::{Storage, StorageError, Tx, WebhookEndpointChanges};
use gatepost_webhooks::{CustomHeader, EndpointSecret, PreviousSecret, WebhookEndpoint};

/// How many endpoints or members are looked at in one transaction.
const BATCH: u32 = 200;

const LOST: &str =
    "The server's key to its secret was lost. Rotate the secret, give the headers again, and make it active.";

/// How secrets are stored; endpoints and second factors, not texts, are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredSecrets {
    /// Those with a text that is stored as it is.
    pub plain: u64,
    /// Those with a text that is sealed by the key of that name.
    pub sealed: BTreeMap<String, u64>,
    /// Those with a text that is sealed and not bound to its place, from before texts were.
    pub unbound: u64,
    /// Those with a text in no known form.
    pub unknown: u64,
}

/// What storing anew came to; endpoints and second factors are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Those that were stored anew.
    pub resealed: u64,
    /// Those that were as they should be.
    pub unchanged: u64,
    /// Those with a text that no present key opens; they stay as they are.
    pub unreadable: u64,
    /// Those whose secret no present key opens: endpoints were given a fresh one, second factors taken away.
    pub replaced: u64,
}

/// The stored texts of an endpoint.
fn texts(endpoint: &WebhookEndpoint) -> impl Iterator<Item = &Secret> {
    let previous = endpoint.previous_secrets.iter().map(|secret| &secret.sealed);
    [&endpoint.sealed_secret, &endpoint.sealed_headers].into_iter().chain(previous)
}

impl StoredSecrets {
    /// Counts what has these texts.
    fn add<'t>(&mut self, texts: impl Iterator<Item = &'t Secret>) {
        let kept: Vec<Kept<'_>> = texts.map(Kept::of).collect();
        self.unbound += u64::from(kept.iter().any(|kept| matches!(kept, Kept::Unbound(_))));
        let key_name = |kept: &Kept<'_>| match kept {
            Kept::Bound(name) | Kept::Unbound(name) => Some((*name).to_owned()),
            Kept::Plain | Kept::Unknown => None,
        };
        for name in kept.iter().filter_map(key_name).collect::<BTreeSet<_>>() {
            *self.sealed.entry(name).or_default() += 1;
        }
        self.plain += u64::from(kept.contains(&Kept::Plain));
        self.unknown += u64::from(kept.contains(&Kept::Unknown));
    }
}

impl Resealed {
    fn add(&mut self, done: &Self) {
        self.resealed += done.resealed;
        self.unchanged += done.unchanged;
        self.unreadable += done.unreadable;
        self.replaced += done.replaced;
    }
}

/// Looks how the secrets of all endpoints that are not deleted, and of all second factors, are stored.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`].
pub async fn survey(storage: &Storage) -> Result<StoredSecrets> {
    let (mut found, mut after) = (StoredSecrets::default(), WebhookEndpointId(0));
    loop {
        let read = async move |mut tx: Tx<'_>| tx.webhook_endpoint_all(after, BATCH, false).await;
        let endpoints = storage.read::<_, StorageError, _>(read).await?;
        let Some(last) = endpoints.last() else { break };
        after = last.id;
        endpoints.iter().for_each(|endpoint| found.add(texts(endpoint)));
    }
    let mut after = MemberId(0);
    loop {
        let read = async move |mut tx: Tx<'_>| tx.authenticator_all(after, BATCH, false).await;
        let authenticators = storage.read::<_, StorageError, _>(read).await?;
        let Some((last, _)) = authenticators.last() else { return Ok(found) };
        after = *last;
        authenticators.iter().for_each(|(_, sealed)| found.add(std::iter::once(sealed)));
    }
}

/// Stores the secrets of all endpoints and second factors as `vault` stores new ones, and drops those that
/// sign no more at `now`. What no present key opens stays as it is; or, with `replace_lost`, an endpoint is
/// given a fresh secret and no headers, and made inactive, and a second factor is taken away.
///
/// # Errors
/// [`gatepost_kernel::Error::Unavailable`]; what was stored anew by then stays so.
pub async fn reseal(
    storage: &Storage,
    vault: &Vault,
    now: Timestamp,
    replace_lost: bool,
) -> Result<Resealed> {
    let (mut total, mut after) = (Resealed::default(), WebhookEndpointId(0));
    loop {
        let vault = vault.clone();
        let batch = async move |mut tx: Tx<'_>| {
            let mut done = Resealed::default();
            let endpoints = tx.webhook_endpoint_all(after, BATCH, true).await?;
            for endpoint in &endpoints {
                match sealed_anew(&vault, endpoint, now) {
                    Found::Current => done.unchanged += 1,
                    Found::Opened(changes) => {
                        // Nothing changes for those who see it, so it counts as unchanged since then.
                        tx.webhook_endpoint_update(endpoint.id, changes, endpoint.updated_at).await?;
                        done.resealed += 1;
                    }
                    Found::Lost if replace_lost => {
                        let changes = fresh(&vault, endpoint);
                        tx.webhook_endpoint_update(endpoint.id, changes, now.max(endpoint.updated_at))
                            .await?;
                        done.replaced += 1;
                    }
                    Found::Lost => done.unreadable += 1,
                }
            }
            Ok::<_, StorageError>((done, endpoints.last().map(|endpoint| endpoint.id)))
        };
        let (done, last) = storage.transaction(batch).await?;
        total.add(&done);
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    let mut after = MemberId(0);
    loop {
        let vault = vault.clone();
        let batch = async move |mut tx: Tx<'_>| {
            let mut done = Resealed::default();
            let authenticators = tx.authenticator_all(after, BATCH, true).await?;
            for (id, sealed) in &authenticators {
                let column = SealedColumn::authenticator(*id);
                if vault.is_current(sealed) {
                    done.unchanged += 1;
                } else if let Ok(text) = vault.open(sealed, column) {
                    let sealed = vault.seal(&mut random::rng(), text.expose(), column);
                    tx.authenticator_set_sealed(*id, &sealed).await?;
                    done.resealed += 1;
                } else if replace_lost {
                    tx.second_factor_set(*id, None, &[], now).await?;
                    done.replaced += 1;
                } else {
                    done.unreadable += 1;
                }
            }
            Ok::<_, StorageError>((done, authenticators.last().map(|(id, _)| *id)))
        };
        let (done, last) = storage.transaction(batch).await?;
        total.add(&done);
        match last {
            Some(last) => after = last,
            None => return Ok(total),
        }
    }
}

enum Found {
    Current,
    Opened(WebhookEndpointChanges),
    Lost,
}

fn sealed_anew(vault: &Vault, endpoint: &WebhookEndpoint, now: Timestamp) -> Found {
    let ended = endpoint.previous_secrets.iter().any(|secret| secret.until <= now);
    if !ended && texts(endpoint).all(|text| vault.is_current(text)) {
        return Found::Current;
    }
    let (own_secret, own_headers) = places(endpoint);
    let anew = |text: &Secret, column: SealedColumn| {
        vault.open(text, column).map(|text| vault.seal(&mut random::rng(), text.expose(), column))
    };
    let in_force = endpoint.previous_secrets.iter().filter(|secret| secret.until > now);
    let previous: Result<Vec<_>, _> = in_force
        .map(|secret| Ok(PreviousSecret { sealed: anew(&secret.sealed, own_secret)?, ..secret.clone() }))
        .collect();
    match (anew(&endpoint.sealed_secret, own_secret), anew(&endpoint.sealed_headers, own_headers), previous) {
        (Ok(secret), Ok(headers), Ok(previous)) => Found::Opened(WebhookEndpointChanges {
            secrets: Some((secret, previous)),
            sealed_headers: Some(headers),
            ..Default::default()
        }),
        (_, _, Err(gatepost_sealing::VaultError)) | (Err(_), ..) | (_, Err(_), _) => Found::Lost,
    }
}

/// Where the texts of an endpoint belong: its secrets and its headers.
fn places(endpoint: &WebhookEndpoint) -> (SealedColumn, SealedColumn) {
    let (workspace, id) = (endpoint.workspace_id, endpoint.id);
    (SealedColumn::secret(workspace, id), SealedColumn::headers(workspace, id))
}

fn fresh(vault: &Vault, endpoint: &WebhookEndpoint) -> WebhookEndpointChanges {
    let (own_secret, own_headers) = places(endpoint);
    let secret = EndpointSecret::generate(&mut random::rng());
    WebhookEndpointChanges {
        secrets: Some((vault.seal(&mut random::rng(), secret.expose(), own_secret), Vec::new())),
        sealed_headers: Some(vault.seal(&mut random::rng(), &CustomHeader::write_all(&[]), own_headers)),
        is_active: Some((false, Some(LOST.to_owned()))),
        ..Default::default()
    }
}
