//! All of Foxden's automation, run as `cargo xtask <command>`.

fn main() {}
