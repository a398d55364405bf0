//! Parses the `Authorization` header. Nothing is verified here.

use axum::http::{HeaderMap, header};
use foxden_accounts::{CredentialKind, TokenId};

use crate::wire::hawk::HawkHeader;

/// The credentials of a request.
pub(super) enum Credentials<'a> {
    /// No header.
    Nothing,
    /// A signed request.
    Hawk(HawkHeader<'a>),
    /// The id of a token, without a signature.
    Id(CredentialKind, TokenId),
    /// A refresh or access token, 64 lower-case hex digits.
    Bearer(&'a str),
    /// Unusable credentials, and the reason.
    Unusable(&'static str),
}

impl<'a> Credentials<'a> {
    /// Parses the header. The syntax is exact: an upper-case id is invalid.
    pub(super) fn read(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Self::Nothing;
        };
        if values.next().is_some() {
            return Self::Unusable("more than one authorization header");
        }
        let Ok(text) = value.to_str() else {
            return Self::Unusable("the authorization header is not ascii");
        };
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        if scheme.eq_ignore_ascii_case("Bearer") {
            return Self::bearer(rest);
        }
        match HawkHeader::parse(value) {
            Ok(header) => Self::Hawk(header),
            Err(_) => Self::Unusable("neither a hawk header nor a bearer token"),
        }
    }

    /// Returns whether the client set the header itself. Browsers add other schemes, such as Basic, to requests
    /// that a page triggers.
    pub(super) const fn is_set_by_client(&self) -> bool {
        match self {
            Self::Hawk(_) | Self::Id(..) | Self::Bearer(_) => true,
            Self::Nothing | Self::Unusable(_) => false,
        }
    }

    fn bearer(text: &'a str) -> Self {
        if TokenId::from_hex(text).is_some() {
            return Self::Bearer(text);
        }
        let kinds = [
            ("fxs_", CredentialKind::Session),
            ("fxk_", CredentialKind::KeyFetch),
            ("fxpc_", CredentialKind::PasswordChange),
            ("fxpf_", CredentialKind::PasswordForgot),
            ("fxar_", CredentialKind::AccountReset),
        ];
        let found = kinds
            .iter()
            .find_map(|&(prefix, kind)| Some((kind, TokenId::from_hex(text.strip_prefix(prefix)?)?)));
        found.map_or(Self::Unusable("a bearer token of no known form"), |(kind, id)| {
            Self::Id(kind, id)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        match Credentials::read(&headers) {
            Credentials::Nothing => "nothing".into(),
            Credentials::Hawk(header) => format!("hawk {}", header.id),
            Credentials::Id(kind, _) => format!("{kind:?}"),
            Credentials::Bearer(_) => "bearer".into(),
            Credentials::Unusable(_) => "unusable".into(),
        }
    }

    #[test]
    fn the_syntax_of_an_id_is_exact() {
        let id = "0a".repeat(32);
        assert_eq!(read(&format!("Bearer fxs_{id}")), "Session");
        assert_eq!(read(&format!("bearer fxk_{id}")), "KeyFetch");
        assert_eq!(read(&format!("Bearer fxpc_{id}")), "PasswordChange");
        assert_eq!(read(&format!("Bearer fxpf_{id}")), "PasswordForgot");
        assert_eq!(read(&format!("Bearer fxar_{id}")), "AccountReset");
        assert_eq!(read(&format!("Bearer {id}")), "bearer");
        for bad in [
            format!("Bearer FXS_{id}"),
            format!("Bearer fxs_{}", id.to_uppercase()),
            format!("Bearer fxs_{id} "),
            format!("Bearer fxs_{}", &id[1..]),
            format!("Bearer fxq_{id}"),
            "Bearer".into(),
            "Basic YTpi".into(),
            "Hawk".into(),
        ] {
            assert_eq!(read(&bad), "unusable", "{bad}");
        }
    }

    #[test]
    fn a_hawk_header_names_its_key() {
        let header = r#"Hawk id="abc", ts="1", nonce="n", mac="m""#;
        assert_eq!(read(header), "hawk abc");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(Bearer |bearer fxs_|Hawk )?[ -~]{0,200}") {
            read(&text);
        }
    }
}
