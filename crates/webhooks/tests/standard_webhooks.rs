//! Our signatures and those of the published crate are the same: each verifies what the other signed.

use gatepost_kernel::{Clock, SystemClock};
use gatepost_webhooks::{EndpointSecret, Verifier, sign};
use proptest::prelude::*;
use standardwebhooks::Webhook;

proptest! {
    #[test]
    fn each_believes_the_other(key in prop::collection::vec(any::<u8>(), 24..=64), id in "msg_[A-Za-z0-9]{1,30}", body in ".{0,200}") {
        let text = format!("whsec_{}", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, key));
        let (theirs, ours) = (Webhook::new(&text).expect("a secret"), EndpointSecret::parse(&text).expect("a secret"));
        // The crate reads the clock itself, so what it is to believe must be signed now.
        let (now, body) = (SystemClock.now(), body.as_bytes());

        let signature = theirs.sign(&id, now.as_seconds(), body).expect("a signature");
        let timestamp = now.as_seconds().to_string();
        let headers = [("webhook-id", id.as_str()), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)];
        prop_assert!(Verifier::new(ours.clone()).verify(&headers, body, now).is_ok());

        let signed = sign(std::slice::from_ref(&ours), &id, now, body);
        let mut headers = http::HeaderMap::new();
        for (name, value) in [("webhook-id", id.as_str()), ("webhook-timestamp", &timestamp), ("webhook-signature", &signed.standard)] {
            headers.insert(name, value.parse().expect("a header"));
        }
        prop_assert!(theirs.verify(body, &headers).is_ok());
        // And by the headers of axum and hyper.
        prop_assert!(Verifier::new(ours).verify(&headers, body, now).is_ok());
    }
}
