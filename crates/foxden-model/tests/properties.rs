//! Properties of all times and names.

use foxden_model::{BadName, CollectionName, ObjectId, Rng, SeededRng, SyncTime};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The latest time that can be read: fifteen digits of seconds.
const LATEST: i64 = 99_999_999_999_999_999;

/// The same cases in each run.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_time_is_read_as_it_was_printed(hundredths in -LATEST..=LATEST) {
        let time = SyncTime::from_hundredths(hundredths);
        prop_assert_eq!(time.to_string().parse(), Ok(time));
    }

    #[test]
    fn any_time_prints_two_decimals(hundredths: i64) {
        let text = SyncTime::from_hundredths(hundredths).to_string();
        let (whole, fraction) = text.split_once('.').expect("there is a point");
        prop_assert_eq!(fraction.len(), 2);
        prop_assert_eq!(format!("{whole}{fraction}").parse::<i128>(), Ok(i128::from(hundredths)));
    }

    /// Clients store times as doubles and format them as JavaScript does.
    #[test]
    fn a_time_survives_a_double(hundredths in 0..1_000_000_000_000i64) {
        #[expect(clippy::cast_precision_loss, reason = "what clients do")]
        let double = hundredths as f64 / 100.0;
        prop_assert_eq!(double.to_string().parse(), Ok(SyncTime::from_hundredths(hundredths)));
    }

    #[test]
    fn further_digits_round_to_the_nearest(hundredths in 0..LATEST, further in "[0-9]{1,20}") {
        let time = SyncTime::from_hundredths(hundredths);
        let rounded = if further.as_bytes()[0] < b'5' { time } else { time.next() };
        prop_assert_eq!(format!("{time}{further}").parse(), Ok(rounded));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+.0-9e ]{0,24}|.{0,24}") {
        if let Ok(time) = text.parse::<SyncTime>() {
            prop_assert!(text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-'));
            prop_assert!(time.hundredths().abs() <= LATEST + 1);
        }
    }

    #[test]
    fn next_and_before_are_inverse(hundredths in -LATEST..=LATEST, seconds: i32) {
        let time = SyncTime::from_hundredths(hundredths);
        prop_assert!(time.before() < time && time < time.next());
        prop_assert_eq!(time.next().before(), time);
        prop_assert_eq!(time.plus_seconds(seconds.into()).plus_seconds(-i64::from(seconds)), time);
    }

    #[test]
    fn names_of_collections_are_kept_or_refused(text in "[a-zA-Z0-9._-]{0,34}|.{0,34}") {
        let is_allowed = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        match CollectionName::new(&text) {
            Ok(name) => prop_assert!(is_allowed && name.as_str() == text),
            Err(BadName) => prop_assert!(!is_allowed),
        }
    }

    #[test]
    fn names_sort_and_compare_as_texts(a in "[a-b.]{1,4}", b in "[a-b.]{1,4}") {
        let names = [&a, &b].map(|text| CollectionName::new(text).expect("it is allowed"));
        prop_assert_eq!(names[0].cmp(&names[1]), a.cmp(&b));
    }

    #[test]
    fn ids_are_kept_or_refused(text in "[ -~]{0,66}|\\PC{0,66}|.{0,10}") {
        let is_allowed = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        match ObjectId::new(text.clone()) {
            Ok(id) => prop_assert!(is_allowed && id.as_str() == text),
            Err(BadName) => prop_assert!(!is_allowed),
        }
    }

    #[test]
    fn random_bytes_follow_the_seed_and_do_not_repeat(seed: u64, length in 8..64usize) {
        let rngs = [SeededRng::new(seed), SeededRng::new(seed)];
        let draw = |rng: &SeededRng| {
            let mut bytes = vec![0; length];
            rng.fill(&mut bytes);
            bytes
        };
        let first = draw(&rngs[0]);
        prop_assert_eq!(&first, &draw(&rngs[1]));
        prop_assert_ne!(first, draw(&rngs[0]));
    }
}
