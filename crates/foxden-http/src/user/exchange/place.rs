//! What a path below the exchange's own means.

use super::name::{ALPHABET, Name};

/// The templates of all paths. The operator may choose another first segment.
pub(crate) const TEMPLATES: [&str; 4] = [
    "/jpake",
    "/jpake/new_channel",
    "/jpake/report",
    "/jpake/{channel}",
];

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The exchange itself.
    Root,
    /// Where channels are opened.
    NewChannel,
    /// Where clients say what went wrong.
    Report,
    /// A channel, if there is one of that name.
    Channel(Name),
}

impl Place {
    /// The template of its path.
    pub(super) const fn template(self) -> &'static str {
        let [root, new_channel, report, channel] = TEMPLATES;
        match self {
            Self::Root => root,
            Self::NewChannel => new_channel,
            Self::Report => report,
            Self::Channel(_) => channel,
        }
    }

    /// What a path means, its beginning taken off; one slash at the end does not count.
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
            name if name.bytes().all(|byte| ALPHABET.contains(&byte)) => Some(Self::Channel(Name::of(name))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_at_the_end_does_not_count() {
        assert_eq!(Place::of("").unwrap(), Place::Root);
        assert_eq!(Place::of("/").unwrap(), Place::Root);
        assert_eq!(Place::of("/report/").unwrap(), Place::Report);
        assert_eq!(Place::of("/new_channel/").unwrap(), Place::NewChannel);
        assert_eq!(Place::of("/k7mq").unwrap(), Place::of("/k7mq/").unwrap());
        for path in [
            "//",
            "/k7mq//",
            "x",
            "/new_channel/x",
            "/NEW_CHANNEL",
            "/k7m1",
            "/%6b7mq",
        ] {
            assert!(Place::of(path).is_none(), "{path}");
        }
    }
}
