//! Secrets in files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use toml::Value;

/// The key of the secret in a server's files.
const KEY: &str = "master_secret";

/// The secret in the file of this option.
pub fn read(option: &str, path: &Path) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{option}: {} cannot be read", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    ensure!(!secret.is_empty(), "{option}: {} is empty", path.display());
    Ok(secret.to_owned())
}

/// The server's secret in the file of this option: its text, or `master_secret` where it is TOML with that. A file *.toml must
/// have it.
pub fn read_master(option: &str, path: &Path) -> Result<String> {
    let text = read(option, path)?;
    // A message of the parser would quote the secret.
    let value = text.parse::<toml::Table>().ok();
    match value.as_ref().and_then(|table| table.get(KEY)).and_then(newest) {
        Some(secret) => Ok(secret.to_owned()),
        None if path.extension().is_some_and(|extension| extension == "toml") => {
            bail!("{option}: {} has no {KEY}", path.display())
        }
        None => Ok(text),
    }
}

/// The first of several secrets, which are in a list or in lines.
fn newest(value: &Value) -> Option<&str> {
    let text = match value {
        Value::String(text) => text,
        Value::Array(list) => list.first()?.as_str()?,
        _ => return None,
    };
    text.lines().map(str::trim).find(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_own_file_has_the_secret_in_it() {
        let folder = std::env::temp_dir().join(format!("foxden-load-secret-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, text, secret) in [
            ("secret", "a secret\n", Some("a secret")),
            ("secret", "other = \"a\"", Some("other = \"a\"")),
            (
                "secrets.toml",
                "master_secret = \"one\"\nother = \"two\"\n",
                Some("one"),
            ),
            ("copy", "master_secret = \"one\"\n", Some("one")),
            ("foxden.toml", "master_secret = [\"new\", \"old\"]\n", Some("new")),
            (
                "foxden.toml",
                "master_secret = \"\"\"\nnew\nold\n\"\"\"\n",
                Some("new"),
            ),
            ("foxden.toml", "other = \"two\"\n", None),
            ("foxden.toml", "master_secret = \"one", None),
        ] {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            let read = read_master("--secret-file", &path);
            assert_eq!(read.as_ref().ok().map(String::as_str), secret, "{text}");
            if let Err(error) = read {
                let said = format!("{error:#}");
                assert!(
                    said.contains("has no master_secret") && !said.contains("one"),
                    "{said}"
                );
            }
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
