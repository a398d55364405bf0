//! The paths in Rust text that begin with `crate` or `super`, and the text without its tests.

/// The tokens of a text that matter for paths.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// `::`
    Separator,
    Open,
    Close,
    Other,
}

/// Every path that begins with `crate` or `super`. A list in braces makes one path of each of its members.
pub fn absolute(text: &str) -> Vec<Vec<&str>> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_start = matches!(token, Token::Word("crate" | "super"));
        // A path after `in` is the visibility of an item.
        let before = at.checked_sub(1).map(|before| tokens[before]);
        let is_inside = matches!(before, Some(Token::Separator | Token::Word("in")));
        if is_start && !is_inside && tokens.get(at + 1) == Some(&Token::Separator) {
            read(&tokens, at, &[], &mut found);
        }
    }
    found
}

/// Reads a path, or a list of paths in braces, after the prefix `before`. Returns its end.
fn read<'a>(tokens: &[Token<'a>], at: usize, before: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> usize {
    match tokens.get(at) {
        Some(Token::Word(word)) => {
            let path = [before, &[*word]].concat();
            let continues = tokens.get(at + 1) == Some(&Token::Separator)
                && matches!(tokens.get(at + 2), Some(Token::Word(_) | Token::Open));
            if continues {
                return read(tokens, at + 2, &path, found);
            }
            found.push(path);
            at + 1
        }
        Some(Token::Open) => {
            let mut at = at + 1;
            loop {
                at = match tokens.get(at) {
                    None | Some(Token::Close) => return at + 1,
                    // The new name of the previous member.
                    Some(Token::Word("as")) => at + 2,
                    Some(Token::Word(_) | Token::Open) => read(tokens, at, before, found),
                    Some(Token::Separator | Token::Other) => at + 1,
                };
            }
        }
        _ => at,
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_word(first) {
            let length = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..length]));
            length
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            tokens.push(Token::Separator);
            2
        } else {
            match first {
                '{' => tokens.push(Token::Open),
                '}' => tokens.push(Token::Close),
                _ if first.is_whitespace() => {}
                _ => tokens.push(Token::Other),
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The text without items that are compiled for tests only.
pub fn without_tests(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            let indent = &line[..line.len() - line.trim_start().len()];
            skip_item(&mut lines, indent);
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Skips an item with this indentation, with its other attributes.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>, indent: &str) {
    let first = lines.find(|line| !line.trim_start().starts_with("#["));
    if first.is_some_and(|line| line.ends_with([';', ',', '}'])) {
        return;
    }
    let is_end = |line: &str| {
        line.strip_prefix(indent)
            .is_some_and(|rest| rest.starts_with('}'))
    };
    let _end = lines.find(|line| is_end(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_with_their_lists() {
        let text = "use crate::a::{B, c::{self, D as E}};\nuse super::*; // crate::no\npub(in crate::x) fn f() {\n\
            std::crate_::g(super::super::h::<u8>(), self::i); }";
        let found: Vec<String> = absolute(text).iter().map(|path| path.join("::")).collect();
        let wanted = [
            "crate::a::B",
            "crate::a::c::self",
            "crate::a::c::D",
            "super",
            "super::super::h",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn tests_are_left_out() {
        let text = "a\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n    c {\n    }\n}\nd\n    \
            #[cfg(test)]\n    fn e() {\n        f\n    }\ng\n";
        assert_eq!(without_tests(text), "a\nb\nd\ng\n");
    }
}
