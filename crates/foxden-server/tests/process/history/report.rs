//! What came of a history: a short account, and files with all of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use foxden_storage::conformance::history::{Call, Event};

use super::testbed::{Attempt, Span};

pub(super) struct Report<'a> {
    pub(super) name: &'a str,
    pub(super) seed: u64,
    pub(super) histories: &'a [Vec<Call>],
    pub(super) spans: &'a [Span],
    pub(super) attempts: &'a [Attempt],
    pub(super) faults: &'a [String],
}

/// What faults of one kind did.
#[derive(Default)]
struct FaultEffect {
    times: usize,
    nanos_alone: u64,
    /// The requests that were under way meanwhile to a program that was struck.
    met: usize,
    /// Those of them that were not served.
    refused: usize,
    /// How long the longest of them took.
    longest: u64,
}

/// The height of a client's lane in the picture, and its width for each second.
const LANE: usize = 12;
const SECOND: f64 = 40.0;

impl Report<'_> {
    fn calls(&self) -> impl Iterator<Item = &Call> {
        self.histories.iter().flatten()
    }

    fn count(&self, is_meant: impl Fn(&Event) -> bool) -> usize {
        self.calls().filter(|call| is_meant(&call.event)).count()
    }

    fn is_write(event: &Event) -> bool {
        matches!(event, Event::Wrote { .. } | Event::Deleted { .. })
    }

    /// Prints what happened, and what cannot be explained.
    pub(super) fn print(&self) {
        let reads = |event: &Event| {
            matches!(
                event,
                Event::Read { .. }
                    | Event::ReadObject { .. }
                    | Event::Counts { .. }
                    | Event::Usage { .. }
                    | Event::Summary { .. }
            )
        };
        let mut text = format!(
            "history of {}, seed {}: {} calls, {} acknowledged writes, {} of unknown outcome, {} refused by a guard, {} reads\n",
            self.name,
            self.seed,
            self.calls().count(),
            self.count(Self::is_write),
            self.count(|event| matches!(event, Event::Unknown { .. })),
            self.count(|event| matches!(event, Event::Refused { .. })),
            self.count(reads),
        );
        for (name, effect) in self.effects() {
            let _ = writeln!(
                text,
                "  {} × {name}: {} requests met it, {} of them were not served, the longest took {:.1} s",
                effect.times,
                effect.met,
                effect.refused,
                millis(effect.longest) / 1000.0,
            );
        }
        for fault in self.faults {
            let _ = writeln!(text, "NOT EXPLAINED: {fault}");
        }
        eprintln!("{text}");
    }

    /// What each kind of fault did to requests.
    fn effects(&self) -> BTreeMap<&'static str, FaultEffect> {
        let mut effects: BTreeMap<_, FaultEffect> = BTreeMap::new();
        for span in self.spans {
            let effect = effects.entry(span.name).or_default();
            effect.times += 1;
            let meets = |other: &&Span| other.start < span.end && span.start < other.end;
            // One of them is the span itself.
            if self.spans.iter().filter(meets).count() == 1 {
                effect.nanos_alone += span.end - span.start;
            }
            let is_struck = |attempt: &&Attempt| {
                span.node.is_none_or(|node| node == attempt.node)
                    && attempt.start < span.end
                    && span.start < attempt.end
            };
            for attempt in self.attempts.iter().filter(is_struck) {
                effect.met += 1;
                effect.refused += usize::from(!attempt.is_served());
                effect.longest = effect.longest.max(attempt.end - attempt.start);
            }
        }
        effects
    }

    /// Fails if the history says little: clients were hardly served, or nothing happened to them.
    pub(super) fn assert_is_worth_something(&self) {
        for (user, history) in self.histories.iter().enumerate() {
            let writes = history.iter().filter(|call| Self::is_write(&call.event));
            assert!(writes.count() >= 10, "user {user} has hardly written anything");
        }
        assert!(!self.spans.is_empty(), "no fault has happened");
        for (name, effect) in self.effects() {
            // Clients call many times a second, but wait when another fault has refused them.
            let is_long = effect.nanos_alone > 2_000_000_000;
            assert!(!is_long || effect.met > 0, "no request has met this: {name}");
        }
        let is_felt = self.attempts.iter().any(|attempt| !attempt.is_served());
        assert!(is_felt, "no request has felt a fault");
    }

    /// Writes the history, a picture of it and the logs, and says where.
    pub(super) fn keep(&self, logs: &str) -> String {
        let name = format!("history-{}-{}", self.name, self.seed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("history.txt"), self.text()).unwrap();
        fs::write(folder.join("history.svg"), self.picture()).unwrap();
        fs::write(folder.join("logs.txt"), logs).unwrap();
        folder.display().to_string()
    }

    /// All calls and faults, one a line, in their order. Times are in milliseconds.
    fn text(&self) -> String {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for (user, history) in (1..).zip(self.histories) {
            for Call {
                client,
                start,
                end,
                event,
            } in history
            {
                let times = format!("{:>10.3} {:>10.3}", millis(*start), millis(*end));
                lines.push((*start, format!("{times} user {user} client {client} {event:?}")));
            }
        }
        for span in self.spans {
            let times = format!("{:>10.3} {:>10.3}", millis(span.start), millis(span.end));
            lines.push((span.start, format!("{times} FAULT {}", span.title())));
        }
        lines.sort();
        let lines = lines.into_iter().map(|(_, line)| line + "\n");
        let faults = self
            .faults
            .iter()
            .map(|fault| format!("NOT EXPLAINED: {fault}\n"));
        faults.chain(lines).collect()
    }

    /// Lanes of clients over time: acknowledged writes, those of unknown outcome, refused ones and reads; faults as bands.
    fn picture(&self) -> String {
        let x = |at: u64| millis(at) / 1000.0 * SECOND;
        let end = self.calls().map(|call| call.end).max().unwrap_or(0);
        let mut lanes: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        for (user, history) in self.histories.iter().enumerate() {
            lanes.extend(history.iter().map(|call| ((user, call.client), 0)));
        }
        for (place, lane) in lanes.values_mut().enumerate() {
            *lane = 20 + place * LANE;
        }
        let height = 30 + lanes.len() * LANE;
        let mut svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='{:.0}' height='{height}' font-family='sans-serif' font-size='9'>\n\
             <rect width='100%' height='100%' fill='white'/>\n",
            x(end) + 20.0
        );
        for span in self.spans {
            let width = (x(span.end) - x(span.start)).max(1.0);
            let _ = writeln!(
                svg,
                "<rect x='{0:.1}' y='0' width='{width:.1}' height='{height}' fill='#f6d9a8' fill-opacity='0.6'/>\
                 <text x='{0:.1}' y='10'>{1}</text>",
                x(span.start),
                span.title(),
            );
        }
        for (user, history) in self.histories.iter().enumerate() {
            for call in history {
                let color = match call.event {
                    Event::Wrote { .. } | Event::Deleted { .. } => "#2a7f3f",
                    Event::Unknown { .. } => "#c0202a",
                    Event::Refused { .. } | Event::Lost { .. } | Event::Idle { .. } => "#c07a20",
                    Event::Read { .. }
                    | Event::ReadObject { .. }
                    | Event::Counts { .. }
                    | Event::Usage { .. }
                    | Event::Summary { .. } => "#7a8aa0",
                };
                let width = (x(call.end) - x(call.start)).max(0.6);
                let _ = writeln!(
                    svg,
                    "<rect x='{:.1}' y='{}' width='{width:.1}' height='{}' fill='{color}'/>",
                    x(call.start),
                    lanes[&(user, call.client)],
                    LANE - 4
                );
            }
        }
        svg + "</svg>\n"
    }
}

impl Attempt {
    fn is_served(&self) -> bool {
        self.status.is_some_and(|status| status < 500)
    }
}

impl Span {
    fn title(&self) -> String {
        match self.node {
            Some(node) => format!("{} ({})", self.name, ["A", "B"][node]),
            None => self.name.to_owned(),
        }
    }
}

/// Nanoseconds as milliseconds.
#[expect(clippy::cast_precision_loss, reason = "a history takes minutes")]
fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
