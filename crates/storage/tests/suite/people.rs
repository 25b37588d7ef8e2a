//! Accounts, where they belong, links and sessions.

use std::time::Duration;

use gatepost_kernel::{MemberId, PageRequest, Secret, Timestamp, Window, WorkspaceId};
use gatepost_people::{
    AuthenticatorSecret, Email, Failures, InvitationStatus, LinkKind, MAX_SESSIONS, Membership, OpaqueToken,
    PasswordHash, RECOVERY_CODES, RecoveryCode, Role, SecretDigest,
};
use gatepost_storage::{
    Direction, INVITATION_SORTS, InvitationFilter, ListRequest, MEMBERSHIP_SORTS, MemberChanges,
    MembershipFilter, NewInvitation, NewMember, NewSession, SESSION_SORTS, SessionFilter, SessionUse,
    StorageError, Tx,
};
use gatepost_test_support::both_engines;
use rand::{SeedableRng, rngs::StdRng};

use super::{Db, at, workspace};

both_engines! { Db:
    an_account_is_found_by_its_address_however_it_is_cased,
    a_code_of_the_clock_and_a_recovery_code_work_once,
    members_of_a_workspace_are_listed_by_role,
    the_last_of_two_who_accept_is_told,
    a_link_to_another_password_works_once_and_in_time,
    a_member_has_so_many_sessions_at_most,
    sessions_are_listed_to_those_who_share_a_workspace,
    failures_are_counted_one_after_the_other,
}

const ROOT: WorkspaceId = WorkspaceId::ROOT;

fn email(text: &str) -> Email {
    Email::parse(text).expect("an address")
}

fn digest(seed: u64) -> SecretDigest {
    OpaqueToken::generate(&mut StdRng::seed_from_u64(seed)).digest()
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(Secret::new(text.to_owned()))
}

fn member(address: &str) -> NewMember {
    NewMember { email: email(address), name: "Ada".into(), password: hash("$argon2id$1"), created_at: at(0) }
}

async fn joined(tx: &mut Tx<'_>, address: &str, workspace: WorkspaceId, role: Role) -> MemberId {
    let made = tx.member_insert(&member(address)).await.expect("a query").expect("a fresh address");
    join(tx, made.id, workspace, role).await;
    made.id
}

async fn join(tx: &mut Tx<'_>, member: MemberId, workspace: WorkspaceId, role: Role) {
    let membership = Membership { member_id: member, workspace_id: workspace, role, created_at: at(1) };
    assert!(tx.membership_insert(&membership).await.expect("a query"));
}

fn page() -> ListRequest {
    ListRequest::of(Window::Page(PageRequest::of_page(1, 50)))
}

async fn an_account_is_found_by_its_address_however_it_is_cased(db: Db) {
    let check = async |mut tx: Tx<'_>| {
        let made = tx.member_insert(&member("Ada@Example.com")).await?.expect("a fresh address");
        assert_eq!(
            (made.email.as_str(), made.name.as_str(), made.created_at),
            ("Ada@Example.com", "Ada", at(0))
        );
        assert_eq!((made.last_seen_at, made.second_factor_at, made.disabled_at), (None, None, None));
        assert_eq!(tx.member_by_email(&email("ada@EXAMPLE.com")).await?, Some(made.clone()));
        assert_eq!(tx.member_insert(&member("ADA@example.com")).await?, None, "taken");

        let other = tx.member_insert(&member("bo@example.com")).await?.expect("a fresh address");
        let changes = MemberChanges {
            email: Some(email("ada.l@example.com")),
            name: Some("Ada L".into()),
            disabled_at: Some(Some(at(3))),
        };
        let changed = tx.member_update(made.id, changes, at(3)).await?.expect("the member");
        assert_eq!(
            (changed.name.as_str(), changed.disabled_at, changed.updated_at),
            ("Ada L", Some(at(3)), at(3))
        );
        assert_eq!(tx.member_by_email(&email("ada@example.com")).await?, None);
        assert_eq!(tx.member_get(made.id).await?, Some(changed.clone()));
        let enabled = MemberChanges { disabled_at: Some(None), ..MemberChanges::default() };
        assert_eq!(tx.member_update(made.id, enabled, at(4)).await?.expect("the member").disabled_at, None);
        assert_eq!(tx.members_by_id(&[made.id, other.id]).await?.len(), 2);

        tx.member_set_password(made.id, &hash("$argon2id$2"), at(5)).await?;
        tx.member_set_seen(made.id, at(6)).await?;
        let kept = tx.member_credentials(made.id, true).await?.expect("the member");
        assert_eq!(kept.password.to_stored().expose(), "$argon2id$2");
        assert_eq!(tx.member_get(made.id).await?.expect("the member").last_seen_at, Some(at(6)));
        Ok::<_, StorageError>(other.id)
    };
    let other = db.storage.transaction(check).await.expect("a transaction");
    let takes = async move |mut tx: Tx<'_>| {
        let changes = MemberChanges { email: Some(email("Ada.L@example.com")), ..MemberChanges::default() };
        tx.member_update(other, changes, at(7)).await
    };
    let taken = db.storage.transaction::<_, StorageError, _>(takes).await;
    assert!(matches!(taken, Err(StorageError::Duplicate(_))), "{taken:?}");
}

async fn a_code_of_the_clock_and_a_recovery_code_work_once(db: Db) {
    let check = async |mut tx: Tx<'_>| {
        let rng = &mut StdRng::seed_from_u64(1);
        let id = tx.member_insert(&member("ada@example.com")).await?.expect("a fresh address").id;
        let secret = AuthenticatorSecret::generate(rng);
        let codes: Vec<SecretDigest> =
            (0..RECOVERY_CODES).map(|_| RecoveryCode::generate(rng).digest()).collect();
        tx.second_factor_set(id, Some(secret.to_base32()), &codes, at(2)).await?;
        let kept = tx.member_credentials(id, false).await?.expect("the member");
        assert_eq!(kept.authenticator.expect("a secret").expose(), secret.to_base32().expose());
        assert_eq!(tx.member_get(id).await?.expect("the member").second_factor_at, Some(at(2)));

        assert!(tx.authenticator_step_use(id, 100).await?);
        assert!(!tx.authenticator_step_use(id, 100).await?, "used");
        assert!(!tx.authenticator_step_use(id, 99).await?, "older");
        assert!(tx.authenticator_step_use(id, 101).await?);

        assert!(tx.recovery_code_use(id, codes[3]).await?);
        assert!(!tx.recovery_code_use(id, codes[3]).await?, "used");
        assert_eq!(tx.recovery_code_count(id).await?, RECOVERY_CODES as u64 - 1);

        tx.second_factor_set(id, None, &[], at(3)).await?;
        let kept = tx.member_credentials(id, false).await?.expect("the member");
        assert!(kept.authenticator.is_none() && kept.authenticator_step.is_none());
        assert_eq!(tx.recovery_code_count(id).await?, 0);
        assert_eq!(tx.member_get(id).await?.expect("the member").second_factor_at, None);
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("a transaction");
}

async fn members_of_a_workspace_are_listed_by_role(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let acme = tx.workspace_insert(&workspace("acme", None)).await?.expect("a fresh slug").id;
        let owner = joined(&mut tx, "owner@example.com", acme, Role::Owner).await;
        let viewer = joined(&mut tx, "viewer@example.com", acme, Role::Viewer).await;
        join(&mut tx, owner, ROOT, Role::Admin).await;
        let twice =
            Membership { member_id: owner, workspace_id: ROOT, role: Role::Viewer, created_at: at(2) };
        assert!(!tx.membership_insert(&twice).await?, "there already");

        let mut filter = MembershipFilter { workspace_id: acme, role: None };
        let order = vec![(MEMBERSHIP_SORTS[0], Direction::Descending)];
        let newest = ListRequest { order, ..page() };
        let ids = |page: gatepost_kernel::Page<Membership>| -> Vec<MemberId> {
            page.items.iter().map(|membership| membership.member_id).collect()
        };
        assert_eq!(ids(tx.membership_list(&filter, &newest).await?), [viewer, owner]);
        filter.role = Some(Role::Owner);
        assert_eq!(ids(tx.membership_list(&filter, &page()).await?), [owner]);

        assert_eq!(tx.active_owner_count(acme, viewer).await?, 1);
        assert_eq!(tx.active_owner_count(acme, owner).await?, 0);
        tx.membership_set_role(acme, viewer, Role::Owner).await?;
        assert_eq!(tx.active_owner_count(acme, owner).await?, 1);
        let disabled = MemberChanges { disabled_at: Some(Some(at(4))), ..MemberChanges::default() };
        tx.member_update(viewer, disabled, at(4)).await?;
        assert_eq!(tx.active_owner_count(acme, owner).await?, 0, "disabled");
        let of_owner: Vec<_> =
            tx.memberships_of(owner).await?.iter().map(|m| (m.workspace_id, m.role)).collect();
        assert_eq!(of_owner, [(acme, Role::Owner), (ROOT, Role::Admin)]);
        tx.membership_delete(acme, owner).await?;
        assert_eq!(tx.membership_get(acme, owner).await?, None);
        assert_eq!(tx.membership_get(ROOT, owner).await?.expect("elsewhere").role, Role::Admin);

        tx.workspace_delete(acme, at(9)).await?;
        assert_eq!(tx.memberships_of(viewer).await?, [], "the workspace is gone");
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("a transaction");
}

fn invitation(seed: u64, address: Option<&str>) -> NewInvitation {
    NewInvitation {
        workspace_id: ROOT,
        email: address.map(email),
        role: Role::Developer,
        digest: digest(seed),
        invited_by: None,
        created_at: at(0),
        expires_at: at(0).plus(LinkKind::Invitation.lifetime()),
    }
}

async fn the_last_of_two_who_accept_is_told(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let made = tx.invitation_insert(&invitation(1, Some("Ada@example.com"))).await?;
        assert_eq!((made.role, made.email.clone()), (Role::Developer, Some(email("Ada@example.com"))));
        assert_eq!(tx.invitation_by_digest(digest(1)).await?, Some(made.clone()));
        assert_eq!(tx.invitation_by_digest(digest(2)).await?, None);
        assert_eq!(tx.invitation_get(ROOT, made.id).await?, Some(made.clone()));
        assert_eq!(tx.invitation_get(WorkspaceId(99), made.id).await?, None, "another tenant's");

        assert!(!tx.invitation_accept(made.id, made.expires_at).await?, "too late");
        assert!(tx.invitation_accept(made.id, at(5)).await?);
        assert!(!tx.invitation_accept(made.id, at(5)).await?, "used");
        assert!(!tx.invitation_revoke(made.id, at(6)).await?, "used");

        let older = tx.invitation_insert(&invitation(3, Some("bo@example.com"))).await?;
        tx.invitation_revoke_of(ROOT, &email("Bo@example.com"), at(7)).await?;
        assert!(!tx.invitation_accept(older.id, at(8)).await?, "taken back");
        let newer = tx.invitation_insert(&invitation(4, Some("bo@example.com"))).await?;
        let anybody = tx.invitation_insert(&invitation(5, None)).await?;

        let order = vec![(INVITATION_SORTS[0], Direction::Ascending)];
        let request = ListRequest { order, ..page() };
        for (status, now, expected) in [
            (None, at(9), vec![made.id, older.id, newer.id, anybody.id]),
            (Some(InvitationStatus::Pending), at(9), vec![newer.id, anybody.id]),
            (Some(InvitationStatus::Expired), at(9), vec![]),
            (Some(InvitationStatus::Expired), newer.expires_at, vec![newer.id, anybody.id]),
            (Some(InvitationStatus::Accepted), newer.expires_at, vec![made.id]),
            (Some(InvitationStatus::Revoked), at(9), vec![older.id]),
        ] {
            let filter = InvitationFilter { workspace_id: ROOT, status: status.map(|status| (status, now)) };
            let found = tx.invitation_list(&filter, &request).await?.items;
            let ids: Vec<_> = found.iter().map(|invitation| invitation.id).collect();
            assert_eq!(ids, expected, "{status:?}");
            assert!(status.is_none_or(|status| found.iter().all(|one| one.status(now) == status)));
        }
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("a transaction");
}

async fn a_link_to_another_password_works_once_and_in_time(db: Db) {
    let check = async |mut tx: Tx<'_>| {
        let id = tx.member_insert(&member("ada@example.com")).await?.expect("a fresh address").id;
        let until = at(0).plus(LinkKind::Reset.lifetime());
        tx.password_reset_set(id, digest(1), until).await?;
        tx.password_reset_set(id, digest(2), until).await?;
        assert_eq!(tx.password_reset_get(digest(1), at(1)).await?, None, "replaced");
        assert_eq!(tx.password_reset_get(digest(2), at(1)).await?, Some(id));
        assert_eq!(tx.password_reset_get(digest(2), until).await?, None, "too late");
        assert!(tx.password_reset_delete(id).await?);
        assert!(!tx.password_reset_delete(id).await?, "used");
        assert_eq!(tx.password_reset_get(digest(2), at(1)).await?, None);
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("a transaction");
}

fn session(seed: u64, member_id: MemberId) -> NewSession {
    NewSession {
        digest: digest(seed),
        member_id,
        workspace_id: ROOT,
        awaits_second_factor: true,
        ip_address: Some("192.0.2.1".into()),
        user_agent: Some("Browser 1".into()),
        created_at: at(0),
    }
}

async fn a_member_has_so_many_sessions_at_most(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let ada = tx.member_insert(&member("ada@example.com")).await?.expect("a fresh address").id;
        let bo = tx.member_insert(&member("bo@example.com")).await?.expect("a fresh address").id;
        let of_bo = tx.session_insert(&session(1_000, bo)).await?;
        let first = tx.session_insert(&session(0, ada)).await?;
        assert!(first.awaits_second_factor && first.last_used_at == at(0));
        assert_eq!(tx.session_by_digest(digest(0)).await?, Some(first.clone()));
        for seed in 1..=MAX_SESSIONS as u64 {
            tx.session_insert(&session(seed, ada)).await?;
        }
        assert_eq!(tx.session_get(first.id).await?, None, "the oldest has ended");
        assert_eq!(tx.sessions_of(ada).await?.len(), MAX_SESSIONS);
        assert_eq!(tx.sessions_of(bo).await?.len(), 1);

        let kept = tx.session_by_digest(digest(2)).await?.expect("a session");
        assert!(tx.session_renew(kept.id, digest(500), Some(at(3))).await?);
        assert_eq!(tx.session_by_digest(digest(2)).await?, None, "the old cookie is worth nothing");
        let renewed = tx.session_by_digest(digest(500)).await?.expect("the same session");
        assert!(renewed.id == kept.id && !renewed.awaits_second_factor && renewed.authenticated_at == at(3));
        assert!(tx.session_renew(kept.id, digest(501), None).await?);
        let used = SessionUse { at: at(60), ip_address: Some("192.0.2.9".into()) };
        tx.session_set_used(kept.id, &used).await?;
        let acme = tx.workspace_insert(&workspace("acme", None)).await?.expect("a fresh slug").id;
        tx.session_set_workspace(kept.id, acme).await?;
        let found = tx.session_by_digest(digest(501)).await?.expect("the same session");
        assert_eq!((found.authenticated_at, found.last_used_at, found.workspace_id), (at(3), at(60), acme));
        assert_eq!(found.ip_address.as_deref(), Some("192.0.2.9"));

        assert_eq!(tx.session_delete_of(ada, Some(kept.id)).await?, MAX_SESSIONS - 1);
        assert!(tx.session_delete(kept.id).await? && !tx.session_delete(kept.id).await?);
        assert!(!tx.session_renew(kept.id, digest(502), None).await?, "it has ended");
        assert_eq!(tx.session_delete_before(at(0), 10).await?, 0);
        assert_eq!(tx.session_delete_before(at(1), 10).await?, 1);
        assert_eq!(tx.session_get(of_bo.id).await?, None);
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("a transaction");
}

async fn sessions_are_listed_to_those_who_share_a_workspace(db: Db) {
    let db = db.with_root().await;
    let check = async |mut tx: Tx<'_>| {
        let acme = tx.workspace_insert(&workspace("acme", None)).await?.expect("a fresh slug").id;
        let ada = joined(&mut tx, "ada@example.com", acme, Role::Owner).await;
        let bo = joined(&mut tx, "bo@example.com", acme, Role::Viewer).await;
        let stranger = joined(&mut tx, "cy@example.com", ROOT, Role::Owner).await;
        let shows = |seed, member, workspace_id| NewSession {
            workspace_id,
            awaits_second_factor: false,
            ..session(seed, member)
        };
        for (seed, member, workspace) in [(1, ada, acme), (2, bo, acme), (3, stranger, ROOT)] {
            tx.session_insert(&shows(seed, member, workspace)).await?;
        }
        // One that shows another workspace, one of somebody who is no member, and one that is half begun.
        tx.session_insert(&shows(4, ada, ROOT)).await?;
        tx.session_insert(&shows(5, stranger, acme)).await?;
        tx.session_insert(&NewSession { workspace_id: acme, ..session(6, bo) }).await?;
        let order = vec![(SESSION_SORTS[0], Direction::Ascending)];
        let request = ListRequest { order, ..page() };
        let before = at(0).minus(Duration::from_secs(1));
        let mut found = async |workspace_id, member_id, after: Timestamp| {
            let filter = SessionFilter { workspace_id, member_id, created_after: after, used_after: after };
            let found = tx.session_list(&filter, &request).await?.items;
            Ok::<_, StorageError>(found.iter().map(|session| session.member_id).collect::<Vec<_>>())
        };
        assert_eq!(found(acme, None, before).await?, [ada, bo]);
        assert_eq!(found(acme, Some(bo), before).await?, [bo]);
        assert_eq!(found(acme, Some(stranger), before).await?, [], "of another workspace");
        assert_eq!(found(acme, None, at(0)).await?, [], "too long ago");
        assert_eq!(found(ROOT, None, before).await?, [stranger]);
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("a transaction");
}

async fn failures_are_counted_one_after_the_other(db: Db) {
    const SUBJECT: [u8; 32] = [0xff; 32];
    let add = || {
        db.storage.transaction::<_, StorageError, _>(async |mut tx: Tx<'_>| {
            let before = tx.sign_in_failures_lock(SUBJECT).await?;
            tx.sign_in_failures_set(SUBJECT, Some(Failures::and_one(before, at(1)))).await
        })
    };
    let all = futures_util::future::join_all((0..20).map(|_| add())).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let check = async |mut tx: Tx<'_>| {
        let all = Some(Failures { count: 20, last_at: at(1) });
        assert_eq!(tx.sign_in_failures_lock(SUBJECT).await?, all);
        assert_eq!(tx.sign_in_failures_lock([1; 32]).await?, None);
        assert_eq!(tx.sign_in_failures_delete_before(at(1), 10).await?, 0);
        assert_eq!(tx.sign_in_failures_delete_before(at(2), 10).await?, 1);
        tx.sign_in_failures_set([1; 32], Some(Failures { count: 1, last_at: at(1) })).await?;
        tx.sign_in_failures_set([1; 32], None).await?;
        assert_eq!(tx.sign_in_failures_lock([1; 32]).await?, None);
        Ok::<_, StorageError>(())
    };
    db.storage.transaction(check).await.expect("a transaction");
}
