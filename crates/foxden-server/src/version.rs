//! Name and version of this program.

use foxden_http::ops::Version;

/// Name, number and origin, as far as the build knew them.
pub const VERSION: Version = Version {
    source: env!("CARGO_PKG_REPOSITORY"),
    version: env!("CARGO_PKG_VERSION"),
    commit: match option_env!("FOXDEN_COMMIT") {
        Some(commit) => commit,
        None => "",
    },
    build: match option_env!("FOXDEN_BUILD") {
        Some(build) => build,
        None => "",
    },
};

/// `foxden 1.2.3 (abcdef0)`
pub fn line() -> String {
    let Version { version, commit, .. } = VERSION;
    if commit.is_empty() {
        format!("foxden {version}")
    } else {
        format!("foxden {version} ({commit})")
    }
}
