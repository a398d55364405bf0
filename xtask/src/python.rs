//! Python libraries that only the tests need, in a virtual environment in the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::cargo::{passes, root, target_dir};
use crate::packages::VENV;

/// PyFxA and its dependencies, each with its version.
const PYFXA: &str = "crates/foxden-server/tests/process/pyfxa/requirements.txt";
/// Debian's own interpreter first: its packages contain the module for environments.
const INTERPRETERS: [&str; 2] = ["/usr/bin/python3", "python3"];
/// The file that lists the installed libraries.
const STAMP: &str = "installed.txt";

/// The interpreter with PyFxA. The inner `Err` tells how to install it by hand.
pub fn pyfxa() -> Result<Result<PathBuf, String>> {
    let wanted = fs::read_to_string(root().join(PYFXA))?;
    let folder = target_dir().join("pyfxa");
    let python = folder.join("bin/python");
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && knows(&python, "import fxa") {
        return Ok(Ok(python));
    }
    let Some(interpreter) = interpreter()? else {
        return Ok(Err(VENV.what_to_do()));
    };
    println!("installing PyFxA into {}", folder.display());
    let mut make = Command::new(interpreter);
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    let mut install = Command::new(&python);
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(["--no-deps", "--only-binary=:all:", "--requirement"])
        .arg(root().join(PYFXA));
    if !passes(make.stdin(Stdio::null()))? || !passes(install.stdin(Stdio::null()))? {
        return Ok(Err(format!("pip could not install {PYFXA}; it says above why")));
    }
    fs::write(stamp, wanted)?;
    Ok(Ok(python))
}

/// An interpreter that can create environments; it is installed if there is none.
fn interpreter() -> Result<Option<&'static str>> {
    let find = || {
        let mut able = INTERPRETERS.into_iter();
        able.find(|python| knows(Path::new(python), "import ensurepip, venv"))
    };
    if let Some(found) = find() {
        return Ok(Some(found));
    }
    VENV.install()?;
    Ok(find())
}

/// Returns whether the interpreter exists and can create environments.
fn knows(python: &Path, import: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", import]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
