//! Which known word was meant by one that is not known.

/// The known word that differs least, if any is near enough to have been meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    known
        .into_iter()
        // A right name in the wrong section is a likelier slip than any other, whatever the section.
        .map(|candidate| {
            let misplaced = last(candidate) == last(word);
            (if misplaced { 1 } else { distance(word, candidate) }, candidate)
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 2 + candidate.len() / 4)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped or exchanged to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let exchanged = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["public_url", "storage.quota", "storage.legacy", "log.level"];
        for (word, meant) in [
            ("pubic_url", Some("public_url")),
            ("storage.quotas", Some("storage.quota")),
            ("quota", Some("storage.quota")),
            ("server.level", Some("log.level")),
            ("something_else_entirely", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
