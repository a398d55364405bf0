//! Records whether clients of other machines have reached this server; until then it is private.
//!
//! A server that listens on loopback alone begins as a private one: people at its machine make accounts without an
//! invitation. The first [`RemoteEvidence`] of a client elsewhere makes it public for good: such a client could send its next request
//! without evidence. A file in the data folder, the mark, preserves that across restarts; `foxden private` removes it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use foxden_accounts::security::{EntryPoint, Event, EventKind, SecurityEvents};
use foxden_http::wire::{RemoteEvidence, Site};
use foxden_model::Clock;
use serde::{Deserialize, Serialize};

use crate::calendar::Utc;
use crate::data;

/// Whether clients of other machines have reached this server.
pub struct Exposure {
    /// Whether it listens on loopback alone: any other server is public anyway.
    is_loopback: bool,
    /// Whether there is no evidence of such clients.
    is_private: AtomicBool,
    mark: Mutex<Option<Mark>>,
    file: PathBuf,
    clock: Arc<dyn Clock>,
    security_events: SecurityEvents,
}

/// Since when a server that was private counts as public, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Milliseconds since 1970.
    pub since: i64,
    /// The first evidence.
    pub why: String,
}

/// Why a server stays public.
#[derive(Debug, thiserror::Error)]
pub enum MakePrivateError {
    /// It has a public address, or listens for other machines.
    #[error("this server is public by its configuration")]
    PublicByConfiguration,
    /// The mark cannot be removed.
    #[error("cannot remove {}", file.display())]
    Remove {
        /// The file of the mark.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// An explanation at the top of the file.
const ABOUT: &str = "# This server was private: people at its machine made accounts without an invitation. Then it was reached from elsewhere,\n\
                     # and counts as public. The command `foxden private` takes that back.\n";

impl Exposure {
    /// Reads the mark from the data folder.
    pub fn open(
        site: &Site,
        file: PathBuf,
        clock: Arc<dyn Clock>,
        security_events: SecurityEvents,
    ) -> anyhow::Result<Self> {
        let mark = read(&file)?;
        Ok(Self {
            is_loopback: site.is_loopback,
            is_private: AtomicBool::new(site.is_loopback && mark.is_none()),
            mark: Mutex::new(mark),
            file,
            clock,
            security_events,
        })
    }

    /// Whether only people at this machine have been seen to reach this server.
    pub fn is_private(&self) -> bool {
        self.is_private.load(Ordering::Acquire)
    }

    /// Since when a server that listens on loopback alone counts as public, and why; `None` where it is private, or public
    /// by its configuration.
    pub fn mark(&self) -> Option<Mark> {
        self.lock().clone().filter(|_| self.is_loopback)
    }

    /// Makes the server public. When this returns, the first evidence is on disk; later evidence is ignored.
    pub fn observe(&self, evidence: &RemoteEvidence) {
        if !self.is_private() {
            return;
        }
        let mut mark = self.lock();
        if !self.is_private.swap(false, Ordering::AcqRel) {
            return;
        }
        let (since, why) = (self.clock.millis(), evidence.to_string());
        let new = Mark { since, why };
        if let Err(error) = new.write(&self.file) {
            tracing::error!(
                "{} cannot be written, so this server is private again after a restart: {error:#}",
                self.file.display()
            );
        }
        tracing::warn!("{}", new.explain());
        let event = Event::new(EventKind::BecamePublic, EntryPoint::Listener, None);
        self.security_events.emit(&event.with_reason(&new.why));
        *mark = Some(new);
    }

    /// Makes the server private again. Returns the evidence that had made it public.
    pub fn make_private(&self) -> Result<Option<Mark>, MakePrivateError> {
        if !self.is_loopback {
            return Err(MakePrivateError::PublicByConfiguration);
        }
        let mut mark = self.lock();
        data::remove(&self.file).map_err(|source| MakePrivateError::Remove {
            file: self.file.clone(),
            source,
        })?;
        let taken = mark.take();
        self.is_private.store(true, Ordering::Release);
        Ok(taken)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Mark>> {
        self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mark {
    /// Explains the mark, for the log and for commands.
    pub fn explain(&self) -> String {
        format!(
            "this server counts as public, and new accounts need an invitation (foxden invite), since {}: {}. If others are to \
             come here, set public_url. If not, find out what led here, then take it back with: foxden private",
            Utc(self.since),
            self.why
        )
    }

    fn write(&self, file: &std::path::Path) -> anyhow::Result<()> {
        let text = format!("{ABOUT}{}", toml::to_string(self)?);
        Ok(data::write_whole(file, &text)?)
    }
}

/// Reads the mark, if there is one. A file that cannot be parsed counts as a mark.
fn read(file: &std::path::Path) -> anyhow::Result<Option<Mark>> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let mark = toml::from_slice(&text).unwrap_or_else(|_| Mark {
        since: 0,
        why: format!("the file {} says no more", file.display()),
    });
    Ok(Some(mark))
}

#[cfg(test)]
pub mod tests {
    use std::fs::File;

    use foxden_model::ManualClock;

    use super::*;

    /// A folder that is removed after its test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("foxden-reach-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn open(&self, is_loopback: bool) -> Exposure {
            open(is_loopback, self.0.join("public"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Opens the exposure of a server whose mark is that file.
    pub fn open(is_loopback: bool, file: PathBuf) -> Exposure {
        let site = Site {
            public_url: "http://127.0.0.1:5000".parse().unwrap(),
            is_loopback,
            other_hosts: Vec::new(),
        };
        let clock = Arc::new(ManualClock::at_millis(1_763_690_000_000));
        Exposure::open(&site, file, clock, SecurityEvents::default()).unwrap()
    }

    #[test]
    fn the_mark_survives_restarts_until_it_is_removed() {
        let folder = Folder::new("holds");
        let exposure = folder.open(true);
        assert!(exposure.is_private() && exposure.mark().is_none());
        exposure.observe(&RemoteEvidence::OldHttp);
        exposure.observe(&RemoteEvidence::Host("later.example.org".into()));
        for exposure in [exposure, folder.open(true)] {
            assert!(!exposure.is_private());
            let mark = exposure.mark().unwrap();
            assert_eq!(mark.since, 1_763_690_000_000);
            assert!(mark.why.contains("HTTP/1.0"), "{mark:?}");
        }
        let exposure = folder.open(true);
        assert!(exposure.make_private().unwrap().is_some());
        assert!(exposure.is_private() && exposure.mark().is_none());
        assert!(folder.open(true).is_private());
        assert!(
            exposure.make_private().unwrap().is_none(),
            "there is no mark any more"
        );
        exposure.observe(&RemoteEvidence::UnixSocket);
        assert!(
            !folder.open(true).is_private(),
            "new evidence makes it public again"
        );
    }

    #[test]
    fn a_damaged_mark_counts() {
        let folder = Folder::new("damaged");
        for text in [&b""[..], b"\xff", b"since = \"then\""] {
            fs::write(folder.0.join("public"), text).unwrap();
            let exposure = folder.open(true);
            assert!(!exposure.is_private() && exposure.mark().is_some());
        }
    }

    #[test]
    fn a_server_on_other_addresses_is_public_without_a_mark() {
        let folder = Folder::new("others");
        let exposure = folder.open(false);
        exposure.observe(&RemoteEvidence::OldHttp);
        assert!(!exposure.is_private() && exposure.mark().is_none());
        assert!(exposure.make_private().is_err());
        assert!(File::open(folder.0.join("public")).is_err());
    }

    /// If the mark cannot be written, the evidence counts until the process ends.
    #[test]
    fn evidence_counts_even_if_the_mark_cannot_be_written() {
        let exposure = open(true, "/proc/foxden/public".into());
        exposure.observe(&RemoteEvidence::OldHttp);
        assert!(!exposure.is_private() && exposure.mark().is_some());
    }
}
