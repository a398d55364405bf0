//! What a user can do in a scenario.

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;
use toml::Value;

use super::distribution::Distribution;
use crate::quantity::Unit;

/// The most objects that one step writes.
const MOST_OBJECTS: f64 = 10_000.0;

/// One step of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Asks when each collection last changed.
    Check,
    /// Asks for another page of information: `collection_counts`, `collection_usage`, `quota`, `configuration`.
    Info(String),
    /// Asks a collection for what is newer than its last change, which is nothing.
    NothingNew(String),
    /// Reads one object.
    Read(String),
    /// Reads the newest objects.
    Newest(String, usize),
    /// Lists all ids.
    Ids(String),
    /// Reads a whole collection.
    Download(String),
    /// The second browser of the user takes what is new.
    CatchUp,
    /// A new browser of the user reads everything.
    NewDevice,
    /// Writes one object.
    Put(Writing),
    /// Writes several objects.
    Post(Writing),
    /// Writes several objects in a batch.
    Batch(Writing),
    /// Deletes objects.
    Delete(String, Distribution),
    /// Deletes a collection.
    Clear(String),
    /// Deletes everything, as a browser does whose key is new, and stores the key.
    Wipe,
}

/// Objects to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Writing {
    /// Where.
    pub collection: String,
    /// How many.
    pub objects: Distribution,
    /// The share of new ones; the others replace what is there.
    pub new: f64,
}

/// A step as it is written.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Written {
    Check,
    Info {
        page: String,
    },
    NothingNew {
        collection: String,
    },
    Read {
        collection: String,
    },
    Newest {
        collection: String,
        limit: usize,
    },
    Ids {
        collection: String,
    },
    Download {
        collection: String,
    },
    CatchUp,
    NewDevice,
    Put {
        collection: String,
        #[serde(default)]
        new: f64,
    },
    Post {
        collection: String,
        objects: Value,
        #[serde(default)]
        new: f64,
    },
    Batch {
        collection: String,
        objects: Value,
        #[serde(default)]
        new: f64,
    },
    Delete {
        collection: String,
        objects: Value,
    },
    Clear {
        collection: String,
    },
    Wipe,
}

impl Step {
    /// Reads a step.
    pub fn read(value: &Value) -> Result<Self> {
        let written: Written = value
            .clone()
            .try_into()
            .with_context(|| format!("the step {value}"))?;
        let step = Self::of(written)?;
        if let Some(collection) = step.collection() {
            super::check_collection(collection)?;
        }
        Ok(step)
    }

    fn of(written: Written) -> Result<Self> {
        Ok(match written {
            Written::Check => Self::Check,
            Written::Info { page } => {
                let pages = ["collection_counts", "collection_usage", "quota", "configuration"];
                ensure!(
                    pages.contains(&page.as_str()),
                    "{page:?} is none of {}",
                    pages.join(", ")
                );
                Self::Info(page)
            }
            Written::NothingNew { collection } => Self::NothingNew(collection),
            Written::Read { collection } => Self::Read(collection),
            Written::Newest { collection, limit } => {
                ensure!(
                    (1..=10_000).contains(&limit),
                    "limit: {limit} is not from 1 to 10,000"
                );
                Self::Newest(collection, limit)
            }
            Written::Ids { collection } => Self::Ids(collection),
            Written::Download { collection } => Self::Download(collection),
            Written::CatchUp => Self::CatchUp,
            Written::NewDevice => Self::NewDevice,
            Written::Put { collection, new } => Self::Put(writing(collection, &Value::Integer(1), new)?),
            Written::Post {
                collection,
                objects,
                new,
            } => Self::Post(writing(collection, &objects, new)?),
            Written::Batch {
                collection,
                objects,
                new,
            } => Self::Batch(writing(collection, &objects, new)?),
            Written::Delete { collection, objects } => Self::Delete(collection, self::objects(&objects)?),
            Written::Clear { collection } => Self::Clear(collection),
            Written::Wipe => Self::Wipe,
        })
    }

    fn collection(&self) -> Option<&str> {
        match self {
            Self::NothingNew(collection)
            | Self::Read(collection)
            | Self::Newest(collection, _)
            | Self::Ids(collection)
            | Self::Download(collection)
            | Self::Delete(collection, _)
            | Self::Clear(collection) => Some(collection),
            Self::Put(writing) | Self::Post(writing) | Self::Batch(writing) => Some(&writing.collection),
            Self::Check | Self::Info(_) | Self::CatchUp | Self::NewDevice | Self::Wipe => None,
        }
    }
}

fn writing(collection: String, objects: &Value, new: f64) -> Result<Writing> {
    ensure!(
        (0.0..=1.0).contains(&new),
        "new: {new} is not a share from 0 to 1"
    );
    let objects = self::objects(objects)?;
    Ok(Writing {
        collection,
        objects,
        new,
    })
}

fn objects(value: &Value) -> Result<Distribution> {
    let objects = Distribution::read(value, Unit::Count).map_err(|error| anyhow!("objects: {error}"))?;
    ensure!(
        objects.most() <= MOST_OBJECTS,
        "objects: more than {MOST_OBJECTS} at once"
    );
    Ok(objects)
}
