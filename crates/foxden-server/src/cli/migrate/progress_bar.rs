//! How far a move has come: a bar on a terminal, and a line now and then elsewhere.

use std::pin::pin;
use std::time::{Duration, Instant};

use foxden_storage::engine::movable::MoveTotals;
use foxden_storage::moving::MoveProgress;

use super::units::{bytes, grouped, rough};
use crate::terminal::{self, Style, styled_error};

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(30);
/// What an object costs besides its payload, in bytes of payload.
const OBJECT_BYTES: u64 = 300;
/// The cells of a bar, at least and at most.
const CELLS: std::ops::RangeInclusive<usize> = 10..=40;

/// What is shown of a phase.
pub struct ProgressBar {
    phase: &'static str,
    totals: MoveTotals,
    /// What was done before the phase began.
    before: MoveTotals,
    began: Instant,
}

/// Does the work, and shows meanwhile how far it has come.
pub async fn watch<T>(bar: ProgressBar, progress: &MoveProgress, work: impl Future<Output = T>) -> T {
    let is_terminal = terminal::stderr_width().is_some();
    let mut work = pin!(work);
    let mut tick = tokio::time::interval(if is_terminal { REDRAW } else { LINE });
    tick.tick().await;
    loop {
        tokio::select! {
            done = &mut work => {
                clear();
                return done;
            }
            _ = tick.tick() => bar.show(progress.done()),
        }
    }
}

/// Removes the bar from the terminal.
pub fn clear() {
    if terminal::stderr_width().is_some() {
        terminal::replace_status("");
    }
}

impl ProgressBar {
    /// The bar of a phase that begins now.
    pub fn new(phase: &'static str, totals: MoveTotals, before: MoveTotals) -> Self {
        Self {
            phase,
            totals,
            before,
            began: Instant::now(),
        }
    }

    fn show(&self, done: MoveTotals) {
        let elapsed = self.began.elapsed();
        let Some(width) = terminal::stderr_width() else {
            let (text, _) = self.line(done, elapsed, usize::MAX);
            terminal::eprint_line(format_args!("{}{text}", self.phase));
            return;
        };
        let (text, cells) = self.line(done, elapsed, width);
        let drawn = cells.map_or_else(String::new, |(full, empty)| {
            let (full, empty) = ("━".repeat(full), "─".repeat(empty));
            let (full, empty) = (styled_error(full, Style::Accent), styled_error(empty, Style::Dim));
            format!("  {full}{empty}")
        });
        terminal::replace_status(format_args!(
            "{}{drawn}{text}",
            styled_error(self.phase, Style::Bold)
        ));
    }

    /// The text behind the bar that fits this width, and the full and empty cells of the bar if there is room for it.
    fn line(&self, done: MoveTotals, elapsed: Duration, width: usize) -> (String, Option<(usize, usize)>) {
        let (done_work, all_work) = (work(done), work(self.totals));
        let percent = done_work
            .saturating_mul(100)
            .checked_div(all_work)
            .map_or(100, |percent| percent.min(100));
        let now = done_work.saturating_sub(work(self.before));
        let left = all_work.saturating_sub(done_work);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        // Nothing can be said of the rate before there is one.
        let left = (now > 0 && millis >= 1000).then(|| {
            let millis = u128::from(millis) * u128::from(left) / u128::from(now);
            Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
        });
        let rate = done
            .objects
            .saturating_sub(self.before.objects)
            .saturating_mul(1000)
            / millis.max(1);
        // The first matter most.
        let facts = [
            left.map_or_else(String::new, |left| format!("{} left", rough(left))),
            format!(
                "{} of {} objects",
                grouped(done.objects),
                grouped(self.totals.objects)
            ),
            format!("{} of {} users", grouped(done.users), grouped(self.totals.users)),
            format!("{} objects/s", grouped(rate)),
            format!("{} of {}", bytes(done.bytes), bytes(self.totals.bytes)),
        ];
        let mut text = format!("  {percent:3} %");
        let fixed = self.phase.chars().count();
        // Two blanks before the bar, and three cells that stay free: some terminals break the line after the last one, and after the ^C
        // that they show for Ctrl-C.
        let room = |text: &str, cells: usize| {
            let used = fixed + text.chars().count() + cells + 3;
            width.checked_sub(used)
        };
        let smallest = *CELLS.start() + 2;
        for fact in facts.iter().filter(|fact| !fact.is_empty()) {
            let longer = format!("{text}  {fact}");
            if room(&longer, smallest).is_none() {
                break;
            }
            text = longer;
        }
        let cells = room(&text, 2).map(|room| room.min(*CELLS.end()));
        let cells = cells.filter(|cells| cells >= CELLS.start());
        let full = |cells: usize| cells * usize::try_from(percent).unwrap_or(100) / 100;
        (text, cells.map(|cells| (full(cells), cells - full(cells))))
    }
}

/// Objects and bytes as one number.
const fn work(totals: MoveTotals) -> u64 {
    totals
        .objects
        .saturating_mul(OBJECT_BYTES)
        .saturating_add(totals.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTALS: MoveTotals = MoveTotals {
        users: 50,
        objects: 100_000,
        bytes: 30_000_000,
    };

    fn shown(width: usize) -> String {
        let bar = ProgressBar::new("copying", TOTALS, MoveTotals::default());
        let half = MoveTotals {
            users: 25,
            objects: 50_000,
            bytes: 15_000_000,
        };
        let (text, cells) = bar.line(half, Duration::from_secs(5), width);
        let (full, empty) = cells.unwrap_or((0, 0));
        let gap = if cells.is_some() { "  " } else { "" };
        format!("copying{gap}{}{}{text}", "#".repeat(full), "-".repeat(empty))
    }

    #[test]
    fn a_line_fits_its_width() {
        assert_eq!(
            shown(200),
            "copying  ####################--------------------   50 %  5 s left  50,000 of 100,000 objects  25 of 50 users  \
             10,000 objects/s  14.3 MiB of 28.6 MiB"
        );
        assert_eq!(
            shown(80),
            "copying  ############------------   50 %  5 s left  50,000 of 100,000 objects"
        );
        assert_eq!(shown(40), "copying  #####------   50 %  5 s left");
        assert_eq!(shown(15), "copying   50 %");
        for width in 20..300 {
            assert!(shown(width).chars().count() + 2 < width, "{width}");
        }
    }

    #[test]
    fn the_time_that_was_spent_before_an_interruption_does_not_count() {
        let before = MoveTotals {
            users: 40,
            objects: 80_000,
            bytes: 24_000_000,
        };
        let bar = ProgressBar::new("copying", TOTALS, before);
        let done = MoveTotals {
            users: 45,
            objects: 90_000,
            bytes: 27_000_000,
        };
        let (text, _) = bar.line(done, Duration::from_secs(10), 300);
        assert!(
            text.contains("10 s left") && text.contains("1,000 objects/s"),
            "{text}"
        );
    }

    #[test]
    fn nothing_to_move_is_done() {
        let bar = ProgressBar::new("copying", MoveTotals::default(), MoveTotals::default());
        let (text, _) = bar.line(MoveTotals::default(), Duration::ZERO, 300);
        assert!(text.starts_with("  100 %"), "{text}");
    }
}
