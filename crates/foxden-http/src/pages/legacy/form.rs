//! Reads the forms of the pages for old clients.

use axum::extract::{FromRequest, Request};
use axum::http::header::ACCEPT;
use axum::http::{HeaderName, Method};
use axum::response::Response;
use foxden_accounts::ClientInfo;
use foxden_accounts::security::EntryPoint;

use super::errors::PageError;
use super::{Legacy, Page};
use crate::pages::links;
use crate::wire::body::{self, BadBody, MemoryFactor};
use crate::wire::client_info;
use crate::wire::memory::{MemoryPermit, Owner};
use crate::wire::percent::decode_field;

/// Maximum size of a form.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// The header in which a browser says what the response is for; old browsers do not send it.
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Requests or sets a new password.
    Reset,
    /// Removes an account.
    Delete,
}

impl Form {
    /// Returns the path of the form.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Reset => links::LEGACY_RESET,
            Self::Delete => "/weave-delete-account",
        }
    }

    fn of(path: &str) -> Self {
        if path.trim_end_matches('/').ends_with(Self::Delete.path()) {
            Self::Delete
        } else {
            Self::Reset
        }
    }
}

/// A submitted form: the query of a `GET`, the body of a `POST`.
pub(super) struct Submission {
    fields: Vec<(String, String)>,
    /// The form that was submitted.
    pub(super) form: Form,
    /// Whether the request is a top-level navigation (`Sec-Fetch-Dest`), not an embedded resource.
    pub(super) is_navigation: bool,
    /// The client.
    pub(super) client_info: ClientInfo,
    /// The context of the response page.
    pub(super) page: Page,
    /// Whether the client wants a page, not a line of plain text.
    pub(super) wants_page: bool,
    /// The memory that the fields take.
    _permit: Option<MemoryPermit>,
}

impl FromRequest<Legacy> for Submission {
    type Rejection = Response;

    async fn from_request(request: Request, legacy: &Legacy) -> Result<Self, Response> {
        let client_info = client_info(&request, legacy.context.site(), EntryPoint::Pages);
        let page = legacy.context.page(&request);
        let wants_page = wants_page(&request);
        let form = Form::of(request.uri().path());
        let dest = request.headers().get(FETCH_DEST);
        let is_navigation = dest.is_none_or(|dest| dest == "document");
        let is_post = request.method() == Method::POST;
        // Otherwise any foreign page could use up the tries of the client_info's network.
        if is_post && legacy.context.site().is_sent_by_foreign_page(request.headers()) {
            return Err(legacy.error_page(
                page,
                form,
                PageError::ForeignPage,
                "sent by a page from elsewhere",
            ));
        }
        let fields = if is_post {
            collect(request, legacy).await
        } else {
            read(request.uri().query().unwrap_or_default())
                .map(|fields| (fields, None))
                .map_err(|why| (PageError::NotOurForm, why))
        };
        match fields {
            Ok((fields, permit)) => Ok(Self {
                fields,
                form,
                is_navigation,
                client_info,
                page,
                wants_page,
                _permit: permit,
            }),
            Err((page_error, why)) => Err(legacy.error_page(page, form, page_error, why)),
        }
    }
}

impl Submission {
    /// Returns a field as it was typed; empty if it is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        let mut fields = self.fields.iter();
        fields
            .find(|(given, _)| given == name)
            .map_or("", |(_, value)| value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(given, _)| given == name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Returns whether there is any field but these.
    pub(super) fn has_other_than(&self, names: &[&str]) -> bool {
        self.fields
            .iter()
            .any(|(given, _)| !names.contains(&given.as_str()))
    }
}

/// The fields, and the permit for their memory.
type Collected = (Vec<(String, String)>, Option<MemoryPermit>);

/// Reads the fields of a form. Its sender is not authenticated yet.
async fn collect(request: Request, legacy: &Legacy) -> Result<Collected, (PageError, &'static str)> {
    let (parts, body) = request.into_parts();
    let owner = Owner::client(&parts.extensions);
    let bodies = &legacy.parts.memory.bodies;
    let taken = body::read_whole(
        bodies,
        owner,
        &parts.headers,
        body,
        MAX_FORM_BYTES,
        MemoryFactor::ParsedJson,
    )
    .await;
    let (body, permit) = taken.map_err(|error| match error {
        BadBody::MemoryFull => (PageError::Busy, "no memory is left for the form"),
        BadBody::TooLarge | BadBody::Broken => (PageError::NotOurForm, "the form is too large, or broke off"),
    })?;
    let text = std::str::from_utf8(&body).map_err(|_| (PageError::NotOurForm, "the form is not text"))?;
    let fields = read(text).map_err(|why| (PageError::NotOurForm, why))?;
    if let Some(permit) = &permit {
        // The body is dropped, its fields stay.
        permit.set(weight(&fields));
    }
    Ok((fields, permit))
}

/// Returns how many bytes of memory the fields take.
fn weight(fields: &Vec<(String, String)>) -> u64 {
    let texts = fields
        .iter()
        .map(|(name, value)| name.capacity() + value.capacity());
    (fields.capacity() * size_of::<(String, String)>() + texts.sum::<usize>()) as u64
}

/// Reads the fields of an encoded form. Bytes that are not UTF-8 are refused: a misread password would lock out its
/// owner.
fn read(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let decode = |text| decode_field(text).ok_or("a field is not text");
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Browsers ask for HTML; tools accept anything, or say nothing.
fn wants_page(request: &Request) -> bool {
    let accepted = request.headers().get_all(ACCEPT).iter();
    let mut types = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    types.any(|media| {
        let mut parts = media.split(';').map(str::trim);
        let is_html = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("text/html"));
        let is_refused = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        is_html && !parts.any(is_refused)
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let fields = |text: &str| {
            let fields = read(text).ok()?;
            Some(
                fields
                    .iter()
                    .map(|(name, value)| format!("{name}:{value}"))
                    .collect::<Vec<_>>(),
            )
        };
        let is = |text, wanted: &[&str]| {
            let wanted = wanted.iter().map(|&field| field.to_owned()).collect();
            assert_eq!(fields(text), Some(wanted), "{text}");
        };
        is("", &[]);
        is("a=1&b=2&&a=3", &["a:1", "b:2", "a:3"]);
        is(
            "username=ann%40example.org&password=a+b%2Bc",
            &["username:ann@example.org", "password:a b+c"],
        );
        is("p=%C3%A9&q=100%&r=%4&s=%zz", &["p:é", "q:100%", "r:%4", "s:%zz"]);
        is("a&=b&c==d", &["a:", ":b", "c:=d"]);
        assert_eq!(fields("p=%E9"), None, "a byte that is no text");
    }

    #[test]
    fn pages_are_for_top_level_navigations_only() {
        let wants = |accept: &str| {
            let request = Request::post("/")
                .header(ACCEPT, accept)
                .body(Body::empty())
                .unwrap();
            wants_page(&request)
        };
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/xml, TEXT/HTML;q=0.5",
            "text/html; level=1; q=0.7",
        ] {
            assert!(wants(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/html;q=0",
            "text/html; q=0.000, */*",
            "text/*",
        ] {
            assert!(!wants(accept), "{accept}");
        }
    }
}
