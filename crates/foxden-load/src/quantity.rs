//! Sizes and times as people write them: `2 KB`, `1.5 MiB`, `300 ms`, `10 min`.

use std::time::Duration;

/// What a quantity measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things, without a unit.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// The units, with what each is worth.
    const fn names(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Count => &[],
            Self::Bytes => &[
                ("B", 1.0),
                ("KB", 1e3),
                ("MB", 1e6),
                ("KiB", 1024.0),
                ("MiB", 1_048_576.0),
            ],
            Self::Seconds => &[
                ("us", 1e-6),
                ("ms", 1e-3),
                ("s", 1.0),
                ("min", 60.0),
                ("h", 3600.0),
            ],
        }
    }

    /// Reads a quantity. A bare number counts bytes, seconds or things.
    pub fn read(self, text: &str) -> Result<f64, String> {
        let text = text.trim();
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != '_')
            .unwrap_or(text.len());
        let (number, name) = text.split_at(end);
        let number: f64 = number
            .replace('_', "")
            .parse()
            .map_err(|_| format!("{text:?} does not begin with a number"))?;
        let name = name.trim();
        if name.is_empty() {
            return Ok(number);
        }
        let unit = self.names().iter().find(|(unit, _)| *unit == name);
        let Some((_, worth)) = unit else {
            let names: Vec<&str> = self.names().iter().map(|(name, _)| *name).collect();
            return Err(match self {
                Self::Count => format!("{text:?} is not a number"),
                _ => format!("{name:?} is none of the units {}", names.join(", ")),
            });
        };
        Ok(number * worth)
    }
}

/// Reads a time, for the command line.
pub fn duration(text: &str) -> Result<Duration, String> {
    let seconds = Unit::Seconds.read(text)?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_units() {
        assert_eq!(Unit::Bytes.read("2 KB"), Ok(2000.0));
        assert_eq!(Unit::Bytes.read("1.5MiB"), Ok(1_572_864.0));
        assert_eq!(Unit::Seconds.read("10 min"), Ok(600.0));
        assert_eq!(Unit::Count.read("6_000"), Ok(6000.0));
        assert_eq!(duration("300 ms"), Ok(Duration::from_millis(300)));
        assert!(Unit::Bytes.read("3 s").unwrap_err().contains("KiB"));
        assert!(Unit::Seconds.read("soon").is_err() && Unit::Count.read("3 s").is_err());
    }
}
