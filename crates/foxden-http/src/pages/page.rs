//! What every page knows of the server it belongs to.

use std::sync::Arc;

use askama::Template;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use foxden_accounts::SignUp;

use super::assets::Assets;
use super::{PagesState, qr};
use crate::wire::Site;

/// How the server fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Whether storage can be read; nothing is said of it where another process has it.
    pub storage_answers: Option<bool>,
    /// Whether there is any account; nothing is said of it while that cannot be found out.
    pub is_inhabited: Option<bool>,
}

/// What all pages share, made once.
#[derive(Clone)]
pub(super) struct House(Arc<Inner>);

struct Inner {
    state: PagesState,
    assets: Assets,
    qr_code: String,
}

impl House {
    pub(super) fn new(state: PagesState) -> Self {
        let qr_code = qr::draw(&format!("{}/", state.site.public_url.origin()));
        Self(Arc::new(Inner {
            state,
            assets: Assets::new(),
            qr_code,
        }))
    }

    pub(super) fn assets(&self) -> &Assets {
        &self.0.assets
    }

    pub(super) fn site(&self) -> &Site {
        &self.0.state.site
    }

    pub(super) async fn outlook(&self) -> Outlook {
        (self.0.state.outlook)().await
    }

    /// The clock time so many seconds from now, rounded up to the minute: a page without script cannot know the
    /// reader's zone.
    pub(super) fn clock_time_in(&self, seconds: u64) -> String {
        let now = u64::try_from(self.0.state.clock.seconds()).unwrap_or(0);
        let minutes = now.saturating_add(seconds).div_ceil(60) % (24 * 60);
        format!("{:02}:{:02} UTC", minutes / 60, minutes % 60)
    }

    /// What a page that answers this request may say.
    pub(super) fn page(&self, request: &Request) -> Page {
        self.page_for(self.site().is_private(request))
    }

    /// The same for a request of which nothing is known.
    pub(super) fn page_for(&self, is_private: bool) -> Page {
        Page {
            house: self.clone(),
            is_private,
        }
    }
}

/// What templates may ask.
pub(super) struct Page {
    house: House,
    is_private: bool,
}

impl Page {
    /// The path of an asset.
    pub(super) fn asset(&self, name: &str) -> &str {
        self.house.assets().path(name)
    }

    /// The paths of the modules that a module needs.
    pub(super) fn imports(&self, name: &str) -> &[String] {
        self.house.assets().imports(name)
    }

    /// The server's name as people read it.
    pub(super) fn host(&self) -> String {
        self.house.site().public_url.host_and_port()
    }

    /// What browsers are told to use.
    pub(super) fn origin(&self) -> String {
        self.house.site().public_url.origin()
    }

    /// The same with places where a narrow page may break it; markup. A public address holds nothing that
    /// would need escaping.
    pub(super) fn origin_with_breaks(&self) -> String {
        with_breaks(&self.origin())
    }

    /// What old clients are told to use, the same way.
    pub(super) fn old_server_with_breaks(&self) -> String {
        with_breaks(&self.old_server())
    }

    /// The origin as a QR code.
    pub(super) fn qr_code(&self) -> &str {
        &self.house.0.qr_code
    }

    #[expect(clippy::unused_self, reason = "templates ask the page for all they show")]
    pub(super) const fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    pub(super) fn contact(&self) -> Option<&str> {
        self.house.0.state.contact.as_deref()
    }

    /// Whether codes are sent by mail; else the operator has them.
    pub(super) fn sends_mail(&self) -> bool {
        self.house.0.state.sends_mail
    }

    /// Whether old clients are served, which send their password.
    pub(super) fn serves_old_clients(&self) -> bool {
        self.house.0.state.legacy.is_some()
    }

    /// What old clients are told to use.
    pub(super) fn old_server(&self) -> String {
        self.house.site().public_url.base() + "/"
    }

    /// Where two old browsers meet to hand over their key, if this server has such a place.
    pub(super) fn meeting_place(&self) -> Option<&str> {
        self.house.0.state.legacy.as_ref()?.meeting_place.as_deref()
    }

    /// Who may make an account, for whoever sent this request.
    fn sign_up(&self) -> SignUp {
        SignUp::for_client(self.house.0.state.sign_up, self.is_private)
    }

    /// Whether whoever sent this request may make an account.
    pub(super) fn is_open(&self) -> bool {
        self.sign_up() == SignUp::Open
    }

    /// Whether an invitation would let them.
    pub(super) fn is_by_invitation(&self) -> bool {
        self.sign_up() == SignUp::Invite
    }

    pub(super) fn is_https(&self) -> bool {
        self.house.site().public_url.is_https()
    }

    /// Whether only this machine can reach the server's address.
    pub(super) fn is_loopback(&self) -> bool {
        self.house.site().public_url.is_loopback()
    }

    /// Whether browsers keep back what pages need to make keys: neither https nor this machine.
    pub(super) fn is_insecure(&self) -> bool {
        !self.is_https() && !self.is_loopback()
    }

    /// Whether others come here although only a loopback address is set.
    pub(super) fn lacks_public_url(&self) -> bool {
        self.house.site().is_loopback && !self.is_private
    }

    /// The server's time, in milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.house.0.state.clock.millis()
    }
}

fn with_breaks(address: &str) -> String {
    address.replace("//", "//<wbr>").replace('.', ".<wbr>")
}

/// Renders a page with a status.
pub(super) fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
