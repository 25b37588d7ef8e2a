//! What a caller takes, by its `Accept` (RFC 9110, 12.5.1).

use actix_web::http::header::{self, HeaderMap};

/// How much a caller wants a media type such as `application/json`, from 0 to 1: by the range that names it
/// most exactly, and of several by the one that wants it most. None if it says nothing of it.
fn quality(headers: &HeaderMap, media_type: &str) -> Option<f32> {
    let family = media_type.split('/').next().unwrap_or_default();
    let exactness = |range: &str| match range.split_once('/') {
        _ if range.eq_ignore_ascii_case(media_type) => Some(2),
        Some((of, "*")) if of.eq_ignore_ascii_case(family) => Some(1),
        Some(("*", "*")) => Some(0),
        _ => None,
    };
    let lines = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    let ranges = lines.flat_map(|line| line.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let exactness = exactness(parts.next()?)?;
        let weight = parts.find_map(|part| {
            let (name, weight) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| weight.trim().parse().ok())?
        });
        Some((exactness, weight.unwrap_or(1.0f32).clamp(0.0, 1.0)))
    });
    ranges
        .reduce(
            |best, range| {
                if range.0 > best.0 || (range.0 == best.0 && range.1 > best.1) { range } else { best }
            },
        )
        .map(|(_, weight)| weight)
}

/// Whether a caller names `wanted` and does not want `usual` more.
pub fn prefers(headers: &HeaderMap, wanted: &str, usual: &str) -> bool {
    let is_named = |line: &str| {
        line.split(',')
            .any(|range| range.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(wanted)))
    };
    let mut lines = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    let weight = quality(headers, wanted).unwrap_or(0.0);
    lines.any(is_named) && weight > 0.0 && weight >= quality(headers, usual).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn the_heavier_of_two_is_preferred() {
        for (accept, preferred) in [
            ("application/problem+json", true),
            ("application/json, application/problem+json", true),
            ("application/json, application/problem+json;q=0.9", false),
            ("application/json;q=0.5, application/problem+json;q=0.9", true),
            ("Application/Problem+JSON", true),
            ("application/problem+json;q=0", false),
            ("application/problem+json;Q=0.0, */*", false),
            ("application/problem+json;q=0.2, */*;q=0.1", true),
            ("application/problem+json;q=0.2, */*", false),
            ("application/problem+json ; q=0.2 , application/*;q=0.3", false),
            ("application/json", false),
            ("*/*", false),
            ("", false),
            ("nonsense;q=x", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(
                prefers(&headers, "application/problem+json", "application/json"),
                preferred,
                "{accept}"
            );
        }
    }
}
