//! Whether this server is private, as far as it has been seen.
//!
//! A server that listens on loopback alone begins as a private one: people at its machine make accounts without an
//! invitation. The first [`RemoteEvidence`] that others reach it makes it public for good, so that no stranger can choose a request
//! without evidence. A file in the data folder, the mark, carries that to later starts; `foxden private` takes it back.

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

/// Whether others have reached this server.
pub struct Exposure {
    /// Whether it listens on loopback alone: any other server is public anyway.
    is_loopback: bool,
    /// Whether nothing has shown that others reach it.
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
    /// As the data folder has it.
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

    /// Makes the server public. The first evidence is on the disk when this returns; those that follow cost nothing.
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
                "{} cannot be written, so this server takes itself for private again after a restart: {error:#}",
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
    /// What an operator reads in the log and from commands.
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

/// The mark, if there is one. One that cannot be understood is one all the same.
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

    /// A server's reach, kept in that file.
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
    fn a_sign_holds_through_restarts_until_it_is_taken_back() {
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
            "nothing is left to take back"
        );
        exposure.observe(&RemoteEvidence::UnixSocket);
        assert!(!folder.open(true).is_private(), "it may be seen again");
    }

    #[test]
    fn a_mark_that_cannot_be_read_is_one() {
        let folder = Folder::new("damaged");
        for text in [&b""[..], b"\xff", b"since = \"then\""] {
            fs::write(folder.0.join("public"), text).unwrap();
            let exposure = folder.open(true);
            assert!(!exposure.is_private() && exposure.mark().is_some());
        }
    }

    #[test]
    fn a_server_for_others_is_public_without_a_mark() {
        let folder = Folder::new("others");
        let exposure = folder.open(false);
        exposure.observe(&RemoteEvidence::OldHttp);
        assert!(!exposure.is_private() && exposure.mark().is_none());
        assert!(exposure.make_private().is_err());
        assert!(File::open(folder.0.join("public")).is_err());
    }

    /// Where the disk takes nothing the evidence counts at least as long as the process lives.
    #[test]
    fn a_sign_counts_although_it_cannot_be_written() {
        let exposure = open(true, "/proc/foxden/public".into());
        exposure.observe(&RemoteEvidence::OldHttp);
        assert!(!exposure.is_private() && exposure.mark().is_some());
    }
}
