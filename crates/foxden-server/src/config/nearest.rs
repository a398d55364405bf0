//! Which known word was meant by one that is not known.

use strsim::levenshtein;

/// The known word that differs least, if any is near enough to have been meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    known
        .into_iter()
        // A right name in the wrong section is a likelier slip than any other, whatever the section.
        .map(|candidate| {
            let is_misplaced = last(candidate) == last(word);
            let distance = if is_misplaced {
                1
            } else {
                levenshtein(word, candidate)
            };
            (distance, candidate)
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 2.max(candidate.len() / 5))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_name() {
        let known = ["public_url", "storage.quota", "storage.legacy", "log.level"];
        for (word, meant) in [
            ("pubic_url", Some("public_url")),
            ("storage.quotas", Some("storage.quota")),
            ("quota", Some("storage.quota")),
            ("server.level", Some("log.level")),
            ("something_else_entirely", None),
            ("storge.x", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
