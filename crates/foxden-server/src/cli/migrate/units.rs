//! Numbers as people read them.

use std::time::Duration;

/// A number with commas: `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 user`, `12,345 users`.
pub fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// A size with one decimal: `29.8 MiB`.
pub fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut tenths = number.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// How long something took: `0.4 s`, and from ten seconds on as [`rough`] says it.
pub fn duration(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..10 => format!("{seconds}.{} s", span.subsec_millis() / 100),
        _ => rough(span),
    }
}

/// A span of time: `4 s`, `2 min 05 s`, `1 h 07 min`.
pub fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [1, 2].map(|number| counted(number, "user")),
            ["1 user", "2 users"]
        );
        assert_eq!(
            [0, 1023, 1536, 31_300_000, 1 << 41].map(bytes),
            ["0 B", "1023 B", "1.5 KiB", "29.8 MiB", "2.0 TiB"]
        );
        let spans = [450, 14_900, 125_000, 4_020_000].map(|millis| duration(Duration::from_millis(millis)));
        assert_eq!(spans, ["0.4 s", "14 s", "2 min 05 s", "1 h 07 min"]);
    }
}
