//! The extractor that every operation of the contract goes through, in this order: who is it (401), may they
//! (403), for which workspace, is the query sound, is the body sound. Nothing later is read before what comes
//! earlier has passed, so a stranger cannot make us read a body, and learns nothing from its errors.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        Method,
        header::{self, HeaderMap},
    },
    web::Bytes,
};
use futures_util::StreamExt;
use gatepost_app::{
    App, Caller, Combinable, IfMatch, Op, Requirement, UnitOfWork, entitlements,
    lists::{ListRequest, MAX_PAGE_BYTES, Size},
};
use gatepost_contract::{ApiError, Contract, ErrorFormat, IntoAnswer, PageUrl, Paging, Plain};
use gatepost_gate::{Admitted, Code, Principal, Refused, Via};
use gatepost_kernel::{
    Error, Page, RequestId, Result, Timestamp, Window, WireAnswer, WorkspaceId, describe::Schemas,
};
use gatepost_keys::{Scope, ScopeOrder, Token};
use serde::{Serialize, de::IgnoredAny};

use crate::{
    State,
    answer::{Answer, Item, PageOf, SliceOf},
    body::{BodyForm, Fields, Members, NoBody, ReadBody, read_by},
    budget::{self, Share},
    client::{self, token},
    extensions::{AcceptedEvent, Authenticated, Limited, Rendered},
    lists::{AsksList, Description, ItemQuery, ListQuery, Listed, PageQuery, Shape},
    operation::{Input, TakenBody, Takes},
    query::{NoQuery, Parameters, Query, ReadQuery},
    scopes::Required,
    sending::{owner, reserve},
    values::positive_id,
    workers::{MOST_BYTES_ON_A_WORKER, off_the_workers},
};

/// How often a body is held at once: as it came, as it is read, and as it is stored.
const TIMES_HELD: u64 = 3;
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Up to here, a body takes as much of the budget as has arrived.
const TAKEN_STEP_BY_STEP: u64 = 256 << 10;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A request whose caller is known and has what `S` requires, with its query `Q` and its body `B`.
pub struct Call<S, Q = NoQuery, B = NoBody> {
    req: HttpRequest,
    state: State,
    request_id: RequestId,
    caller: Caller,
    query: Q,
    body: Result<B, Error>,
    scope: std::marker::PhantomData<S>,
}

impl<S: Required, Q: ReadQuery, B: ReadBody> FromRequest for Call<S, Q, B> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Box::pin(Self::accept(req.clone(), payload.take(), S::requirement(), Q::read, BodyForm::of::<B>()))
    }
}

impl<S: Required, Q: ReadQuery, B: ReadBody> Takes for Call<S, Q, B> {
    const ACTS_ON_WORKSPACE: bool = true;

    fn describe(contract: &Contract, schemas: &mut Schemas) -> Input {
        let scope = S::requirement().scope;
        Input { needs_key: true, scope, query: Q::parameters(contract), body: TakenBody::of::<B>(schemas) }
    }
}

impl<S, Q: Query, B: Send + 'static> Call<S, Q, B> {
    /// Lets a request in that meets a requirement, with its query and its body as these read them.
    ///
    /// # Errors
    /// Those of a request that is not let in, or whose query is not sound.
    pub async fn accept<F>(
        req: HttpRequest,
        payload: Payload,
        requirement: Requirement,
        read_query: impl FnOnce(&mut Parameters) -> Option<Q>,
        form: BodyForm<F>,
    ) -> Result<Self, ApiError>
    where
        F: FnOnce(&mut Fields<'_>) -> Option<B> + Send + 'static,
    {
        let missing =
            |what: &str| ApiError::UseCase(Error::internal(format!("{what} is not part of the application")));
        let state = req.app_data::<State>().cloned().ok_or_else(|| missing("the state"))?;
        let request_id =
            req.extensions().get::<RequestId>().cloned().ok_or_else(|| missing("the middleware"))?;

        let address = client::address(&req, &state);
        let admitted = authenticate_and_count(&req, &state, Via::Api, requirement.scope, |principal| {
            requirement.check(principal)
        })
        .await?;
        let caller = Caller::key(admitted, Some(requirement), request_id.clone(), address);
        let mut caller = acting_as_asked(caller, &req, &state).await?;

        entitlements::meter_request(state.app(), &caller, requirement.scope).await?;
        let mut parameters = Parameters::new(req.query_string()).paged_by(state.contract());
        let query = read_query(&mut parameters);
        let errors = parameters.into_errors();
        let query = query.filter(|_| errors.is_empty()).ok_or(Error::Validation(errors))?;
        query.check(&caller)?;
        reserve(&req, &state, query.most_bytes()).await?;

        let is_taken = form.is_taken;
        let (body, bytes) = read_form(&req, payload, &state, form).await?;
        if is_taken {
            caller = caller.confirmed(state.app()).await?;
        }
        let mut keys = req.headers().get_all(IDEMPOTENCY_KEY).filter(|_| is_mutating(req.method()));
        if let Some(value) = keys.next() {
            if keys.next().is_some() {
                return Err(
                    Error::invalid("Idempotency-Key", "The Idempotency-Key may be given only once.").into()
                );
            }
            let path = req.uri().path_and_query().map_or(req.path(), |path| path.as_str());
            caller = caller.with_idempotency(value.as_bytes(), req.method().as_str(), path, &bytes)?;
        }
        if is_mutating(req.method())
            && let Some(if_match) = if_match(req.headers())
        {
            caller = caller.with_precondition(if_match);
        }
        Ok(Self { req, state, request_id, caller, query, body, scope: std::marker::PhantomData })
    }

    /// The request.
    pub fn request(&self) -> &HttpRequest {
        &self.req
    }

    /// The query.
    pub fn query(&self) -> &Q {
        &self.query
    }

    /// Takes the body out, or its errors. They are for the use-case to return, inside its transaction, so
    /// that a repetition with the same idempotency key gets the first answer even where the rules have
    /// changed meanwhile.
    pub fn into_body(self) -> (Result<B, Error>, Call<S, Q, ()>) {
        let Self { req, state, request_id, caller, query, body, scope } = self;
        (body, Call { req, state, request_id, caller, query, body: Ok(()), scope })
    }

    /// Answers with one thing.
    pub fn item<T: Serialize>(&self, data: &T) -> Answer<Item<T>> {
        let body = self.state.contract().item(data)?;
        Ok(HttpResponse::Ok().content_type(header::ContentType::json()).body(body).into())
    }
}

impl<S, Q: AsksList, B> Call<S, Q, B> {
    /// What is asked of the list.
    pub async fn list_request(&self) -> Result<ListRequest, ApiError> {
        let mut request = self.query.asked().request().clone();
        if let Some(cursor) = self.query.asked().cursor() {
            let position = self.app().cursors().await?.open(cursor, &self.list_name());
            let position = position.ok_or_else(|| {
                Error::invalid(
                    "cursor",
                    "The cursor is not one of this list with this sort and these filters.",
                )
            })?;
            request.window = Window::After { position, per_page: request.window.per_page() };
        }
        Ok(request)
    }

    /// What tells the list from every other: a cursor belongs to one.
    fn list_name(&self) -> String {
        const NO_MATTER: [&str; 7] = ["page", "per_page", "offset", "limit", "cursor", "fields", "include"];
        let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
        let pairs = self.req.query_string().split('&').filter(|pair| !pair.is_empty());
        let mut pairs: Vec<&str> = pairs.filter(|pair| !NO_MATTER.contains(&name(pair).as_str())).collect();
        pairs.sort_unstable();
        let (workspace, environment) = (self.caller.workspace_id(), self.caller.environment());
        format!("{workspace} {environment} {} {}", self.req.path(), pairs.join("&"))
    }

    /// Answers with a page of the list, whose rows are shown as `show` says.
    ///
    /// # Errors
    /// [`Error::Validation`] where not all that is asked for fits in an answer.
    pub async fn rows<T: Send + 'static, V: Serialize>(
        &self,
        page: Page<T>,
        show: impl Fn(T) -> Result<V, Error> + Send + 'static,
    ) -> Result<HttpResponse, ApiError> {
        let list = *self.query.asked().list();
        if let Some(fitting) = page.fitting.filter(|_| self.query.asked().request().size == Size::Refused) {
            return Err(too_large(&list, self.state.contract().paging, fitting).into());
        }
        let next_cursor = match page.next {
            Some(position) => Some(self.app().cursors().await?.seal(position, &self.list_name())?),
            None => None,
        };
        let base = self.base_url() + self.req.path();
        let url = PageUrl { base, query: self.req.query_string().to_owned() };
        let cursors = list.is_log.then_some(next_cursor);
        let (contract, shape) = (self.contract(), self.query.asked().shape().clone());
        let is_large = shape.most_bytes(page.items.len() as u64) > MOST_BYTES_ON_A_WORKER as u64;
        let render = move || {
            let (mut rows, mut bytes) = (0, 0);
            let page = page.try_map(|row| {
                let row = shape.apply(&show(row)?)?;
                bytes += row.get().len() as u64;
                // What the rows themselves hold was bounded when they were read; what was included with them
                // was not.
                if bytes > MAX_PAGE_BYTES && rows > 0 && shape.includes_any() {
                    return Err(too_large(&list, contract.paging, rows));
                }
                rows += 1;
                Ok(row)
            })?;
            contract.page(&page, cursors, &url)
        };
        let (body, link) = match is_large {
            true => off_the_workers("rendering a page", render).await??,
            false => render()?,
        };
        Ok(HttpResponse::Ok()
            .content_type(header::ContentType::json())
            .insert_header((header::LINK, link))
            .body(body))
    }
}

impl<S, R: Listed, B> Call<S, ListQuery<R>, B> {
    /// Answers with a page of the list, whose rows are shown as `show` says.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub async fn page<T: Send + 'static>(
        &self,
        page: Page<T>,
        show: impl Fn(T) -> Result<R, Error> + Send + 'static,
    ) -> Answer<PageOf<R>> {
        Ok(self.rows(page, show).await?.into())
    }
}

impl<S, F, B> Call<S, PageQuery<F>, B> {
    /// Answers with a page of all these items, as `view` shows them.
    pub fn slice<T, V: Serialize>(&self, items: Vec<T>, view: impl FnMut(T) -> V) -> Answer<SliceOf<V>> {
        let base = self.base_url() + self.req.path();
        let url = PageUrl { base, query: self.req.query_string().to_owned() };
        let (body, link) = self.state.contract().page(&self.query.slice(items).map(view), None, &url)?;
        Ok(HttpResponse::Ok()
            .content_type(header::ContentType::json())
            .insert_header((header::LINK, link))
            .body(body)
            .into())
    }
}

impl<S, R: Listed, B> Call<S, ItemQuery<R>, B> {
    /// Answers with one thing that was last changed at `updated_at`, if it ever is.
    pub fn resource(&self, data: &R, updated_at: Option<Timestamp>) -> Answer<Item<R>> {
        Ok(self.shaped(self.query.shape(), data, updated_at)?.into())
    }
}

/// What is told who asks by number for more than an answer can hold.
fn too_large(list: &Description, paging: Paging, fitting: u32) -> Error {
    let (position, size) = (paging.position_name(), paging.size_name());
    let cursor = if list.is_log {
        format!(", follow the list by cursor instead of {position}")
    } else {
        String::new()
    };
    let fields = list.content.map(|content| format!(", or for fields without {}", content.name));
    Error::invalid(
        size,
        format!(
            "These items are larger than an answer can be: {fitting} of them fit. Ask for {size}={fitting}{cursor}{}.",
            fields.unwrap_or_default()
        ),
    )
}

/// What a resource is known by that was last changed then.
fn entity_tag(updated_at: Timestamp) -> String {
    format!("\"{:x}\"", updated_at.as_micros())
}

/// What the caller thinks that the resource is. A tag that is not one of ours is that of no resource.
fn if_match(headers: &HeaderMap) -> Option<IfMatch> {
    let mut given = headers.get_all(header::IF_MATCH).peekable();
    given.peek()?;
    let mut known = Vec::new();
    for tag in given.flat_map(|value| value.to_str().unwrap_or_default().split(',')).map(str::trim) {
        if tag == "*" {
            return Some(IfMatch::Anything);
        }
        // Proxies that compress mark the tag as weak; it is the version's and not the bytes'.
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        // Behind it stands the coding of the bytes, where they were compressed.
        let micros = version.map(|version| version.split_once('-').map_or(version, |(micros, _)| micros));
        known.extend(
            micros.and_then(|micros| i64::from_str_radix(micros, 16).ok()).map(Timestamp::from_micros),
        );
    }
    Some(IfMatch::OneOf(known))
}

impl<S, Q, B> Call<S, Q, B> {
    /// The application.
    pub fn app(&self) -> &App {
        self.state.app()
    }

    /// `https://host`, as links to this server begin.
    pub fn base_url(&self) -> String {
        client::base_url(&self.req, &self.state)
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Where the id of the event is put down that this request publishes.
    pub fn note_event(&self) -> AcceptedEvent {
        let accepted = AcceptedEvent::default();
        self.req.extensions_mut().insert(accepted.clone());
        accepted
    }

    /// Answers with what was asked for of one thing that was last changed at `updated_at`, if it ever is.
    pub fn shaped<T: Serialize>(
        &self,
        shape: &Shape,
        data: &T,
        updated_at: Option<Timestamp>,
    ) -> Result<HttpResponse, ApiError> {
        let body = self.state.contract().item(&shape.apply(data)?)?;
        let mut response = HttpResponse::Ok();
        response.content_type(header::ContentType::json());
        if let Some(updated_at) = updated_at {
            response.insert_header((header::ETAG, entity_tag(updated_at)));
        }
        Ok(response.body(body))
    }

    /// Answers with a thing that has no envelope in any contract.
    pub fn plain<T: Serialize>(&self, data: &T) -> Answer<Plain<T>> {
        let body = self.state.contract().plain(data)?;
        Ok(HttpResponse::Ok().content_type(header::ContentType::json()).body(body).into())
    }

    /// How answers look.
    pub fn contract(&self) -> Arc<Contract> {
        self.state.contract().clone()
    }

    /// Runs a use-case in one transaction and answers with what it ends in; a repetition with the same
    /// idempotency key gets the first answer again.
    pub async fn mutate<F, R>(self, body: F) -> Answer<R>
    where
        for<'u, 'c> F: AsyncFnOnce(&'u mut UnitOfWork<'c>) -> Result<R>
            + Op<&'u mut UnitOfWork<'c>, Result<R>, Fut: Send>
            + Send
            + 'static,
        R: IntoAnswer + Send + 'static,
    {
        let contract = self.contract();
        let work = async move |unit: &mut UnitOfWork<'_>| body(unit).await?.into_answer(&contract);
        let ended = self.state.app().answer(&self.caller, work).await;
        self.conclude(ended).await
    }

    /// Runs a use-case together with those of other callers, where it can be, and answers with what `show`
    /// makes of what it ends in; a repetition with the same idempotency key gets the first answer again.
    pub async fn combine<W, R>(
        mut self,
        work: Result<W, Error>,
        show: impl FnOnce(W::Output) -> Result<R, Error> + Send + 'static,
    ) -> Answer<R>
    where
        W: Combinable,
        R: IntoAnswer,
    {
        self.caller = self.caller.doing(&work);
        let contract = self.contract();
        let answer = move |output| show(output)?.into_answer(&contract);
        let ended = self.state.app().answer_combined(&self.caller, work, answer).await;
        self.conclude(ended).await
    }

    /// Answers with what a use-case ended in, and keeps a refusal for a repetition.
    async fn conclude<K>(&self, ended: Result<WireAnswer, Error>) -> Answer<K> {
        let answer = match ended.map_err(ApiError::from) {
            Ok(answer) => answer,
            Err(error) if self.caller.can_repeat() && error.can_be_kept() => {
                self.keep_refusal(&error).await?
            }
            Err(error) => return Err(error),
        };
        Ok(respond(answer).into())
    }

    /// A refusal is an answer too: its repetition must not find things changed and succeed.
    async fn keep_refusal(&self, error: &ApiError) -> Result<WireAnswer, ApiError> {
        let status = self.state.contract().status(error).as_u16();
        let format = ErrorFormat::of(self.req.headers());
        let (content_type, body) = self.state.contract().error(error, format, &self.request_id)?;
        let content_type = content_type.to_owned();
        let answer = WireAnswer { status, content_type, body, holds_secret: false, replayed: false };
        Ok(self.state.app().keep_refusal(&self.caller, answer).await?)
    }
}

/// The answer over HTTP.
pub fn respond(answer: WireAnswer) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(answer.status)
        .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if !answer.content_type.is_empty() {
        response.content_type(answer.content_type);
    }
    if answer.replayed {
        response.insert_header(("idempotent-replayed", "true"));
    }
    let mut response = response.body(answer.body);
    response.extensions_mut().insert(Rendered);
    response
}

fn is_mutating(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

/// Finds out who is asking, whether they may do what takes `scopes`, and counts the request. What the answer's
/// headers say about it is left in the request.
pub async fn authenticate_and_count<'s>(
    req: &HttpRequest,
    state: &State,
    via: Via,
    scopes: impl IntoIterator<Item = &'s Scope>,
    may: impl FnOnce(&Principal) -> Result<()>,
) -> Result<Admitted, ApiError> {
    let gate = state.app().gate();
    let token = token(req.headers()).and_then(|token| Token::parse(gate.token_format(), &token));
    let address = client::address(req, state);
    let admitted = gate.admit(via, token, address, may).await.map_err(|refused| {
        if let Some((key, code)) = refused.presented.as_ref().zip(Code::of(&refused.error)) {
            let request_id = req.extensions().get::<RequestId>().cloned();
            gate.refused(key, (via, code), scopes, address, request_id);
        }
        leave(req, *refused)
    })?;
    req.extensions_mut().insert(Authenticated(admitted.principal.clone()));
    req.extensions_mut().insert(Limited(admitted.verdict));
    Ok(admitted)
}

/// The caller acting on the workspace that the request names, if it names one.
///
/// # Errors
/// As [`Caller::acting_on`]; if what it names cannot be one, [`Error::AccessDenied`], or
/// [`Error::Validation`] for a key that may act on any.
pub async fn acting_as_asked(caller: Caller, req: &HttpRequest, state: &State) -> Result<Caller> {
    let header = &state.contract().headers.acting_workspace;
    let mut acting = req.headers().get_all(&header.name);
    let Some(first) = acting.next() else { return Ok(caller) };
    // Two are none: a proxy's would otherwise lose against the client's, or the other way round.
    let id = first.to_str().ok().and_then(positive_id).filter(|_| acting.next().is_none());
    if let Some(id) = id {
        return caller.acting_on(state.app(), WorkspaceId(id)).await;
    }
    let name = header.shown.as_ref();
    let error = format!("The {name} must be the numeric id of one workspace.");
    Err(if caller.is_root() { Error::invalid(name, error) } else { Error::AccessDenied(error) })
}

/// Counts a request that needs no key against its address.
pub fn count_anonymous(req: &HttpRequest, state: &State) -> Result<(), ApiError> {
    let verdict = state.app().gate().admit_anonymous(client::address(req, state));
    req.extensions_mut().insert(Limited(verdict));
    verdict.error(state.app().now()).map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// Leaves in the request what the answer's headers say about a refusal.
fn leave(req: &HttpRequest, refused: Refused) -> ApiError {
    if let Some(principal) = refused.principal {
        req.extensions_mut().insert(Authenticated(principal));
    }
    if let Some(verdict) = refused.verdict {
        req.extensions_mut().insert(Limited(verdict));
    }
    refused.error.into()
}

/// Reads the body, or its errors, and answers its bytes too.
pub async fn read_body<B: ReadBody>(
    req: &HttpRequest,
    payload: Payload,
    state: &State,
) -> Result<(Result<B, Error>, Bytes), ApiError> {
    read_form(req, payload, state, BodyForm::of::<B>()).await
}

/// The same of a body of any form.
async fn read_form<B, F>(
    req: &HttpRequest,
    payload: Payload,
    state: &State,
    form: BodyForm<F>,
) -> Result<(Result<B, Error>, Bytes), ApiError>
where
    B: Send + 'static,
    F: FnOnce(&mut Fields<'_>) -> Option<B> + Send + 'static,
{
    let scope_order = state.contract().scope_order;
    if !form.is_taken {
        return Ok((parse("", &Bytes::new(), scope_order, form)?, Bytes::new()));
    }
    let body = take_in(req, payload, state, form.limit_bytes).await?;
    if body.len <= MOST_BYTES_ON_A_WORKER {
        let bytes = body.into_bytes();
        return Ok((parse(req.content_type(), &bytes, scope_order, form)?, bytes));
    }
    let media_type = req.content_type().to_owned();
    let read = move || {
        let bytes = body.into_bytes();
        parse(&media_type, &bytes, scope_order, form).map(|parsed| (parsed, bytes))
    };
    off_the_workers("reading a body", read).await?
}

/// Takes a body apart, which says of itself that it is of this type, and answers what it is or its errors.
fn parse<B, F: FnOnce(&mut Fields<'_>) -> Option<B>>(
    media_type: &str,
    bytes: &Bytes,
    scope_order: ScopeOrder,
    form: BodyForm<F>,
) -> Result<Result<B, Error>, ApiError> {
    let nothing = !form.is_taken || (form.is_optional && bytes.is_empty());
    let members = if nothing { Members::default() } else { members(media_type, bytes, &form)? };
    Ok(read_by(members, scope_order, form.read).map_err(Error::Validation))
}

/// Takes a body in, of `limit_bytes` at most; what is large of it counts to the bytes in flight until the
/// request is done.
pub async fn take_in(
    req: &HttpRequest,
    payload: Payload,
    state: &State,
    limit_bytes: usize,
) -> Result<Taken, ApiError> {
    check_encoding(req)?;
    actix_web::rt::time::timeout(BODY_TIMEOUT, collect(req, payload, state, limit_bytes))
        .await
        .map_err(|_| ApiError::BadRequest("The request body took too long to arrive.".to_owned()))?
}

/// Refuses a body that is compressed: nobody knows how large it is before it is unpacked.
fn check_encoding(req: &HttpRequest) -> Result<(), ApiError> {
    let codings = req.headers().get_all(header::CONTENT_ENCODING);
    let plain = |value: &header::HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if codings.into_iter().all(plain) { Ok(()) } else { Err(ApiError::UnsupportedContentEncoding) }
}

/// Left in a request: its body's part of the budget.
#[expect(dead_code, reason = "held until the request is done")]
struct BodyShare(Share);

/// A body as it arrived. To put its pieces together takes long enough for a large one that others would
/// notice.
#[derive(Debug, Default)]
pub struct Taken {
    /// How many bytes it has.
    pub len: usize,
    /// All of the same size but for the last. What arrives is copied: it would hold the buffer that it was
    /// read into, which is larger.
    pieces: Vec<Vec<u8>>,
}

impl Taken {
    const PIECE_BYTES: usize = 256 << 10;

    fn push(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len();
        while !bytes.is_empty() {
            let room = self.pieces.last().map_or(0, |last| Self::PIECE_BYTES - last.len());
            if room == 0 {
                // The first grows with what comes: most bodies are small.
                let capacity = if self.pieces.is_empty() { bytes.len() } else { Self::PIECE_BYTES };
                self.pieces.push(Vec::with_capacity(capacity.min(Self::PIECE_BYTES)));
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(last) = self.pieces.last_mut() {
                last.extend_from_slice(now);
            }
            bytes = later;
        }
    }

    /// All of it in one.
    pub fn into_bytes(mut self) -> Bytes {
        if self.pieces.len() <= 1 {
            return self.pieces.pop().unwrap_or_default().into();
        }
        let mut all = Vec::with_capacity(self.len);
        for piece in self.pieces {
            all.extend_from_slice(&piece);
        }
        all.into()
    }
}

/// Collects a body. What is held of it grows with what arrives, whatever is announced.
async fn collect(
    req: &HttpRequest,
    mut payload: Payload,
    state: &State,
    limit_bytes: usize,
) -> Result<Taken, ApiError> {
    let announced =
        req.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit_bytes) {
        return Err(ApiError::PayloadTooLarge { limit_bytes });
    }
    let owner = owner(req);
    let (mut body, mut share) = (Taken::default(), None::<Share>);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::BadRequest("The request body ended early.".to_owned()))?;
        if body.len + chunk.len() > limit_bytes {
            return Err(ApiError::PayloadTooLarge { limit_bytes });
        }
        let counted = |length: usize| (TIMES_HELD * length as u64).min(budget::MOST_FOR_A_BODY);
        let needed = counted(body.len + chunk.len());
        if needed >= budget::LEAST_BYTES && share.as_ref().is_none_or(|share| share.bytes() < needed) {
            // A large one takes the rest at once: several that each hold a part and wait for more would wait
            // for each other.
            let all = counted(announced.unwrap_or(limit_bytes));
            let wanted = if needed > TAKEN_STEP_BY_STEP { all } else { needed.next_power_of_two().min(all) };
            let wanted = wanted.max(needed);
            let has = share.as_ref().map_or(0, Share::bytes);
            let more = state.budget().take(owner, wanted - has).await?;
            share = Some(match share.take() {
                Some(share) => share.and(more),
                None => more,
            });
        }
        body.push(&chunk);
    }
    if let Some(share) = share {
        req.extensions_mut().insert(BodyShare(share));
    }
    Ok(body)
}

fn members<'b, F>(given: &str, bytes: &'b [u8], form: &BodyForm<F>) -> Result<Members<'b>, ApiError> {
    if !form.media_types.iter().any(|media_type| given.eq_ignore_ascii_case(media_type)) {
        return Err(ApiError::UnsupportedMediaType);
    }
    let error = match serde_json::from_slice(bytes) {
        Ok(members) => return Ok(members),
        // Something else than an object, if it is JSON at all.
        Err(error) if error.is_data() => match serde_json::from_slice::<Option<IgnoredAny>>(bytes) {
            Ok(None) if form.is_optional => return Ok(Members::default()),
            Ok(_) => return Err(Error::invalid("body", "The request body must be a JSON object.").into()),
            Err(error) => error,
        },
        Err(error) => error,
    };
    let position = format!("line {}, column {}", error.line(), error.column());
    Err(ApiError::BadRequest(format!("The request body is not valid JSON ({position}).")))
}
