//! The fixed paths of the server. Those of operations stand at the operations, unless others have to know
//! them too.

use gatepost_app::people::links::DASHBOARD;
use gatepost_contract::Contract;

/// What load balancers and Prometheus ask for, by GET and HEAD.
pub const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// Where MCP clients speak to Gatepost itself.
pub const MCP: &str = "/mcp";
/// Forward auth, below the base of the contract.
pub const FORWARD_AUTH: &str = "/auth";
/// The pixel itself.
pub const PIXEL_SCRIPT: &str = "/pixel.js";

/// The OpenAPI document, 3.1.
pub const OPENAPI: &str = "/openapi.json";
/// The OpenAPI document, 3.0.
pub const OPENAPI_3_0: &str = "/openapi-3.0.json";
/// The page that shows it.
pub const DOCS: &str = "/docs/";

/// Whether a path is one of forward auth.
pub fn is_forward_auth(contract: &Contract, path: &str) -> bool {
    let rest =
        path.strip_prefix(contract.base_path.as_ref()).and_then(|path| path.strip_prefix(FORWARD_AUTH));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the server has something of its own at a path, or below it, which operations cannot take.
pub fn is_fixed_path(path: &str) -> bool {
    let fixed = PROBES.into_iter().chain([MCP, PIXEL_SCRIPT, DOCS, OPENAPI, OPENAPI_3_0, DASHBOARD]);
    fixed
        .map(|fixed| fixed.trim_end_matches('/'))
        .any(|fixed| path.strip_prefix(fixed).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}
