//! Why requests were refused: the last of each workspace, for people who ask.
//!
//! In the memory of this process alone, and bounded: a flood of refusals of one workspace pushes out its own, and
//! what all hold together is bounded by cutting the longest first.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use gatepost_kernel::{ApiKeyId, Environment, LockAnyway, RequestId, Timestamp, WorkspaceId};
use gatepost_keys::{Scope, ScopeOrder};

use crate::{Code, Gate, Principal, Via};

/// How many are kept of a workspace.
pub const KEPT_REFUSALS: usize = 1_000;
/// For how long they are kept.
pub const REFUSALS_KEPT_FOR: Duration = Duration::from_secs(86_400);
/// How many are kept of all workspaces together; each takes some 200 bytes.
const MOST: usize = 50_000;
/// The longest list of scopes that is kept with one.
const MAX_SCOPES: usize = 512;

/// A request that was refused although its key is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRequest {
    /// Time of the refusal.
    pub at: Timestamp,
    /// How the request came.
    pub via: Via,
    /// The key that was presented.
    pub key_id: ApiKeyId,
    /// Environment of the key.
    pub environment: Environment,
    /// Code of the decision.
    pub code: Code,
    /// Scopes that the request needed, separated by blanks.
    pub scopes: Box<str>,
    /// Address that the key was presented from, if that is known.
    pub address: Option<IpAddr>,
    /// Id of the request that was refused, or that asked for the decision.
    pub request_id: Option<RequestId>,
}

/// What is kept of them.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    workspaces: HashMap<WorkspaceId, VecDeque<Arc<RefusedRequest>>>,
    /// How many there are of all.
    count: usize,
}

impl Refusals {
    fn add(&self, workspace: WorkspaceId, refused: RefusedRequest, most: usize) {
        let mut kept = self.0.lock_anyway();
        let Kept { workspaces, count } = &mut *kept;
        let own = workspaces.entry(workspace).or_default();
        let too_old = refused.at.minus(REFUSALS_KEPT_FOR);
        while own.len() >= KEPT_REFUSALS || own.front().is_some_and(|first| first.at < too_old) {
            own.pop_front();
            *count -= 1;
        }
        own.push_back(Arc::new(refused));
        *count += 1;
        if *count > most {
            // Half of it, so that this is seldom done. Of as many workspaces as that, none keeps any.
            let share = most / 2 / workspaces.len();
            workspaces.retain(|_, own| {
                own.drain(..own.len().saturating_sub(share));
                own.shrink_to_fit();
                !own.is_empty()
            });
            *count = workspaces.values().map(VecDeque::len).sum();
        }
    }

    fn of(&self, workspace: WorkspaceId, now: Timestamp) -> Vec<Arc<RefusedRequest>> {
        let too_old = now.minus(REFUSALS_KEPT_FOR);
        let kept = self.0.lock_anyway();
        let own = kept.workspaces.get(&workspace).into_iter().flatten();
        own.rev().take_while(|refused| refused.at >= too_old).cloned().collect()
    }
}

impl Gate {
    /// Keeps that a request with this key was refused: for which scopes, presented from where, and by which
    /// request this was asked.
    pub fn refused<'s>(
        &self,
        key: &Principal,
        (via, code): (Via, Code),
        scopes: impl IntoIterator<Item = &'s Scope>,
        address: Option<IpAddr>,
        request_id: Option<RequestId>,
    ) {
        let (key_id, environment) = (key.key_id(), key.environment());
        let scopes = list(scopes, self.scope_order());
        let refused =
            RefusedRequest { at: self.now(), via, key_id, environment, code, scopes, address, request_id };
        self.0.refusals.add(key.workspace_id(), refused, MOST);
    }

    /// Requests with keys of a workspace that this process has refused, the last first: at most
    /// [`KEPT_REFUSALS`] of [`REFUSALS_KEPT_FOR`], fewer where many workspaces have some.
    pub fn refusals(&self, workspace: WorkspaceId) -> Vec<Arc<RefusedRequest>> {
        self.0.refusals.of(workspace, self.now())
    }
}

/// Scopes with blanks between: as many as have room.
fn list<'s>(scopes: impl IntoIterator<Item = &'s Scope>, order: ScopeOrder) -> Box<str> {
    let mut list = String::new();
    for scope in scopes {
        let scope = order.spell(scope);
        if list.len() + scope.len() >= MAX_SCOPES {
            break;
        }
        if !list.is_empty() {
            list.push(' ');
        }
        list.push_str(&scope);
    }
    list.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(second: i64) -> RefusedRequest {
        RefusedRequest {
            at: Timestamp::from_micros(second * 1_000_000),
            via: Via::Api,
            key_id: ApiKeyId(1),
            environment: Environment::Live,
            code: Code::Expired,
            scopes: "posts:read".into(),
            address: None,
            request_id: None,
        }
    }

    fn seconds(refusals: &Refusals, workspace: i64, now: i64) -> Vec<i64> {
        let found = refusals.of(WorkspaceId(workspace), Timestamp::from_micros(now * 1_000_000));
        found.iter().map(|refused| refused.at.as_micros() / 1_000_000).collect()
    }

    #[test]
    fn the_last_of_a_day_are_kept() {
        let refusals = Refusals::default();
        for second in 0..1_500 {
            refusals.add(WorkspaceId(1), refused(second), MOST);
        }
        let found = seconds(&refusals, 1, 1_500);
        assert_eq!((found.len(), found[0], found[999]), (KEPT_REFUSALS, 1_499, 500));
        assert_eq!(seconds(&refusals, 1, 86_400 + 1_490).len(), 10);
        refusals.add(WorkspaceId(1), refused(200_000), MOST);
        assert_eq!(refusals.0.lock_anyway().count, 1, "what is too old is gone");
        assert!(seconds(&refusals, 2, 0).is_empty());
    }

    #[test]
    fn all_together_stay_bounded_and_a_flood_pushes_out_its_own() {
        let refusals = Refusals::default();
        for number in 0..5_000 {
            // One of a hundred others each time, and ten of the one that floods.
            refusals.add(WorkspaceId(2 + number % 100), refused(number), 1_000);
            for _ in 0..10 {
                refusals.add(WorkspaceId(1), refused(number), 1_000);
            }
            let kept = refusals.0.lock_anyway();
            let all = kept.workspaces.values().map(VecDeque::len).sum::<usize>();
            assert!(kept.count == all && all <= 1_000, "{all}");
        }
        for quiet in 2..102 {
            assert!(!seconds(&refusals, quiet, 5_000).is_empty(), "{quiet}");
        }
        for number in 0..5_000 {
            refusals.add(WorkspaceId(1_000 + number), refused(5_000), 1_000);
        }
        assert!(refusals.0.lock_anyway().count <= 1_000);
    }
}
