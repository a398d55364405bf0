//! Guesses the browser from its `User-Agent`, only to show the matching steps.

use std::fmt;

/// The last Firefox with Sync 1.1.
const LAST_OLD: u32 = 28;

/// A browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Browser {
    /// Firefox on a computer: version and system.
    Desktop {
        /// The major version.
        version: u32,
        /// The operating system.
        system: &'static str,
    },
    /// Firefox on Android.
    Android,
    /// Firefox on an iPhone or iPad.
    Ios,
    /// A browser with Sync 1.1.
    Old(&'static str),
    /// Any other browser.
    Other,
}

impl Browser {
    /// Parses a `User-Agent`.
    pub(super) fn from_user_agent(text: &str) -> Self {
        if text.contains("FxiOS/") {
            return Self::Ios;
        }
        // These browsers call themselves Firefox as well.
        let old = [("PaleMoon/", "Pale Moon"), ("Basilisk/", "Basilisk")];
        if let Some((_, name)) = old.iter().find(|(sign, _)| text.contains(sign)) {
            return Self::Old(name);
        }
        let version = text
            .split_once("Firefox/")
            .and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
        match version {
            Some(version) if version <= LAST_OLD => Self::Old("an old Firefox"),
            Some(version) if !text.contains("Goanna/") && !text.contains("SeaMonkey/") => {
                Self::firefox(version, text)
            }
            _ => Self::Other,
        }
    }

    fn firefox(version: u32, text: &str) -> Self {
        if text.contains("Android") {
            return Self::Android;
        }
        let systems = [
            ("Windows", "Windows"),
            ("Macintosh", "a Mac"),
            ("Linux", "Linux"),
            ("FreeBSD", "FreeBSD"),
        ];
        let system = systems
            .iter()
            .find(|(sign, _)| text.contains(sign))
            .map_or("a computer", |(_, system)| system);
        Self::Desktop { version, system }
    }

    /// Returns whether the page shows the steps for Firefox on a computer.
    pub(super) const fn is_desktop(&self) -> bool {
        matches!(self, Self::Desktop { .. })
    }

    pub(super) const fn is_android(&self) -> bool {
        matches!(self, Self::Android)
    }

    pub(super) const fn is_ios(&self) -> bool {
        matches!(self, Self::Ios)
    }

    pub(super) const fn is_old(&self) -> bool {
        matches!(self, Self::Old(_))
    }

    pub(super) const fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl fmt::Display for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Desktop { version, system } => write!(f, "Firefox {version} on {system}"),
            Self::Android => f.write_str("Firefox on Android"),
            Self::Ios => f.write_str("Firefox on an iPhone or iPad"),
            Self::Old(name) => f.write_str(name),
            Self::Other => f.write_str("a browser other than Firefox"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart() {
        for (text, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
                "Firefox 153 on Linux",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:153.0) Gecko/20100101 Firefox/153.0",
                "Firefox 153 on a Mac",
            ),
            (
                "Mozilla/5.0 (Android 15; Mobile; rv:153.0) Gecko/153.0 Firefox/153.0",
                "Firefox on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/153.0 Mobile/15E148 Safari/605.1.15",
                "Firefox on an iPhone or iPad",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Goanna/6.7 Firefox/128.0 PaleMoon/33.3",
                "Pale Moon",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:102.0) Goanna/20250101 Basilisk/20250101",
                "Basilisk",
            ),
            (
                "Mozilla/5.0 (Windows NT 6.1; rv:28.0) Gecko/20100101 Firefox/28.0",
                "an old Firefox",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Goanna/6.7 Firefox/128.0",
                "a browser other than Firefox",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
                "a browser other than Firefox",
            ),
            ("Firefox/", "a browser other than Firefox"),
            ("", "a browser other than Firefox"),
        ] {
            assert_eq!(Browser::from_user_agent(text).to_string(), name, "{text}");
        }
    }
}
