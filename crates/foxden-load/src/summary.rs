//! What a run found, in a few lines of text.

use std::fmt::Write as _;

use crate::display::{bytes, count, milliseconds, rate, thousands};
use crate::number::{fraction, ratio, whole};
use crate::result::{ByName, RunResult};

/// The most examples of faults.
const EXAMPLES: usize = 5;

/// The summary.
pub fn text(result: &RunResult) -> String {
    let figures = &result.figures;
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if result.is_cut {
        line("The run was ended before its time.".to_owned());
    }
    for worker in &result.workers {
        if let Some(why) = &worker.failure {
            line(format!(
                "The worker at {} with {} users is lost: {why}",
                worker.address, worker.users
            ));
        }
    }
    line(format!(
        "{} requests in {} s: {} a second, {} a second",
        thousands(figures.requests),
        whole(figures.seconds),
        rate(figures.rate),
        bytes(whole(ratio(fraction(figures.bytes), figures.seconds))),
    ));
    let all = &figures.all.response;
    line(format!(
        "half within {}, 90 of 100 within {}, 99 within {}, 99.9 within {}, all within {}",
        milliseconds(all.p50),
        milliseconds(all.p90),
        milliseconds(all.p99),
        milliseconds(all.p999),
        milliseconds(all.most),
    ));
    for cycle in &result.cycles {
        line(format!(
            "{}: {} a second, half within {}, 99 of 100 within {}, {} faults",
            count(u64::from(cycle.users), "user"),
            rate(cycle.rate),
            milliseconds(cycle.response.p50),
            milliseconds(cycle.response.p99),
            cycle.faults
        ));
    }
    if result.cycles.len() > 1 {
        line(crate::report::highest(result));
    }
    line(String::new());
    for (title, rows) in [
        ("request", &figures.by_request),
        ("operation", &figures.by_operation),
    ] {
        table(&mut line, title, rows);
    }
    let comparison = &result.comparison;
    line(match result.missing() {
        None => format!(
            "{} objects came back as they were stored, and {} more when everything of {} users was read again.",
            comparison.in_run, comparison.after, comparison.users
        ),
        Some(missing) if comparison.users == 0 => format!(
            "{} objects came back as they were stored. {missing}",
            comparison.in_run
        ),
        Some(missing) => format!(
            "{} objects came back as they were stored, and {} more when {} users were read again. {missing}",
            comparison.in_run, comparison.after, comparison.users
        ),
    });
    if result.figures.dropped > 0 {
        line(format!(
            "{} answers were not taken down: this machine is too busy, and the figures are not to be trusted.",
            figures.dropped
        ));
    }
    if result.faults() == 0 {
        line("No request failed, and no answer was wrong.".to_owned());
        return text;
    }
    line(format!("{} faults:", result.faults()));
    for fault in &figures.faults {
        line(format!("  {}: {}", fault.kind.name(), fault.count));
    }
    for example in figures.examples.iter().take(EXAMPLES) {
        line(format!("- {example}"));
        line(format!("  answered: {}", example.answer));
    }
    text
}

fn table(line: &mut impl FnMut(String), title: &str, rows: &[ByName]) {
    let width = rows
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or_default()
        .max(title.len());
    line(format!(
        "{title:width$} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9}",
        "count", "a second", "half", "90 %", "99 %", "all"
    ));
    for row in rows {
        let latency = &row.latency.response;
        let mut text = format!(
            "{:width$} {:>10} {:>10.1}",
            row.name, row.latency.service.count, row.rate
        );
        for (value, of) in [
            (latency.p50, 1),
            (latency.p90, 10),
            (latency.p99, 100),
            (latency.most, 1),
        ] {
            // What one of so many exceeds is not known from fewer.
            let is_known = row.latency.service.count >= of;
            let value = if is_known {
                milliseconds(value)
            } else {
                "-".to_owned()
            };
            // Writing to a text does not fail.
            let _ = write!(text, " {value:>9}");
        }
        line(text);
    }
    line(String::new());
}
