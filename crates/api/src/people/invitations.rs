//! `/invitations`

use gatepost_app::{
    UnitOfWork,
    people::invitations::{self, Invite},
};
use gatepost_contract::{Deleted, Message};
use gatepost_kernel::InvitationId;
use gatepost_macros::operation;
use gatepost_people::LinkKind;

use crate::{
    answer::{Answer, Item, PageOf},
    call::Call,
    lists::{ItemQuery, ListQuery},
    people::{
        invitations_wire::{CreateInvitationBody, CreatedInvitationView, InvitationView},
        members::TEAM,
    },
    query::NoQuery,
    scopes::TeamAdmin,
};

/// List invitations
#[operation(get "/invitations", tag = TEAM, ok = "One page of the invitations to the workspace")]
async fn list_invitations(
    call: Call<TeamAdmin, ListQuery<InvitationView>>,
) -> Answer<PageOf<InvitationView>> {
    let (request, now) = (call.list_request().await?, call.app().now());
    let page = invitations::list(call.app(), call.caller(), call.query().filters.status, request).await?;
    call.page(page, move |invitation| Ok(InvitationView::from((invitation, now)))).await
}

/// Create an invitation
///
/// Whoever opens the link chooses a name and a password, or signs in with the account that the address has, and
/// is a member then. The link works once, for 7 days, and is shown in this answer only; nothing is sent. A
/// second invitation of the same address takes the first one back. Nobody can invite to a role whose scopes
/// they do not have.
#[operation(post "/invitations", tag = TEAM, created = "The invitation, with its link")]
async fn create_invitation(
    call: Call<TeamAdmin, NoQuery, CreateInvitationBody>,
) -> Answer<Message<CreatedInvitationView>> {
    let (body, call) = call.into_body();
    let base = call.base_url();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let (email, role) = body?.into_parts();
        let new = invitations::create(unit, Invite { email: Some(email), role, link: LinkKind::Invitation });
        let view = CreatedInvitationView::from((new.await?, base));
        Ok(Message::created("Invitation created successfully.", view).with_secret())
    })
    .await
}

/// Get an invitation
#[operation(get "/invitations/{id}", tag = TEAM, ok = "The invitation, without its link")]
async fn get_invitation(
    call: Call<TeamAdmin, ItemQuery<InvitationView>>,
    id: InvitationId,
) -> Answer<Item<InvitationView>> {
    let invitation = invitations::get(call.app(), call.caller(), id).await?;
    call.resource(&InvitationView::from((invitation, call.app().now())), None)
}

/// Revoke an invitation
///
/// The link stops working at once. An invitation that was accepted or revoked stays what it is (409).
#[operation(delete "/invitations/{id}", tag = TEAM, no_content = "The invitation is revoked")]
async fn revoke_invitation(call: Call<TeamAdmin>, id: InvitationId) -> Answer<Deleted<InvitationId>> {
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        invitations::revoke(unit, id).await?;
        Ok(Deleted(id))
    })
    .await
}
