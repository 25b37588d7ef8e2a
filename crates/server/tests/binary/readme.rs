//! The README's lines, pasted as they stand.

use gatepost_test_support::both_engines;

use crate::running::Place;

both_engines! { Place: every_line_of_the_quick_start_works }

async fn every_line_of_the_quick_start_works(place: Place) {
    let readme = include_str!("../../../../README.md");
    let quick_start = readme.split("## Quick start").nth(1).and_then(|rest| rest.split("\n## ").next());
    let blocks: Vec<&str> = quick_start
        .expect("a quick start")
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("the end of a block"))
        .collect();
    assert_eq!(blocks[0].trim(), "cargo run --release", "the first block starts the server");
    let pasted = blocks[1..].concat();
    assert!(pasted.matches("curl ").count() >= 8, "{pasted}");

    let server = place.serve().await;
    let export = format!("export GATEPOST_KEY={}", server.first_key().await);
    // Each curl must find what it looks for; the lines that are meant to be refused say so by `-w`.
    let script = format!(
        "set -eu\n{export}\ncurl() {{ command curl --silent --show-error \"$@\" | tee -a answers; echo >> answers; }}\n{pasted}"
    )
    .replace("http://127.0.0.1:8080", &format!("http://{}", server.address));
    let mut bash = tokio::process::Command::new("bash");
    let output = bash.args(["-c", &script]).current_dir(place.dir.path()).output().await.expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = std::fs::read_to_string(place.dir.path().join("answers")).expect("the answers");
    let errors = answers.matches("\"error\":").count();
    let expected = answers.matches("\"error\":\"key_revoked\"").count();
    assert_eq!((errors, expected), (1, 1), "the one refusal is the one that the README announces");
    server.stop().await;
}
