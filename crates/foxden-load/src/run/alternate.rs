//! Runs against several servers in turn, so that what changes slowly on the machine changes the figures of all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::plan::Plan;
use crate::view::View;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The number of the pair.
    pub number: u32,
    /// The number of the server.
    pub side: usize,
}

/// Makes a folder for each server below this one.
pub fn folders(into: &Path, sides: usize) -> Result<Vec<PathBuf>> {
    let folders: Vec<PathBuf> = ('a'..)
        .take(sides)
        .map(|name| into.join(name.to_string()))
        .collect();
    for folder in &folders {
        let cannot = || format!("{} cannot be made", folder.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        let mut entries = fs::read_dir(folder).with_context(cannot)?;
        ensure!(
            entries.next().is_none(),
            "--into: {} is not empty: name another --into, or delete it",
            folder.display()
        );
    }
    Ok(folders)
}

/// The order: forth and back, since what comes first may gain or lose by it.
fn turns(runs: u32, sides: usize) -> impl Iterator<Item = Turn> {
    (0..runs).flat_map(move |number| {
        let side = move |at: usize| if number % 2 == 0 { at } else { sides - 1 - at };
        (0..sides).map(move |at| Turn {
            number,
            side: side(at),
        })
    })
}

/// Asks every server once, carries out all turns, and writes each result into the folder of its server.
pub async fn run(
    folders: &[PathBuf],
    runs: u32,
    plan: impl Fn(Turn) -> Result<Plan>,
    view: &mut View,
) -> Result<()> {
    // Not only after the first run of the others.
    for side in 0..folders.len() {
        super::ask(&plan(Turn { number: 0, side })?).await?;
    }
    for turn in turns(runs, folders.len()) {
        let plan = plan(turn)?;
        let number = turn.number + 1;
        view.say(&format!("Pair {number} of {runs}: {}", plan.server.target));
        let result = super::run(plan, view).await?;
        if result.is_cut {
            bail!("ended in pair {number}; what was measured before is kept");
        }
        let file = folders[turn.side].join(format!("{number:04}.json"));
        result.write(&file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_is_first_as_often_as_last() {
        let sides: Vec<usize> = turns(4, 2).map(|turn| turn.side).collect();
        assert_eq!(sides, [0, 1, 1, 0, 0, 1, 1, 0]);
        let numbers: Vec<u32> = turns(2, 3).map(|turn| turn.number).collect();
        assert_eq!(numbers, [0, 0, 0, 1, 1, 1]);
    }
}
