//! A comparison in lines of text.

use std::fmt::Write as _;

use super::figure::Figure;
use super::side::Side;
use super::statistics::Interval;
use super::{Against, Compared, Comparison, Difference, FEWEST_PAIRS};
use crate::display::{count, percent};
use crate::number::whole;

/// The comparison, as it is printed.
pub fn text(comparison: &Comparison<'_>) -> String {
    let mut lines = Vec::new();
    for side in comparison.sides {
        let runs = count(u64::try_from(side.runs.len()).unwrap_or(u64::MAX), "run");
        lines.push(format!("{}: {}, {runs}", side.letter, side.about()));
    }
    for against in &comparison.against {
        lines.push(String::new());
        lines.push(format!("{}.", sentence(against)));
        lines.extend(table(&against.whole, against));
        if !against.whole.is_empty() {
            lines.push(about_ratios(against));
        }
        if !against.operations.is_empty() {
            lines.push(String::new());
            lines.extend(table(&against.operations, against));
        }
    }
    for warning in warnings(comparison) {
        lines.push(String::new());
        lines.push(warning);
    }
    lines.join("\n") + "\n"
}

fn table(rows: &[Compared], against: &Against<'_>) -> Vec<String> {
    let name = |row: &Compared| match &row.operation {
        Some(operation) => format!("{operation}, {}", row.figure.name()),
        None => row.figure.name().to_owned(),
    };
    let width = rows.iter().map(|row| name(row).chars().count()).max();
    let width = width.unwrap_or_default();
    let (first, other) = (against.first.letter, against.other.letter);
    let mut lines = vec![format!(
        "{:width$} {first:>9} {other:>9} {:>6}  surely",
        "",
        format!("{other} / {first}")
    )];
    for row in rows {
        let interval = &row.interval;
        let mut line = format!(
            "{:width$} {:>9} {:>9} {:>6.2}",
            name(row),
            row.figure.text(row.first),
            row.figure.text(row.other),
            interval.ratio,
        );
        if row.verdict != Difference::Unknown {
            // Writing to a text does not fail.
            let _ = write!(line, "  {}: {}", bounds(interval), row.verdict.name());
        }
        lines.push(line);
    }
    lines
}

/// Why a ratio is not that of both columns beside it.
pub fn about_ratios(against: &Against<'_>) -> String {
    let (first, other) = (against.first.letter, against.other.letter);
    format!(
        "{other} / {first} is the mean of the ratios of the pairs without the highest and the lowest fifth, and so not quite the \
         ratio of both columns."
    )
}

/// The bounds of a ratio.
pub fn bounds(interval: &Interval) -> String {
    format!("{:.2} to {:.2}", interval.low, interval.high)
}

/// The most important sentence, without its full stop.
pub fn sentence(against: &Against<'_>) -> String {
    let letter = against.other.letter;
    if against.pairs < FEWEST_PAIRS {
        return format!(
            "Too few pairs of runs to know a difference from noise: {}",
            against.pairs
        );
    }
    if against.whole.is_empty() {
        return format!(
            "{letter} or {} answered too little to be compared",
            against.first.letter
        );
    }
    let rate = against
        .whole(Figure::Rate)
        .filter(|rate| rate.verdict != Difference::Same);
    let later = [Figure::Half, Figure::Most, Figure::Nearly]
        .into_iter()
        .filter_map(|figure| against.whole(figure))
        .find(|latency| latency.verdict != Difference::Same);
    match (rate, later) {
        (Some(rate), Some(latency)) => {
            let joint = if rate.verdict == latency.verdict {
                "and"
            } else {
                "but"
            };
            format!("{letter} {}, {joint} answers {}", serves(rate), sooner(latency))
        }
        (Some(rate), None) => format!("{letter} {}", serves(rate)),
        (None, Some(latency)) => format!(
            "{letter} answers {} {}",
            percent(latency.interval.ratio),
            sooner(latency)
        ),
        (None, None) => no_difference(against),
    }
}

fn no_difference(against: &Against<'_>) -> String {
    let surest = [Figure::Rate, Figure::Half]
        .into_iter()
        .filter_map(|figure| against.whole(figure))
        .map(|compared| compared.interval.reach());
    let reach = surest.fold(0.0, f64::max);
    format!(
        "No difference larger than the noise (±{}\u{a0}%)",
        whole((reach * 100.0).ceil()).max(1)
    )
}

fn serves(rate: &Compared) -> String {
    let word = if rate.verdict == Difference::Faster {
        "more"
    } else {
        "less"
    };
    format!("serves {} {word}", percent(rate.interval.ratio))
}

fn sooner(latency: &Compared) -> String {
    let word = if latency.verdict == Difference::Faster {
        "sooner"
    } else {
        "later"
    };
    match latency.figure {
        Figure::Rate | Figure::Half => word.to_owned(),
        Figure::Most => format!("{word} where it is slow (1 in 10)"),
        Figure::Nearly => format!("{word} where it is slow (1 in 100)"),
    }
}

/// What makes the comparison doubtful.
pub fn warnings(comparison: &Comparison<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let sides = comparison.sides;
    for against in comparison
        .against
        .iter()
        .filter(|against| against.pairs < FEWEST_PAIRS)
    {
        warnings.push(format!(
            "{} of {} with {}; at least {FEWEST_PAIRS} are needed.",
            count(u64::try_from(against.pairs).unwrap_or(u64::MAX), "pair"),
            against.other.letter,
            against.first.letter
        ));
    }
    if !comparison.is_in_turn() {
        warnings.push(
            "The runs were not made in turn: what changed on the machine meanwhile counts as a difference."
                .to_owned(),
        );
    }
    if sides.iter().any(|side| !is_alike(side, &sides[0])) {
        warnings.push("The runs differ in their users, pauses, length or machine.".to_owned());
    }
    for side in sides.iter().filter(|side| side.faults() > 0) {
        warnings.push(format!(
            "{}: {}. What fails is answered sooner or later than what does not.",
            side.letter,
            count(side.faults(), "fault")
        ));
    }
    let dropped = |side: &&Side| side.runs.iter().any(|run| run.figures.dropped > 0);
    for side in sides.iter().filter(dropped) {
        warnings.push(format!(
            "{}: not all answers were taken down, since this machine was too busy.",
            side.letter
        ));
    }
    warnings
}

/// Whether runs of both were asked for the same.
fn is_alike(side: &Side, first: &Side) -> bool {
    let asked = &first.settings();
    side.runs.iter().all(|run| {
        let settings = &run.settings;
        let figures = |settings: &crate::result::Settings| {
            let rate = settings.rate.unwrap_or_default();
            [settings.every, settings.length, settings.warm_up, rate].map(f64::to_bits)
        };
        settings.users == asked.users
            && figures(settings) == figures(asked)
            && run.machine.processor == first.runs[0].machine.processor
    })
}
