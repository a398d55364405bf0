//! The record of what operations cost: a table with tabs between its columns. Lines are appended, and the last line of an
//! operation with the same tools is what holds.

use std::collections::BTreeSet;
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

    /// What holds for an operation that is counted with these tools; what was last counted with others if nothing does.
    pub fn latest(&self, operation: &str, tools: &str) -> Option<&Line> {
        let mut lines = self.lines.iter().rev().filter(|line| line.operation == operation);
        let newest = lines.clone().next();
        lines.find(|line| line.tools == tools).or(newest)
    }

    /// Each operation, once.
    pub fn operations(&self) -> BTreeSet<&str> {
        self.lines.iter().map(|line| line.operation.as_str()).collect()
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
        // Over zero any count is a growth without bound, and no comparison with what is not a number holds. No request is answered
        // without an allocation: where none is counted, the functions of the allocator were not recognized.
        let is_count = |count: f64| count.is_finite() && count > 0.0;
        if !is_count(cost.instructions) || !is_count(cost.allocations) {
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
    let measured: Vec<Measured> = output.lines().map(measured).collect::<Result<_>>()?;
    if measured.is_empty() {
        bail!("no operation was measured");
    }
    Ok(measured)
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
        let latest = record.latest("PUT", "rustc 1").unwrap();
        assert_eq!(
            latest.to_string(),
            "2026-01-03\tPUT\t1100\t11.0\trustc 1\tit checks more"
        );
        assert!(record.latest("GET", "rustc 1").is_none());
        assert_eq!(record.operations(), ["POST", "PUT"].into());
    }

    #[test]
    fn the_last_line_with_the_same_tools_goes_before_those_with_others() {
        let text = "2026-01-01\tPUT\t1000\t10.0\trustc 1\tfirst\n\
            2026-01-02\tPUT\t1100\t10.0\trustc 2\tanother compiler\n\
            2026-01-03\tPUT\t1200\t10.0\trustc 3\tanother compiler\n";
        let record = Record::parse(text).unwrap();
        let date = |tools| record.latest("PUT", tools).unwrap().date.as_str();
        assert_eq!(date("rustc 1"), "2026-01-01");
        assert_eq!(date("rustc 2"), "2026-01-02");
        assert_eq!(date("rustc 4"), "2026-01-03");
    }

    #[test]
    fn a_run_that_counted_nothing_is_refused() {
        assert_eq!(measured("PUT\t1000\t10.0\t0.5\n").unwrap().len(), 1);
        for output in ["", "PUT\t1000\t0.0\t0.5\n", "PUT\t-5\t10.0\t0.5\n"] {
            assert!(measured(output).is_err(), "{output}");
        }
    }

    #[test]
    fn lines_without_a_reason_or_with_no_counts_are_refused() {
        for line in [
            "2026-01-01\tPUT\t1000\t10.0\trustc 1\t ",
            "2026-01-01\tPUT\t1000\t10.0\trustc 1",
            "2026-01-01\tPUT\tNaN\t10.0\trustc 1\twhy",
            "2026-01-01\tPUT\t0\t10.0\trustc 1\twhy",
            "2026-01-01\tPUT\t1000\t0.0\trustc 1\twhy",
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
