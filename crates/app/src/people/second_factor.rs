//! The second factor of members: what their authenticator app and the server share, and recovery codes.

use gatepost_kernel::{Error, MemberId, Result, Secret, random};
use gatepost_people::{AuthenticatorSecret, RECOVERY_CODES, RecoveryCode, SecretDigest};
use gatepost_sealing::SealedColumn;
use serde_json::Map;

use super::MEMBER;
use crate::{Acting, UnitOfWork};

/// Uses up a code of a member's app, or a recovery code; which of the two it was, if it was right.
pub(super) async fn used(
    unit: &mut UnitOfWork<'_>,
    id: MemberId,
    code: &str,
) -> Result<Option<&'static str>> {
    let now = unit.now;
    let Some(credentials) = unit.tx.member_credentials(id, true).await? else { return Ok(None) };
    let Some(sealed) = credentials.authenticator else { return Ok(None) };
    if let Some(code) = RecoveryCode::parse(code) {
        let used = unit.tx.recovery_code_use(id, code.digest()).await?;
        return Ok(used.then_some("recovery_code"));
    }
    let column = SealedColumn::authenticator(id);
    let secret = unit.app().dispatcher()?.vault().open(&sealed, column);
    let secret = AuthenticatorSecret::from_stored(secret.map_err(Error::failed("opening an authenticator"))?);
    let Some(step) = secret.step_of(code, credentials.authenticator_step, now) else { return Ok(None) };
    Ok(unit.tx.authenticator_step_use(id, step).await?.then_some("authenticator"))
}

/// Sets what a member's app and the server share, once a code shows that the app has it; the recovery codes,
/// which are shown this once.
///
/// # Errors
/// [`Error::Validation`] for a code that is not right.
pub(super) async fn set(
    unit: &mut UnitOfWork<'_>,
    acting: &Acting,
    secret: &AuthenticatorSecret,
    code: &str,
) -> Result<Vec<RecoveryCode>> {
    let (id, now) = (acting.member_id, unit.now);
    let Some(step) = secret.step_of(code, None, now) else {
        return Err(Error::invalid(
            "code",
            "This code is wrong. Enter the one that your app shows now.".to_owned(),
        ));
    };
    let column = SealedColumn::authenticator(id);
    let vault = unit.app().dispatcher()?.vault();
    let sealed: Secret = vault.seal(&mut random::rng(), secret.to_base32().expose(), column);
    let codes = fresh_codes();
    unit.tx.second_factor_set(id, Some(&sealed), &digests(&codes), now).await?;
    // The code that was shown works no second time.
    unit.tx.authenticator_step_use(id, step).await?;
    unit.audit(acting.workspace_id, "member.second_factor_added", (MEMBER, id.0), Map::new());
    Ok(codes)
}

/// Gives a member other recovery codes in place of those before.
pub(super) async fn renew_codes(unit: &mut UnitOfWork<'_>, acting: &Acting) -> Result<Vec<RecoveryCode>> {
    let codes = fresh_codes();
    unit.tx.recovery_codes_set(acting.member_id, &digests(&codes)).await?;
    unit.audit(
        acting.workspace_id,
        "member.recovery_codes_renewed",
        (MEMBER, acting.member_id.0),
        Map::new(),
    );
    Ok(codes)
}

/// Takes the second factor of a member away.
pub(super) async fn remove(unit: &mut UnitOfWork<'_>, acting: &Acting) -> Result<()> {
    let (id, now) = (acting.member_id, unit.now);
    unit.tx.second_factor_set(id, None, &[], now).await?;
    unit.audit(acting.workspace_id, "member.second_factor_removed", (MEMBER, id.0), Map::new());
    Ok(())
}

fn fresh_codes() -> Vec<RecoveryCode> {
    let mut rng = random::rng();
    (0..RECOVERY_CODES).map(|_| RecoveryCode::generate(&mut rng)).collect()
}

fn digests(codes: &[RecoveryCode]) -> Vec<SecretDigest> {
    codes.iter().map(RecoveryCode::digest).collect()
}
