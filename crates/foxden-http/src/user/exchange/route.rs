//! The paths of the key exchange.

use super::name::{ALPHABET, ChannelName};

/// The templates of all paths. The operator may configure another first segment.
pub(crate) const TEMPLATES: [&str; 4] = [
    "/jpake",
    "/jpake/new_channel",
    "/jpake/report",
    "/jpake/{channel}",
];

/// The route of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The key exchange itself.
    Root,
    /// Opens a channel.
    NewChannel,
    /// Reports a failed pairing.
    Report,
    /// A channel of this name, which may not exist.
    Channel(ChannelName),
}

impl Route {
    /// Returns the template of the path.
    pub(super) const fn template(self) -> &'static str {
        let [root, new_channel, report, channel] = TEMPLATES;
        match self {
            Self::Root => root,
            Self::NewChannel => new_channel,
            Self::Report => report,
            Self::Channel(_) => channel,
        }
    }

    /// Parses a path without its prefix. One slash at the end is ignored.
    pub(super) fn of(below: &str) -> Option<Self> {
        if below.is_empty() {
            return Some(Self::Root);
        }
        match below.strip_prefix('/')? {
            "" => Some(Self::Root),
            rest => Self::of_name(rest.strip_suffix('/').unwrap_or(rest)),
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        match name {
            "new_channel" => Some(Self::NewChannel),
            "report" => Some(Self::Report),
            "" => None,
            name if name.bytes().all(|byte| ALPHABET.contains(&byte)) => {
                Some(Self::Channel(ChannelName::of(name)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_at_the_end_does_not_count() {
        assert_eq!(Route::of("").unwrap(), Route::Root);
        assert_eq!(Route::of("/").unwrap(), Route::Root);
        assert_eq!(Route::of("/report/").unwrap(), Route::Report);
        assert_eq!(Route::of("/new_channel/").unwrap(), Route::NewChannel);
        assert_eq!(Route::of("/k7mq").unwrap(), Route::of("/k7mq/").unwrap());
        for path in [
            "//",
            "/k7mq//",
            "x",
            "/new_channel/x",
            "/NEW_CHANNEL",
            "/k7m1",
            "/%6b7mq",
        ] {
            assert!(Route::of(path).is_none(), "{path}");
        }
    }
}
