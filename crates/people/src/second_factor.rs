//! What proves who somebody is beside the password: codes of an authenticator app (RFC 6238: SHA-1, six
//! digits, thirty seconds, as every app understands them), and recovery codes for whoever lost it.

use gatepost_kernel::{Secret, Timestamp};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Totp};

use crate::{Email, SecretDigest};

const SECRET_BYTES: usize = 20;
/// How many recovery codes a member gets.
pub const RECOVERY_CODES: usize = 10;

/// What the server and an authenticator app share. Kept sealed.
#[derive(Debug, Clone)]
pub struct AuthenticatorSecret(Secret);

impl AuthenticatorSecret {
    /// A fresh one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(base32::<SECRET_BYTES>(rng))
    }

    /// Takes what [`AuthenticatorSecret::to_base32`] gave, where it comes back from a stranger.
    pub fn parse(base32: &str) -> Option<Self> {
        let bytes = totp_rs::Secret::try_from_base32(base32).ok()?;
        (bytes.as_bytes().len() == SECRET_BYTES).then(|| Self(Secret::new(bytes.to_base32())))
    }

    /// One that was stored: base32, as [`AuthenticatorSecret::to_base32`] gives it.
    pub fn from_stored(base32: Secret) -> Self {
        Self(base32)
    }

    /// The secret in base32, for those who type it into their app.
    pub fn to_base32(&self) -> &Secret {
        &self.0
    }

    /// Address that apps read from a QR code; `issuer` is the product, as the app lists it.
    pub fn to_url(&self, issuer: &str, email: &Email) -> Secret {
        // Neither may contain the colon between them.
        let plain = |text: &str| text.replace(':', " ");
        let totp =
            self.totp(|totp| totp.with_issuer(Some(plain(issuer))).with_account_name(plain(email.as_str())));
        Secret::new(totp.to_url().expect("there is an account name without a colon"))
    }

    fn totp(&self, more: impl FnOnce(Builder) -> Builder) -> Totp {
        let secret = totp_rs::Secret::try_from_base32(self.0.expose()).expect("it was made as base32");
        more(Builder::new().with_skew(1).with_secret(secret)).build_noncompliant()
    }

    /// The step of the clock that a code is of, if it is right at `now`, give or take one step, and its step
    /// comes after `used`, the one of the last code: a code works once. Blanks in it do not matter.
    pub fn step_of(&self, code: &str, used: Option<i64>, now: Timestamp) -> Option<i64> {
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let step = self.totp(|totp| totp).check(&code, u64::try_from(now.as_seconds()).ok()?)?;
        let step = i64::try_from(step).ok()?;
        used.is_none_or(|used| step > used).then_some(step)
    }
}

/// That many random bytes in base32.
fn base32<const N: usize>(rng: &mut impl CryptoRng) -> Secret {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    Secret::new(totp_rs::Secret::new(bytes.into()).to_base32())
}

/// Stands in for a code of the app, once. 120 random bits, so that a plain digest can be kept.
#[derive(Debug, Clone)]
pub struct RecoveryCode(Secret);

impl RecoveryCode {
    const BYTES: usize = 15;
    const CHARS: usize = 24;

    /// A fresh one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(base32::<{ Self::BYTES }>(rng))
    }

    /// Takes what somebody typed: 24 characters, however they are spaced and cased.
    pub fn parse(text: &str) -> Option<Self> {
        let code = text.bytes().filter(|byte| !matches!(byte, b' ' | b'-'));
        let code: String = code.map(|byte| char::from(byte.to_ascii_uppercase())).collect();
        let is_one = code.len() == Self::CHARS && totp_rs::Secret::try_from_base32(&code).is_ok();
        is_one.then(|| Self(Secret::new(code)))
    }

    /// The code as people read it: six groups of four.
    pub fn to_text(&self) -> Secret {
        let mut text = String::with_capacity(Self::CHARS + 5);
        for (place, char) in self.0.expose().chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                text.push('-');
            }
            text.push(char);
        }
        Secret::new(text)
    }

    /// What is kept of it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest(Sha256::digest(self.0.expose()).into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    /// The secret of RFC 6238, appendix B: the ASCII text `12345678901234567890`.
    fn of_the_rfc() -> AuthenticatorSecret {
        AuthenticatorSecret::from_stored(Secret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into()))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // The last six of the eight digits of the table.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(of_the_rfc().step_of(code, None, at(seconds)), Some(seconds / 30), "{seconds}");
        }
        assert_eq!(of_the_rfc().step_of(" 005 924 ", None, at(1_234_567_890)), Some(41_152_263));
    }

    #[test]
    fn a_code_works_once_and_one_step_early_or_late() {
        let (secret, code) = (of_the_rfc(), "005924");
        let step = 1_234_567_890 / 30;
        let of_step = |step: i64| at(step * 30);
        for near in [step - 1, step, step + 1] {
            assert_eq!(secret.step_of(code, None, of_step(near)), Some(step));
            assert_eq!(secret.step_of(code, Some(step - 1), of_step(near)), Some(step));
            assert_eq!(secret.step_of(code, Some(step), of_step(near)), None, "used");
        }
        for far in [step - 2, step + 2] {
            assert_eq!(secret.step_of(code, None, of_step(far)), None);
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for bad in ["", "00592", "0005924", "5924", "OO5924", "٠٠٥٩٢٤", "+05924"] {
            assert_eq!(of_the_rfc().step_of(bad, None, at(1_234_567_890)), None, "{bad:?}");
        }
    }

    #[test]
    fn an_app_is_told_all_that_it_needs() {
        let email = Email::parse("ada@example.com").expect("an address");
        let url = of_the_rfc().to_url("Acme: API", &email);
        assert!(
            url.expose().starts_with("otpauth://totp/Acme%20%20API:ada%40example.com?"),
            "{}",
            url.expose()
        );
        assert!(url.expose().contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"));
        assert!(url.expose().contains("issuer=Acme%20%20API"));
        let fresh = AuthenticatorSecret::generate(&mut StdRng::seed_from_u64(5));
        assert_eq!(fresh.to_base32().expose().len(), 32);
        let read = AuthenticatorSecret::parse(fresh.to_base32().expose()).expect("a secret");
        assert_eq!(read.to_base32().expose(), fresh.to_base32().expose());
        for bad in ["", "GEZDGNBV", "0EZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "é"] {
            assert!(AuthenticatorSecret::parse(bad).is_none(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_recovery_code_is_read_however_it_is_typed(seed: u64, lower: bool, spaced: bool) {
            let code = RecoveryCode::generate(&mut StdRng::seed_from_u64(seed));
            let mut typed = code.to_text().expose().to_owned();
            if lower { typed = typed.to_lowercase(); }
            if spaced { typed = typed.replace('-', " "); }
            let read = RecoveryCode::parse(&typed).expect("a code");
            prop_assert_eq!(read.digest(), code.digest());
        }

        #[test]
        fn no_text_makes_it_fall(text in any::<String>()) {
            let _ = RecoveryCode::parse(&text);
            let _ = of_the_rfc().step_of(&text, None, at(59));
        }
    }
}
