//! Prints the OpenAPI document of the contract that is the core's mirror, for those who check documents.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let document = gatepost_api::document(
        &gatepost_test_support::mirror(),
        &gatepost_app::resources::Resources::default(),
    );
    writeln!(io::stdout().lock(), "{document:#}")
}
