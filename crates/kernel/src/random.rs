//! Randomness for ids and secrets.

use rand::CryptoRng;

/// The base62 alphabet in the order that GitHub's tokens use, so that checksums agree with theirs.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The process's generator, for the edge of the program; everything else takes a generator as an argument.
#[expect(clippy::disallowed_methods, reason = "this is the one place that the ban points to")]
pub fn rng() -> impl CryptoRng {
    rand::rng()
}

/// `len` base62 characters, each equally likely (5.95 bits each).
///
/// Bytes of 248 and above are drawn again, because 256 is no multiple of 62 and taking the remainder of all
/// bytes would favour the first eight characters.
pub fn base62(rng: &mut impl CryptoRng, len: usize) -> String {
    const FAIR: u8 = 248;
    let mut out = String::with_capacity(len);
    let mut bytes = [0u8; 64];
    while out.len() < len {
        rng.fill_bytes(&mut bytes);
        let fair = bytes.iter().filter(|b| **b < FAIR).map(|b| char::from(BASE62[usize::from(b % 62)]));
        out.extend(fair.take(len - out.len()));
    }
    out
}

/// `N` characters of base62, `-` and `_`: six random bits each, at a fraction of the cost of [`base62`].
pub fn base64url<const N: usize>(rng: &mut impl CryptoRng) -> [u8; N] {
    let mut out = [0u8; N];
    rng.fill_bytes(&mut out);
    out.map(|byte| match byte & 63 {
        62 => b'-',
        63 => b'_',
        place => BASE62[usize::from(place)],
    })
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    /// Pearson's chi-squared over 620,000 draws from a fixed seed: 61 degrees of freedom, so 120 would be
    /// exceeded by a fair source less than once in 100,000 seeds, and is exceeded by far with modulo bias.
    #[test]
    fn every_character_is_equally_likely() {
        let mut rng = StdRng::seed_from_u64(7);
        let text = base62(&mut rng, 620_000);
        let mut counts = [0f64; 62];
        for b in text.bytes() {
            let place = BASE62.iter().position(|c| *c == b).expect("a base62 character");
            counts[place] += 1.0;
        }
        let chi: f64 = counts.iter().map(|n| (n - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi < 120.0, "chi-squared {chi}");
    }
}
