//! How people say who they are, and how a browser is known again.
//!
//! What somebody tries counts as a failure before it is looked at, and no more once it was right: so many
//! tries at once are no more than so many one after the other. An address without an account gets the same
//! words after the same work.

use std::time::Duration;

use gatepost_kernel::{Environment, Error, Result, Secret, WorkspaceId, random};
use gatepost_keys::presented::network_of;
use gatepost_people::{
    Email, Failures, Member, Membership, OpaqueToken, PasswordHash, Session, SessionLimits,
};
use gatepost_storage::{Credentials, NewSession, SessionUse, Tx};
use serde_json::{Map, json};
use sha2::{Digest, Sha256};

use super::{Browser, MEMBER, second_factor};
use crate::{Acting, App, Caller, UnitOfWork};

/// Why somebody is not signed in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignInError {
    /// The address has no account, the account is disabled, or the proof is not right: which, nobody is told.
    #[error("The e-mail address or the password is wrong.")]
    Wrong,
    /// A code that is not right, or was used before.
    #[error("This code is wrong, or was used already. Wait for the next one.")]
    WrongCode,
    /// Too many tries were wrong.
    #[error("Too many attempts. Please try again in {} seconds.", after.as_secs().max(1))]
    TooMany {
        /// How long to wait.
        after: Duration,
    },
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Error),
}

/// A session that has begun, with what the browser keeps of it.
#[derive(Debug)]
pub struct Began {
    /// What stands in the cookie.
    pub token: OpaqueToken,
    /// The session.
    pub session: Session,
}

/// Somebody whose browser is known.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The account.
    pub member: Member,
    /// The session.
    pub session: Session,
    /// Where the member belongs; never empty.
    pub memberships: Vec<Membership>,
    /// The one that is shown.
    pub shown: Membership,
}

impl SignedIn {
    /// The member as a caller of use-cases. Nobody is one whose second factor is still to come.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] until then.
    pub fn caller(&self, app: &App, environment: Environment, browser: &Browser) -> Result<Caller> {
        if self.session.awaits_second_factor {
            return Err(Error::Unauthorized);
        }
        let acting = Acting::new(app, self.shown, environment);
        Ok(Caller::member(acting, browser.request_id.clone(), browser.address))
    }
}

/// A member whose password was right.
pub(super) struct Proved {
    pub(super) member: Member,
    /// What the password was compared with; none for an account that was made in this transaction.
    compared: Option<PasswordHash>,
    /// The same password, as it is kept today.
    rehashed: Option<PasswordHash>,
}

impl Proved {
    /// A member whose account was just made.
    pub(super) fn fresh(member: Member) -> Self {
        Self { member, compared: None, rehashed: None }
    }

    /// The member as they are inside this transaction, if the password is theirs still.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if it was changed meanwhile, or the account disabled.
    pub(super) async fn still_holds(&self, unit: &mut UnitOfWork<'_>) -> Result<Member> {
        let id = self.member.id;
        let kept = unit.tx.member_credentials(id, true).await?.ok_or(Error::Unauthorized)?.password;
        let is_kept = |hash: &PasswordHash| hash.to_stored().expose() == kept.to_stored().expose();
        let member = unit.tx.member_get(id).await?.filter(|member| member.disabled_at.is_none());
        member.filter(|_| self.compared.as_ref().is_none_or(is_kept)).ok_or(Error::Unauthorized)
    }
}

/// Signs in with a password, in the first workspace of the member. A member with a second factor is then
/// asked for it, by [`present_code`].
///
/// # Errors
/// [`SignInError`]; [`Error::AccessDenied`] for a member of no workspace.
pub async fn sign_in(
    app: &App,
    email: &str,
    password: Secret,
    browser: Browser,
) -> Result<Began, SignInError> {
    let proved = prove(app, email, password, &browser).await?;
    let id = proved.member.id;
    let memberships = app.read(async move |mut tx| Ok(tx.memberships_of(id).await?)).await?;
    let Some(first) = memberships.first() else {
        return Err(Error::AccessDenied("Your account belongs to no workspace any more.".to_owned()).into());
    };
    let workspace_id = first.workspace_id;
    let caller = Caller::anonymous(workspace_id, browser.request_id.clone(), browser.address);
    let began = app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        begin(unit, &proved, workspace_id, &browser).await
    });
    or_wrong(began.await)
}

/// What came of work that takes the password to be right still: it may have been changed meanwhile.
pub(super) fn or_wrong<T>(done: Result<T>) -> Result<T, SignInError> {
    match done {
        Err(Error::Unauthorized) => Err(SignInError::Wrong),
        done => Ok(done?),
    }
}

/// Whose account an address and a password are.
pub(super) async fn prove(
    app: &App,
    email: &str,
    password: Secret,
    browser: &Browser,
) -> Result<Proved, SignInError> {
    let email = Email::parse(email);
    let folded = email.as_ref().map(Email::folded).unwrap_or_default();
    let network = network_of(browser.address).to_string();
    let of_account = subject(&["account", &folded, &network]);
    let of_network = subject(&["network", &network]);
    count(app, vec![(of_account, Failures::MANY_OF_ACCOUNT), (of_network, Failures::MANY_OF_NETWORK)])
        .await?;
    let found = app
        .read(async move |mut tx: Tx<'_>| {
            let Some(email) = email else { return Ok(None) };
            let Some(member) = tx.member_by_email(&email).await? else { return Ok(None) };
            let credentials = tx.member_credentials(member.id, false).await?;
            Ok(credentials.map(|Credentials { password, .. }| (member, password)))
        })
        .await?;
    let compared = found.as_ref().map(|(_, hash)| hash.clone());
    let is_right = app.passwords().is_of(compared, password.clone()).await?;
    let Some((member, hash)) = found else { return Err(SignInError::Wrong) };
    if !is_right || member.disabled_at.is_some() {
        note_failure(app, &member, browser);
        return Err(SignInError::Wrong);
    }
    forgive(app, of_account, Some(of_network)).await?;
    let rehashed = match hash.is_outdated() {
        true => Some(app.passwords().hash(password).await?),
        false => None,
    };
    Ok(Proved { member, compared: Some(hash), rehashed })
}

/// Begins a session of a member whose password was right and is so still.
pub(super) async fn begin(
    unit: &mut UnitOfWork<'_>,
    proved: &Proved,
    workspace_id: WorkspaceId,
    browser: &Browser,
) -> Result<Began> {
    let (id, now) = (proved.member.id, unit.now);
    let member = proved.still_holds(unit).await?;
    if let Some(rehashed) = &proved.rehashed {
        unit.tx.member_set_password(id, rehashed, now).await?;
    }
    let token = OpaqueToken::generate(&mut random::rng());
    let new = NewSession {
        digest: token.digest(),
        member_id: id,
        workspace_id,
        awaits_second_factor: member.second_factor_at.is_some(),
        ip_address: browser.kept_address(),
        user_agent: browser.kept_user_agent(),
        created_at: now,
    };
    let session = unit.tx.session_insert(&new).await?;
    if !session.awaits_second_factor {
        unit.tx.member_set_seen(id, now).await?;
        unit.audit(workspace_id, "member.signed_in", (MEMBER, id.0), by("password"));
    }
    Ok(Began { token, session })
}

/// Whose browser it is that keeps this token; none if its session has ended. That it is used is noted to the
/// minute.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn session_of(app: &App, token: &OpaqueToken, browser: &Browser) -> Result<Option<SignedIn>> {
    const NOTED_EVERY: Duration = Duration::from_mins(1);
    let (digest, now, limits) = (token.digest(), app.now(), app.session_limits());
    let found = app
        .read(async move |mut tx: Tx<'_>| {
            let Some(session) = tx.session_by_digest(digest).await? else { return Ok(None) };
            let member = tx.member_get(session.member_id).await?;
            let memberships = tx.memberships_of(session.member_id).await?;
            Ok(member.map(|member| (session, member, memberships)))
        })
        .await?;
    let Some((session, member, memberships)) = found else { return Ok(None) };
    if !session.is_live(limits, now) || member.disabled_at.is_some() {
        return Ok(None);
    }
    let of_session = memberships.iter().find(|one| one.workspace_id == session.workspace_id);
    let Some(shown) = of_session.or(memberships.first()).copied() else { return Ok(None) };
    if !session.awaits_second_factor && now.since(session.last_used_at) >= NOTED_EVERY {
        let (id, member_id) = (session.id, member.id);
        let used = SessionUse { at: now, ip_address: browser.kept_address() };
        let note = async move |mut tx: Tx<'_>| {
            tx.session_set_used(id, &used).await?;
            Ok::<_, Error>(tx.member_set_seen(member_id, now).await?)
        };
        app.storage().transaction::<_, Error, _>(note).await?;
    }
    Ok(Some(SignedIn { member, session, memberships, shown }))
}

/// Ends the session of a browser, if it has one.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn sign_out(app: &App, token: &OpaqueToken, browser: &Browser) -> Result<()> {
    let Some(SignedIn { member, session, shown, .. }) = session_of(app, token, browser).await? else {
        return Ok(());
    };
    let acting = Acting::new(app, shown, Environment::Live);
    let caller = Caller::member(acting, browser.request_id.clone(), browser.address);
    app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        if unit.tx.session_delete(session.id).await? {
            unit.audit(shown.workspace_id, "member.signed_out", (MEMBER, member.id.0), Map::new());
        }
        Ok(())
    })
    .await
}

/// Shows another workspace of the member in a session.
///
/// # Errors
/// [`Error::NotFound`] if the member does not belong to it; [`Error::Unavailable`].
pub async fn show_workspace(app: &App, signed_in: &SignedIn, workspace: WorkspaceId) -> Result<()> {
    if !signed_in.memberships.iter().any(|membership| membership.workspace_id == workspace) {
        return Err(Error::NotFound);
    }
    let id = signed_in.session.id;
    let set = async move |mut tx: Tx<'_>| Ok::<_, Error>(tx.session_set_workspace(id, workspace).await?);
    app.storage().transaction::<_, Error, _>(set).await
}

/// What a member shows to prove once more who they are.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The password.
    Password(Secret),
    /// A code of the authenticator app, or a recovery code.
    Code(String),
}

/// Completes a sign-in with the second factor. The session goes on under another token.
///
/// # Errors
/// [`SignInError::WrongCode`], [`SignInError::TooMany`]; [`Error::Unauthorized`] if nothing is to be
/// completed.
pub async fn present_code(
    app: &App,
    signed_in: &SignedIn,
    code: &str,
    browser: &Browser,
) -> Result<OpaqueToken, SignInError> {
    if !signed_in.session.awaits_second_factor {
        return Err(Error::Unauthorized.into());
    }
    renew(app, signed_in, Proof::Code(code.to_owned()), browser, "member.signed_in").await
}

/// Notes that a member who has signed in has proved once more who they are. The session goes on under
/// another token.
///
/// # Errors
/// [`SignInError::Wrong`], [`SignInError::WrongCode`], [`SignInError::TooMany`]; [`Error::Unauthorized`] if
/// the session awaits its second factor.
pub async fn confirm(
    app: &App,
    signed_in: &SignedIn,
    proof: Proof,
    browser: &Browser,
) -> Result<OpaqueToken, SignInError> {
    if signed_in.session.awaits_second_factor {
        return Err(Error::Unauthorized.into());
    }
    renew(app, signed_in, proof, browser, "member.confirmed").await
}

/// What was shown, as far as it was looked at before the transaction.
enum Proven {
    /// A password that was right.
    Password(Proved),
    /// A code, which is looked at when it is used up, and whose tries count.
    Code(String, [u8; 32]),
}

async fn renew(
    app: &App,
    signed_in: &SignedIn,
    proof: Proof,
    browser: &Browser,
    action: &'static str,
) -> Result<OpaqueToken, SignInError> {
    let (member, session, shown) = (&signed_in.member, signed_in.session.id, signed_in.shown);
    let id = member.id;
    let shown_proof = match proof {
        Proof::Password(password) => {
            Proven::Password(prove(app, member.email.as_str(), password, browser).await?)
        }
        Proof::Code(code) => {
            // Whoever tries has the password already, so it is the account that waits, wherever they are.
            let of_codes = subject(&["code", &id.to_string()]);
            count(app, vec![(of_codes, Failures::MANY_OF_ACCOUNT)]).await?;
            Proven::Code(code, of_codes)
        }
    };
    let of_codes = match &shown_proof {
        Proven::Code(_, of_codes) => Some(*of_codes),
        Proven::Password(_) => None,
    };
    let caller = Caller::anonymous(shown.workspace_id, browser.request_id.clone(), browser.address);
    let renewed = app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
        let kind = match &shown_proof {
            Proven::Code(code, _) => second_factor::used(unit, id, code).await?.ok_or(Error::Unauthorized)?,
            Proven::Password(proved) => {
                proved.still_holds(unit).await?;
                "password"
            }
        };
        let (token, now) = (OpaqueToken::generate(&mut random::rng()), unit.now);
        if !unit.tx.session_renew(session, token.digest(), Some(now)).await? {
            // It was ended meanwhile.
            return Err(Error::NotFound);
        }
        unit.tx.member_set_seen(id, now).await?;
        unit.audit(shown.workspace_id, action, (MEMBER, id.0), by(kind));
        Ok(token)
    });
    match (renewed.await, of_codes) {
        (Ok(token), Some(of_codes)) => {
            forgive(app, of_codes, None).await?;
            Ok(token)
        }
        (Err(Error::Unauthorized), Some(_)) => {
            note_failure(app, member, browser);
            Err(SignInError::WrongCode)
        }
        (Err(Error::NotFound), _) => Err(Error::Unauthorized.into()),
        (renewed, _) => or_wrong(renewed),
    }
}

fn by(kind: &str) -> Map<String, serde_json::Value> {
    Map::from_iter([("by".to_owned(), json!(kind))])
}

/// Who tries, and from where, as a digest: what people type who have no account is not kept.
fn subject(parts: &[&str]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Counts a try as a failure of each subject, or says how long to wait.
async fn count(app: &App, mut subjects: Vec<([u8; 32], u32)>) -> Result<(), SignInError> {
    // In one order everywhere, so that no two wait for each other.
    subjects.sort_unstable();
    let now = app.now();
    let count = async move |mut tx: Tx<'_>| {
        let (mut wait, mut counted) = (Duration::ZERO, Vec::new());
        for (subject, many) in subjects {
            let before = tx.sign_in_failures_lock(subject).await?;
            wait = wait.max(before.map_or(Duration::ZERO, |before| before.wait(many, now)));
            counted.push((subject, Failures::and_one(before, now)));
        }
        if wait.is_zero() {
            for (subject, failures) in counted {
                tx.sign_in_failures_set(subject, Some(failures)).await?;
            }
        }
        Ok::<_, Error>(wait)
    };
    match app.storage().transaction::<_, Error, _>(count).await? {
        Duration::ZERO => Ok(()),
        after => Err(SignInError::TooMany { after }),
    }
}

/// Forgets the failures of an account, and the one that was counted of its network.
async fn forgive(app: &App, of_account: [u8; 32], of_network: Option<[u8; 32]>) -> Result<()> {
    let forgive = async move |mut tx: Tx<'_>| {
        if let Some(of_network) = of_network {
            let before = tx.sign_in_failures_lock(of_network).await?;
            let fewer = before.map(|before| Failures { count: before.count.saturating_sub(1), ..before });
            tx.sign_in_failures_set(of_network, fewer.filter(|fewer| fewer.count > 0)).await?;
        }
        Ok::<_, Error>(tx.sign_in_failures_set(of_account, None).await?)
    };
    app.storage().transaction::<_, Error, _>(forgive).await
}

/// Notes in the audit log that somebody was not who they said. Nobody waits for it: how long an answer takes
/// must not tell whether there is an account.
fn note_failure(app: &App, member: &Member, browser: &Browser) {
    let runtime = app.runtime().clone();
    let (app, id, browser) = (app.clone(), member.id, browser.clone());
    let noted = async move {
        let memberships = app.read(async move |mut tx| Ok(tx.memberships_of(id).await?)).await?;
        let Some(first) = memberships.first() else { return Ok(()) };
        let workspace = first.workspace_id;
        let caller = Caller::anonymous(workspace, browser.request_id, browser.address);
        app.transact(&caller, async move |unit: &mut UnitOfWork<'_>| {
            unit.audit(workspace, "member.sign_in_failed", (MEMBER, id.0), Map::new());
            Ok(())
        })
        .await
    };
    runtime.spawn(async move {
        if let Err(error) = Box::pin(noted).await {
            tracing::warn!(error = %error.for_log(), "a failed sign-in was not noted in the audit log");
        }
    });
}

impl App {
    /// How long sessions last.
    pub fn session_limits(&self) -> SessionLimits {
        self.settings().dashboard.sessions()
    }
}
