//! The values of settings, their sources, and how they are read.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::setting::{Kind, Schema};
use super::{ConfigError, measure};

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// This variable of the environment.
    Environment(String),
    /// This flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for code that signs with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// One text, or the members of a list.
    pub texts: Vec<String>,
    /// The source.
    pub origin: Origin,
}

/// Values by the keys of the schema. The later source wins.
#[derive(Clone, Debug)]
pub struct Values {
    schema: Schema,
    set: BTreeMap<String, Value>,
    faults: Vec<(String, Origin, Fault)>,
}

/// Why a name or a value of a source is refused before settings are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No setting has that name.
    UnknownKey,
    /// A text is needed, and something else was written, such as a number.
    Unquoted,
    /// The variable lacks underscores; this one was meant.
    Variable(String),
}

impl Values {
    /// Nothing set yet of all that this schema knows.
    pub const fn new(schema: Schema) -> Self {
        Self {
            schema,
            set: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    /// Sets a value, in place of that of an earlier source. [`Values::check_names`] reports a key that does not exist.
    pub fn set(&mut self, key: &str, texts: Vec<String>, origin: Origin) {
        let Some((setting, is_file)) = self.schema.find(key) else {
            self.refuse(key, origin, Fault::UnknownKey);
            return;
        };
        // A secret and its file are two spellings of one value: the later source replaces both.
        if setting.kind == Kind::Secret {
            let other = if is_file {
                key.trim_end_matches("_file").to_owned()
            } else {
                format!("{key}_file")
            };
            self.set.remove(&other);
        }
        self.set.insert(key.to_owned(), Value { texts, origin });
    }

    /// Refuses what a source says of this key; [`Values::check_names`] reports it.
    pub fn refuse(&mut self, key: &str, origin: Origin, fault: Fault) {
        self.faults.push((key.to_owned(), origin, fault));
    }

    /// Returns whether this key names a text.
    pub fn is_text(&self, key: &str) -> bool {
        let found = self.schema.find(key);
        found.is_some_and(|(setting, _)| matches!(setting.kind, Kind::Text | Kind::Url | Kind::Secret))
    }

    /// Fails if a source sets a key that does not exist or is no text where one is needed, and names all of these keys.
    pub fn check_names(&self) -> Result<(), ConfigError> {
        let errors = self.faults.iter();
        let mut errors: Vec<ConfigError> = errors
            .map(|(key, origin, fault)| ConfigError::of_fault(key, origin, fault))
            .collect();
        match errors.pop() {
            None => Ok(()),
            Some(only) if errors.is_empty() => Err(only),
            Some(last) => {
                errors.push(last);
                Err(ConfigError::Several(errors))
            }
        }
    }

    /// Removes all values below this key.
    pub fn forget(&mut self, prefix: &str) {
        self.set.retain(|key, _| !key.starts_with(prefix));
    }

    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.set.get(key)
    }

    /// The keys with a value below this one.
    pub fn keys_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.set
            .keys()
            .map(String::as_str)
            .filter(move |key| key.starts_with(prefix))
    }

    /// A text, where one was set.
    pub fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        self.parsed(key, |text| Ok::<_, &str>(text.to_owned()))
    }

    /// A number of bytes.
    pub fn size(&self, key: &str) -> Result<u64, ConfigError> {
        self.needed(key, measure::size)
    }

    /// A number of bytes, or `None` where the word `none` stands.
    pub fn size_or_none(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        self.needed(key, |text| match text {
            "none" => Ok(None),
            _ => measure::size(text).map(Some),
        })
    }

    /// A span of time.
    pub fn time(&self, key: &str) -> Result<Duration, ConfigError> {
        self.needed(key, measure::time)
    }

    /// A span of time, or `None` where the word `none` stands.
    pub fn time_or_none(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        self.needed(key, |text| match text {
            "none" => Ok(None),
            _ => measure::time(text).map(Some),
        })
    }

    /// A whole number of at least one.
    pub fn count(&self, key: &str) -> Result<u32, ConfigError> {
        const WRONG: &str = "a whole number above zero is needed";
        self.needed(key, |text| match text.parse() {
            Ok(0) | Err(_) => Err(WRONG),
            Ok(number) => Ok(number),
        })
    }

    /// Yes or no.
    pub fn switch(&self, key: &str) -> Result<bool, ConfigError> {
        self.needed(key, yes_or_no)
    }

    /// Yes or no, where either was said.
    pub fn switch_if_set(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.parsed(key, yes_or_no)
    }

    /// The meanings of the words in the table, in the words' order.
    pub fn choice<T: Copy>(&self, key: &str, meanings: &[T]) -> Result<Option<T>, ConfigError> {
        let Some((setting, _)) = self.schema.find(key) else {
            return Err(ConfigError::unknown_key(key, &Origin::Default));
        };
        let Kind::Choice(words) = setting.kind else {
            return Ok(None);
        };
        self.parsed(key, |text| {
            let at = words.iter().position(|word| *word == text);
            at.and_then(|at| meanings.get(at).copied())
                .ok_or_else(|| format!("one of {} is needed", words.join(", ")))
        })
    }

    /// The members of a list; those of the table where nothing was set.
    pub fn list(&self, key: &str) -> Vec<String> {
        let split = |text: &String| -> Vec<String> {
            let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
            members.map(str::to_owned).collect()
        };
        match self.get(key) {
            Some(value) => value.texts.iter().flat_map(split).collect(),
            None => self
                .schema
                .find(key)
                .map_or_else(Vec::new, |(setting, _)| split(&setting.default.to_owned())),
        }
    }

    /// A secret, from the setting or from its file; each line of it is one secret.
    pub fn secrets(&self, key: &str) -> Result<Vec<Secret>, ConfigError> {
        let texts = match (self.get(key), self.get(&format!("{key}_file"))) {
            (Some(value), _) => value.texts.join("\n"),
            (None, Some(value)) => self.read_secret(key, value)?,
            (None, None) => return Ok(Vec::new()),
        };
        let lines: Vec<String> = texts
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        if lines.iter().any(|line| line.len() < SHORTEST_SECRET) {
            return Err(self.wrong(key, "a secret of at least 16 characters is needed"));
        }
        Ok(lines.into_iter().map(Secret).collect())
    }

    /// A password of any form; surrounding spaces and line breaks are removed.
    pub fn password(&self, key: &str) -> Result<Option<Secret>, ConfigError> {
        let text = match (self.get(key), self.get(&format!("{key}_file"))) {
            (Some(value), _) => value.texts.concat(),
            (None, Some(value)) => self.read_secret(key, value)?,
            (None, None) => return Ok(None),
        };
        let text = text.trim();
        if text.is_empty() || text.contains(char::is_control) {
            return Err(self.wrong(key, "a password on one line is needed"));
        }
        Ok(Some(Secret(text.to_owned())))
    }

    /// Reads the file of a secret. An empty one is refused: a file is named to have a secret.
    fn read_secret(&self, key: &str, file: &Value) -> Result<String, ConfigError> {
        let path = file.texts.concat();
        let text = fs::read_to_string(&path)
            .map_err(|error| self.wrong(key, format!("cannot read {path}: {error}")))?;
        if text.trim().is_empty() {
            return Err(self.wrong(key, format!("{path} is empty; write the secret to it")));
        }
        Ok(text)
    }

    /// An error about the value of this key, or of the file that was named in its place.
    pub fn wrong(&self, key: &str, why: impl Into<String>) -> ConfigError {
        let from_file = format!("{key}_file");
        let (key, value) = match (self.get(key), self.get(&from_file)) {
            (None, Some(file)) => (from_file, Some(file)),
            (value, _) => (key.to_owned(), value),
        };
        ConfigError::BadValue {
            key,
            origin: value.map_or(Origin::Default, |value| value.origin.clone()),
            why: why.into(),
        }
    }

    fn needed<T, E: Into<String>>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        match self.parsed(key, &parse)? {
            Some(value) => Ok(value),
            None => Err(self.wrong(key, "it must be set")),
        }
    }

    fn parsed<T, E: Into<String>>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        let text = match self.get(key) {
            Some(value) => match value.texts.as_slice() {
                [text] => text.trim().to_owned(),
                _ => return Err(self.wrong(key, "a single value is needed, not a list")),
            },
            None => match self.schema.find(key) {
                Some((setting, _)) if !setting.default.is_empty() => setting.default.to_owned(),
                _ => return Ok(None),
            },
        };
        parse(&text).map(Some).map_err(|why| self.wrong(key, why))
    }
}

fn yes_or_no(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err("true or false is needed"),
    }
}

/// Fewer characters can be guessed.
pub const SHORTEST_SECRET: usize = 16;
