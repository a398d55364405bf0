//! Which other processes are alive: those whose beat changes. Only this process's own steady clock is looked at.

use std::collections::HashMap;

use crate::register::shared::ProcessRow;

/// How long a process counts as alive after its beat changed or its row was first seen, in milliseconds.
const ALIVE: i64 = 5000;
/// When the row of a process is removed whose beat does not change.
const GONE: i64 = 60_000;

/// The other processes on the register.
#[derive(Debug, Default)]
pub(super) struct Peers(HashMap<String, Peer>);

/// Another process.
#[derive(Debug)]
struct Peer {
    beat: i64,
    changed_at: i64,
    /// Whether its beat has changed since its row was first seen: the row is no remainder of a process that crashed.
    is_proven: bool,
    /// The last row of counts that it wrote, and the last one that was read.
    seq: i64,
    read: i64,
}

impl Peers {
    /// Looks at the rows of the other processes.
    pub(super) fn observe<'a>(&mut self, rows: impl Iterator<Item = &'a ProcessRow> + Clone, now: i64) {
        self.0.retain(|id, _| rows.clone().any(|row| row.id == *id));
        for row in rows {
            let new = Peer {
                beat: row.beat,
                changed_at: now,
                is_proven: false,
                seq: row.seq,
                read: 0,
            };
            let peer = self.0.entry(row.id.clone()).or_insert(new);
            peer.seq = row.seq;
            if peer.beat != row.beat {
                (peer.beat, peer.changed_at, peer.is_proven) = (row.beat, now, true);
            }
        }
    }

    /// Whether one of them may be alive.
    pub(super) fn are_alive(&self, now: i64) -> bool {
        self.0.values().any(|peer| now - peer.changed_at < ALIVE)
    }

    /// Whether one of them was seen to do something within this time.
    pub(super) fn are_proven(&self, now: i64) -> bool {
        let mut alive = self.0.values().filter(|peer| now - peer.changed_at < ALIVE);
        alive.any(|peer| peer.is_proven)
    }

    /// Those that ended without taking their row away.
    pub(super) fn gone(&self, now: i64) -> Vec<String> {
        let gone = self.0.iter().filter(|(_, peer)| now - peer.changed_at >= GONE);
        gone.map(|(id, _)| id.clone()).collect()
    }

    /// Those that have counted something that was not read, and the last row of each that was.
    pub(super) fn unread(&self) -> Vec<(String, i64)> {
        let unread = self.0.iter().filter(|(_, peer)| peer.seq > peer.read);
        unread.map(|(id, peer)| (id.clone(), peer.read)).collect()
    }

    /// Notes that a row was read.
    pub(super) fn set_read(&mut self, id: &str, seq: i64) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.read = peer.read.max(seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, beat: i64, seq: i64) -> ProcessRow {
        ProcessRow {
            id: id.to_owned(),
            beat,
            seq,
        }
    }

    #[test]
    fn a_process_is_alive_while_its_beat_changes() {
        let mut peers = Peers::default();
        let mut see = |beat, now| {
            peers.observe([row("a", beat, 0)].iter(), now);
            (peers.are_alive(now), peers.are_proven(now))
        };
        assert_eq!(see(7, 0), (true, false), "it may be");
        assert_eq!(see(7, 4999), (true, false));
        assert_eq!(see(7, 5000), (false, false));
        assert_eq!(see(8, 6000), (true, true));
        assert_eq!(see(8, 11_000), (false, false));
        // A process that begins anew may count from one.
        assert_eq!(see(1, 12_000), (true, true));
        assert!(peers.gone(71_999).is_empty());
        assert_eq!(peers.gone(72_000), ["a"]);
        peers.observe([].iter(), 72_001);
        assert!(peers.gone(i64::MAX).is_empty() && !peers.are_alive(72_001));
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        let mut peers = Peers::default();
        peers.observe([row("a", 1, 3), row("b", 1, 0)].iter(), 0);
        assert_eq!(peers.unread(), [("a".to_owned(), 0)]);
        peers.set_read("a", 3);
        assert!(peers.unread().is_empty());
        peers.observe([row("a", 2, 4)].iter(), 1);
        assert_eq!(peers.unread(), [("a".to_owned(), 3)]);
    }
}
