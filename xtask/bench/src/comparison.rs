//! Compares two servers in alternating rounds: the reference, ours, the reference, ours, …

use std::time::Duration;

use anyhow::{Result, bail};

use crate::load::{self, Round, Script};
use crate::process::Process;

/// Rounds of each side.
const ROUNDS: usize = 5;
/// A round is dropped if its reference differs from the median by more than this.
const DRIFT: f64 = 0.15;

/// A port, and the requests that are sent to it.
pub type Side<'a> = (u16, &'a [Script]);

/// The comparison with the reference.
pub struct Ratio {
    /// Ratio of the medians.
    pub median: f64,
    /// Best single round of ours to the reference's median.
    pub best: f64,
    /// Our median, answers a second.
    pub ours: f64,
    /// The reference's median, answers a second.
    pub reference: f64,
    /// Rounds that counted.
    pub rounds: usize,
}

/// Runs the same scripts against both, alternating.
pub async fn compare_scripts(
    ours: &Process,
    reference: &Process,
    scripts: &[Script],
    length: Duration,
) -> Result<Ratio> {
    compare((ours.port, scripts), (reference.port, scripts), length).await
}

/// Runs two sets of scripts, each against its own port, alternating.
pub async fn compare(ours: Side<'_>, reference: Side<'_>, length: Duration) -> Result<Ratio> {
    // A first short round warms both: caches fill and connections settle.
    load::run(ours.0, ours.1, length / 4).await?;
    load::run(reference.0, reference.1, length / 4).await?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let theirs = load::run(reference.0, reference.1, length).await?.rate;
        let rate = load::run(ours.0, ours.1, length).await?.rate;
        pairs.push((rate, theirs));
    }
    let steady = median(pairs.iter().map(|pair| pair.1));
    pairs.retain(|pair| (pair.1 / steady - 1.0).abs() <= DRIFT);
    if pairs.is_empty() {
        bail!("the machine was too noisy: no round of the reference stayed within {DRIFT}");
    }
    let reference = median(pairs.iter().map(|pair| pair.1));
    let ours = median(pairs.iter().map(|pair| pair.0));
    let best = pairs.iter().map(|pair| pair.0).fold(0.0, f64::max) / reference;
    Ok(Ratio {
        median: ours / reference,
        best,
        ours,
        reference,
        rounds: pairs.len(),
    })
}

/// Runs scripts against one server and returns the median round.
pub async fn median_round(ours: &Process, scripts: &[Script], length: Duration) -> Result<Round> {
    load::run(ours.port, scripts, length / 4).await?;
    let mut rounds = Vec::new();
    for _ in 0..3 {
        rounds.push(load::run(ours.port, scripts, length).await?);
    }
    rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    Ok(rounds.swap_remove(1))
}

/// The middle one of these values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
