//! Calls of cargo: in the root of the checkout, with one target folder in the user's cache.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root")
        .to_path_buf()
}

/// Where builds go: `CARGO_TARGET_DIR`, else a folder in the user's cache that all checkouts share.
pub fn target_dir() -> PathBuf {
    target_dir_from(
        variable("CARGO_TARGET_DIR"),
        variable("XDG_CACHE_HOME"),
        variable("HOME"),
    )
}

fn target_dir_from(target: Option<OsString>, cache: Option<OsString>, home: Option<OsString>) -> PathBuf {
    let cache = cache
        .map(PathBuf::from)
        .or_else(|| home.map(|home| PathBuf::from(home).join(".cache")));
    match (target, cache) {
        (Some(target), _) => target.into(),
        (None, Some(cache)) => cache.join("foxden").join("target"),
        (None, None) => root().join("target"),
    }
}

/// A variable of the environment, if it is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "automation is told where caches lie by the environment"
)]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// What cargo tells the program that it runs of its package. The build script of `ring` asks for these, so a cargo that had them would
/// build it, and nearly everything after it, again.
const OF_THIS_PACKAGE: [&str; 8] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// A call of cargo.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target_dir());
    for name in OF_THIS_PACKAGE {
        command.env_remove(name);
    }
    command
}

/// Runs a command; its failure is an error.
pub fn must(command: &mut Command) -> Result<()> {
    if !passes(command)? {
        bail!("{command:?} failed");
    }
    Ok(())
}

/// Runs a command and returns whether it succeeded.
pub fn passes(command: &mut Command) -> Result<bool> {
    match command.status() {
        Ok(status) => Ok(status.success()),
        Err(error) => bail!("{command:?} cannot be started: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_go_to_the_users_cache_unless_told_otherwise() {
        let some = |text: &str| Some(OsString::from(text));
        assert_eq!(
            target_dir_from(some("/t"), some("/c"), some("/h")),
            Path::new("/t")
        );
        assert_eq!(
            target_dir_from(None, some("/c"), some("/h")),
            Path::new("/c/foxden/target")
        );
        assert_eq!(
            target_dir_from(None, None, some("/h")),
            Path::new("/h/.cache/foxden/target")
        );
        assert_eq!(target_dir_from(None, None, None), root().join("target"));
    }
}
