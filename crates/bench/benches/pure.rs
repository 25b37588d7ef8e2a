//! The pure parts: what each decision is made of.

use criterion::{Criterion, criterion_group, criterion_main};
use gatepost_kernel::{Environment, Timestamp};
use gatepost_keys::{ScopeRef, ScopeSet, Token, TokenDigest, TokenFormat};
use gatepost_limits::{Allowance, Meter, day_of};
use rand::{SeedableRng, rngs::StdRng};
use std::hint::black_box;

fn pure(criterion: &mut Criterion) {
    let format = TokenFormat::default();
    let token = Token::generate(&format, Environment::Live, &mut StdRng::seed_from_u64(1)).into_secret();
    criterion.bench_function("token: check and digest", |b| {
        b.iter(|| TokenDigest::of(&format, black_box(token.expose())))
    });

    let scopes = ScopeSet::parse(&["users:read", "posts:*", "*:read"]).expect("scopes");
    let needed = ScopeRef::parse("posts:write").expect("a scope");
    criterion.bench_function("scopes: match", |b| b.iter(|| scopes.allows(black_box(needed))));

    let many = Some(1_000_000_000);
    let allowance = Allowance { per_minute: many, minute_cap: many, per_day: many };
    let (mut meter, mut micros) = (Meter::new(), 1_800_000_000_000_000);
    meter.day_mut().grant(day_of(Timestamp::from_micros(micros)), u64::MAX >> 1, 0);
    criterion.bench_function("meter: take", |b| {
        b.iter(|| {
            micros += 500;
            meter.take(Timestamp::from_micros(micros), black_box(&allowance), 1)
        });
    });
}

criterion_group!(benches, pure);
criterion_main!(benches);
