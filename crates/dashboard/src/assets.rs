//! The fixed files of the pages, each under a path with the digest of its bytes, so that browsers may keep it
//! for ever and never show a page with the files of another version.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gatepost_app::people::links::DASHBOARD;
use sha2::{Digest, Sha256};

/// A file.
pub struct Asset {
    content_type: &'static str,
    bytes: &'static str,
    /// Where it is served.
    pub path: String,
}

impl Asset {
    fn new(name: &str, content_type: &'static str, bytes: &'static str) -> Self {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let digest = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..9]);
        let path = format!("{}/assets/{stem}.{digest}.{extension}", DASHBOARD);
        Self { content_type, bytes, path }
    }

    /// The file as an answer.
    pub fn respond(&self) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(self.content_type)));
        response.insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"));
        response.body(self.bytes)
    }
}

/// How the pages look.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style.css", "text/css; charset=utf-8", include_str!("../assets/style.css")));

/// What the pages do that HTML alone cannot.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("script.js", "text/javascript; charset=utf-8", include_str!("../assets/script.js"))
});

/// The icon in the browser's tab.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")));

/// All files.
pub fn all() -> [&'static Asset; 3] {
    [&STYLE, &SCRIPT, &ICON]
}
