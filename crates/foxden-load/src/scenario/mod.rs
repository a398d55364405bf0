//! Scenarios: what users do, how often, and how large their objects are.
//!
//! - [`distribution`]: values drawn by chance
//! - [`step`]: what a user can do
//! - [`shipped`]: the scenarios within the program

pub mod distribution;
pub mod shipped;
pub mod step;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use toml::Value;

use crate::number::fraction;
use crate::quantity::Unit;
use crate::random::Random;
use distribution::Distribution;
use step::Step;

/// The most users of a run.
pub const MOST_USERS: u32 = 100_000;
/// The largest object, in bytes: what most servers accept.
const MOST_SIZE: f64 = 2_000_000.0;
/// The most objects in a collection before the start.
const MOST_OBJECTS: f64 = 1_000_000.0;
/// The most operations and the most steps of one.
const MOST_STEPS: usize = 100;
/// The sizes of objects in collections that the scenario does not name.
const OTHER: &str = "other";

/// A scenario, checked.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is about, in one sentence.
    pub about: String,
    /// How many users there are, unless the command line says otherwise.
    pub users: u32,
    /// The time between the begins of two operations of a user. Zero: one follows the other at once.
    pub every: Distribution,
    /// What a user has stored before the start, in objects for each collection.
    pub setup: Vec<(String, Distribution)>,
    /// What users do.
    pub operations: Vec<Operation>,
    sizes: BTreeMap<String, Distribution>,
}

/// A few steps that belong together.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name in reports.
    pub name: String,
    /// Its share, compared with the others.
    pub weight: u32,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

/// A scenario as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    about: String,
    users: u32,
    every: Option<Value>,
    #[serde(default)]
    sizes: BTreeMap<String, Value>,
    #[serde(default)]
    setup: BTreeMap<String, Value>,
    operation: Vec<WrittenOperation>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOperation {
    name: String,
    #[serde(default = "one")]
    weight: u32,
    steps: Vec<Value>,
}

const fn one() -> u32 {
    1
}

impl Scenario {
    /// Reads a scenario from its TOML.
    pub fn read(text: &str) -> Result<Self> {
        let written: Written = toml::from_str(text)?;
        ensure!(!written.name.is_empty(), "a scenario needs a name");
        ensure!(
            (1..=MOST_USERS).contains(&written.users),
            "users: {} is not from 1 to {MOST_USERS}",
            written.users
        );
        let every = match &written.every {
            Some(value) => read("every", value, Unit::Seconds, 3600.0)?,
            None => Distribution::Fixed(0.0),
        };
        let mut sizes = BTreeMap::new();
        for (name, value) in &written.sizes {
            sizes.insert(
                name.clone(),
                read(&format!("sizes.{name}"), value, Unit::Bytes, MOST_SIZE)?,
            );
        }
        let mut setup = Vec::new();
        for (name, value) in &written.setup {
            check_collection(name)?;
            setup.push((
                name.clone(),
                read(&format!("setup.{name}"), value, Unit::Count, MOST_OBJECTS)?,
            ));
        }
        let operations = written
            .operation
            .iter()
            .map(operation)
            .collect::<Result<Vec<_>>>()?;
        ensure!(
            !operations.is_empty() && operations.len() <= MOST_STEPS,
            "a scenario has 1 to {MOST_STEPS} operations"
        );
        let weights: u64 = operations
            .iter()
            .map(|operation| u64::from(operation.weight))
            .sum();
        ensure!(weights > 0, "every operation has the weight 0");
        Ok(Self {
            name: written.name,
            about: written.about,
            users: written.users,
            every,
            setup,
            operations,
            sizes,
        })
    }

    /// Draws the operation that a user does next.
    pub fn choose(&self, random: &Random) -> usize {
        let all: u64 = self
            .operations
            .iter()
            .map(|operation| u64::from(operation.weight))
            .sum();
        let mut at = random.below(all);
        for (number, operation) in self.operations.iter().enumerate() {
            let weight = u64::from(operation.weight);
            if at < weight {
                return number;
            }
            at -= weight;
        }
        0
    }

    /// The sizes of objects in a collection.
    pub fn sizes(&self, collection: &str) -> &Distribution {
        const USUAL: Distribution = Distribution::Fixed(300.0);
        let own = self.sizes.get(collection).or_else(|| self.sizes.get(OTHER));
        own.unwrap_or(&USUAL)
    }

    /// Draws the time between the begins of two operations.
    pub fn pause(&self, random: &Random) -> Duration {
        Duration::from_secs_f64(self.every.sample(random))
    }

    /// Whether operations follow each other at once, so that users have no plan.
    pub fn is_unpaced(&self) -> bool {
        self.every.most() == 0.0
    }

    /// With operations that arrive by chance, so many a second, from all of these users together. They arrive whether or not
    /// those before them are done: an open load.
    pub fn set_rate(&mut self, rate: f64, users: u32) {
        let mean = f64::from(users) / rate;
        self.every = Distribution::Exponential {
            mean,
            most: mean * 20.0,
        };
    }

    /// With the same time between all operations of a user.
    pub fn set_every(&mut self, every: Duration) {
        self.every = Distribution::Fixed(every.as_secs_f64());
    }

    /// About how many objects all users together have before the start.
    pub fn objects(&self, users: u32) -> f64 {
        let each: f64 = self.setup.iter().map(|(_, count)| count.mean()).sum();
        each * fraction(u64::from(users))
    }
}

fn operation(written: &WrittenOperation) -> Result<Operation> {
    let about = || format!("operation {:?}", written.name);
    ensure!(
        !written.steps.is_empty() && written.steps.len() <= MOST_STEPS,
        "{}: it has 1 to {MOST_STEPS} steps",
        about()
    );
    let steps = written
        .steps
        .iter()
        .map(Step::read)
        .collect::<Result<Vec<_>>>()
        .with_context(about)?;
    Ok(Operation {
        name: written.name.clone(),
        weight: written.weight,
        steps,
    })
}

/// Reads a distribution of a scenario, with its greatest value.
fn read(name: &str, value: &Value, unit: Unit, most: f64) -> Result<Distribution> {
    let distribution = Distribution::read(value, unit).map_err(|error| anyhow!("{name}: {error}"))?;
    if distribution.most() > most {
        bail!("{name}: {} is above {most}; `most` cuts off", distribution.most());
    }
    Ok(distribution)
}

/// The name of a collection that users may have.
fn check_collection(name: &str) -> Result<()> {
    foxden_model::CollectionName::new(name)
        .with_context(|| format!("{name:?} is no name of a collection"))?;
    ensure!(
        name != crate::user::MARK,
        "the collection {name} marks made users"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        name = "small"
        about = "A test."
        users = 2
        every = "10 ms"
        [sizes]
        bookmarks = { uniform = [100, 200] }
        [setup]
        bookmarks = 10
        [[operation]]
        name = "look"
        weight = 3
        steps = [{ do = "check" }]
        [[operation]]
        name = "change"
        steps = [{ do = "post", collection = "bookmarks", objects = 2, new = 0.5 }]
    "#;

    #[test]
    fn operations_are_chosen_by_weight() {
        let scenario = Scenario::read(SMALL).unwrap();
        let random = Random::new(1, &[]);
        let looks = (0..4000).filter(|_| scenario.choose(&random) == 0).count();
        assert!((2900..3100).contains(&looks), "{looks}");
        assert!(!scenario.is_unpaced());
        assert!((199.0..201.0).contains(&scenario.sizes("bookmarks").most()));
        assert!((299.0..301.0).contains(&scenario.sizes("tabs").most()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, part) in [
            ("users = 2", "users = 0", "users"),
            ("about =", "abuot =", "abuot"),
            ("\"check\"", "\"chekc\"", "chekc"),
            ("new = 0.5", "new = 2", "new"),
            ("bookmarks = 10", "\"a/b\" = 10", "a/b"),
            ("bookmarks = 10", "foxden-load = 10", "marks"),
            ("[100, 200]", "[100, 3000000]", "sizes.bookmarks"),
            ("every = \"10 ms\"", "every = \"soon\"", "every"),
            ("steps = [{ do = \"check\" }]", "steps = []", "look"),
        ] {
            let error = format!("{:#}", Scenario::read(&SMALL.replace(from, to)).unwrap_err());
            assert!(error.contains(part), "{to}: {error}");
        }
    }
}
