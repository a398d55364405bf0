//! Python libraries that only the tests need: in a virtual environment of their own, beside the builds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::cargo::{passes, root, target_dir};
use crate::packages::VENV;

/// What PyFxA is made of, each library in one version.
const PYFXA: &str = "crates/foxden-server/tests/process/pyfxa/requirements.txt";
/// Debian's own interpreter first: its packages bring the module that makes environments.
const INTERPRETERS: [&str; 2] = ["/usr/bin/python3", "python3"];
/// The file that says what was installed.
const STAMP: &str = "installed.txt";

/// The interpreter that has PyFxA. `Err(text)` inside says what a person has to do.
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

/// An interpreter that can make environments, installed where there is none.
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

/// Whether the interpreter is there and can do that.
fn knows(python: &Path, import: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", import]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
