//! Which passwords are good enough, and what is kept of them.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use gatepost_kernel::Secret;
use rand::CryptoRng;
use zxcvbn::{Score, zxcvbn};

/// The fewest characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// The most characters.
pub const MAX_PASSWORD_CHARS: usize = 128;
/// Names that are shorter stand in many words by chance.
const MIN_NAME_CHARS: usize = 4;
const SALT_BYTES: usize = 16;

/// Whether a password is good enough for somebody of whom these words are known: names and addresses of
/// theirs, of their workspace and of the product. It is taken as it is, with all its blanks.
///
/// This takes some milliseconds of work.
///
/// # Errors
/// Why not, as a sentence.
pub fn check_password(password: &str, known: &[&str]) -> Result<(), String> {
    let chars = password.chars().count();
    if !(MIN_PASSWORD_CHARS..=MAX_PASSWORD_CHARS).contains(&chars) {
        return Err(format!(
            "The password must have {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters."
        ));
    }
    let folded = password.to_lowercase();
    let names = known.iter().filter(|name| name.chars().count() >= MIN_NAME_CHARS);
    if let Some(name) = names.into_iter().find(|name| folded.contains(&name.to_lowercase())) {
        return Err(format!("The password may not contain “{}”.", gatepost_kernel::text::brief(name)));
    }
    let strength = zxcvbn(password, known);
    if strength.score() >= Score::Three {
        return Ok(());
    }
    let why =
        strength.feedback().and_then(|feedback| feedback.warning()).map(|warning| format!("{warning} "));
    let why = why.unwrap_or_default();
    Err(format!(
        "The password is too easy to guess. {why}Four or more words that do not belong together are better."
    ))
}

/// What is kept of a password: argon2id in the PHC string format. It says nothing of itself in logs.
#[derive(Debug, Clone)]
pub struct PasswordHash(Secret);

/// What the password of nobody is compared with, so that it takes as long as anybody's.
static DECOY: LazyLock<PasswordHash> =
    LazyLock::new(|| PasswordHash::with_salt("the password of nobody", &[0; SALT_BYTES]));

/// argon2id, 19 MiB, two passes, one lane: the first choice of OWASP's cheat sheet on the storage of
/// passwords.
fn argon2() -> Argon2<'static> {
    Argon2::default()
}

impl PasswordHash {
    /// The hash of a password. This takes tens of milliseconds of work, and 19 MiB.
    pub fn new(password: &Secret, rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        Self::with_salt(password.expose(), &salt)
    }

    fn with_salt(password: &str, salt: &[u8]) -> Self {
        let hash: phc::PasswordHash = argon2()
            .hash_password_with_salt(password.as_bytes(), salt)
            .expect("a salt of this length suits argon2");
        Self(Secret::new(hash.to_string()))
    }

    /// One that was stored.
    pub fn from_stored(hash: Secret) -> Self {
        Self(hash)
    }

    /// What is stored.
    pub fn to_stored(&self) -> &Secret {
        &self.0
    }

    /// Whether it is the hash of this password. Takes as long as making one.
    pub fn is_of(&self, password: &Secret) -> bool {
        argon2().verify_password(password.expose().as_bytes(), self.0.expose()).is_ok()
    }

    /// Does the work of comparing, where there is no hash to compare with.
    pub fn compare_with_nobodys(password: &Secret) {
        std::hint::black_box(DECOY.is_of(password));
    }

    /// Whether it was made in another way than today's, and should be made again when the password is known.
    pub fn is_outdated(&self) -> bool {
        let made = phc::PasswordHash::new(self.0.expose()).ok();
        let today = phc::PasswordHash::new(DECOY.0.expose()).ok();
        let way = |hash: phc::PasswordHash| (hash.algorithm, hash.version, hash.params);
        made.map(way) != today.map(way)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn the_length_is_counted_in_characters() {
        let words = "ochre víðir tunnel 🐟 parsnip";
        assert_eq!(check_password(words, &[]), Ok(()));
        assert_eq!(
            check_password(&"ab ñ9".repeat(30), &[]),
            Err("The password must have 12 to 128 characters.".into())
        );
        assert!(check_password("kX9#vP2$mQ7", &[]).is_err(), "eleven characters");
        assert_eq!(check_password("kX9#vP2$mQ7w", &[]), Ok(()));
        assert_eq!(check_password("  ochre tunnel parsnip  ", &[]), Ok(()));
    }

    #[test]
    fn what_is_easy_to_guess_is_refused_with_the_reason() {
        for bad in [
            "password1234",
            "Passw0rd2026!",
            "123456789012",
            "qwertyuiop[]",
            "aaaaaaaaaaaaaaaa",
            "abcabcabcabcabc",
            "iloveyou1234",
            "sonyericsson",
            "q1w2e3r4t5y6",
            "letmeinletmein",
        ] {
            let error = check_password(bad, &[]).expect_err(bad);
            assert!(error.starts_with("The password is too easy to guess."), "{bad}: {error}");
            assert!(!error.contains(bad), "{error}");
        }
    }

    #[test]
    fn names_that_are_known_may_not_stand_in_it() {
        let known = ["Acme Rockets", "ada.lovelace", "Gatepost", "Bo"];
        let refused = |password| check_password(password, &known).expect_err(password);
        assert_eq!(refused("xk72 ADA.lovelace vm"), "The password may not contain “ada.lovelace”.");
        assert_eq!(refused("my-gatepost-9v!tunnel"), "The password may not contain “Gatepost”.");
        assert_eq!(check_password("bottle ochre parsnip tunnel", &known), Ok(()), "two letters are no name");
    }

    #[test]
    fn the_longest_password_is_checked_in_time() {
        for hard in ["p4$$w0rd".repeat(16), "l33t1!|".repeat(18), "1112131415".repeat(12), "àéîõü".repeat(25)]
        {
            let _ = check_password(&hard, &["parsnip"]);
        }
    }

    #[test]
    fn a_hash_knows_its_password_alone() {
        let rng = &mut StdRng::seed_from_u64(3);
        let hash = PasswordHash::new(&secret("ochre tunnel parsnip "), rng);
        assert!(hash.is_of(&secret("ochre tunnel parsnip ")));
        for other in ["ochre tunnel parsnip", "Ochre tunnel parsnip ", ""] {
            assert!(!hash.is_of(&secret(other)), "{other:?}");
        }
        let again = PasswordHash::new(&secret("ochre tunnel parsnip "), rng);
        assert_ne!(hash.to_stored().expose(), again.to_stored().expose(), "salted");
        assert!(hash.to_stored().expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(!format!("{hash:?}").contains("argon2"));
        PasswordHash::compare_with_nobodys(&secret("the password of nobody"));
    }

    #[test]
    fn a_hash_that_was_made_otherwise_is_outdated() {
        let today = PasswordHash::new(&secret("ochre tunnel parsnip"), &mut StdRng::seed_from_u64(3));
        assert!(!today.is_outdated());
        for old in [
            "$argon2id$v=19$m=4096,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$c2hvcnQgaGFzaCBvZiBzb21ldGhpbmc",
            "garbage",
            "",
        ] {
            let old = PasswordHash::from_stored(secret(old));
            assert!(old.is_outdated());
            assert!(!old.is_of(&secret("ochre tunnel parsnip")));
        }
    }
}
