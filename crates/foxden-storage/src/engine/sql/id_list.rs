//! Lists of ids in the statements of MySQL, which has no arrays.

use super::connection::Arg;

/// Several placeholders, separated by commas.
pub(super) fn placeholders(one: &str, count: usize) -> String {
    let mut all = format!("{one}, ").repeat(count);
    all.truncate(all.len().saturating_sub(2));
    all
}

/// The number of ids in a statement for `count` of them.
pub(super) const fn padded(count: usize) -> usize {
    count.next_power_of_two()
}

/// Ids for a list of [`padded`] length: the last one is repeated.
pub(super) fn padded_ids<'a>(
    ids: impl ExactSizeIterator<Item = &'a str> + Clone,
) -> impl Iterator<Item = Arg<'a>> {
    let missing = padded(ids.len()) - ids.len();
    let last = ids.clone().last().into_iter();
    let more = last.flat_map(move |id| std::iter::repeat_n(id, missing));
    ids.chain(more).map(Arg::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_padded_with_their_last_id() {
        let ids = ["a", "b", "c"];
        let texts: Vec<_> = padded_ids(ids.iter().copied())
            .map(|arg| match arg {
                Arg::Text(text) => text,
                _ => panic!("not a text"),
            })
            .collect();
        assert_eq!(texts, ["a", "b", "c", "c"]);
        assert_eq!(placeholders("?", 3), "?, ?, ?");
        assert_eq!(placeholders("?", 0), "");
    }
}
