//! Prints the JSON of this surface directly into the response buffer.

use foxden_model::SyncTime;

/// A JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = plain_length(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(&byte) = rest.get(plain) else { break };
        escape(out, byte);
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

/// A time, with its two decimals.
pub(super) fn time(out: &mut Vec<u8>, time: SyncTime) {
    if let Some(text) = time_of_today(time) {
        out.extend_from_slice(&text);
        return;
    }
    let hundredths = time.hundredths();
    if hundredths < 0 {
        out.push(b'-');
    }
    let all = hundredths.unsigned_abs();
    digits(out, all / 100, 1);
    out.push(b'.');
    digits(out, all % 100, 2);
}

/// A time from 2001 to 2106. Its whole seconds have ten digits: five pairs at known places, which cost the least.
pub(super) fn time_of_today(time: SyncTime) -> Option<[u8; 13]> {
    let hundredths = u64::try_from(time.hundredths()).ok()?;
    let seconds = u32::try_from(hundredths / 100).ok()?;
    if seconds < 1_000_000_000 {
        return None;
    }
    let mut text = *b"0000000000.00";
    let mut put = |at: usize, number: u32| {
        text[at..at + 2].copy_from_slice(pair(number));
    };
    let (high, low) = (seconds / 10_000, seconds % 10_000);
    put(0, high / 10_000);
    put(2, high / 100 % 100);
    put(4, high % 100);
    put(6, low / 100);
    put(8, low % 100);
    put(11, u32::try_from(hundredths % 100).unwrap_or_default());
    Some(text)
}

/// An integer.
pub(super) fn integer(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    digits(out, number.unsigned_abs(), 1);
}

/// A non-negative integer.
pub(super) fn unsigned(out: &mut Vec<u8>, number: u64) {
    digits(out, number, 1);
}

/// Bytes in units of 1024, with a fraction.
#[expect(
    clippy::cast_precision_loss,
    reason = "a double is what the protocol says, and no store has 2^53 bytes"
)]
pub(super) fn kilobytes(out: &mut Vec<u8>, bytes: u64) {
    out.extend_from_slice(format!("{:?}", bytes as f64 / 1024.0).as_bytes());
}

/// Returns how many bytes at the start need no escape.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    // Subtracting `n` from a byte below `n` borrows into its highest bit; bytes with that bit set are masked out.
    // The result may be wrong only above a byte that is correctly found, which comes first.
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & HIGHS;
    // Without an early exit within a block, so that the compiler can vectorise it.
    let needs_escape = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let is_plain = |block: &&[u8; 32]| block.map(|byte| u8::from(needs_escape(&byte))) == [0; 32];
    let (blocks, _) = bytes.as_chunks();
    let mut at = 32 * blocks.iter().take_while(is_plain).count();
    for eight in bytes[at..].chunks_exact(8) {
        let word = u64::from_le_bytes(eight.try_into().expect("chunks_exact gives eight"));
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = below(word, 0x20) | quote | backslash;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes[at..]
        .iter()
        .position(needs_escape)
        .unwrap_or(bytes.len() - at)
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// Decimal digits, padded with zeros to `least` of them.
fn digits(out: &mut Vec<u8>, mut number: u64, least: usize) {
    let mut buffer = [b'0'; 20];
    let mut at = buffer.len();
    // Two at a time, as division is slow.
    while number >= 10 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(pair(u32::try_from(number % 100).unwrap_or_default()));
        number /= 100;
    }
    if number > 0 {
        at -= 1;
        buffer[at] = b'0' + u8::try_from(number).unwrap_or_default();
    }
    out.extend_from_slice(&buffer[at.min(buffer.len() - least)..]);
}

/// Two digits.
fn pair(number: u32) -> &'static [u8; 2] {
    // A mask is all that a power of two needs in place of a check.
    &PAIRS[usize::try_from(number).unwrap_or_default() % PAIRS.len()]
}

/// The numbers from 00 to 99.
const PAIRS: [[u8; 2]; 128] = {
    let mut pairs = [*b"00"; 128];
    let mut number: u8 = 0;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printed(print: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_printed_as_the_protocol_wants_them() {
        assert_eq!(printed(|out| integer(out, 0)), "0");
        assert_eq!(printed(|out| integer(out, -42)), "-42");
        assert_eq!(printed(|out| integer(out, i64::MIN)), i64::MIN.to_string());
        let at = |hundredths| printed(|out| time(out, SyncTime::from_hundredths(hundredths)));
        assert_eq!(at(176_369_000_010), "1763690000.10");
        assert_eq!(
            [at(99_999_999_999), at(100_000_000_000)],
            ["999999999.99", "1000000000.00"]
        );
        assert_eq!(
            [at(429_496_729_599), at(429_496_729_600)],
            ["4294967295.99", "4294967296.00"]
        );
        assert_eq!(printed(|out| kilobytes(out, 512)), "0.5");
        assert_eq!(printed(|out| kilobytes(out, 2048)), "2.0");
    }

    proptest! {
        #[test]
        fn a_string_reads_back_as_it_was(text in r#"[\x00-\x7f"\\é\u{2028}😀]{0,40}|\PC{0,40}"#) {
            let json = printed(|out| string(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!json.contains('\n'));
        }

        #[test]
        fn a_number_is_printed_as_its_display_is(number: i64, shift in 0..64) {
            let number = number >> shift;
            prop_assert_eq!(printed(|out| integer(out, number)), number.to_string());
        }

        #[test]
        fn a_time_is_printed_as_its_display_is(hundredths: i64, shift in 0..64) {
            let shown = SyncTime::from_hundredths(hundredths >> shift);
            prop_assert_eq!(printed(|out| time(out, shown)), shown.to_string());
        }
    }
}
