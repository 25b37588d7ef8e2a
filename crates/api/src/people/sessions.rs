//! `/sessions`

use gatepost_app::{UnitOfWork, people::sessions};
use gatepost_contract::Deleted;
use gatepost_kernel::SessionId;
use gatepost_macros::operation;

use crate::{
    answer::{Answer, PageOf},
    call::Call,
    lists::ListQuery,
    people::{members::TEAM, sessions_wire::SessionView},
    scopes::TeamAdmin,
};

/// List sessions
///
/// The browsers in which members have signed in that show this workspace.
#[operation(get "/sessions", tag = TEAM, ok = "One page of the sessions of members")]
async fn list_sessions(call: Call<TeamAdmin, ListQuery<SessionView>>) -> Answer<PageOf<SessionView>> {
    let (request, limits) = (call.list_request().await?, call.app().session_limits());
    let page = sessions::list(call.app(), call.caller(), call.query().filters.member_id, request).await?;
    call.page(page, move |session| Ok(SessionView::from((session, limits)))).await
}

/// End a session
///
/// The member has to sign in again in that browser.
#[operation(delete "/sessions/{id}", tag = TEAM, no_content = "The session is ended")]
async fn end_session(call: Call<TeamAdmin>, id: SessionId) -> Answer<Deleted<SessionId>> {
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        sessions::end(unit, id).await?;
        Ok(Deleted(id))
    })
    .await
}
