//! Browser and operating system from a `User-Agent`, as people know them.

/// A browser and its operating system.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Browser {
    /// Name and major version, such as `Firefox 153`; empty for an unknown browser.
    pub(super) name: String,
    /// The operating system.
    pub(super) system: Option<&'static str>,
}

/// Markers and the names that people know. The first marker found counts, so the specific ones come first.
const BROWSERS: [(&str, &str); 6] = [
    ("FxiOS/", "Firefox for iOS"),
    ("Firefox/", "Firefox"),
    ("Thunderbird/", "Thunderbird"),
    ("Edg/", "Edge"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

impl Browser {
    pub(super) fn read(text: &str) -> Self {
        let name = BROWSERS.iter().find_map(|(mark, name)| {
            let (_, rest) = text.split_once(mark)?;
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            Some(format!("{name} {}", &rest[..digits.min(4)]).trim_end().to_owned())
        });
        let system = SYSTEMS.iter().find(|(mark, _)| text.contains(mark));
        Self {
            name: name.unwrap_or_default(),
            system: system.map(|(_, name)| *name),
        }
    }

    /// Returns both in a few words, if either is known.
    pub(super) fn describe(&self) -> Option<String> {
        match (self.name.as_str(), self.system) {
            ("", None) => None,
            ("", Some(system)) => Some(system.to_owned()),
            (name, None) => Some(name.to_owned()),
            (name, Some(system)) => Some(format!("{name}, {system}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn browsers_are_known_by_their_names() {
        for (text, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
                Some("Firefox 153, Linux"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) FxiOS/150.1 Mobile",
                Some("Firefox for iOS 150, iOS"),
            ),
            ("Mozilla/5.0 (Windows NT 10.0) Firefox/", Some("Firefox, Windows")),
            ("curl/8.0", None),
            ("", None),
        ] {
            assert_eq!(Browser::read(text).describe().as_deref(), words, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(Firefox/|FxiOS/|Version/)?\\PC{0,40}") {
            prop_assert!(Browser::read(&text).name.len() < 32);
        }
    }
}
