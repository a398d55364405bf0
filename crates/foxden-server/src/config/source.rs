//! The three sources, in the order in which the later wins: the file, the environment, the flags.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::schema::SCHEMA;
use super::values::{Fault, Origin, Values};
use super::{ConfigError, environment};

/// Where the file is when none is named.
pub const USUAL_FILE: &str = "/etc/foxden/foxden.toml";

/// The settings that flags can set.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Read this configuration file [default: `FOXDEN_CONFIG`, else /etc/foxden/foxden.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen on this address and port, or on a Unix socket: `unix:/run/foxden/http.sock`
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// The address under which browsers reach this server, such as `https://sync.example.org`
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// Keep data in this folder [default: foxden-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Serve only these surfaces: sync,token,user,fxa,pages,ops
    #[arg(long, global = true, value_name = "LIST")]
    pub surfaces: Option<String>,
    /// Log this much: off, error, warn, info, debug
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<String>,
}

/// Collects the settings of the file, the environment and the flags.
pub fn gather(flags: &Flags) -> Result<Values, ConfigError> {
    let mut values = Values::new(SCHEMA);
    match flags.config.clone().or_else(environment::config_file) {
        Some(path) => add_file(&mut values, &path, &read(&path)?)?,
        None => match fs::read_to_string(USUAL_FILE) {
            Ok(text) => add_file(&mut values, Path::new(USUAL_FILE), &text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => {
                let path = PathBuf::from(USUAL_FILE);
                return Err(ConfigError::Unreadable { path, source });
            }
        },
    }
    add_environment(&mut values, environment::settings());
    add_flags(&mut values, flags);
    values.check_names()?;
    Ok(values)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Adds the settings of a file.
pub fn add_file(values: &mut Values, path: &Path, text: &str) -> Result<(), ConfigError> {
    let table: toml::Table = text.parse().map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        source,
    })?;
    add_table(values, &Origin::File(path.to_owned()), "", &table);
    Ok(())
}

fn add_table(values: &mut Values, origin: &Origin, above: &str, table: &toml::Table) {
    for (name, value) in table {
        let key = format!("{above}{name}");
        match value {
            toml::Value::Table(table) => add_table(values, origin, &format!("{key}."), table),
            toml::Value::Array(members) if members.iter().any(toml::Value::is_table) => {
                for (number, member) in members.iter().enumerate() {
                    let key = format!("{key}.{number}");
                    match member.as_table() {
                        Some(table) => add_table(values, origin, &format!("{key}."), table),
                        // No setting has such a key, so that `check_names` refuses it.
                        None => values.set(&key, vec![scalar(member)], origin.clone()),
                    }
                }
            }
            toml::Value::Array(members) => {
                let texts = members.iter().map(scalar).collect();
                values.set(&key, texts, origin.clone());
            }
            toml::Value::String(text) => values.set(&key, vec![text.clone()], origin.clone()),
            _ if values.is_text(&key) => values.refuse(&key, origin.clone(), Fault::Unquoted),
            _ => values.set(&key, vec![scalar(value)], origin.clone()),
        }
    }
}

fn scalar(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Adds the settings of the environment: `FOXDEN__STORAGE__QUOTA` sets `storage.quota`.
pub fn add_environment(values: &mut Values, variables: impl IntoIterator<Item = (String, String)>) {
    for (name, value) in variables {
        if let Some(rest) = name.strip_prefix(environment::PREFIX) {
            let key = rest.to_ascii_lowercase().replace("__", ".");
            values.set(&key, vec![value], Origin::Environment(name));
        } else if let Some(meant) = misspelt(&name) {
            values.refuse(&name, Origin::Environment(name.clone()), Fault::Variable(meant));
        }
    }
}

/// The variable of a setting that was meant by one with too few underscores.
fn misspelt(name: &str) -> Option<String> {
    let rest = name.strip_prefix(environment::SHORT_PREFIX)?;
    let flat = rest.to_ascii_lowercase().replace("__", "_");
    let setting = SCHEMA
        .all()
        .find(|setting| setting.key.replace('.', "_") == flat)?;
    let meant = setting.key.to_ascii_uppercase().replace('.', "__");
    Some(format!("{}{meant}", environment::PREFIX))
}

/// Adds the settings of the flags. `--listen` replaces every listener by one.
pub fn add_flags(values: &mut Values, flags: &Flags) {
    if let Some(listen) = &flags.listen {
        let others: Vec<String> = values
            .keys_below("listener.")
            .filter(|key| !key.starts_with("listener.0."))
            .map(str::to_owned)
            .collect();
        for key in others {
            values.forget(&key);
        }
        values.set("listener.0.bind", vec![listen.clone()], Origin::Flag("--listen"));
    }
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    for (key, flag, value) in [
        ("public_url", "--public-url", flags.public_url.clone()),
        ("data_dir", "--data-dir", flags.data_dir.as_ref().map(path)),
        ("listener.0.surfaces", "--surfaces", flags.surfaces.clone()),
        ("log.level", "--log", flags.log.clone()),
    ] {
        if let Some(value) = value {
            values.set(key, vec![value], Origin::Flag(flag));
        }
    }
}
