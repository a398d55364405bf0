//! What counts depend on beside the code: the compiler, valgrind, the C library, and the processor that code is chosen for.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::variable;

/// All of them, in one text.
pub fn names() -> Result<String> {
    let rustc = variable("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = first_line(Command::new(rustc).arg("--version"))?;
    let rustc: Vec<&str> = rustc.split(' ').take(2).collect();
    let valgrind = first_line(Command::new("valgrind").arg("--version"))?;
    let libc = first_line(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    Ok([&rustc.join(" "), &valgrind.replace('-', " "), &libc, processor()].join(", "))
}

/// The kind of processor. Valgrind offers programs no newer extension than AVX2.
fn processor() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return "x86_64 with AVX2";
    }
    std::env::consts::ARCH
}

fn first_line(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} cannot be started"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if output.status.success() => Ok(line.trim().to_owned()),
        _ => bail!("{command:?} prints nothing"),
    }
}
