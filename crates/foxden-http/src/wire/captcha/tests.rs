//! Properties of the captcha.

use foxden_model::{ManualClock, SeededRng};

use super::*;

fn captcha() -> (Captcha, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at_millis(1_763_690_000_000));
    let captcha = Captcha::new(b"a key", Arc::clone(&clock) as _, Arc::new(SeededRng::new(1)));
    (captcha, clock)
}

/// Answers like a person who reads only the digits of both spellings.
fn solve(question: &Question) -> String {
    let (first, _) = question.asked.split_once(' ').unwrap();
    let (_, second) = question.again.rsplit_once(' ').unwrap();
    let (first, second): (i32, i32) = (first.parse().unwrap(), second.parse().unwrap());
    let result = if question.asked.contains('+') {
        first + second
    } else {
        first - second
    };
    result.to_string()
}

#[test]
fn both_spellings_together_can_be_solved_without_a_word_of_english() {
    let (captcha, _) = captcha();
    for _ in 0..200 {
        let question = captcha.question();
        assert!(
            captcha.check(&question.challenge, &solve(&question)).is_ok(),
            "{question:?}"
        );
    }
}

#[test]
fn nothing_that_the_question_shows_is_its_answer() {
    let (captcha, _) = captcha();
    for _ in 0..200 {
        let question = captcha.question();
        let shown = format!("{} {} {}", question.asked, question.again, question.challenge);
        let answer = solve(&question);
        assert!(shown.split(' ').all(|piece| piece != answer), "{question:?}");
    }
}

#[test]
fn a_right_answer_counts_once() {
    let (captcha, _) = captcha();
    let question = captcha.question();
    let answer = solve(&question);
    let pass = captcha.check(&question.challenge, &answer).unwrap();
    let again = captcha.check(&question.challenge, &answer);
    assert_eq!(again.unwrap_err(), WrongAnswer::UsedUp);
    captcha.restore(&pass);
    assert!(captcha.check(&question.challenge, &answer).is_ok());
}

#[test]
fn three_wrong_answers_use_a_question_up() {
    let (captcha, _) = captcha();
    let question = captcha.question();
    for wrong in ["0", "a", "300"] {
        let refused = captcha.check(&question.challenge, wrong).unwrap_err();
        assert_eq!(refused, WrongAnswer::Wrong);
    }
    let refused = captcha.check(&question.challenge, &solve(&question));
    assert_eq!(refused.unwrap_err(), WrongAnswer::UsedUp);
}

#[test]
fn only_our_own_challenges_count_and_not_for_ever() {
    let (captcha, clock) = captcha();
    let question = captcha.question();
    let answer = solve(&question);
    let mut forged = question.challenge.clone().into_bytes();
    forged[3] ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    for foreign in [forged.as_str(), "x", "\u{e9}", &question.challenge[..20]] {
        assert_eq!(
            captcha.check(foreign, &answer).unwrap_err(),
            WrongAnswer::Foreign,
            "{foreign}"
        );
    }
    for (challenge, answer) in [("", answer.as_str()), (question.challenge.as_str(), " ")] {
        assert_eq!(
            captcha.check(challenge, answer).unwrap_err(),
            WrongAnswer::Missing
        );
    }
    clock.advance_millis((TTL_SECONDS + 1) * 1000);
    assert_eq!(
        captcha.check(&question.challenge, &answer).unwrap_err(),
        WrongAnswer::TooOld
    );
}

/// A question asked while the clock was ahead does not last until the clock has caught up. One that is pending
/// while the clock is behind becomes valid again.
#[test]
fn a_clock_that_is_wrong_makes_no_question_last() {
    let day = 86_400_000;
    for (off, good) in [(400 * day, false), (600_000, true), (-600_000, true)] {
        let (captcha, clock) = captcha();
        let now = clock.millis();
        clock.set_millis(now + off);
        let question = captcha.question();
        clock.set_millis(now);
        let checked = captcha.check(&question.challenge, &solve(&question));
        assert_eq!(checked.is_ok(), good, "{off}: {:?}", checked.err());
    }
    let (captcha, clock) = captcha();
    let (now, question) = (clock.millis(), captcha.question());
    clock.set_millis(day);
    let refused = captcha.check(&question.challenge, &solve(&question));
    assert_eq!(refused.unwrap_err(), WrongAnswer::TooOld);
    clock.set_millis(now);
    assert!(captcha.check(&question.challenge, &solve(&question)).is_ok());
}

#[test]
fn numbers_are_read_in_many_digits() {
    for text in ["42", " 42 ", "٤٢", "۴۲", "४२", "৪২", "๔๒", "４２", "042"] {
        assert_eq!(number(text), Some(42), "{text}");
    }
    for text in ["-1", "4 2", "4.2", "forty-two", "256", "99999999999999999999"] {
        assert_eq!(number(text), None, "{text}");
    }
}

#[test]
fn the_used_challenges_are_bounded() {
    let mut used = UsedChallenges::default();
    for at in 0..=MAX_ENTRIES as u128 {
        *used.tries_of(at.to_be_bytes()) = MAX_TRIES;
    }
    assert_eq!((used.tries.len(), used.order.len()), (MAX_ENTRIES, MAX_ENTRIES));
    assert_eq!(*used.tries_of(5_u128.to_be_bytes()), MAX_TRIES);
}
