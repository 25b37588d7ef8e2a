//! `/members`

use gatepost_app::{
    UnitOfWork,
    people::{account, team},
};
use gatepost_contract::{Deleted, Message};
use gatepost_kernel::MemberId;
use gatepost_macros::operation;

use crate::{
    answer::{Answer, Item, PageOf},
    call::Call,
    lists::{ItemQuery, ListQuery},
    operation::Tag,
    people::members_wire::{MemberView, ResetLinkView, UpdateMemberBody},
    query::NoQuery,
    scopes::TeamAdmin,
};

/// Group of the operations on people.
pub const TEAM: Tag = Tag {
    name: "Team",
    about: "The people of a workspace, who sign in to the dashboard, and what they may do.",
};

/// List members
#[operation(get "/members", tag = TEAM, ok = "One page of the members of the workspace")]
async fn list_members(call: Call<TeamAdmin, ListQuery<MemberView>>) -> Answer<PageOf<MemberView>> {
    let request = call.list_request().await?;
    let page = team::list(call.app(), call.caller(), call.query().filters.role, request).await?;
    call.page(page, |member| Ok(MemberView::from(member))).await
}

/// Get a member
#[operation(get "/members/{id}", tag = TEAM, ok = "The member with their role")]
async fn get_member(call: Call<TeamAdmin, ItemQuery<MemberView>>, id: MemberId) -> Answer<Item<MemberView>> {
    let member = team::get(call.app(), call.caller(), id).await?;
    call.resource(&MemberView::from(member), None)
}

/// Update a member
///
/// Nobody can give or take a role whose scopes they do not have, and a workspace keeps at least one owner. Only
/// a key of the root workspace can disable an account, since it may belong to other workspaces too.
#[operation(patch "/members/{id}", tag = TEAM, ok = "The member after the change")]
async fn update_member(
    call: Call<TeamAdmin, NoQuery, UpdateMemberBody>,
    id: MemberId,
) -> Answer<Message<MemberView>> {
    let (body, call) = call.into_body();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let member = team::update(unit, id, body?.into()).await?;
        Ok(Message::done("Member updated successfully.", MemberView::from(member)))
    })
    .await
}

/// Remove a member
///
/// Takes the member out of the workspace at once. Their account stays, for other workspaces that they belong to.
#[operation(delete "/members/{id}", tag = TEAM, no_content = "The member is removed")]
async fn remove_member(call: Call<TeamAdmin>, id: MemberId) -> Answer<Deleted<MemberId>> {
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        team::remove(unit, id).await?;
        Ok(Deleted(id))
    })
    .await
}

/// Create a link to reset a password
///
/// Whoever opens the link can choose another password for the member; a second factor stays in force. It works
/// once, for 30 minutes, and is shown in this answer only. Only a key of the root workspace can create one.
#[operation(post "/members/{id}/reset-link", tag = TEAM, created = "The link, which works once")]
async fn create_reset_link(call: Call<TeamAdmin>, id: MemberId) -> Answer<Message<ResetLinkView>> {
    let base = call.base_url();
    call.mutate(async move |unit: &mut UnitOfWork<'_>| {
        let (link, _) = account::reset_link(unit, id).await?;
        let view = ResetLinkView::new(&link, &base);
        Ok(Message::created("Reset link created successfully.", view).with_secret())
    })
    .await
}
