//! What the path of a request names.

/// A path that this surface knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The account acted on, in lower case; empty where none is.
    pub(super) name: String,
    pub(super) place: Place,
}

/// What of an account, or what else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Account,
    Node,
    Reset,
    Password,
    Email,
    Captcha,
    CaptchaStyle,
}

impl Target {
    /// Reads a path as it was sent: nothing in it is decoded, as a name holds nothing that needs it. Slashes at the end
    /// do not count.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
        let (name, place) = match segments.as_slice() {
            ["user", "1.0" | "1", name, rest @ ..] => (name.to_ascii_lowercase(), Place::of_account(rest)?),
            ["misc", "1.0" | "1", "captcha_html"] => return Some(Self::without_name(Place::Captcha)),
            ["misc", "1.0" | "1", "captcha.css"] => return Some(Self::without_name(Place::CaptchaStyle)),
            _ => return None,
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (!name.is_empty() && name.bytes().all(is_plain)).then_some(Self { name, place })
    }

    const fn without_name(place: Place) -> Self {
        Self {
            name: String::new(),
            place,
        }
    }
}

impl Place {
    pub(crate) const ALL: [Self; 7] = [
        Self::Account,
        Self::Node,
        Self::Reset,
        Self::Password,
        Self::Email,
        Self::Captcha,
        Self::CaptchaStyle,
    ];

    fn of_account(rest: &[&str]) -> Option<Self> {
        Some(match rest {
            [] => Self::Account,
            ["node", "weave"] => Self::Node,
            ["password_reset"] => Self::Reset,
            ["password"] => Self::Password,
            ["email"] => Self::Email,
            _ => return None,
        })
    }

    /// The template of its path.
    pub(crate) const fn template(self) -> &'static str {
        match self {
            Self::Account => "/user/1.0/{name}",
            Self::Node => "/user/1.0/{name}/node/weave",
            Self::Reset => "/user/1.0/{name}/password_reset",
            Self::Password => "/user/1.0/{name}/password",
            Self::Email => "/user/1.0/{name}/email",
            Self::Captcha => "/misc/1.0/captcha_html",
            Self::CaptchaStyle => "/misc/1.0/captcha.css",
        }
    }

    /// The methods that it knows.
    pub(super) const fn methods(self) -> &'static str {
        match self {
            Self::Account => "GET, HEAD, PUT, DELETE",
            Self::Node | Self::CaptchaStyle => "GET, HEAD",
            Self::Reset => "GET, HEAD, DELETE",
            Self::Password | Self::Email => "POST",
            Self::Captcha => "GET, HEAD, POST",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<(String, Place)> {
        Target::parse(path).map(|target| (target.name, target.place))
    }

    /// U13.3: both versions, and slashes at the end.
    #[test]
    fn knows_its_paths() {
        let ann = |place| Some(("ann.b-c_1".to_owned(), place));
        for (path, place) in [
            ("/user/1.0/ann.b-c_1", Place::Account),
            ("/user/1/Ann.B-c_1/", Place::Account),
            ("/user/1.0/ann.b-c_1/node/weave", Place::Node),
            ("/user/1.0/ann.b-c_1/password_reset//", Place::Reset),
            ("/user/1/ann.b-c_1/password", Place::Password),
            ("/user/1/ann.b-c_1/email", Place::Email),
        ] {
            assert_eq!(parse(path), ann(place), "{path}");
        }
        assert_eq!(
            parse("/misc/1/captcha_html"),
            Some((String::new(), Place::Captcha))
        );
    }

    /// U13.4, U13.5, U13.6.
    #[test]
    fn knows_no_others() {
        for path in [
            "/",
            "/user",
            "/user/1.0",
            "/user/1.0/",
            "/user/1.0//",
            "/user/1.0//password",
            "/user/1.0/a%20b",
            "/user/1.0/a%61",
            "/user/1.0/x@y.z",
            "/user/1.0/\u{e9}",
            "/user/2.0/ann",
            "/user/1.1/ann",
            "/user/1.0/ann/node",
            "/user/1.0/ann/node/weave/x",
            "/user/1.0/ann//password",
            "/misc/1.0",
            "/misc/2/captcha_html",
            "/misc/1.0/captcha_html/x",
            "/User/1.0/ann",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
