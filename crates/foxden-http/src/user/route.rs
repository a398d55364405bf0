//! The routes of the User API.

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The account that the path names, in lower case; empty where it names none.
    pub(super) name: String,
    pub(super) route: Route,
}

/// The route of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Account,
    Node,
    Reset,
    Password,
    Email,
    Captcha,
    CaptchaStyle,
}

impl Target {
    /// Parses a path. Nothing is decoded, as valid names contain no escapes. Slashes at the end are ignored.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
        let (name, route) = match segments.as_slice() {
            ["user", "1.0" | "1", name, rest @ ..] => (name.to_ascii_lowercase(), Route::of_account(rest)?),
            ["misc", "1.0" | "1", "captcha_html"] => return Some(Self::without_name(Route::Captcha)),
            ["misc", "1.0" | "1", "captcha.css"] => return Some(Self::without_name(Route::CaptchaStyle)),
            _ => return None,
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (!name.is_empty() && name.bytes().all(is_plain)).then_some(Self { name, route })
    }

    const fn without_name(route: Route) -> Self {
        Self {
            name: String::new(),
            route,
        }
    }
}

impl Route {
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

    /// Returns the template of the path.
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

    /// Returns the methods of the route.
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

    fn parse(path: &str) -> Option<(String, Route)> {
        Target::parse(path).map(|target| (target.name, target.route))
    }

    /// U13.3: both versions, with slashes at the end.
    #[test]
    fn knows_its_paths() {
        let ann = |route| Some(("ann.b-c_1".to_owned(), route));
        for (path, route) in [
            ("/user/1.0/ann.b-c_1", Route::Account),
            ("/user/1/Ann.B-c_1/", Route::Account),
            ("/user/1.0/ann.b-c_1/node/weave", Route::Node),
            ("/user/1.0/ann.b-c_1/password_reset//", Route::Reset),
            ("/user/1/ann.b-c_1/password", Route::Password),
            ("/user/1/ann.b-c_1/email", Route::Email),
        ] {
            assert_eq!(parse(path), ann(route), "{path}");
        }
        assert_eq!(
            parse("/misc/1/captcha_html"),
            Some((String::new(), Route::Captcha))
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
