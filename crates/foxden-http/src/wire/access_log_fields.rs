//! Fields of the access log beyond method, path, status and time.

use std::borrow::Cow;
use std::error::Error;

use foxden_model::UserId;

/// Fields that a surface adds to the access log entry of a request, as an extension of the response.
///
/// It never contains a secret, a token or its id, an address or a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLogFields {
    /// The template of the requested path, such as `/v1/oauth/client/{id}`; absent if no route matched.
    pub route: Option<&'static str>,
    /// How the caller authenticated: `hawk`, `session`, `bearer`, `basic`.
    pub auth: Option<&'static str>,
    /// The store or account of the request.
    pub user: Option<UserId>,
    /// Why the request was refused, or what failed: an error with its sources.
    pub why: Option<Cow<'static, str>>,
    /// Whether clients send this request every second. Such a line is logged at the debug level.
    pub is_routine: bool,
}

impl AccessLogFields {
    /// An authenticated caller.
    pub fn caller(auth: &'static str, user: UserId) -> Self {
        Self {
            auth: Some(auth),
            user: Some(user),
            ..Self::default()
        }
    }

    /// A request of this route.
    pub(crate) fn of_route(template: &'static str) -> Self {
        Self {
            route: Some(template),
            ..Self::default()
        }
    }

    /// A request that is logged at the debug level.
    pub fn routine() -> Self {
        Self {
            is_routine: true,
            ..Self::default()
        }
    }

    /// A refused request, with the reason for the operator.
    pub fn refused(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: Some(why.into()),
            ..Self::default()
        }
    }
}

/// Prints an error with its sources in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
