//! The second factor of one's own account: an authenticator app, and recovery codes.

use askama::{Template, filters::HtmlSafe};
use gatepost_app::people::account::{self, SecondFactorDuty};
use gatepost_kernel::{Error, random};
use gatepost_people::AuthenticatorSecret;
use qrcodegen::{QrCode, QrCodeEcc};

use crate::{
    form::Errors,
    page::{self, Answer, Failure, Frame},
    places::ACCOUNT,
    visit::Visit,
};

/// A QR code as a picture.
#[derive(Template)]
#[template(path = "qr.svg", escape = "html")]
struct Qr {
    size: i32,
    /// The dark modules, as a path.
    path: String,
}

// Its parts are numbers.
impl HtmlSafe for Qr {}

impl Qr {
    const BORDER: i32 = 4;

    fn of(text: &str) -> Result<Self, Error> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).map_err(Error::failed("a QR code"))?;
        let dark = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        let modules = dark.filter(|(x, y)| code.get_module(*x, *y));
        let path = modules.fold(String::new(), |path, (x, y)| {
            format!("{path}M{},{}h1v1h-1z", x + Self::BORDER, y + Self::BORDER)
        });
        Ok(Self { size: code.size() + 2 * Self::BORDER, path })
    }
}

#[derive(Template)]
#[template(path = "two_factor.html")]
struct TwoFactorPage {
    frame: Frame,
    errors: Errors,
    qr: Qr,
    secret: String,
    /// Whether the member can do nothing else before.
    is_due: bool,
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodesPage {
    frame: Frame,
    codes: Vec<String>,
}

/// `GET /dashboard/account/two-factor`
pub async fn show(visit: &mut Visit) -> Answer {
    if visit.member()?.member.second_factor_at.is_some() {
        return page::see_other(ACCOUNT);
    }
    let secret = AuthenticatorSecret::generate(&mut random::rng());
    page::ok(&two_factor_page(visit, &secret, Errors::default()).await?)
}

async fn two_factor_page(
    visit: &Visit,
    secret: &AuthenticatorSecret,
    errors: Errors,
) -> Result<TwoFactorPage, Failure> {
    let url = secret.to_url(visit.brand(), &visit.member()?.member.email);
    Ok(TwoFactorPage {
        qr: Qr::of(url.expose())?,
        secret: secret.to_base32().expose().to_owned(),
        is_due: visit.second_factor_duty().await? == SecondFactorDuty::Now,
        frame: visit.frame("Set up two-factor sign-in").await?,
        errors,
    })
}

/// `POST /dashboard/account/two-factor`
pub async fn add(visit: &mut Visit) -> Answer {
    let secret = AuthenticatorSecret::parse(visit.form.get("secret")).ok_or(Failure::Unreadable)?;
    visit.require_recent().await?;
    let code = visit.form.get("code").to_owned();
    let added =
        account::add_second_factor(visit.app(), visit.member()?, secret.clone(), code, &visit.browser);
    match added.await {
        Ok(codes) => show_codes(visit, &codes).await,
        Err(Error::Unauthorized) => Err(Failure::SignIn),
        Err(error) => page::refused(&two_factor_page(visit, &secret, Errors::from_use_case(error)?).await?),
    }
}

/// `POST /dashboard/account/two-factor/remove`
pub async fn remove(visit: &mut Visit) -> Answer {
    visit.require_recent().await?;
    account::remove_second_factor(visit.app(), visit.member()?, &visit.browser).await?;
    page::see_other(&format!("{ACCOUNT}?done=second-factor-removed"))
}

/// `POST /dashboard/account/recovery-codes`
pub async fn renew_codes(visit: &mut Visit) -> Answer {
    visit.require_recent().await?;
    let codes = account::renew_recovery_codes(visit.app(), visit.member()?, &visit.browser).await?;
    show_codes(visit, &codes).await
}

async fn show_codes(visit: &mut Visit, codes: &[gatepost_people::RecoveryCode]) -> Answer {
    let codes = codes.iter().map(|code| code.to_text().expose().to_owned()).collect();
    // The member has a second factor by now, and the reminder is out of place.
    let frame = Frame { reminds_of_second_factor: false, ..visit.frame("Recovery codes").await? };
    page::ok(&RecoveryCodesPage { frame, codes })
}
