//! What a path below the exchange's own means.

use super::answer::Refusal;
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
    pub(super) fn of(below: &str) -> Result<Self, Refusal> {
        let Some(rest) = below.strip_prefix('/') else {
            return if below.is_empty() {
                Ok(Self::Root)
            } else {
                Err(Refusal::NoSuchPlace)
            };
        };
        if rest.is_empty() {
            return Ok(Self::Root);
        }
        match rest.strip_suffix('/').unwrap_or(rest) {
            "new_channel" => Ok(Self::NewChannel),
            "report" => Ok(Self::Report),
            "" => Err(Refusal::NoSuchPlace),
            name if name.bytes().all(|byte| ALPHABET.contains(&byte)) => Ok(Self::Channel(Name::of(name))),
            _ => Err(Refusal::NoSuchPlace),
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
            assert!(Place::of(path).is_err(), "{path}");
        }
    }
}
