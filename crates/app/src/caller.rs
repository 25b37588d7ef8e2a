//! Who calls a use-case, on whose behalf, and in which request.

use std::{net::IpAddr, sync::Arc};

use gatepost_gate::{Admitted, Principal};
use gatepost_kernel::{
    Environment, Error, MemberId, Owner, RequestId, Result, Secret, Timestamp, WorkspaceId,
};
use gatepost_keys::{Scope, ScopeSet};
use gatepost_people::{Membership, Role};
use gatepost_storage::{Actor, Tx};

use crate::{App, IdempotencyRequest};

/// By what right.
#[derive(Debug, Clone)]
pub enum Authority {
    /// An API key: what its scopes allow, in its environment; with the token that was presented.
    Key(Principal, Secret),
    /// Somebody who has signed in: what their role in the workspace allows.
    Member(Acting),
    /// Somebody who has not, and so may do nothing but what leads there.
    Anonymous,
    /// The operator, at the command line of the server: everything.
    CommandLine,
}

/// As whom a member acts.
#[derive(Debug, Clone)]
pub struct Acting {
    /// Numeric id of the member.
    pub member_id: MemberId,
    /// The workspace that the member belongs to.
    pub workspace_id: WorkspaceId,
    /// Role there.
    pub role: Role,
    /// Whether live or test data is shown.
    pub environment: Environment,
    /// What the role allows.
    scopes: Arc<ScopeSet>,
}

impl Acting {
    /// A member of a workspace, as what they are there.
    pub fn new(app: &App, membership: Membership, environment: Environment) -> Self {
        let Membership { member_id, workspace_id, role, .. } = membership;
        Self { member_id, workspace_id, role, environment, scopes: app.role_scopes(role) }
    }

    /// What the role allows.
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    fn may(&self, scope: &Scope) -> Result<()> {
        if self.scopes.allows(scope) { Ok(()) } else { Err(Error::MissingScope(scope.to_string())) }
    }

    /// The same with the role that the member has inside this transaction.
    async fn refreshed(&self, app: &App, tx: &mut Tx<'_>) -> Result<Self> {
        let membership = tx.membership_get(self.workspace_id, self.member_id).await?;
        let membership = membership.ok_or(Error::Unauthorized)?;
        let member = tx.member_get(self.member_id).await?.filter(|member| member.disabled_at.is_none());
        member.map(|_| Self::new(app, membership, self.environment)).ok_or(Error::Unauthorized)
    }
}

/// What an operation takes.
#[derive(Debug, Clone, Copy)]
pub struct Requirement {
    /// This scope; none if any valid key will do.
    pub scope: Option<&'static Scope>,
    /// Or any scope for tools of an MCP server: which one it must be, the body says.
    pub or_tools: bool,
}

impl Requirement {
    /// Refuses a key that does not meet it.
    ///
    /// # Errors
    /// [`Error::AccessDenied`].
    pub fn check(self, principal: &Principal) -> Result<()> {
        let Some(scope) = self.scope else { return Ok(()) };
        match principal.may(scope) {
            Err(_) if self.or_tools && principal.scopes().has_tools() => Ok(()),
            checked => checked,
        }
    }
}

/// Who calls, the workspace that is acted on, and the circumstances that the audit log keeps.
#[derive(Debug, Clone)]
pub struct Caller {
    authority: Authority,
    workspace_id: WorkspaceId,
    request_id: Option<RequestId>,
    address: Option<IpAddr>,
    required: Option<Requirement>,
    idempotency: Option<Arc<IdempotencyRequest>>,
    if_match: Option<IfMatch>,
}

/// What the caller thinks that a resource is, which it changes only if it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Anything that is there.
    Anything,
    /// What was last changed at one of these instants.
    OneOf(Vec<Timestamp>),
}

impl Caller {
    fn new(authority: Authority, workspace_id: WorkspaceId) -> Self {
        Self {
            authority,
            workspace_id,
            request_id: None,
            address: None,
            required: None,
            idempotency: None,
            if_match: None,
        }
    }

    /// The operator acting on a workspace.
    pub fn command_line(workspace_id: WorkspaceId) -> Self {
        Self::new(Authority::CommandLine, workspace_id)
    }

    /// A member acting on the workspace that is shown.
    pub fn member(acting: Acting, request_id: Option<RequestId>, address: Option<IpAddr>) -> Self {
        let workspace_id = acting.workspace_id;
        Self { request_id, address, ..Self::new(Authority::Member(acting), workspace_id) }
    }

    /// Somebody who says who they are, or shows a link, in this workspace.
    pub(crate) fn anonymous(
        workspace_id: WorkspaceId,
        request_id: Option<RequestId>,
        address: Option<IpAddr>,
    ) -> Self {
        Self { request_id, address, ..Self::new(Authority::Anonymous, workspace_id) }
    }

    /// A key acting on its own workspace, which was let in because it meets `required`, if anything is; when
    /// the transaction begins it must meet that still.
    pub fn key(
        admitted: Admitted,
        required: Option<Requirement>,
        request_id: RequestId,
        address: Option<IpAddr>,
    ) -> Self {
        let Admitted { principal, token, .. } = admitted;
        let workspace_id = principal.workspace_id();
        let authority = Authority::Key(principal, token.into_secret());
        Self { request_id: Some(request_id), address, required, ..Self::new(authority, workspace_id) }
    }

    /// The same caller acting on the workspace that the request names: its own, or, for a key of the root,
    /// any.
    ///
    /// # Errors
    /// [`Error::AccessDenied`] for any other, whether or not it exists; for a key of the root,
    /// [`Error::NotFound`] if it does not exist.
    pub async fn acting_on(mut self, app: &App, id: WorkspaceId) -> Result<Self> {
        if id == self.workspace_id {
            return Ok(self);
        }
        if !self.is_root() {
            return Err(Error::AccessDenied("This API key may not act on another workspace.".to_owned()));
        }
        app.read(async move |mut tx| tx.workspace_get(id).await?.ok_or(Error::NotFound)).await?;
        self.workspace_id = id;
        Ok(self)
    }

    /// The workspace that a path names, if the caller may see it: the one that is acted on; for a key of the
    /// root that names none beside, any.
    ///
    /// # Errors
    /// [`Error::NotFound`] for any other, whether or not it exists; [`Error::Unavailable`].
    pub(crate) async fn workspace_in_path(&self, app: &App, id: WorkspaceId) -> Result<WorkspaceId> {
        if id == self.workspace_id {
            return Ok(id);
        }
        if !self.is_root() || self.workspace_id != self.home() {
            return Err(Error::NotFound);
        }
        app.read(async move |mut tx| tx.workspace_get(id).await?.map(|_| id).ok_or(Error::NotFound)).await
    }

    /// The same caller, whose request can be repeated safely: one with this value of the `Idempotency-Key`
    /// header, method, path and body. The operator at the command line repeats nothing.
    ///
    /// # Errors
    /// [`Error::Validation`] if the value is not 1–255 visible ASCII characters.
    pub fn with_idempotency(mut self, value: &[u8], method: &str, path: &str, body: &[u8]) -> Result<Self> {
        if let Some(token) = self.token() {
            let workspace = self.workspace_id.to_string();
            let parts = [method.as_bytes(), path.as_bytes(), workspace.as_bytes(), body];
            self.idempotency = Some(Arc::new(IdempotencyRequest::new(value, token, parts)?));
        }
        Ok(self)
    }

    /// The same caller, whose request is repeated by no key.
    pub(crate) fn without_idempotency(self) -> Self {
        Self { idempotency: None, ..self }
    }

    /// The same caller, who changes a resource only if it is what they think it is.
    pub fn with_precondition(mut self, if_match: IfMatch) -> Self {
        self.if_match = Some(if_match);
        self
    }

    /// What the caller thinks that the resource is.
    pub(crate) fn if_match(&self) -> Option<&IfMatch> {
        self.if_match.as_ref()
    }

    /// Whether the request has an idempotency key.
    pub fn can_repeat(&self) -> bool {
        self.idempotency.is_some()
    }

    /// The workspace that is acted on.
    pub fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    /// The key that calls, if one does.
    pub fn principal(&self) -> Option<&Principal> {
        match &self.authority {
            Authority::Key(principal, _) => Some(principal),
            Authority::Member(_) | Authority::Anonymous | Authority::CommandLine => None,
        }
    }

    /// The member who calls, if one does.
    pub fn acting(&self) -> Option<&Acting> {
        match &self.authority {
            Authority::Member(acting) => Some(acting),
            Authority::Key(..) | Authority::Anonymous | Authority::CommandLine => None,
        }
    }

    /// Whether it is the operator, at the command line of the server.
    pub(crate) fn is_command_line(&self) -> bool {
        matches!(self.authority, Authority::CommandLine)
    }

    /// The workspace that the caller belongs to.
    pub fn home(&self) -> WorkspaceId {
        match &self.authority {
            Authority::Key(principal, _) => principal.workspace_id(),
            Authority::Member(acting) => acting.workspace_id,
            Authority::Anonymous => self.workspace_id,
            Authority::CommandLine => WorkspaceId::ROOT,
        }
    }

    /// Whether the caller belongs to the platform.
    pub fn is_root(&self) -> bool {
        !matches!(self.authority, Authority::Anonymous) && self.home().is_root()
    }

    /// The caller's environment.
    pub fn environment(&self) -> Environment {
        match &self.authority {
            Authority::Key(principal, _) => principal.environment(),
            Authority::Member(acting) => acting.environment,
            Authority::Anonymous | Authority::CommandLine => Environment::Live,
        }
    }

    /// Whose rows the caller reads and writes.
    pub fn owner(&self) -> Owner {
        Owner::new(self.workspace_id(), self.environment())
    }

    /// The same caller, who must meet a requirement, now and when the transaction begins.
    ///
    /// # Errors
    /// [`Error::AccessDenied`] in the contract's words.
    pub fn requiring(mut self, requirement: Requirement) -> Result<Self> {
        self.required = Some(requirement);
        self.check_required()?;
        Ok(self)
    }

    fn check_required(&self) -> Result<()> {
        match (&self.authority, self.required) {
            (Authority::Key(principal, _), Some(requirement)) => requirement.check(principal),
            (_, Some(Requirement { scope: Some(scope), .. })) => self.require(scope),
            _ => Ok(()),
        }
    }

    /// The same caller with the rights that its key has now, as far as this process knows: its body may have
    /// taken long to arrive.
    ///
    /// # Errors
    /// What the key would be told if the request began now.
    pub async fn confirmed(mut self, app: &App) -> Result<Self> {
        if let Authority::Key(principal, token) = &self.authority {
            let principal = app.gate().confirm(principal, self.address).await?;
            self.authority = Authority::Key(principal, token.clone());
            self.check_required()?;
        }
        Ok(self)
    }

    /// The same caller with the rights that its key or role has inside this transaction.
    ///
    /// # Errors
    /// What the caller would be told if the request began now.
    pub(crate) async fn refreshed(mut self, app: &App, tx: &mut Tx<'_>, now: Timestamp) -> Result<Self> {
        match &self.authority {
            Authority::Key(principal, token) => {
                let principal = principal.refreshed(app.gate(), tx, now, self.address).await?;
                self.authority = Authority::Key(principal, token.clone());
            }
            Authority::Member(acting) => {
                self.authority = Authority::Member(acting.refreshed(app, tx).await?);
            }
            Authority::Anonymous | Authority::CommandLine => return Ok(self),
        }
        self.check_required()?;
        Ok(self)
    }

    /// Refuses a caller that may not do what takes `scope`.
    ///
    /// # Errors
    /// [`Error::AccessDenied`] in the contract's words.
    pub fn require(&self, scope: &Scope) -> Result<()> {
        match &self.authority {
            Authority::Key(principal, _) => principal.may(scope),
            Authority::Member(acting) => acting.may(scope),
            Authority::Anonymous => Err(Error::Unauthorized),
            Authority::CommandLine => Ok(()),
        }
    }

    /// Refuses a caller that does not itself hold all of `scopes`.
    ///
    /// # Errors
    /// [`Error::AccessDenied`] naming the first that is missing.
    pub fn require_all(&self, scopes: &ScopeSet) -> Result<()> {
        let held = match &self.authority {
            Authority::Key(principal, _) => principal.scopes(),
            Authority::Member(acting) => acting.scopes(),
            Authority::Anonymous => return Err(Error::Unauthorized),
            Authority::CommandLine => return Ok(()),
        };
        match held.first_missing(scopes) {
            Some(missing) => Err(Error::MissingScope(missing.to_string())),
            None => Ok(()),
        }
    }

    /// Refuses a test key: what is asked changes the workspace itself, which is never part of the test
    /// environment.
    ///
    /// # Errors
    /// [`Error::AccessDenied`].
    pub fn require_live(&self) -> Result<()> {
        match self.environment() {
            Environment::Live => Ok(()),
            Environment::Test => {
                Err(Error::AccessDenied("A test key may not change a workspace.".to_owned()))
            }
        }
    }

    /// Refuses everyone but the platform.
    ///
    /// # Errors
    /// [`Error::AccessDenied`].
    pub fn require_root(&self) -> Result<()> {
        if self.is_root() {
            Ok(())
        } else {
            Err(Error::AccessDenied("Only a key of the root workspace may do this.".to_owned()))
        }
    }

    /// The token that was presented, for what is derived from it.
    pub(crate) fn token(&self) -> Option<&Secret> {
        match &self.authority {
            Authority::Key(_, token) => Some(token),
            Authority::Member(_) | Authority::Anonymous | Authority::CommandLine => None,
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        match &self.authority {
            Authority::Key(principal, _) => Actor::ApiKey(principal.key_id(), principal.workspace_id()),
            Authority::Member(acting) => Actor::Member(acting.member_id, acting.workspace_id),
            Authority::Anonymous => Actor::Anonymous,
            Authority::CommandLine => Actor::CommandLine,
        }
    }

    pub(crate) fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(crate) fn idempotency(&self) -> Option<&Arc<IdempotencyRequest>> {
        self.idempotency.as_ref()
    }
}
