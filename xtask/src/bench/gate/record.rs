//! The record of what operations cost: a table with tabs between its columns. Lines are appended, and the last line of an
//! operation is what holds.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// What one request costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    pub instructions: f64,
    pub allocations: f64,
}

/// What was accepted once.
#[derive(Debug, PartialEq)]
pub struct Line {
    pub date: String,
    pub operation: String,
    pub cost: Cost,
    /// What counts depend on beside the code.
    pub tools: String,
    pub why: String,
}

/// All that was ever accepted, the oldest first.
#[derive(Debug, Default)]
pub struct Record {
    lines: Vec<Line>,
}

impl Record {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Lines that begin with `#` are comments.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = (1..).zip(text.lines());
        let lines = lines.filter(|(_, line)| !line.starts_with('#'));
        let lines = lines.map(|(number, line)| Line::parse(line).with_context(|| format!("line {number}")));
        Ok(Self {
            lines: lines.collect::<Result<_>>()?,
        })
    }

    /// What holds for an operation.
    pub fn latest(&self, operation: &str) -> Option<&Line> {
        self.lines.iter().rfind(|line| line.operation == operation)
    }
}

impl Line {
    fn parse(line: &str) -> Result<Self> {
        let columns: Vec<&str> = line.split('\t').collect();
        let [date, operation, instructions, allocations, tools, why] = columns[..] else {
            bail!("it has {} columns, not 6", columns.len());
        };
        if why.trim().is_empty() {
            bail!("it does not say why");
        }
        Ok(Self {
            date: date.to_owned(),
            operation: operation.to_owned(),
            cost: Cost::parse(instructions, allocations)?,
            tools: tools.to_owned(),
            why: why.to_owned(),
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            date,
            operation,
            cost,
            tools,
            why,
        } = self;
        let Cost {
            instructions,
            allocations,
        } = cost;
        write!(
            f,
            "{date}\t{operation}\t{instructions:.0}\t{allocations:.1}\t{tools}\t{why}"
        )
    }
}

impl Cost {
    fn parse(instructions: &str, allocations: &str) -> Result<Self> {
        let cost = Self {
            instructions: instructions.parse().context("instructions")?,
            allocations: allocations.parse().context("allocations")?,
        };
        // Without instructions any count is a growth without bound, and no comparison with what is not a number holds.
        if !cost.instructions.is_normal() || !cost.allocations.is_finite() {
            bail!("{instructions} and {allocations} are no counts");
        }
        Ok(cost)
    }
}

/// Appends lines to the record.
pub fn append(path: &Path, lines: &[Line]) -> Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(())
}

/// What was counted of an operation.
#[derive(Debug)]
pub struct Measured {
    pub operation: String,
    pub cost: Cost,
    /// The smallest difference in allocations that is one.
    pub least_allocations: f64,
}

/// Reads what the counting program prints.
pub fn measured(output: &str) -> Result<Vec<Measured>> {
    let measured = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [operation, instructions, allocations, least] = columns[..] else {
            bail!("no counts: {line}");
        };
        Ok(Measured {
            operation: operation.to_owned(),
            cost: Cost::parse(instructions, allocations)?,
            least_allocations: least.parse().context("the smallest difference")?,
        })
    };
    output.lines().map(measured).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_an_operation_holds() {
        let text = "# date\n\
            2026-01-01\tPUT\t1000\t10.0\trustc 1\tfirst\n\
            2026-01-02\tPOST\t5000\t50.5\trustc 1\tfirst\n\
            2026-01-03\tPUT\t1100\t11.0\trustc 1\tit checks more\n";
        let record = Record::parse(text).unwrap();
        let latest = record.latest("PUT").unwrap();
        assert_eq!(
            latest.to_string(),
            "2026-01-03\tPUT\t1100\t11.0\trustc 1\tit checks more"
        );
        assert!(record.latest("GET").is_none());
    }

    #[test]
    fn lines_without_a_reason_or_with_no_counts_are_refused() {
        for line in [
            "2026-01-01\tPUT\t1000\t10.0\trustc 1\t ",
            "2026-01-01\tPUT\t1000\t10.0\trustc 1",
            "2026-01-01\tPUT\tNaN\t10.0\trustc 1\twhy",
            "2026-01-01\tPUT\t0\t10.0\trustc 1\twhy",
        ] {
            assert!(Record::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_record_of_this_checkout_is_valid() {
        let path = super::super::path();
        assert!(!Record::read(&path).unwrap().lines.is_empty());
    }
}
