//! What counts depend on beside the code: the compilers, valgrind, the C library, and the processor that code is chosen for.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::variable;

/// All of them, in one text.
pub fn names() -> Result<String> {
    let rustc = variable("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = first_line(Command::new(rustc).arg("--version"))?;
    let rustc: Vec<&str> = rustc.split(' ').take(2).collect();
    let cc = c_compiler()?;
    let valgrind = first_line(Command::new("valgrind").arg("--version"))?;
    let libc = first_line(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    let valgrind = valgrind.replace('-', " ");
    Ok([&rustc.join(" "), &cc, &valgrind, &libc, processor()].join(", "))
}

/// The name and version of the C compiler, which compiles SQLite.
fn c_compiler() -> Result<String> {
    let variable = variable("CC").unwrap_or_else(|| "cc".into());
    let variable = variable.to_string_lossy();
    let mut words = variable.split_whitespace();
    let program = words.next().context("CC names no program")?;
    let line = first_line(Command::new(program).args(words).arg("--version"))?;
    Ok(shortened(&line))
}

/// The name and version in what a C compiler says of itself: `cc (Debian 12.2.0-14) 12.2.0` or `Debian clang version 14.0.6`.
fn shortened(line: &str) -> String {
    let version_after = |mark| {
        let (_, rest) = line.split_once(mark)?;
        rest.split(' ').next()
    };
    // GCC writes the name under which it is called, and in brackets who has built it.
    let gcc = || version_after(") ").map(|version| format!("gcc {version}"));
    let clang = version_after("clang version ").map(|version| format!("clang {version}"));
    clang.or_else(gcc).unwrap_or_else(|| line.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_compilers_are_named_by_their_kind_and_version() {
        for (line, short) in [
            ("cc (Debian 12.2.0-14+deb12u1) 12.2.0", "gcc 12.2.0"),
            ("gcc (GCC) 11.4.1 20230605 (Red Hat 11.4.1-2)", "gcc 11.4.1"),
            ("Debian clang version 14.0.6", "clang 14.0.6"),
            (
                "Apple clang version 15.0.0 (clang-1500.3.9.4) (x)",
                "clang 15.0.0",
            ),
            ("another 1.0", "another 1.0"),
        ] {
            assert_eq!(shortened(line), short);
        }
    }
}
