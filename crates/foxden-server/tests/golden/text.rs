//! Texts of a conversation: repetition, variables, and patterns.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use data_encoding::HEXLOWER;

/// The values that a conversation captured, by name.
pub type Kept = BTreeMap<String, String>;

/// Writes out every `<<each …>>`, `<<fill …>>` and `<<hex …>>`.
pub fn expand(text: &str) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<<") {
        let (inside, after) = after.split_once(">>").context("<< without >>")?;
        out.push_str(before);
        out.push_str(&repeated(inside)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn repeated(inside: &str) -> Result<String> {
    let mut words = inside.splitn(3, ' ');
    let (verb, range, text) = (words.next(), words.next(), words.next());
    match (verb, range, text) {
        (Some("each"), Some(range), Some(text)) => {
            let (first, last) = range
                .split_once("..")
                .context("each needs a range such as 1..9")?;
            let (first, last): (usize, usize) = (first.parse()?, last.parse()?);
            let all: Vec<String> = (first..=last)
                .map(|at| text.replace('#', &at.to_string()))
                .collect();
            Ok(all.join(","))
        }
        (Some("fill"), Some(count), Some(text)) => Ok(text.repeat(count.parse()?)),
        (Some("hex"), Some(digits), None) => {
            let bytes = HEXLOWER.decode(digits.as_bytes())?;
            Ok(bytes.into_iter().map(char::from).collect())
        }
        _ => bail!("<<{inside}>> is not <<each FIRST..LAST TEXT>>, <<fill COUNT TEXT>> or <<hex DIGITS>>"),
    }
}

/// Replaces names of variables by their values.
pub fn fill_in(text: &str, kept: &Kept) -> String {
    let pieces = pieces(text).into_iter();
    let text = pieces.map(|piece| match piece {
        Piece::Plain(text) => text.to_owned(),
        Piece::Anything => "{*}".to_owned(),
        Piece::Name(name) => kept.get(name).cloned().unwrap_or_else(|| format!("{{{name}}}")),
    });
    text.collect()
}

/// Replaces values of variables by their names, to record responses.
pub fn take_out(text: &str, kept: &Kept) -> String {
    // Short values occur by chance.
    let mut values: Vec<_> = kept.iter().filter(|(_, value)| value.len() > 15).collect();
    values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    let put = |text: String, (name, value): (&String, &String)| text.replace(value, &format!("{{{name}}}"));
    values.into_iter().fold(text.to_owned(), put)
}

/// Whether a text matches a pattern; if so, the variables of the pattern are set.
pub fn fits(pattern: &str, text: &str, kept: &mut Kept) -> bool {
    let mut found = kept.clone();
    let is_fit = fits_pieces(&pieces(pattern), text, &mut found);
    if is_fit {
        *kept = found;
    }
    is_fit
}

fn fits_pieces(pieces: &[Piece<'_>], text: &str, kept: &mut Kept) -> bool {
    let Some((first, rest)) = pieces.split_first() else {
        return text.is_empty();
    };
    match *first {
        Piece::Plain(plain) => text
            .strip_prefix(plain)
            .is_some_and(|after| fits_pieces(rest, after, kept)),
        Piece::Anything => ends(text).any(|end| fits_pieces(rest, &text[end..], kept)),
        Piece::Name(name) => {
            if let Some(value) = kept.get(name) {
                let after = text.strip_prefix(value.as_str());
                return after.is_some_and(|after| fits_pieces(rest, after, kept));
            }
            let is_word = |end: &usize| *end > 0 && !text[..*end].contains(['"', '\n', ',']);
            let fit = ends(text)
                .take_while(|end| *end == 0 || is_word(end))
                .find(|&end| {
                    kept.insert(name.to_owned(), text[..end].to_owned());
                    end > 0 && fits_pieces(rest, &text[end..], kept)
                });
            if fit.is_none() {
                kept.remove(name);
            }
            fit.is_some()
        }
    }
}

/// Where a text can be cut.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Plain(&'a str),
    Name(&'a str),
    Anything,
}

/// Cuts a text at its names. A brace that opens no name is a brace.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(open) = text[at..].find('{').map(|open| at + open) {
        let inside = text[open + 1..].split_once('}').map(|(inside, _)| inside);
        let is_name = |inside: &&str| {
            !inside.is_empty()
                && inside
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let Some(inside) = inside.filter(|inside| *inside == "*" || is_name(inside)) else {
            at = open + 1;
            continue;
        };
        pieces.push(Piece::Plain(&text[start..open]));
        pieces.push(if inside == "*" {
            Piece::Anything
        } else {
            Piece::Name(inside)
        });
        at = open + inside.len() + 2;
        start = at;
    }
    pieces.push(Piece::Plain(&text[start..]));
    pieces
}
