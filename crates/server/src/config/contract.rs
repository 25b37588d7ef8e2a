//! How a contract differs from another, for those who have clients.

use gatepost_api::Contract;
use gatepost_contract::Headers;
use gatepost_kernel::ErrorCode;

/// What clients would have to know of another contract: what, how it is, and how it would be.
pub fn differences(now: &Contract, then: &Contract) -> Vec<(String, String, String)> {
    let list = |contract: &Contract| {
        let Headers {
            acting_workspace,
            workspace,
            environment,
            key_id,
            scopes,
            external_id,
            error,
            message,
            body,
            signature,
        } = &contract.headers;
        let headers = [
            ("that names the workspace to act on", acting_workspace),
            ("of the key's workspace", workspace),
            ("of the key's environment", environment),
            ("of the key's id", key_id),
            ("of the key's scopes", scopes),
            ("of the key's external id", external_id),
            ("of a refusal's code", error),
            ("of a refusal's message", message),
            ("of a refusal's body", body),
            ("of a delivery's signature", signature),
        ];
        let headers = headers.map(|(which, header)| (format!("header {which}"), header.shown.to_string()));
        let errors =
            ErrorCode::NAMES.map(|code| (format!("error {code}"), contract.code_of(code).into_owned()));
        let others = [
            ("base path", contract.base_path.to_string()),
            ("beginnings of keys", contract.tokens.heads().collect::<Vec<_>>().join(", ")),
            ("envelope", contract.envelope.as_str().to_owned()),
            ("statuses", contract.statuses.as_str().to_owned()),
            ("paging", contract.paging.as_str().to_owned()),
            ("items per page", contract.default_per_page.to_string()),
            ("order of scopes", contract.scope_order.as_str().to_owned()),
            (
                "message about a missing field",
                contract.missing_field.as_deref().unwrap_or("the usual one").to_owned(),
            ),
            ("errors about input name the first field", contract.names_first_field.to_string()),
            ("name of the platform", contract.brand.name.clone()),
        ];
        let others = others.map(|(what, how)| (what.to_owned(), how));
        let messages = ErrorCode::NAMES.map(|code| {
            let text = contract.messages.get(code).map_or("the usual one", |text| text.as_ref());
            (format!("message of {code}"), text.to_owned())
        });
        others.into_iter().chain(headers).chain(errors).chain(messages).collect::<Vec<_>>()
    };
    let pairs = list(now).into_iter().zip(list(then));
    pairs.filter(|(a, b)| a.1 != b.1).map(|((what, now), (_, then))| (what, now, then)).collect()
}
