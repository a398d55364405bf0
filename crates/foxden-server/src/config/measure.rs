//! Sizes and times as people write them: `2 MB`, `512 KiB`, `90 s`, `1h`, `7 days`.

use std::time::Duration;

/// Reads a number of bytes. A bare number counts bytes; `KB` is a thousand, `KiB` is 1024.
pub fn size(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str = "a size is a number and a unit, as in \"2 MB\" or \"512 KiB\"";
    let (number, unit) = split(text).ok_or(WRONG)?;
    let factor: u64 = match unit.as_str() {
        "" | "b" | "byte" | "bytes" => 1,
        "k" | "kb" => 1000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        "t" | "tb" => 1_000_000_000_000,
        "tib" => 1 << 40,
        _ => return Err(WRONG),
    };
    scaled(number, factor).ok_or("the size is too large or too fine")
}

/// Reads a span of time. It needs a unit, so that there is no guessing between seconds and milliseconds.
pub fn time(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "a time is a number and a unit, as in \"500 ms\", \"30 s\", \"1h\" or \"7 days\"";
    let (number, unit) = split(text).ok_or(WRONG)?;
    let factor: u64 = match unit.as_str() {
        "ms" => 1,
        "s" | "sec" | "second" | "seconds" => 1000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        "" if number == "0" => 1,
        _ => return Err(WRONG),
    };
    scaled(number, factor)
        .map(Duration::from_millis)
        .ok_or("the time is too long or too fine")
}

fn split(text: &str) -> Option<(&str, String)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    number
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| (number, unit.trim().to_ascii_lowercase()))
}

/// `number` times `factor`, exactly: `1.5 KB` is 1500, while `1.0001 KB` is no whole number of bytes.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let whole = whole.checked_mul(factor)?;
    if fraction.is_empty() {
        return Some(whole);
    }
    let parts = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let product = fraction.parse::<u64>().ok()?.checked_mul(factor)?;
    (product % parts == 0).then(|| whole.checked_add(product / parts))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("2 MB", 2_000_000),
            ("2mb", 2_000_000),
            ("1.5 KiB", 1536),
            ("25 GB", 25_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "MB",
            "-1",
            "2 MBit",
            "1.0001 KB",
            "99999999 TB",
            "1.2.3 KB",
            "1e3",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_times_as_people_write_them() {
        for (text, millis) in [
            ("0", 0),
            ("500 ms", 500),
            ("30s", 30_000),
            ("1.5 h", 5_400_000),
            ("7 days", 604_800_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "30",
            "h",
            "1 fortnight",
            "0.0001 s",
            "999999999999999999 days",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
