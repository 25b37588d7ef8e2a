//! People: how they join, sign in, and what their roles allow. What only the dashboard will show is asked of
//! the use-cases themselves.

use std::time::Duration;

use gatepost_app::{
    Acting, App, Caller, UnitOfWork,
    keys::api_keys::{self, CreateApiKey},
    people::{
        Browser, account,
        invitations::{self, Accept, Invite},
        sign_in::{self, Began, Proof, SignInError, SignedIn},
        team,
    },
    stored_secrets::{self, Resealed},
};
use gatepost_gate::Via;
use gatepost_kernel::{Environment, Error, MemberId, RequestId, Secret, Timestamp, WorkspaceId};
use gatepost_keys::{ScopeSet, Token, TokenFormat};
use gatepost_people::{
    AuthenticatorSecret, Email, InvitationStatus, LinkKind, OpaqueToken, RecoveryCode, Role,
};
use gatepost_sealing::{SealedColumn, Vault};
use gatepost_test_support::{TestApp, both_engines};
use serde_json::json;

both_engines! { TestApp:
    a_setup_link_makes_the_first_owner_once,
    of_several_who_accept_at_once_one_joins,
    nobody_is_told_whether_an_address_has_an_account,
    tries_at_once_are_no_more_than_tries_in_a_row,
    a_second_factor_is_asked_for_and_its_codes_work_once,
    codes_cannot_be_guessed,
    second_factors_are_sealed_anew_with_the_servers_key,
    a_session_ends_unused_by_order_and_with_its_member,
    another_password_ends_the_other_sessions,
    a_link_to_another_password_is_for_the_platform_to_give,
    roles_are_given_by_those_who_hold_them,
    a_workspace_keeps_an_owner,
    a_member_may_what_the_role_allows,
    an_account_joins_another_workspace_by_its_password,
}

const ROOT: WorkspaceId = WorkspaceId::ROOT;
const PASSWORD: &str = "ochre tunnel parsnip lantern";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub fn browser() -> Browser {
    Browser {
        address: Some("192.0.2.1".parse().expect("an address")),
        user_agent: Some("Browser 1".to_owned()),
        request_id: RequestId::from_caller("people", |_| false),
    }
}

/// Asks somebody to join, as whoever calls; the token of the link.
async fn invite(app: &App, caller: &Caller, email: Option<&str>, role: Role) -> Result<OpaqueToken, Error> {
    let link = if email.is_some() { LinkKind::Invitation } else { LinkKind::Setup };
    let input = Invite { email: email.map(|email| Email::parse(email).expect("an address")), role, link };
    let create = async move |unit: &mut UnitOfWork<'_>| invitations::create(unit, input).await;
    Ok(app.transact(caller, create).await?.token)
}

pub fn accepting(password: &str) -> Accept {
    Accept { email: None, name: "Ada".to_owned(), password: secret(password) }
}

/// A member of a workspace who has signed in.
pub async fn joined(app: &App, workspace: WorkspaceId, email: &str, role: Role) -> (Began, SignedIn) {
    let link = invite(app, &Caller::command_line(workspace), Some(email), role).await.expect("a link");
    let began = invitations::accept(app, &link, accepting(PASSWORD), browser()).await.expect("a session");
    let signed_in = known(app, &began.token).await.expect("a session");
    (began, signed_in)
}

pub async fn known(app: &App, token: &OpaqueToken) -> Option<SignedIn> {
    sign_in::session_of(app, token, &browser()).await.expect("a query")
}

async fn sign_in(app: &App, email: &str, password: &str) -> Result<Began, SignInError> {
    sign_in::sign_in(app, email, secret(password), browser()).await
}

fn member(app: &App, signed_in: &SignedIn) -> Caller {
    signed_in.caller(app, Environment::Live, &browser()).expect("a caller")
}

async fn set_role(app: &App, caller: &Caller, id: MemberId, role: Role) -> Result<(), Error> {
    let set = async move |unit: &mut UnitOfWork<'_>| team::set_role(unit, id, role).await;
    app.transact(caller, set).await.map(|_| ())
}

async fn remove(app: &App, caller: &Caller, id: MemberId) -> Result<(), Error> {
    app.transact(caller, async move |unit: &mut UnitOfWork<'_>| team::remove(unit, id).await).await
}

async fn set_enabled(app: &App, caller: &Caller, id: MemberId, enabled: bool) -> Result<(), Error> {
    let set = async move |unit: &mut UnitOfWork<'_>| team::set_enabled(unit, id, enabled).await;
    app.transact(caller, set).await.map(|_| ())
}

async fn tenant(app: &TestApp) -> WorkspaceId {
    WorkspaceId(app.create_tenant_on("enterprise", "Acme").await.0)
}

async fn a_setup_link_makes_the_first_owner_once(app: TestApp) {
    let (app, clock) = (&app.app, &app.clock);
    let operator = Caller::command_line(ROOT);
    let late = invite(app, &operator, None, Role::Owner).await.expect("a link");
    clock.advance(LinkKind::Setup.lifetime());
    assert!(matches!(invitations::open(app, &late).await, Err(Error::NotFound)), "too late");

    let link = invite(app, &operator, None, Role::Owner).await.expect("a link");
    let opened = invitations::open(app, &link).await.expect("it works");
    assert_eq!(
        (opened.workspace.as_str(), opened.has_account, opened.invitation.role),
        ("Root", false, Role::Owner)
    );
    let nobody = accepting(PASSWORD);
    let refused = invitations::accept(app, &link, nobody, browser()).await;
    assert!(matches!(refused, Err(SignInError::Other(Error::Validation(_)))), "who is it? {refused:?}");
    let ada = |password| Accept { email: Some("Ada@example.com".to_owned()), ..accepting(password) };
    let weak = invitations::accept(app, &link, ada("gatepost is our gate, 9!"), browser()).await;
    assert!(matches!(weak, Err(SignInError::Other(Error::Validation(_)))), "{weak:?}");

    let began = invitations::accept(app, &link, ada(PASSWORD), browser())
        .await
        .expect("what was wrong used nothing up");
    let signed_in = known(app, &began.token).await.expect("a session");
    assert_eq!((signed_in.member.email.as_str(), signed_in.shown.role), ("Ada@example.com", Role::Owner));
    assert!(matches!(invitations::open(app, &link).await, Err(Error::NotFound)), "used");
    let again = invitations::accept(app, &link, ada(PASSWORD), browser()).await;
    assert!(matches!(again, Err(SignInError::Other(Error::NotFound))), "{again:?}");

    let began = sign_in(app, "ada@EXAMPLE.com", PASSWORD).await.expect("however it is cased");
    assert!(known(app, &began.token).await.is_some());
    sign_in::sign_out(app, &began.token, &browser()).await.expect("signed out");
    assert!(known(app, &began.token).await.is_none());
    sign_in::sign_out(app, &began.token, &browser()).await.expect("nothing more to do");
}

async fn of_several_who_accept_at_once_one_joins(app: TestApp) {
    let app = &app.app;
    let link = invite(app, &Caller::command_line(ROOT), None, Role::Admin).await.expect("a link");
    let accept = |number: usize| {
        let input = Accept { email: Some(format!("ada{number}@example.com")), ..accepting(PASSWORD) };
        invitations::accept(app, &link, input, browser())
    };
    let all = futures_util::future::join_all((0..4).map(accept)).await;
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 1, "{all:?}");
    let others_are_told = all.iter().filter_map(|one| one.as_ref().err());
    assert!(others_are_told.clone().all(|error| matches!(error, SignInError::Other(Error::NotFound))));
    let joined =
        team::list(app, &Caller::command_line(ROOT), None, Default::default()).await.expect("a list");
    assert_eq!(joined.items.len(), 1);
}

async fn nobody_is_told_whether_an_address_has_an_account(app: TestApp) {
    let (app, clock) = (&app.app, &app.clock);
    let (_, ada) = joined(app, ROOT, "ada@example.com", Role::Owner).await;
    let (_, bo) = joined(app, ROOT, "bo@example.com", Role::Viewer).await;
    let operator = Caller::command_line(ROOT);
    set_enabled(app, &operator, bo.member.id, false).await.expect("disabled");
    for (email, password) in [
        ("ada@example.com", "another password than hers"),
        ("cy@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("bo@example.com", PASSWORD),
    ] {
        let refused = sign_in(app, email, password).await.expect_err(email);
        assert!(matches!(refused, SignInError::Wrong), "{email}: {refused:?}");
        assert_eq!(refused.to_string(), "The e-mail address or the password is wrong.");
    }
    set_enabled(app, &operator, bo.member.id, true).await.expect("enabled");
    sign_in(app, "bo@example.com", PASSWORD).await.expect("enabled again");
    // What was right is no failure.
    for _ in 0..30 {
        sign_in(app, "ada@example.com", PASSWORD).await.expect("each time");
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(account::sessions(app, &ada).await.expect("a list").len(), 20, "the oldest have ended");
}

async fn tries_at_once_are_no_more_than_tries_in_a_row(app: TestApp) {
    let (app, clock) = (&app.app, &app.clock);
    joined(app, ROOT, "ada@example.com", Role::Owner).await;
    let guess = || sign_in(app, "ada@example.com", "a guess among many of them");
    let all = futures_util::future::join_all((0..12).map(|_| guess())).await;
    let count =
        |wanted: fn(&SignInError) -> bool| all.iter().filter(|one| one.as_ref().is_err_and(wanted)).count();
    assert_eq!(count(|error| matches!(error, SignInError::Wrong)), 5, "{all:?}");
    assert_eq!(count(|error| matches!(error, SignInError::TooMany { .. })), 7, "{all:?}");

    // Whoever guesses keeps the member out of the guesser's network alone.
    let refused = sign_in(app, "ada@example.com", PASSWORD).await.expect_err("a second too early");
    assert!(
        matches!(refused, SignInError::TooMany { after } if after == Duration::from_secs(1)),
        "{refused:?}"
    );
    let elsewhere = Browser { address: Some("198.51.100.7".parse().expect("an address")), ..browser() };
    sign_in::sign_in(app, "ada@example.com", secret(PASSWORD), elsewhere).await.expect("from elsewhere");
    clock.advance(Duration::from_secs(1));
    assert!(matches!(guess().await, Err(SignInError::Wrong)));
    let waits = guess().await.expect_err("twice as long");
    assert!(matches!(waits, SignInError::TooMany { after } if after == Duration::from_secs(2)), "{waits:?}");
    clock.advance(Duration::from_secs(2));
    sign_in(app, "ada@example.com", PASSWORD).await.expect("after the wait");
    // Another account from the same network waits when the network has failed too often.
    for number in 0..14 {
        let refused = sign_in(app, &format!("guess{number}@example.com"), PASSWORD).await;
        assert!(matches!(refused, Err(SignInError::Wrong)), "{number}: {refused:?}");
    }
    let refused = sign_in(app, "ada@example.com", PASSWORD).await.expect_err("too many from here");
    assert!(matches!(refused, SignInError::TooMany { .. }), "{refused:?}");
}

/// The code that an app shows which has read the QR code.
fn code_at(secret: &AuthenticatorSecret, now: Timestamp) -> String {
    let url = secret.to_url("Gatepost", &Email::parse("ada@example.com").expect("an address"));
    let app = totp_rs::Totp::from_url(url.expose()).expect("what apps read");
    app.generate(now.as_seconds().unsigned_abs()).to_string()
}

async fn with_second_factor(app: &TestApp, signed_in: &SignedIn) -> (AuthenticatorSecret, Vec<RecoveryCode>) {
    let shared = AuthenticatorSecret::generate(&mut gatepost_kernel::random::rng());
    let code = code_at(&shared, app.app.now());
    let codes = account::add_second_factor(&app.app, signed_in, shared.clone(), code, &browser()).await;
    (shared, codes.expect("added"))
}

async fn a_second_factor_is_asked_for_and_its_codes_work_once(test: TestApp) {
    let (app, clock) = (&test.app, &test.clock);
    let (began, ada) = joined(app, ROOT, "ada@example.com", Role::Owner).await;
    let other = sign_in(app, "ada@example.com", PASSWORD).await.expect("another browser");
    let wrong = account::add_second_factor(
        app,
        &ada,
        AuthenticatorSecret::generate(&mut gatepost_kernel::random::rng()),
        "000000x".to_owned(),
        &browser(),
    )
    .await;
    assert!(matches!(wrong, Err(Error::Validation(_))));
    let (shared, codes) = with_second_factor(&test, &ada).await;
    assert!(known(app, &other.token).await.is_none(), "other browsers sign in anew");
    assert!(known(app, &began.token).await.is_some());

    let half = sign_in(app, "ada@example.com", PASSWORD).await.expect("the first half");
    assert!(half.session.awaits_second_factor);
    let waiting = known(app, &half.token).await.expect("a session");
    let not_yet = waiting.caller(app, Environment::Live, &browser());
    assert!(matches!(not_yet, Err(Error::Unauthorized)), "nothing can be done yet");
    assert!(matches!(account::rename(app, &waiting, "Mallory", &browser()).await, Err(Error::Unauthorized)));
    let used = code_at(&shared, app.now());
    let again = sign_in::present_code(app, &waiting, &used, &browser()).await;
    assert!(matches!(again, Err(SignInError::WrongCode)), "it was shown when the app was added: {again:?}");

    clock.advance(Duration::from_secs(30));
    let code = code_at(&shared, app.now());
    let token = sign_in::present_code(app, &waiting, &code, &browser()).await.expect("signed in");
    assert!(known(app, &half.token).await.is_none(), "what was planted before is worth nothing");
    assert!(!known(app, &token).await.expect("a session").session.awaits_second_factor);
    let twice = sign_in(app, "ada@example.com", PASSWORD).await.expect("the first half");
    let waiting = known(app, &twice.token).await.expect("a session");
    let refused = sign_in::present_code(app, &waiting, &code, &browser()).await;
    assert!(matches!(refused, Err(SignInError::WrongCode)), "{refused:?}");
    let typed = codes[0].to_text().expose().to_lowercase();
    let token = sign_in::present_code(app, &waiting, &typed, &browser()).await.expect("a recovery code");
    let signed_in = known(app, &token).await.expect("a session");

    let third = sign_in(app, "ada@example.com", PASSWORD).await.expect("the first half");
    let waiting = known(app, &third.token).await.expect("a session");
    let refused = sign_in::present_code(app, &waiting, &typed, &browser()).await;
    assert!(matches!(refused, Err(SignInError::WrongCode)), "a recovery code works once");
    let kept = account::remove_second_factor(app, &signed_in, &browser()).await;
    assert!(matches!(kept, Err(Error::Conflict(_))), "the root workspace's members keep theirs: {kept:?}");
    let fresh = account::renew_recovery_codes(app, &signed_in, &browser()).await.expect("other codes");
    let old = codes[1].to_text();
    let refused = sign_in::present_code(app, &waiting, old.expose(), &browser()).await;
    assert!(matches!(refused, Err(SignInError::WrongCode)), "replaced");
    sign_in::present_code(app, &waiting, fresh[0].to_text().expose(), &browser()).await.expect("a new one");
}

async fn codes_cannot_be_guessed(test: TestApp) {
    let (app, clock) = (&test.app, &test.clock);
    let (_, ada) = joined(app, ROOT, "ada@example.com", Role::Owner).await;
    let (shared, _) = with_second_factor(&test, &ada).await;
    clock.advance(Duration::from_secs(60));
    let half = sign_in(app, "ada@example.com", PASSWORD).await.expect("the first half");
    let waiting = known(app, &half.token).await.expect("a session");
    for number in 0..5 {
        let from = format!("198.51.100.{number}").parse().expect("an address");
        let elsewhere = Browser { address: Some(from), ..browser() };
        let refused = sign_in::present_code(app, &waiting, "not it", &elsewhere).await;
        assert!(matches!(refused, Err(SignInError::WrongCode)), "{refused:?}");
    }
    let code = code_at(&shared, app.now());
    let refused = sign_in::present_code(app, &waiting, &code, &browser()).await;
    assert!(matches!(refused, Err(SignInError::TooMany { .. })), "wherever it comes from: {refused:?}");
    clock.advance(Duration::from_secs(1));
    sign_in::present_code(app, &waiting, &code, &browser()).await.expect("after the wait");
}

async fn second_factors_are_sealed_anew_with_the_servers_key(test: TestApp) {
    let app = &test.app;
    let (_, ada) = joined(app, ROOT, "ada@example.com", Role::Owner).await;
    let (shared, _) = with_second_factor(&test, &ada).await;
    let (storage, id, now) = (&test.storage, ada.member.id, app.now());
    assert_eq!(stored_secrets::survey(storage).await.expect("a survey").plain, 1, "there is no key");
    let [old, new] = [[1; 32], [2; 32]];
    for (keys, replace_lost, expected) in [
        (vec![old], false, Resealed { resealed: 1, ..Resealed::default() }),
        (vec![old], false, Resealed { unchanged: 1, ..Resealed::default() }),
        (vec![new, old], false, Resealed { resealed: 1, ..Resealed::default() }),
        (vec![old], false, Resealed { unreadable: 1, ..Resealed::default() }),
    ] {
        let done = stored_secrets::reseal(storage, &Vault::new(&keys), now, replace_lost).await;
        assert_eq!(done.expect("sealed anew"), expected);
    }
    let vault = Vault::new(&[new]);
    let found = stored_secrets::survey(storage).await.expect("a survey");
    assert_eq!(
        found.sealed.keys().map(String::as_str).collect::<Vec<_>>(),
        vault.key_names().collect::<Vec<_>>()
    );
    let kept =
        storage.read::<_, Error, _>(async move |mut tx| Ok(tx.member_credentials(id, false).await?)).await;
    let sealed = kept.expect("a query").expect("the member").authenticator.expect("a secret");
    let opened = vault.open(&sealed, SealedColumn::authenticator(id)).expect("the key fits");
    assert_eq!(opened.expose(), shared.to_base32().expose());
    assert!(vault.open(&sealed, SealedColumn::authenticator(MemberId(99))).is_err(), "in another's place");

    let done = stored_secrets::reseal(storage, &Vault::new(&[old]), now, true).await.expect("sealed anew");
    assert_eq!(done, Resealed { replaced: 1, ..Resealed::default() });
    let session = sign_in(app, "ada@example.com", PASSWORD).await.expect("signed in").session;
    assert!(!session.awaits_second_factor, "it was lost, and is to be added anew");
}

async fn a_session_ends_unused_by_order_and_with_its_member(test: TestApp) {
    let (app, clock) = (&test.app, &test.clock);
    let acme = tenant(&test).await;
    let (began, ada) = joined(app, acme, "ada@example.com", Role::Owner).await;
    for _ in 0..25 {
        clock.advance(Duration::from_mins(50));
        let signed_in = known(app, &began.token).await.expect("used often enough");
        assert_eq!(signed_in.session.member_id, ada.member.id);
    }
    let seen = team::get(app, &Caller::command_line(acme), ada.member.id).await.expect("the member").member;
    assert_eq!(seen.last_seen_at, Some(app.now()));
    for _ in 0..4 {
        clock.advance(Duration::from_mins(50));
        known(app, &began.token).await;
    }
    assert!(known(app, &began.token).await.is_none(), "a day is the most");
    let unused = sign_in(app, "ada@example.com", PASSWORD).await.expect("a session");
    clock.advance(Duration::from_mins(60));
    assert!(known(app, &unused.token).await.is_none(), "unused for an hour");

    let [first, second, third] = [(); 3].map(|()| sign_in(app, "ada@example.com", PASSWORD));
    let (first, second, third) = (first.await.expect("1"), second.await.expect("2"), third.await.expect("3"));
    let signed_in = known(app, &first.token).await.expect("a session");
    account::end_sessions(app, &signed_in, Some(second.session.id), &browser()).await.expect("ended");
    assert!(known(app, &second.token).await.is_none() && known(app, &third.token).await.is_some());
    account::end_sessions(app, &signed_in, None, &browser()).await.expect("ended");
    assert!(known(app, &third.token).await.is_none() && known(app, &first.token).await.is_some());
    let (strange, _) = joined(app, acme, "bo@example.com", Role::Owner).await;
    let refused = account::end_sessions(app, &signed_in, Some(strange.session.id), &browser()).await;
    assert!(matches!(refused, Err(Error::NotFound)), "somebody else's");

    // Another process asks the same database.
    let other_node = App::new(test.storage.clone(), Default::default(), clock.clone());
    assert!(known(&other_node, &first.token).await.is_some());
    let operator = Caller::command_line(ROOT);
    set_enabled(app, &operator, ada.member.id, false).await.expect("disabled");
    assert!(known(&other_node, &first.token).await.is_none());
    remove(app, &Caller::command_line(acme), ada.member.id).await.expect("bo is an owner too");
    set_enabled(app, &operator, ada.member.id, true).await.expect("enabled");
    let nowhere = sign_in(app, "ada@example.com", PASSWORD).await;
    assert!(matches!(nowhere, Err(SignInError::Other(Error::AccessDenied(_)))), "{nowhere:?}");
}

async fn another_password_ends_the_other_sessions(test: TestApp) {
    const NEXT: &str = "violet anchor biscuit meadow";
    let (app, clock) = (&test.app, &test.clock);
    let (began, ada) = joined(app, ROOT, "ada@example.com", Role::Owner).await;
    let other = sign_in(app, "ada@example.com", PASSWORD).await.expect("another browser");
    let change = async |present, new| {
        account::change_password(app, &ada, secret(present), secret(new), &browser()).await
    };
    assert!(matches!(change("not the present one at all", NEXT).await, Err(SignInError::Wrong)));
    let weak = change(PASSWORD, "password1234").await;
    assert!(matches!(weak, Err(SignInError::Other(Error::Validation(_)))), "{weak:?}");
    let (one, other_change) = tokio::join!(change(PASSWORD, NEXT), change(PASSWORD, NEXT));
    assert!(
        one.is_ok() != other_change.is_ok(),
        "the present password is present once: {one:?} {other_change:?}"
    );
    assert!(known(app, &other.token).await.is_none() && known(app, &began.token).await.is_some());
    assert!(matches!(sign_in(app, "ada@example.com", PASSWORD).await, Err(SignInError::Wrong)));
    sign_in(app, "ada@example.com", NEXT).await.expect("the new one");

    // What says who somebody is takes a recent proof.
    clock.advance(Duration::from_mins(10));
    let signed_in = known(app, &began.token).await.expect("a session");
    let refused = account::change_email(app, &signed_in, "ada.l@example.com", &browser()).await;
    assert!(matches!(refused, Err(Error::AccessDenied(_))), "{refused:?}");
    let proof = Proof::Password(secret(NEXT));
    let token = sign_in::confirm(app, &signed_in, proof, &browser()).await.expect("confirmed");
    assert!(known(app, &began.token).await.is_none(), "under another token");
    let signed_in = known(app, &token).await.expect("a session");
    joined(app, ROOT, "bo@example.com", Role::Viewer).await;
    let taken = account::change_email(app, &signed_in, "BO@example.com", &browser()).await;
    assert!(matches!(taken, Err(Error::Validation(_))), "{taken:?}");
    account::change_email(app, &signed_in, "ada.l@example.com", &browser()).await.expect("changed");
    sign_in(app, "ada.l@example.com", NEXT).await.expect("by the new address");
}

async fn a_link_to_another_password_is_for_the_platform_to_give(test: TestApp) {
    const NEXT: &str = "violet anchor biscuit meadow";
    let (app, clock) = (&test.app, &test.clock);
    let acme = tenant(&test).await;
    let (_, owner) = joined(app, acme, "owner@example.com", Role::Owner).await;
    let (began, ada) = joined(app, acme, "ada@example.com", Role::Developer).await;
    with_second_factor(&test, &ada).await;
    let id = ada.member.id;
    let link = async |caller: &Caller| {
        let make = async move |unit: &mut UnitOfWork<'_>| account::reset_link(unit, id).await;
        app.transact(caller, make).await.map(|(_, token)| token)
    };
    let refused = link(&member(app, &owner)).await;
    assert!(
        matches!(refused, Err(Error::AccessDenied(_))),
        "an account may belong to others too: {refused:?}"
    );
    // A key of the root acts for the platform in a tenant's workspace, and makes no owner of the platform there.
    let (_, root_owner) = joined(app, ROOT, "root@example.com", Role::Owner).await;
    joined(app, ROOT, "second@example.com", Role::Owner).await;
    let at_acme = key(&test, &test.root_key, acme).await;
    link(&at_acme).await.expect("for the tenant's developer");
    let of_root = root_owner.member.id;
    let stolen = app
        .transact(&at_acme, async move |unit: &mut UnitOfWork<'_>| account::reset_link(unit, of_root).await);
    let stolen = stolen.await;
    assert!(matches!(stolen, Err(Error::NotFound)), "no member of that workspace: {stolen:?}");
    let disabled = set_enabled(app, &at_acme, of_root, false).await;
    assert!(matches!(disabled, Err(Error::NotFound)), "{disabled:?}");
    let at_root = key(&test, &test.root_key, ROOT).await;
    let stolen = app
        .transact(&at_root, async move |unit: &mut UnitOfWork<'_>| account::reset_link(unit, of_root).await);
    assert!(matches!(stolen.await, Err(Error::AccessDenied(_))), "owners of the platform are not a key's");
    let disabled = set_enabled(app, &at_root, of_root, false).await;
    assert!(matches!(disabled, Err(Error::AccessDenied(_))), "{disabled:?}");
    // One who belongs to both is an owner of the platform there too.
    joined(app, acme, "root@example.com", Role::Viewer).await;
    let stolen = app
        .transact(&at_acme, async move |unit: &mut UnitOfWork<'_>| account::reset_link(unit, of_root).await);
    assert!(matches!(stolen.await, Err(Error::AccessDenied(_))));
    let disabled = set_enabled(app, &at_acme, of_root, false).await;
    assert!(matches!(disabled, Err(Error::AccessDenied(_))), "{disabled:?}");

    let late = link(&Caller::command_line(acme)).await.expect("a link");
    clock.advance(LinkKind::Reset.lifetime());
    assert!(matches!(account::open_reset(app, &late).await, Err(Error::NotFound)));
    let older = link(&Caller::command_line(acme)).await.expect("a link");
    let newer = link(&Caller::command_line(acme)).await.expect("a link");
    assert!(matches!(account::open_reset(app, &older).await, Err(Error::NotFound)), "replaced");
    assert_eq!(account::open_reset(app, &newer).await.expect("it works").id, id);
    account::reset_password(app, &newer, secret(NEXT), &browser()).await.expect("reset");
    let again = account::reset_password(app, &newer, secret(PASSWORD), &browser()).await;
    assert!(matches!(again, Err(Error::NotFound)), "{again:?}");
    assert!(known(app, &began.token).await.is_none(), "all sessions have ended");
    let half = sign_in(app, "ada@example.com", NEXT).await.expect("the first half");
    assert!(half.session.awaits_second_factor, "the second factor stays");
}

/// A key of a workspace, acting on another or on its own.
async fn key(test: &TestApp, token: &str, on: WorkspaceId) -> Caller {
    let token = Token::parse(&TokenFormat::default(), token).expect("a token");
    let admitted = test.app.gate().admit(Via::Api, Some(token), None, |_| Ok(())).await.expect("a key");
    let id = RequestId::from_caller("people", |_| false).expect("an id");
    Caller::key(admitted, None, id, None).acting_on(&test.app, on).await.expect("it may")
}

async fn roles_are_given_by_those_who_hold_them(test: TestApp) {
    let app = &test.app;
    let acme = tenant(&test).await;
    let (_, tenant_key) = test.create_key(&test.root_key, acme.0, json!({ "scopes": ["*"] })).await;
    let (_, narrow_key) =
        test.create_key(&test.root_key, acme.0, json!({ "scopes": ["team:admin", "*:read"] })).await;
    let (_, owner) = joined(app, acme, "owner@example.com", Role::Owner).await;
    let (_, admin) = joined(app, acme, "admin@example.com", Role::Admin).await;
    let (_, developer) = joined(app, acme, "developer@example.com", Role::Developer).await;
    let callers = [
        ("owner", member(app, &owner), [true; 4]),
        ("admin", member(app, &admin), [true, true, true, false]),
        ("developer", member(app, &developer), [false; 4]),
        ("a key with everything", key(&test, &tenant_key, acme).await, [true, true, true, false]),
        ("a key that reads", key(&test, &narrow_key, acme).await, [true, false, false, false]),
        ("a key of the root", key(&test, &test.root_key, acme).await, [true; 4]),
        ("a key of the root, at home", key(&test, &test.root_key, ROOT).await, [true, true, true, false]),
        ("the operator", Caller::command_line(acme), [true; 4]),
    ];
    for (who, caller, expected) in &callers {
        for (role, expected) in Role::ALL.into_iter().zip(expected) {
            let invited = invite(app, caller, Some("somebody@example.com"), role).await;
            assert_eq!(invited.is_ok(), *expected, "{who} invites {}: {invited:?}", role.as_str());
        }
    }
    // Whoever may not give a role may not take it either.
    let admin_caller = member(app, &admin);
    for change in [
        set_role(app, &admin_caller, owner.member.id, Role::Viewer).await,
        set_role(app, &admin_caller, admin.member.id, Role::Owner).await,
        remove(app, &admin_caller, owner.member.id).await,
        set_role(app, &member(app, &developer), developer.member.id, Role::Admin).await,
        set_enabled(app, &member(app, &owner), admin.member.id, false).await,
    ] {
        assert!(matches!(change, Err(Error::AccessDenied(_) | Error::MissingScope(_))), "{change:?}");
    }
    set_role(app, &admin_caller, developer.member.id, Role::Admin).await.expect("an admin makes admins");
    // What is somebody else's is not there.
    let (_, stranger) = joined(app, ROOT, "stranger@example.com", Role::Viewer).await;
    let strange = set_role(app, &member(app, &owner), stranger.member.id, Role::Viewer).await;
    assert!(matches!(strange, Err(Error::NotFound)), "{strange:?}");

    let pending = invitations::list(app, &callers[0].1, Some(InvitationStatus::Pending), Default::default());
    let pending = pending.await.expect("a list").items;
    assert_eq!(pending.len(), 1, "a newer link takes the place of an older one");
    let of_member = invite(app, &callers[0].1, Some("ADMIN@example.com"), Role::Viewer).await;
    assert!(matches!(of_member, Err(Error::Conflict(_))), "{of_member:?}");
    let id = pending[0].id;
    let revoke = async |caller: &Caller| {
        app.transact(caller, async move |unit: &mut UnitOfWork<'_>| invitations::revoke(unit, id).await).await
    };
    assert!(matches!(revoke(&admin_caller).await, Err(Error::AccessDenied(_))), "an owner was invited");
    revoke(&callers[0].1).await.expect("revoked");
    assert!(matches!(revoke(&callers[0].1).await, Err(Error::Conflict(_))));
}

async fn a_workspace_keeps_an_owner(test: TestApp) {
    let app = &test.app;
    let acme = tenant(&test).await;
    let (_, ada) = joined(app, acme, "ada@example.com", Role::Owner).await;
    let operator = Caller::command_line(acme);
    for change in [
        set_role(app, &member(app, &ada), ada.member.id, Role::Admin).await,
        remove(app, &operator, ada.member.id).await,
    ] {
        assert!(matches!(change, Err(Error::Conflict(_))), "{change:?}");
    }
    let (_, bo) = joined(app, acme, "bo@example.com", Role::Owner).await;
    let (of_ada, of_bo) = (member(app, &ada), member(app, &bo));
    let (first, second) =
        tokio::join!(remove(app, &of_ada, bo.member.id), remove(app, &of_bo, ada.member.id),);
    assert!(first.is_ok() != second.is_ok(), "one of them stays: {first:?} {second:?}");
    let left = team::list(app, &operator, Some(Role::Owner), Default::default()).await.expect("a list");
    assert_eq!(left.items.len(), 1);
}

async fn a_member_may_what_the_role_allows(test: TestApp) {
    let app = &test.app;
    let acme = tenant(&test).await;
    let make = async |caller: &Caller, scope: &str| {
        let scopes = Some(ScopeSet::parse(&[scope]).expect("scopes"));
        let input = CreateApiKey { name: "By hand".to_owned(), scopes, ..CreateApiKey::default() };
        let create = async move |unit: &mut UnitOfWork<'_>| api_keys::create(unit, input).await;
        app.transact(caller, create).await.map(|_| ())
    };
    let (_, viewer) = joined(app, acme, "viewer@example.com", Role::Viewer).await;
    let (_, developer) = joined(app, acme, "developer@example.com", Role::Developer).await;
    let (_, owner) = joined(app, acme, "owner@example.com", Role::Owner).await;
    for (signed_in, scope, expected) in [
        (&viewer, "webhooks:write", false),
        (&developer, "webhooks:write", true),
        (&developer, "webhooks:read", true),
        (&developer, "team:admin", false),
        (&developer, "audit:read", false),
        (&developer, "*", false),
        (&owner, "*", true),
    ] {
        let made = make(&member(app, signed_in), scope).await;
        assert_eq!(made.is_ok(), expected, "{} {scope}: {made:?}", signed_in.member.email);
    }
    // What a member may is what the role is when it is done.
    let developer_caller = member(app, &developer);
    set_role(app, &member(app, &owner), developer.member.id, Role::Viewer).await.expect("changed");
    assert!(matches!(make(&developer_caller, "webhooks:write").await, Err(Error::MissingScope(_))));
    remove(app, &member(app, &owner), developer.member.id).await.expect("removed");
    assert!(matches!(make(&developer_caller, "webhooks:read").await, Err(Error::Unauthorized)));
    let acting = Acting::new(app, owner.shown, Environment::Test);
    assert_eq!(Caller::member(acting, None, None).environment(), Environment::Test);

    let request =
        test.request(reqwest::Method::GET, "/api/v1/audit-log?per_page=100").bearer_auth(&test.root_key);
    let log = test.send(request.header("x-workspace-id", acme.to_string())).await.expect(200);
    let entries = log["data"].as_array().expect("entries");
    let first = |action: &str| {
        entries.iter().find(|entry| entry["action"] == action).unwrap_or_else(|| panic!("{action} in {log}"))
    };
    assert_eq!(first("member.role_changed")["details"], json!({ "from": "developer", "to": "viewer" }));
    assert_eq!(first("member.role_changed")["actor"]["type"], "member");
    assert_eq!(first("member.role_changed")["actor"]["id"], owner.member.id.0);
    assert_eq!(first("member.joined")["actor"]["type"], "anonymous");
    assert_eq!(first("api_key.created")["actor"]["type"], "member");
    assert!(!log.to_string().contains(PASSWORD));
}

async fn an_account_joins_another_workspace_by_its_password(test: TestApp) {
    let app = &test.app;
    let acme = tenant(&test).await;
    let (_, ada) = joined(app, ROOT, "ada@example.com", Role::Owner).await;
    let link = invite(app, &Caller::command_line(acme), Some("Ada@example.com"), Role::Viewer)
        .await
        .expect("a link");
    assert!(invitations::open(app, &link).await.expect("it works").has_account);
    let stolen = invitations::accept(app, &link, accepting("a new password by a thief"), browser()).await;
    assert!(matches!(stolen, Err(SignInError::Wrong)), "{stolen:?}");
    let began = invitations::accept(app, &link, accepting(PASSWORD), browser()).await.expect("joined");
    let signed_in = known(app, &began.token).await.expect("a session");
    assert_eq!((signed_in.member.id, signed_in.memberships.len()), (ada.member.id, 2));
    assert_eq!((signed_in.shown.workspace_id, signed_in.shown.role), (acme, Role::Viewer));
    sign_in::show_workspace(app, &signed_in, ROOT).await.expect("a member there too");
    let signed_in = known(app, &began.token).await.expect("a session");
    assert_eq!((signed_in.shown.workspace_id, signed_in.shown.role), (ROOT, Role::Owner));
    let elsewhere = sign_in::show_workspace(app, &signed_in, WorkspaceId(99)).await;
    assert!(matches!(elsewhere, Err(Error::NotFound)));
    sign_in::show_workspace(app, &signed_in, acme).await.expect("back");
    remove(app, &Caller::command_line(acme), ada.member.id).await.expect("a viewer");
    let signed_in = known(app, &began.token).await.expect("the session stays");
    assert_eq!(signed_in.shown.workspace_id, ROOT, "what is left is shown");
}
