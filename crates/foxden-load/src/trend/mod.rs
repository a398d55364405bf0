//! Many recorded runs over time: where they became faster or slower for good.
//!
//! - [`steps`]: where the level of a series changes

pub mod steps;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::compare::figure::Figure;
use crate::compare::side::results;
use crate::display::{count, day, percent};
use crate::result::{RunResult, Settings};
use steps::{FEWEST_RUNS, Step};

/// The figures that are followed.
pub const FIGURES: [Figure; 3] = [Figure::Rate, Figure::Half, Figure::Nearly];

/// The runs of a scenario with the same load, the oldest first.
#[derive(Debug)]
pub struct Trend {
    /// The runs.
    pub runs: Vec<RunResult>,
    /// The steps of each figure that all runs have.
    pub found: Vec<(Figure, Vec<Step>)>,
}

/// Reads all results of a folder, those that can be compared together.
pub fn read(folder: &Path) -> Result<Vec<Trend>> {
    let mut runs = results(folder)?
        .iter()
        .map(|file| RunResult::read(file))
        .collect::<Result<Vec<_>>>()?;
    ensure!(
        !runs.is_empty(),
        "{} has no results, that is, no files *.json",
        folder.display()
    );
    runs.sort_by_key(|run| run.began);
    let mut trends: Vec<Vec<RunResult>> = Vec::new();
    for run in runs {
        match trends
            .iter_mut()
            .find(|trend| is_alike(&trend[0].settings, &run.settings))
        {
            Some(trend) => trend.push(run),
            None => trends.push(vec![run]),
        }
    }
    Ok(trends.into_iter().map(Trend::of).collect())
}

/// Whether the same load was asked for.
fn is_alike(one: &Settings, other: &Settings) -> bool {
    let load = |settings: &Settings| (settings.every.to_bits(), settings.rate.map(f64::to_bits));
    one.scenario == other.scenario
        && one.protocol == other.protocol
        && one.users == other.users
        && one.cycles == other.cycles
        && load(one) == load(other)
}

impl Trend {
    /// Of these runs, the oldest first.
    pub fn of(runs: Vec<RunResult>) -> Self {
        let found = |figure: Figure| {
            let values: Option<Vec<f64>> = runs.iter().map(|run| figure.value(run, None)).collect();
            values.map(|values| (figure, steps::steps(&values)))
        };
        Self {
            found: FIGURES.into_iter().filter_map(found).collect(),
            runs,
        }
    }

    /// What was run.
    pub fn name(&self) -> String {
        let settings = &self.runs[0].settings;
        format!(
            "{}, {}",
            settings.scenario,
            count(u64::from(settings.users), "user")
        )
    }

    /// Whether there are too few runs to find a step in.
    pub fn is_short(&self) -> bool {
        self.runs.len() < FEWEST_RUNS
    }

    /// All steps in words, the oldest first, with whether each is for the worse. Figures that step at the same run are together.
    pub fn sentences(&self) -> Vec<(bool, String)> {
        let mut places: BTreeMap<(usize, bool), Vec<String>> = BTreeMap::new();
        for (figure, steps) in &self.found {
            for step in steps {
                let changes = places.entry((step.at, is_worse(*figure, step))).or_default();
                changes.push(change(*figure, step));
            }
        }
        let sentence = |((at, is_worse), changes): ((usize, bool), Vec<String>)| {
            let (before, after) = (&self.runs[at - 1].settings.server, &self.runs[at].settings.server);
            let versions = match (before, after) {
                (Some(before), Some(after)) if before != after => {
                    format!(" (version {before}, then {after})")
                }
                _ => String::new(),
            };
            let day = day(self.runs[at].began);
            (
                is_worse,
                format!("from {day} on, {}{versions}", changes.join(", ")),
            )
        };
        places.into_iter().map(sentence).collect()
    }
}

fn change(figure: Figure, step: &Step) -> String {
    let percent = percent(step.ratio);
    let is_more = step.ratio > 1.0;
    let word = match (figure, is_more) {
        (Figure::Rate, true) => return format!("{percent} more requests a second"),
        (Figure::Rate, false) => return format!("{percent} fewer requests a second"),
        (_, true) => "more",
        (_, false) => "less",
    };
    format!("{} {percent} {word}", figure.name())
}

/// Whether a step is for the worse.
pub fn is_worse(figure: Figure, step: &Step) -> bool {
    (step.ratio > 1.0) == figure.is_less_better()
}

/// All trends in lines of text.
pub fn text(trends: &[Trend]) -> String {
    let mut lines = Vec::new();
    for trend in trends {
        let runs = count(u64::try_from(trend.runs.len()).unwrap_or(u64::MAX), "run");
        let steps = trend.sentences();
        let found = match (trend.is_short(), steps.is_empty()) {
            (true, _) => ", too few to say",
            (false, true) => ", no step",
            (false, false) => "",
        };
        lines.push(format!("{}: {runs}{found}", trend.name()));
        for (is_worse, sentence) in steps {
            let word = if is_worse { "slower" } else { "faster" };
            lines.push(format!("  {word} {sentence}"));
        }
    }
    lines.join("\n") + "\n"
}
