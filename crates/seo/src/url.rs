//! The address of a page.

use gatepost_kernel::text;

/// The address of a page as it is stored: that of [`text::web_url`], without a fragment, which names a place
/// on the page.
///
/// # Errors
/// The error as a sentence about the field `field`.
pub fn page_url(field: &str, text: &str) -> Result<String, String> {
    let mut url = text::web_url(field, text)?;
    url.set_fragment(None);
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::page_url;

    #[test]
    fn one_page_one_address() {
        for (text, stored) in [
            ("https://example.com/page", "https://example.com/page"),
            ("HTTPS://Example.COM:443/page?a=b#part", "https://example.com/page?a=b"),
            ("http://bücher.example", "http://xn--bcher-kva.example/"),
        ] {
            assert_eq!(page_url("url", text).as_deref(), Ok(stored));
        }
        assert!(page_url("url", "/page").is_err_and(|error| error.starts_with("The url must be")));
    }
}
