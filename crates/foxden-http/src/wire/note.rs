//! What the log's line for a request says beyond method, path, status and time.

use std::borrow::Cow;
use std::error::Error;

use foxden_model::UserId;

/// What a surface tells the log about one request, as an extension of its answer.
///
/// It never holds a secret, a token or its id, an address or a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The template of the path that was asked for, such as `/v1/oauth/client/{id}`; absent where no route matched.
    pub route: Option<&'static str>,
    /// How the caller showed who it is: `hawk`, `session`, `bearer`, `basic`.
    pub auth: Option<&'static str>,
    /// The store or account the request was for.
    pub user: Option<UserId>,
    /// Why it was refused, or what went wrong beneath: an error with its sources.
    pub why: Option<Cow<'static, str>>,
    /// Whether clients ask this every second: such a line is written only where much is.
    pub is_routine: bool,
}

impl Note {
    /// A caller known by these means.
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

    /// Nothing that anybody would look for.
    pub fn routine() -> Self {
        Self {
            is_routine: true,
            ..Self::default()
        }
    }

    /// A refusal and its reason, in words for whoever runs the server.
    pub fn refused(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: Some(why.into()),
            ..Self::default()
        }
    }
}

/// An error and what lies beneath it, in one line.
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
