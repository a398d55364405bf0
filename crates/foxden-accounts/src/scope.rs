//! Scopes: which are known, who may have them, and what covers what.

use crate::OAuthError;

/// The scope of Sync.
pub const OLDSYNC: &str = "https://identity.mozilla.com/apps/oldsync";
/// The same of Thunderbird.
const THUNDERBIRD: &str = "https://identity.thunderbird.net/apps/sync";
/// Gives a session besides.
pub(crate) const SESSION: &str = "https://identity.mozilla.com/tokens/session";
/// The longest list of scopes, in bytes.
const LIST: usize = 1024;

/// An OAuth client that may sign people in here. All are public: they bring a challenge, no secret.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its id.
    pub id: &'static str,
    /// The name that people see.
    pub name: &'static str,
    /// The scopes it may have.
    pub scopes: &'static [&'static str],
}

const DESKTOP_SCOPES: &[&str] = &[OLDSYNC, "profile", "profile:write"];
const MOBILE_SCOPES: &[&str] = &[OLDSYNC, "profile", "profile:write", SESSION];
const CLIENTS: [Client; 6] = [
    Client {
        id: "5882386c6d801776",
        name: "Firefox",
        scopes: DESKTOP_SCOPES,
    },
    Client {
        id: "a2270f727f45f648",
        name: "Firefox for Android",
        scopes: MOBILE_SCOPES,
    },
    Client {
        id: "1b1a3e44c54fbb58",
        name: "Firefox for iOS",
        scopes: MOBILE_SCOPES,
    },
    Client {
        id: "3c49430b43dfba77",
        name: "Reference browser",
        scopes: MOBILE_SCOPES,
    },
    Client {
        id: "8269bacd7bbc7f80",
        name: "Thunderbird",
        scopes: &[THUNDERBIRD, "profile", "profile:write"],
    },
    Client {
        id: "e7ce535d93522896",
        name: "Firefox Sync client",
        scopes: &[OLDSYNC],
    },
];

/// The client with that id.
pub fn client(id: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.id == id)
}

pub(crate) fn known_client(id: &str) -> Result<&'static Client, OAuthError> {
    client(id).ok_or_else(|| OAuthError::UnknownClient {
        client: id.to_owned(),
    })
}

/// Whether a scope that was granted covers one that is needed. `profile` covers its parts but no writing; a URL covers
/// what lies below it.
pub(crate) fn covers(granted: &str, needed: &str) -> bool {
    if granted == needed {
        return true;
    }
    let below = |separator: char| {
        needed
            .strip_prefix(granted)
            .is_some_and(|rest| rest.starts_with(separator))
    };
    if granted.starts_with("https://") {
        below('/')
    } else if let Some(area) = granted.strip_suffix(":write") {
        needed == area
            || needed
                .strip_prefix(area)
                .is_some_and(|rest| rest.starts_with(':'))
    } else {
        below(':') && !needed.ends_with(":write")
    }
}

/// Whether any of the scopes granted covers the one needed.
pub(crate) fn any_covers<S: AsRef<str>>(granted: &[S], needed: &str) -> bool {
    granted.iter().any(|granted| covers(granted.as_ref(), needed))
}

/// The scopes of a list, in its order, each once.
pub(crate) fn parse(list: &str) -> Result<Vec<&str>, OAuthError> {
    let mut scopes = Vec::new();
    if list.len() <= LIST {
        for scope in list.split_ascii_whitespace() {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
    }
    if scopes.is_empty() {
        return Err(OAuthError::InvalidScope);
    }
    Ok(scopes)
}

/// Refuses scopes that are not among those allowed.
pub(crate) fn require<S: AsRef<str>>(allowed: &[S], wanted: &[&str]) -> Result<(), OAuthError> {
    let refused: Vec<&str> = wanted
        .iter()
        .filter(|scope| !any_covers(allowed, scope))
        .copied()
        .collect();
    if refused.is_empty() {
        Ok(())
    } else {
        Err(OAuthError::ScopesRefused {
            scopes: refused.join(" "),
        })
    }
}

/// The scope whose keys follow from the account's, if it is one.
pub(crate) fn keyed(scope: &str) -> Option<&'static str> {
    [OLDSYNC, THUNDERBIRD].into_iter().find(|keyed| *keyed == scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_what_lies_below_it() {
        for (granted, needed) in [
            ("profile", "profile"),
            ("profile", "profile:email"),
            ("profile:write", "profile:display_name:write"),
            ("profile:write", "profile"),
            (OLDSYNC, OLDSYNC),
            (OLDSYNC, "https://identity.mozilla.com/apps/oldsync/bookmarks"),
        ] {
            assert!(covers(granted, needed), "{granted} {needed}");
        }
    }

    #[test]
    fn a_scope_covers_nothing_beside_it() {
        for (granted, needed) in [
            ("profile", "profiles"),
            ("profile", "profile:write"),
            ("profile", "profile:display_name:write"),
            ("profile:email", "profile"),
            (OLDSYNC, "https://identity.mozilla.com/apps/oldsync2"),
            (OLDSYNC, "https://identity.mozilla.com/apps/relay"),
            (OLDSYNC, "profile"),
        ] {
            assert!(!covers(granted, needed), "{granted} {needed}");
        }
    }

    #[test]
    fn a_list_keeps_its_order_and_is_bounded() {
        assert_eq!(parse("profile b  profile a").unwrap(), ["profile", "b", "a"]);
        for bad in ["", "  ", &"x ".repeat(600)] {
            assert!(parse(bad).is_err());
        }
    }
}
