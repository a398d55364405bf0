//! Recorded runs of several servers side by side: how much faster or slower each is than the first, and whether that is more
//! than noise.
//!
//! - [`statistics`]: the ratio of pairs, with its bounds
//! - [`side`]: the runs of one server
//! - [`figure`]: what of a run is compared
//! - [`text`]: the comparison in lines of text

pub mod figure;
pub mod side;
pub mod statistics;
pub mod text;

use anyhow::{Result, ensure};

use crate::result::RunResult;
use figure::Figure;
use side::Side;
use statistics::Interval;

/// The fewest pairs from which anything follows: chance alone gives five pairs of the same sign once in sixteen times.
pub const FEWEST_PAIRS: usize = 6;
/// How often equal servers may differ in the rate of all requests or in the latency of half of them.
const FAILING: f64 = 0.04;
/// How often they may differ in the latency of the slow ones, which noise moves most.
const FAILING_SLOW: f64 = 0.01;
/// How often they may differ in any operation.
const FAILING_OPERATIONS: f64 = 0.05;
/// A smaller difference has no meaning: how a program lies in memory alone changes as much from start to start.
const LEAST: f64 = 0.01;
/// The seed of the intervals.
const SEED: u64 = 1;

/// What follows from a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Better by more than noise.
    Faster,
    /// Worse by more than noise.
    Slower,
    /// No difference that is more than noise.
    Same,
    /// There are too few pairs.
    Unknown,
}

impl Difference {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Same => "no difference",
            Self::Unknown => "too few pairs",
        }
    }
}

/// One figure of both.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The operation; none for all requests.
    pub operation: Option<String>,
    /// What is compared.
    pub figure: Figure,
    /// The median of the first side's runs.
    pub first: f64,
    /// The median of the other's.
    pub other: f64,
    /// The other in relation to the first.
    pub interval: Interval,
    /// What follows.
    pub verdict: Difference,
}

/// A side compared with the first.
#[derive(Debug)]
pub struct Against<'a> {
    /// The first.
    pub first: &'a Side,
    /// The other.
    pub other: &'a Side,
    /// How many pairs of runs there are.
    pub pairs: usize,
    /// All requests together.
    pub whole: Vec<Compared>,
    /// Each operation, where there are several.
    pub operations: Vec<Compared>,
}

/// All sides.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The sides, the first of which is what the others are compared with.
    pub sides: &'a [Side],
    /// The others.
    pub against: Vec<Against<'a>>,
}

impl<'a> Comparison<'a> {
    /// Compares all others with the first.
    pub fn of(sides: &'a [Side]) -> Result<Self> {
        let Some((first, others)) = sides.split_first() else {
            anyhow::bail!("there is nothing to compare");
        };
        ensure!(
            !others.is_empty(),
            "{} has nothing to be compared with",
            first.path
        );
        let scenario = |side: &Side| side.settings().scenario.clone();
        for other in others {
            ensure!(
                scenario(other) == scenario(first),
                "{} is the scenario {}, and {} is {}: they cannot be compared",
                first.path,
                scenario(first),
                other.path,
                scenario(other)
            );
        }
        let against = others.iter().map(|other| Against::of(first, other, others.len()));
        Ok(Self {
            sides,
            against: against.collect(),
        })
    }

    /// Whether a run of any side follows those of the pair before, so that what changes slowly changes all.
    pub fn is_in_turn(&self) -> bool {
        let pairs = self.against.iter().map(|against| against.pairs).min();
        let runs = |pair: usize| self.sides.iter().map(move |side| side.runs[pair].began);
        (1..pairs.unwrap_or_default()).all(|pair| runs(pair - 1).max() <= runs(pair).min())
    }
}

impl<'a> Against<'a> {
    /// Compares two sides; as many comparisons belong together.
    fn of(first: &'a Side, other: &'a Side, comparisons: usize) -> Self {
        let pairs = first.runs.len().min(other.runs.len());
        let pairs: Vec<(&RunResult, &RunResult)> = first.runs.iter().zip(&other.runs).take(pairs).collect();
        let names: Vec<String> = first.operations();
        let found = |operation: Option<&String>, figure: Figure| {
            let value = |run: &RunResult| figure.value(run, operation.map(String::as_str));
            let values: Option<Vec<(f64, f64)>> = pairs
                .iter()
                .map(|(first, other)| Some((value(first)?, value(other)?)))
                .collect();
            values.map(|values| (operation.cloned(), figure, values))
        };
        let all = |figures: [Figure; 2]| -> Vec<Values> {
            figures
                .into_iter()
                .filter_map(|figure| found(None, figure))
                .collect()
        };
        let mut whole = judged(all([Figure::Rate, Figure::Half]), FAILING, comparisons);
        whole.extend(judged(
            all([Figure::Most, Figure::Nearly]),
            FAILING_SLOW,
            comparisons,
        ));
        let operations: Vec<_> = names
            .iter()
            .filter(|_| names.len() > 1)
            .flat_map(|name| Figure::ALL.into_iter().map(move |figure| (name, figure)))
            .filter_map(|(name, figure)| found(Some(name), figure))
            .collect();
        Self {
            first,
            other,
            pairs: pairs.len(),
            whole,
            operations: judged(operations, FAILING_OPERATIONS, comparisons),
        }
    }

    /// What was found of all requests.
    pub fn whole(&self, figure: Figure) -> Option<&Compared> {
        self.whole.iter().find(|compared| compared.figure == figure)
    }

    /// Whether anything is slower by more than noise.
    pub fn is_slower(&self) -> bool {
        let mut all = self.whole.iter().chain(&self.operations);
        all.any(|compared| compared.verdict == Difference::Slower)
    }
}

type Values = (Option<String>, Figure, Vec<(f64, f64)>);

/// Compares figures that are looked at together: the more there are, the less may each be wrong by chance.
fn judged(all: Vec<Values>, failing: f64, comparisons: usize) -> Vec<Compared> {
    let count = u32::try_from(all.len() * comparisons).unwrap_or(u32::MAX).max(1);
    let failing = failing / f64::from(count);
    let judge = |(operation, figure, values): Values| {
        let interval = Interval::of(&values, failing, SEED);
        Compared {
            operation,
            figure,
            first: median(values.iter().map(|(first, _)| *first)),
            other: median(values.iter().map(|(_, other)| *other)),
            verdict: verdict(interval, values.len(), figure.is_less_better()),
            interval,
        }
    };
    all.into_iter().map(judge).collect()
}

fn verdict(interval: Interval, pairs: usize, is_less_better: bool) -> Difference {
    let is_surely = interval.low > 1.0 || interval.high < 1.0;
    if pairs < FEWEST_PAIRS {
        Difference::Unknown
    } else if !is_surely || (interval.ratio - 1.0).abs() < LEAST {
        Difference::Same
    } else if (interval.ratio < 1.0) == is_less_better {
        Difference::Faster
    } else {
        Difference::Slower
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
