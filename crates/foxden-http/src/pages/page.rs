//! The context of templates: the server and the request.

use std::sync::Arc;

use askama::Template;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use foxden_accounts::SignUp;

use super::assets::Assets;
use super::{PagesState, qr};
use crate::wire::Site;

/// The status of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Whether storage can be read; unknown where another process has it.
    pub storage_answers: Option<bool>,
    /// Whether there are accounts; unknown if the register does not answer.
    pub has_accounts: Option<bool>,
}

/// The context that all pages share.
#[derive(Clone)]
pub(super) struct PageContext(Arc<Shared>);

struct Shared {
    state: PagesState,
    assets: Assets,
    qr_code: String,
}

impl PageContext {
    pub(super) fn new(state: PagesState) -> Self {
        let qr_code = qr::draw(&format!("{}/", state.site.public_url.origin()));
        Self(Arc::new(Shared {
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

    pub(super) async fn server_status(&self) -> ServerStatus {
        (self.0.state.server_status)().await
    }

    /// Returns the UTC time in so many seconds, rounded up to the minute: a page without scripts cannot know the
    /// reader's time zone.
    pub(super) fn clock_time_in(&self, seconds: u64) -> String {
        let now = u64::try_from(self.0.state.clock.seconds()).unwrap_or(0);
        let minutes = now.saturating_add(seconds).div_ceil(60) % (24 * 60);
        format!("{:02}:{:02} UTC", minutes / 60, minutes % 60)
    }

    /// Returns the context of a page that answers this request.
    pub(super) fn page(&self, request: &Request) -> Page {
        self.page_for(self.site().is_private(request))
    }

    /// Returns the context of a page without its request.
    pub(super) fn page_for(&self, is_private: bool) -> Page {
        Page {
            context: self.clone(),
            is_private,
        }
    }
}

/// The values that templates use.
pub(super) struct Page {
    context: PageContext,
    is_private: bool,
}

impl Page {
    /// Returns the path of an asset.
    pub(super) fn asset(&self, name: &str) -> &str {
        self.context.assets().path(name)
    }

    /// Returns the paths of the modules that a module imports.
    pub(super) fn imports(&self, name: &str) -> &[String] {
        self.context.assets().imports(name)
    }

    /// The server's name as people read it.
    pub(super) fn host(&self) -> String {
        self.context.site().public_url.host_and_port()
    }

    /// The origin that browsers use.
    pub(super) fn origin(&self) -> String {
        self.context.site().public_url.origin()
    }

    /// The origin with optional line breaks for narrow pages, as markup. A public address has nothing to escape.
    pub(super) fn origin_with_breaks(&self) -> String {
        with_breaks(&self.origin())
    }

    /// The address that old clients use, with optional line breaks.
    pub(super) fn old_server_with_breaks(&self) -> String {
        with_breaks(&self.old_server())
    }

    /// The origin as a QR code.
    pub(super) fn qr_code(&self) -> &str {
        &self.context.0.qr_code
    }

    #[expect(clippy::unused_self, reason = "templates ask the page for all they show")]
    pub(super) const fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    pub(super) fn contact(&self) -> Option<&str> {
        self.context.0.state.contact.as_deref()
    }

    /// Whether codes are mailed. Otherwise the operator hands them out.
    pub(super) fn sends_mail(&self) -> bool {
        self.context.0.state.sends_mail
    }

    /// Whether old clients are served, which send their password.
    pub(super) fn serves_old_clients(&self) -> bool {
        self.context.0.state.legacy.is_some()
    }

    /// The address that old clients use.
    pub(super) fn old_server(&self) -> String {
        self.context.site().public_url.base() + "/"
    }

    /// The address of the key exchange, if this server has one.
    pub(super) fn key_exchange_url(&self) -> Option<&str> {
        self.context.0.state.legacy.as_ref()?.key_exchange_url.as_deref()
    }

    /// Returns the sign-up policy that applies to this request.
    fn sign_up(&self) -> SignUp {
        SignUp::for_client(self.context.0.state.sign_up, self.is_private)
    }

    /// Whether this client may create an account.
    pub(super) fn is_open(&self) -> bool {
        self.sign_up() == SignUp::Open
    }

    /// Whether this client needs an invitation.
    pub(super) fn is_by_invitation(&self) -> bool {
        self.sign_up() == SignUp::Invite
    }

    pub(super) fn is_https(&self) -> bool {
        self.context.site().public_url.is_https()
    }

    /// Whether the public address is a loopback address.
    pub(super) fn is_loopback(&self) -> bool {
        self.context.site().public_url.is_loopback()
    }

    /// Whether browsers withhold the cryptography that pages need: neither https nor a loopback address.
    pub(super) fn is_insecure(&self) -> bool {
        !self.is_https() && !self.is_loopback()
    }

    /// Whether clients of other machines come although only a loopback address is configured.
    pub(super) fn lacks_public_url(&self) -> bool {
        self.context.site().is_loopback && !self.is_private
    }

    /// The server's time, in milliseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.context.0.state.clock.millis()
    }
}

/// Adds an optional break after the scheme and before each name of the host. An IP address stays whole.
fn with_breaks(address: &str) -> String {
    let mut pieces = address.split('.');
    let mut text = pieces.next().unwrap_or_default().replace("//", "//<wbr>");
    for piece in pieces {
        let is_name = piece.starts_with(|first: char| first.is_ascii_alphabetic());
        text += if is_name { ".<wbr>" } else { "." };
        text += piece;
    }
    text
}

/// Renders a page with a status.
pub(super) fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
