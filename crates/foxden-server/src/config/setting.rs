//! A setting. All settings are in one table, which the reader, `config print` and the documents share.

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the file: section and name, joined by a dot. `listener.N` stands for each listener.
    pub key: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The default, as it would be written; empty if the server computes it.
    pub default: &'static str,
    /// Its description, in whole sentences.
    pub help: &'static str,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A URL, whose password is never shown.
    Url,
    /// Several texts; in the environment and in flags, with commas between.
    List,
    /// A number of bytes.
    Size,
    /// A span of time.
    Time,
    /// A whole number.
    Count,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text that is never shown; it can also be read from the file that `<key>_file` names.
    Secret,
}

/// One section of the file.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its heading in the documents.
    pub title: &'static str,
    /// An introduction.
    pub about: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
}

/// Sections, in the order in which they are shown.
#[derive(Clone, Copy, Debug)]
pub struct Schema(pub &'static [Section]);

/// Settings that had another name: the old one, the new one, and how that is written.
pub const RENAMED: &[(&str, &str, &str)] = &[
    (
        "tokens.node",
        "tokens.nodes",
        "it is a list, as there may be several: nodes = [\"https://node1.example.org\"]",
    ),
    (
        "storage.files",
        "storage.url",
        "the number of files is an option of the URL: url = \"sqlite:?shards=4\"",
    ),
    ("storage.rests", "storage.maintenance", SAME),
    ("storage.compress", "storage.compression", SAME),
    ("storage.strict_nodes", "storage.verify_token_node", SAME),
    ("http.stop_timeout", "http.shutdown_timeout", SAME),
    ("key_exchange.channels", "key_exchange.max_channels", SAME),
    ("key_exchange.life", "key_exchange.channel_ttl", SAME),
    ("tokens.new_users", "tokens.accept_new_users", SAME),
];

/// How a setting is written of which only the name is another one.
const SAME: &str = "it means the same";

impl Schema {
    /// Every setting, in the order in which it is shown.
    pub fn all(self) -> impl Iterator<Item = &'static Setting> {
        self.0.iter().flat_map(|section| section.settings)
    }

    /// The setting that a key names, and whether it names the file of a secret.
    pub fn find(self, key: &str) -> Option<(&'static Setting, bool)> {
        let key = general(key);
        self.all().find_map(|setting| {
            if setting.key == key {
                return Some((setting, false));
            }
            let file = setting.kind == Kind::Secret && key.strip_suffix("_file") == Some(setting.key);
            file.then_some((setting, true))
        })
    }
}

/// A key with the number of its listener replaced by the `N` of the table.
pub fn general(key: &str) -> String {
    let parts = key.split('.').enumerate().map(|(at, part)| {
        let is_number = at == 1 && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if is_number { "N" } else { part }
    });
    parts.collect::<Vec<_>>().join(".")
}
