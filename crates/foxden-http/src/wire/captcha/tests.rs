//! Properties of the captcha.

use foxden_accounts::SingleProcess;
use foxden_model::{ManualClock, SeededRng};

use super::*;

fn captcha() -> (Captcha, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at_millis(1_763_690_000_000));
    let captcha = Captcha::new(
        b"a key",
        Arc::clone(&clock) as _,
        Arc::new(SeededRng::new(1)),
        Arc::new(SingleProcess),
    );
    (captcha, clock)
}

impl Captcha {
    async fn refusal(&self, challenge: &str, answer: &str) -> WrongAnswer {
        match self.check(challenge, answer).await {
            Err(CaptchaError::Wrong(wrong)) => wrong,
            other => panic!("{other:?}"),
        }
    }
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

#[tokio::test]
async fn both_spellings_together_can_be_solved_without_a_word_of_english() {
    let (captcha, _) = captcha();
    for _ in 0..200 {
        let question = captcha.question();
        assert!(
            captcha
                .check(&question.challenge, &solve(&question))
                .await
                .is_ok(),
            "{question:?}"
        );
    }
}

#[tokio::test]
async fn nothing_that_the_question_shows_is_its_answer() {
    let (captcha, _) = captcha();
    for _ in 0..200 {
        let question = captcha.question();
        let shown = format!("{} {} {}", question.asked, question.again, question.challenge);
        let answer = solve(&question);
        assert!(shown.split(' ').all(|piece| piece != answer), "{question:?}");
    }
}

#[tokio::test]
async fn a_right_answer_counts_once() {
    let (captcha, _) = captcha();
    let question = captcha.question();
    let answer = solve(&question);
    let pass = captcha.check(&question.challenge, &answer).await.unwrap();
    let again = captcha.refusal(&question.challenge, &answer).await;
    assert_eq!(again, WrongAnswer::UsedUp);
    captcha.restore(&pass).await;
    assert!(captcha.check(&question.challenge, &answer).await.is_ok());
}

#[tokio::test]
async fn three_wrong_answers_use_a_question_up() {
    let (captcha, _) = captcha();
    let question = captcha.question();
    for wrong in ["0", "a", "300"] {
        let refused = captcha.refusal(&question.challenge, wrong).await;
        assert_eq!(refused, WrongAnswer::Wrong);
    }
    let refused = captcha.refusal(&question.challenge, &solve(&question)).await;
    assert_eq!(refused, WrongAnswer::UsedUp);
}

#[tokio::test]
async fn only_our_own_challenges_count_and_not_for_ever() {
    let (captcha, clock) = captcha();
    let question = captcha.question();
    let answer = solve(&question);
    let mut forged = question.challenge.clone().into_bytes();
    forged[3] ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    for foreign in [forged.as_str(), "x", "\u{e9}", &question.challenge[..20]] {
        assert_eq!(
            captcha.refusal(foreign, &answer).await,
            WrongAnswer::Foreign,
            "{foreign}"
        );
    }
    for (challenge, answer) in [("", answer.as_str()), (question.challenge.as_str(), " ")] {
        assert_eq!(captcha.refusal(challenge, answer).await, WrongAnswer::Missing);
    }
    clock.advance_millis((TTL_SECONDS + 1) * 1000);
    assert_eq!(
        captcha.refusal(&question.challenge, &answer).await,
        WrongAnswer::TooOld
    );
}

/// A question asked while the clock was ahead does not last until the clock has caught up. One that is pending
/// while the clock is behind becomes valid again.
#[tokio::test]
async fn a_clock_that_is_wrong_makes_no_question_last() {
    let day = 86_400_000;
    for (off, good) in [(400 * day, false), (600_000, true), (-600_000, true)] {
        let (captcha, clock) = captcha();
        let now = clock.millis();
        clock.set_millis(now + off);
        let question = captcha.question();
        clock.set_millis(now);
        let checked = captcha.check(&question.challenge, &solve(&question)).await;
        assert_eq!(checked.is_ok(), good, "{off}: {:?}", checked.err());
    }
    let (captcha, clock) = captcha();
    let (now, question) = (clock.millis(), captcha.question());
    clock.set_millis(day);
    let refused = captcha.refusal(&question.challenge, &solve(&question)).await;
    assert_eq!(refused, WrongAnswer::TooOld);
    clock.set_millis(now);
    assert!(
        captcha
            .check(&question.challenge, &solve(&question))
            .await
            .is_ok()
    );
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
    let nonce = |at: usize| (at as u128).to_be_bytes();
    for at in 0..=MAX_ENTRIES {
        let (tries, evicted) = used.tries_of(nonce(at));
        *tries = if at == 0 { ANSWERED } else { MAX_TRIES };
        // Other processes are told to forget what was answered.
        assert_eq!(evicted, (at == MAX_ENTRIES).then(|| CaptchaPass(nonce(0))));
    }
    assert_eq!((used.tries.len(), used.order.len()), (MAX_ENTRIES, MAX_ENTRIES));
    let (tries, evicted) = used.tries_of(nonce(5));
    assert_eq!((*tries, evicted), (MAX_TRIES, None));
    assert_eq!(
        used.tries_of(nonce(MAX_ENTRIES + 1)).1,
        None,
        "it was never answered"
    );
}
