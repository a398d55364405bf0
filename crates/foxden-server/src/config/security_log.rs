//! `[security_log]`: the target of the security log.

use std::path::PathBuf;

use super::ConfigError;
use super::setting::{Kind, Section, Setting};
use super::values::Values;

/// The settings of the security log.
pub const SECTION: Section = Section {
    title: "[security_log]",
    about: "Failed log-ins, accounts created and deleted, passwords changed, tokens refused, commands of the operator: one \
            line of CEF for each. `docs/security-log.md` lists them. The lines contain names and addresses.",
    settings: &[Setting {
        key: "security_log.target",
        kind: Kind::Text,
        default: "none",
        help: "The target of the lines: `none`, `stdout`, a file (`file:/var/log/foxden/security.log`, created again after a \
               rotation), this machine's syslog (`syslog`, or `syslog:/path/of/its/socket`), or a remote syslog \
               (`syslog:udp://host:514`).",
    }],
};

/// Where the syslog of a machine listens.
const SYSLOG: &str = "/dev/log";
const WRONG: &str = "one of none, stdout, file:/path, syslog, syslog:/path, syslog:udp://host:port is needed";

/// The settings of the security log.
#[derive(Clone, Debug)]
pub struct SecurityLog {
    /// Where to.
    pub sink: Sink,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Nowhere.
    Nowhere,
    /// Standard output.
    Stdout,
    /// This file.
    File(PathBuf),
    /// The syslog that listens on this socket.
    Local(PathBuf),
    /// The syslog at this host and port.
    Udp(String),
}

impl SecurityLog {
    /// Reads the settings.
    pub fn read(values: &Values) -> Result<Self, ConfigError> {
        let target = values.text("security_log.target")?.unwrap_or_default();
        let sink = sink(&target).ok_or_else(|| values.wrong("security_log.target", WRONG))?;
        Ok(Self { sink })
    }
}

fn sink(target: &str) -> Option<Sink> {
    let (kind, rest) = target.split_once(':').unwrap_or((target, ""));
    match (kind, rest) {
        ("none", "") => Some(Sink::Nowhere),
        ("stdout", "") => Some(Sink::Stdout),
        ("file", path) => absolute(path).map(Sink::File),
        ("syslog", "") => Some(Sink::Local(SYSLOG.into())),
        ("syslog", rest) => match rest.strip_prefix("udp://") {
            Some(to) => is_host_and_port(to).then(|| Sink::Udp(to.to_owned())),
            None => absolute(rest).map(Sink::Local),
        },
        _ => None,
    }
}

/// The working folder of a server is not chosen by its operator, so a path begins at the root.
fn absolute(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    path.is_absolute().then_some(path)
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_bare_v6 = host.contains(':') && !host.starts_with('[');
        !host.is_empty()
            && !is_bare_v6
            && !host.contains('/')
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_target_is_read() {
        for (target, expected) in [
            ("none", Sink::Nowhere),
            ("stdout", Sink::Stdout),
            ("file:/var/log/a b", Sink::File("/var/log/a b".into())),
            ("syslog", Sink::Local("/dev/log".into())),
            ("syslog:/run/log", Sink::Local("/run/log".into())),
            ("syslog:udp://[::1]:514", Sink::Udp("[::1]:514".into())),
            (
                "syslog:udp://log.example.org:514",
                Sink::Udp("log.example.org:514".into()),
            ),
        ] {
            assert_eq!(sink(target), Some(expected), "{target}");
        }
        for target in [
            "",
            "None",
            "stdout:x",
            "file:",
            "file:log",
            "syslog:log",
            "syslog:udp://host",
            "syslog:udp://:514",
            "syslog:udp://host:0",
            "syslog:udp://::1:514",
            "syslog:tcp://host:514",
        ] {
            assert_eq!(sink(target), None, "{target}");
        }
    }
}
