//! For how long somebody who signed in stays so.

use std::time::Duration;

use gatepost_kernel::{MemberId, SessionId, Timestamp, WorkspaceId};
use gatepost_macros::Fields;

/// How many sessions a member has at most; the oldest ends.
pub const MAX_SESSIONS: usize = 20;

/// How long sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Without use.
    pub idle: Duration,
    /// At all.
    pub absolute: Duration,
}

impl SessionLimits {
    /// The longest that may be set for sessions without use.
    pub const MAX_IDLE: Duration = Duration::from_hours(1);
    /// The longest that may be set at all.
    pub const MAX_ABSOLUTE: Duration = Duration::from_hours(24);
    /// How long after the password the second factor may take.
    pub const SECOND_FACTOR: Duration = Duration::from_mins(10);
    /// For how long somebody who just proved who they are need not do it again.
    pub const RECENT: Duration = Duration::from_mins(10);
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { idle: Self::MAX_IDLE, absolute: Self::MAX_ABSOLUTE }
    }
}

/// A browser in which somebody has signed in.
#[derive(Debug, Clone, PartialEq, Eq, Fields)]
pub struct Session {
    /// Numeric id of the session.
    pub id: SessionId,
    /// Numeric id of the member.
    pub member_id: MemberId,
    /// The workspace that is shown.
    pub workspace_id: WorkspaceId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
    /// When the member last proved who they are.
    pub authenticated_at: Timestamp,
    /// Whether the second factor is still to come; until then nothing else can be done.
    pub awaits_second_factor: bool,
    /// Address that it was last used from.
    pub ip_address: Option<String>,
    /// Value of the browser's `User-Agent` header.
    pub user_agent: Option<String>,
}

impl Session {
    /// When it ends if it is not used again.
    pub fn ends_at(&self, limits: SessionLimits) -> Timestamp {
        let at_latest = self.created_at.plus(limits.absolute);
        let unused = match self.awaits_second_factor {
            true => self.created_at.plus(SessionLimits::SECOND_FACTOR),
            false => self.last_used_at.plus(limits.idle),
        };
        at_latest.min(unused)
    }

    /// Whether it has not ended.
    pub fn is_live(&self, limits: SessionLimits, now: Timestamp) -> bool {
        now < self.ends_at(limits)
    }

    /// Whether the member proved recently enough who they are for what takes it.
    pub fn is_recent(&self, now: Timestamp) -> bool {
        !self.awaits_second_factor && now.since(self.authenticated_at) < SessionLimits::RECENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn session() -> Session {
        Session {
            id: SessionId(1),
            member_id: MemberId(1),
            workspace_id: WorkspaceId::ROOT,
            created_at: START,
            last_used_at: START,
            authenticated_at: START,
            awaits_second_factor: false,
            ip_address: None,
            user_agent: None,
        }
    }

    fn minutes(count: u64) -> Timestamp {
        START.plus(Duration::from_mins(count))
    }

    #[test]
    fn a_session_ends_unused_or_after_a_day() {
        let limits = SessionLimits::default();
        assert!(session().is_live(limits, minutes(59)) && !session().is_live(limits, minutes(60)));
        let used = Session { last_used_at: minutes(23 * 60 + 50), ..session() };
        assert!(used.is_live(limits, minutes(24 * 60 - 1)) && !used.is_live(limits, minutes(24 * 60)));
    }

    #[test]
    fn a_session_without_its_second_factor_ends_soon_and_proves_nothing() {
        let half = Session { awaits_second_factor: true, ..session() };
        assert!(half.is_live(SessionLimits::default(), minutes(9)));
        assert!(!half.is_live(SessionLimits::default(), minutes(10)));
        assert!(!half.is_recent(START));
    }

    #[test]
    fn what_takes_a_proof_takes_a_recent_one() {
        assert!(session().is_recent(minutes(9)) && !session().is_recent(minutes(10)));
    }
}
