//! The `foxden-load` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    foxden_load::main(std::env::args_os())
}
