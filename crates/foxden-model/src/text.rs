//! Untrusted text, escaped for display: control characters and invisible characters are written as their code points.

use std::fmt::{self, Write as _};

/// Characters beyond controls that are invisible or change the direction of the text after them: Unicode's format and ignorable
/// characters, fillers and blanks, and private-use characters. In rising order.
const INVISIBLE: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{fffe}', '\u{ffff}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
    ('\u{f0000}', '\u{10ffff}'),
];

/// Whether the character is a control character, is invisible, or changes the direction of text.
pub fn is_invisible(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let at = INVISIBLE.partition_point(|&(_, last)| last < character);
    character.is_control() || INVISIBLE.get(at).is_some_and(|&(first, _)| first <= character)
}

/// A text in which every invisible character is written as `\u{…}`.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if is_invisible(character) {
                write!(f, "{}", character.escape_unicode())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_sorted() {
        let mut before = '\0';
        for &(first, last) in INVISIBLE {
            assert!(before < first && first <= last, "{first:?}");
            before = last;
        }
    }

    #[test]
    fn invisible_characters_are_recognized() {
        for invisible in [
            '\0',
            '\n',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{200b}',
            '\u{200d}',
            '\u{202a}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{2028}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{10ffff}',
        ] {
            assert!(is_invisible(invisible), "{invisible:?}");
        }
        for visible in [
            ' ', 'a', '~', 'é', 'ß', 'я', 'א', 'ع', 'ก', '你', 'ひ', '한', 'ः', '\u{301}', '😀', '’',
            '\u{a0}', '\u{fffd}',
        ] {
            assert!(!is_invisible(visible), "{visible:?}");
        }
    }

    #[test]
    fn invisible_characters_are_escaped() {
        assert_eq!(Escaped("ann@example.org").to_string(), "ann@example.org");
        assert_eq!(
            Escaped("a\u{202e}b\u{1b}[2J").to_string(),
            "a\\u{202e}b\\u{1b}[2J"
        );
    }
}
