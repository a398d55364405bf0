//! The `foxden` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    foxden_server::run()
}
