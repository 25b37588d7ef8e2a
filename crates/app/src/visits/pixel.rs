//! Pixel tracking: visits of pages, which nobody shows a key for.
//!
//! Whose page it is follows from its domain. That is remembered for a few seconds, and forgotten as soon as
//! the change feed tells of a workspace; what is remembered is bounded, since anybody can name any domain.
//! Events that come at the same time are stored and counted in one transaction, and answered when they are
//! there.

use std::{
    borrow::Cow,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use gatepost_entitlements::OwnFeature;
use gatepost_kernel::{Environment, Error, Json, LockAnyway, Owner, Result, Timestamp, WorkspaceId, random};
use gatepost_metrics::Histogram;
use gatepost_pixel::{PixelSettings, Visit, domain_of, names_of, network_of, page_of, referrer_of};
use gatepost_storage::{NewPixelEvent, Tx};
use rand::RngExt;
use url::Url;

use crate::{
    App,
    combined::{Attempt, GroupWork},
    combiner::{Combiner, Limits},
    entitlements::{Request, UseFeature, consume_all},
    tenants,
    visits::pixel_values::LearnedValues,
};

/// The feature that counts events, where a plan lists it.
const FEATURE: OwnFeature = OwnFeature::PixelEvents;
/// How long it is remembered whose a domain is; the same as of keys, for when the change feed cannot be read.
const TRUST: Duration = Duration::from_secs(4);
/// How many domains are remembered.
const MAX_REMEMBERED: usize = 10_000;
/// Events of one transaction.
const MAX_EVENTS: usize = 1_000;
/// How many bytes of them.
const MAX_BYTES: usize = 4 << 20;

/// The pages of a workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    workspace_id: WorkspaceId,
    /// Whether the plan counts its events.
    metered: bool,
    /// What the workspace says about its pixel.
    pub settings: PixelSettings,
}

/// What happened on a page, as it is told.
#[derive(Debug)]
pub struct TrackEvent {
    /// What, as [`gatepost_pixel::event_name`] accepts it.
    pub event: String,
    /// On which page.
    pub url: Url,
    /// From which page the visitor came.
    pub referrer: Option<Url>,
    /// With what.
    pub user_agent: Option<String>,
    /// An object of whatever else is said about it.
    pub properties: Json,
}

/// Whose a domain is.
struct Remembered {
    site: Option<Arc<Site>>,
    until: Timestamp,
    /// [`gatepost_gate::Gate::workspace_changes`] before it was read; once it has grown, this is stale.
    changes: u64,
}

/// Whose domains are whose, as far as this process remembers.
#[derive(Default)]
pub(crate) struct Sites(Mutex<HashMap<String, Remembered>>);

impl Sites {
    fn get(&self, domain: &str, now: Timestamp, changes: u64) -> Option<Option<Arc<Site>>> {
        let known = self.0.lock_anyway();
        let fresh = |known: &&Remembered| now < known.until && known.changes == changes;
        known.get(domain).filter(fresh).map(|known| known.site.clone())
    }

    fn put(&self, domain: String, site: Option<Arc<Site>>, now: Timestamp, changes: u64) {
        let mut known = self.0.lock_anyway();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(domain, Remembered { site, until: now.plus(TRUST), changes });
    }
}

/// Events that wait to be stored; whether each was.
pub(crate) type Tracking = Combiner<Arc<Tracked>, bool>;

/// An event, and whether the plan counts it.
pub(crate) struct Tracked {
    event: NewPixelEvent,
    metered: bool,
}

pub(crate) fn tracking(waiting: usize, sizes: Histogram) -> Arc<Tracking> {
    let weigh = |tracked: &Arc<Tracked>| {
        let visit = &tracked.event.visit;
        visit.url.len() + tracked.event.page.len() + visit.properties.as_str().len() + 1_024
    };
    let waiting_weight = usize::MAX;
    let limits = Limits { waiting, waiting_weight, lanes: 2, requests: MAX_EVENTS, weight: MAX_BYTES, weigh };
    Combiner::new(limits, sizes)
}

/// The pages that a domain belongs to; none if it is nobody's.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn site(app: &App, domain: Option<String>) -> Result<Option<Arc<Site>>> {
    let Some(domain) = domain else { return Ok(None) };
    let (now, changes) = (app.now(), app.gate().workspace_changes());
    if let Some(known) = app.sites().get(&domain, now, changes) {
        return Ok(known);
    }
    let names = names_of(&domain);
    let owner = app.read(async move |mut tx| Ok(tx.pixel_owner(&names).await?)).await?;
    let site = owner.map(|owner| {
        let settings = tenants::pixel(&owner.settings);
        Arc::new(Site {
            workspace_id: owner.workspace_id,
            metered: app.catalog().lists(&owner.tier, FEATURE.as_str()),
            settings: settings.unwrap_or_default(),
        })
    });
    app.sites().put(domain, site.clone(), now, changes);
    Ok(site)
}

/// Keeps what happened on a page of a domain, and answers whether it was kept: not if the domain is nobody's,
/// if the page is not on one of the same workspace, if that does not want it or may have no more, or if it is
/// not one of the sample.
///
/// # Errors
/// [`Error::Unavailable`], also if too many events wait.
pub async fn track(
    app: &App,
    domain: Option<String>,
    address: Option<IpAddr>,
    input: TrackEvent,
) -> Result<bool> {
    let host = domain_of(None, None, input.url.host_str());
    let is_other = host != domain;
    let Some(site) = site(app, domain).await? else { return Ok(false) };
    // Anybody can name any page; those of others are not counted here.
    let is_own = match is_other {
        true => self::site(app, host).await?.is_some_and(|of_page| of_page.workspace_id == site.workspace_id),
        false => true,
    };
    if !is_own {
        return Ok(false);
    }
    if !site.settings.takes(&input.event) || !site.settings.samples(random::rng().random::<f64>()) {
        return Ok(false);
    }
    let event = NewPixelEvent {
        workspace_id: site.workspace_id,
        // A page shows no key, so it is always of the live environment.
        environment: Environment::Live,
        page: page_of(&input.url),
        referring_site: referrer_of(&input.url, input.referrer.as_ref()),
        visit: Visit {
            event: input.event,
            url: input.url.into(),
            referrer: input.referrer.map(Into::into),
            user_agent: input.user_agent,
            network: address.and_then(network_of),
            properties: input.properties,
        },
        created_at: app.now(),
    };
    let tracked = Arc::new(Tracked { event, metered: site.metered });
    app.combine(app.tracking(), tracked, Track(app.clone())).await
}

/// Stores and counts the events of many visitors.
#[derive(Clone)]
struct Track(App);

impl GroupWork for Track {
    type Request = Arc<Tracked>;
    /// Whether it was kept.
    type Answer = bool;
    type Learned = LearnedValues;

    async fn attempt(
        &self,
        mut tx: Tx<'_>,
        tracked: &[Arc<Tracked>],
    ) -> Result<Attempt<bool, LearnedValues>> {
        let app = &self.0;
        let metered: Vec<Request> =
            tracked.iter().filter(|tracked| tracked.metered).map(|tracked| use_of(tracked)).collect();
        let (decisions, thresholds) = match metered.is_empty() {
            true => (Vec::new(), Vec::new()),
            false => consume_all(&mut tx, app, &metered).await?,
        };
        let mut decisions = decisions.into_iter();
        let (mut kept, mut answers) = (Vec::with_capacity(tracked.len()), Vec::with_capacity(tracked.len()));
        for tracked in tracked {
            let decision = if tracked.metered { decisions.next() } else { None };
            let allowed = match decision {
                None => true,
                // A workspace that is gone, or may have no more, keeps nothing.
                Some(Ok(standing)) => standing.refused.is_none(),
                Some(Err(Error::NotFound)) => false,
                Some(Err(error)) => return Err(error),
            };
            answers.push(Ok(allowed));
            if allowed {
                kept.push(Cow::Borrowed(&tracked.event));
            }
        }
        let learned = app.pixel_values().bound(&mut tx, &mut kept).await?;
        let kept: Vec<&NewPixelEvent> = kept.iter().map(AsRef::as_ref).collect();
        tx.pixel_event_insert(&kept).await?;
        let (_, handovers) = app.store_events(&mut tx, &thresholds).await?;
        Ok(Attempt { answers, handovers, learned })
    }

    fn learn(&self, learned: LearnedValues) {
        self.0.pixel_values().learn(learned);
    }
}

fn use_of(tracked: &Tracked) -> Request {
    let NewPixelEvent { workspace_id, environment, .. } = tracked.event;
    Request { owner: Owner::new(workspace_id, environment), input: UseFeature::one(FEATURE.as_str()) }
}
