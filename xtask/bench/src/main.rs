//! Compares a release server with reference programs and writes `docs/performance.md`.
//!
//! - [`mod@reference`]: the two programs everything is compared with
//! - [`load`]: a closed-loop load of prepared requests
//! - [`request`]: requests signed before the run
//! - [`process`]: server processes, and their resource usage
//! - [`comparison`]: one case, measured in alternating rounds
//! - [`cases`]: the measurements
//! - [`report`]: the page it becomes
//! - [`mod@instructions`]: instructions and allocations that one request costs
//! - [`operations`]: the requests whose cost is counted
//! - [`callgrind`]: reads the counts
//! - [`daily`]: what is measured every day
//! - [`mod@soak`]: an ordinary load together with attacks, and how they affect it
//! - [`attacks`]: the attacks

#![expect(clippy::print_stdout, reason = "a measurement prints its results")]

mod attacks;
mod callgrind;
mod cases;
mod comparison;
mod daily;
mod instructions;
mod load;
mod operations;
mod process;
mod reference;
mod report;
mod request;
mod soak;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use cases::Part;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["reference", kind, port, folder] => reference::serve(kind, port.parse()?, folder.into()).await,
        ["run", foxden, page, seconds, ref earlier @ ..] if earlier.len() < 2 => {
            let earlier = earlier.first().map(Path::new);
            let seconds = seconds.parse().context("seconds a round")?;
            let figures = cases::run(Path::new(foxden), earlier, seconds).await?;
            report::write(Path::new(page), &figures)
        }
        ["caches", foxden, seconds] => cases::caches::run(Path::new(foxden), seconds.parse()?).await,
        ["instructions", foxden, ref earlier @ ..] if earlier.len() < 2 => {
            instructions::run(Path::new(foxden), earlier.first().map(Path::new)).await
        }
        ["counts", foxden, profiles] => {
            instructions::print_counts(Path::new(foxden), Path::new(profiles)).await
        }
        ["report", foxden, tester, folder, day] => {
            let is_good = daily::run(Path::new(foxden), Path::new(tester), Path::new(folder), day).await?;
            ensure!(is_good, "not every answer was right");
            Ok(())
        }
        ["soak", foxden, seconds, picture, wanted] => {
            soak::run(Path::new(foxden), seconds.parse()?, Path::new(picture), wanted).await
        }
        ["attack", port, mail, seconds, quarter, wanted] => {
            let ports = [port.parse()?, mail.parse()?];
            attacks::run(ports, seconds.parse()?, quarter.parse()?, wanted).await
        }
        ["health", port, seconds, rate] => {
            soak::ask_for_health(port.parse()?, seconds.parse()?, rate.parse()?).await
        }
        [what, foxden, seconds, ref earlier @ ..] if earlier.len() < 2 && Part::named(what).is_some() => {
            let part = Part::named(what).context("it is one of the parts")?;
            let earlier = earlier.first().map(Path::new);
            cases::part(part, Path::new(foxden), earlier, seconds.parse()?).await
        }
        _ => bail!(
            "usage: foxden-bench run <foxden program> <page to write> <seconds a round> [<earlier program>]\n\
             \u{20}      foxden-bench memory|speed|reads|writes|legacy|size|depth <foxden program> <seconds a round> [<earlier program>]\n\
             \u{20}      foxden-bench caches <foxden program> <seconds a round>\n\
             \u{20}      foxden-bench instructions <foxden program> [<earlier program>]\n\
             \u{20}      foxden-bench counts <foxden program> <folder for profiles>\n\
             \u{20}      foxden-bench report <foxden program> <foxden-load program> <folder> <day>\n\
             \u{20}      foxden-bench soak <foxden program> <seconds> <picture to draw> all|<attack,...>"
        ),
    }
}
