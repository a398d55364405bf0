//! The built-in captcha: a small sum, one number in digits and the other in words.
//!
//! The server stores nothing about a question. Its challenge contains the expiry and a nonce, signed; the sum is
//! derived from the nonce with the same key, so the challenge does not reveal the answer. Only used challenges are
//! stored, up to a limit: a challenge accepts one right answer and a few wrong ones.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use foxden_model::{Clock, Rng};
use ring::hmac;

/// How many seconds a question may be answered: people are interrupted while they fill in a form.
const TTL_SECONDS: i64 = 1800;
/// How many seconds the clock may be set back without ending a question.
const CLOCK_SLACK_SECONDS: i64 = 3600;
/// How many wrong answers a challenge accepts. Clients keep a question after a wrong answer.
const MAX_TRIES: u8 = 3;
/// Maximum number of used challenges that are stored.
const MAX_ENTRIES: usize = 10_000;
/// Length of the random part of a challenge.
const NONCE_BYTES: usize = 16;

/// Asks questions and checks answers.
pub struct Captcha {
    key: hmac::Key,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    used: Mutex<UsedChallenges>,
}

/// A question, as a form shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The value that the form sends along with the answer.
    pub challenge: String,
    /// The sum: the first number in digits, the second in words.
    pub asked: String,
    /// The same sum with the spellings exchanged, for people who cannot read one of the words.
    pub again: String,
}

/// A right answer. It uses its challenge up.
#[derive(Debug)]
pub struct CaptchaPass(Nonce);

/// Why an answer is refused, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongAnswer {
    /// The challenge or the answer is missing.
    #[error("the question was not answered")]
    Missing,
    /// The challenge was not issued by this server.
    #[error("the challenge is not one of ours")]
    Foreign,
    /// The question has expired.
    #[error("the question is too old")]
    TooOld,
    /// The challenge was answered before, or tried too often.
    #[error("the question was answered before")]
    UsedUp,
    /// The answer is wrong.
    #[error("the answer is wrong")]
    Wrong,
}

type Nonce = [u8; NONCE_BYTES];

/// Used challenges, the oldest first.
#[derive(Default)]
struct UsedChallenges {
    tries: HashMap<Nonce, u8>,
    order: VecDeque<Nonce>,
}

/// The content of a challenge.
struct Challenge {
    expires: i64,
    nonce: Nonce,
}

/// Two numbers, and whether the second is added or subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    first: u8,
    second: u8,
    is_plus: bool,
}

impl Captcha {
    /// Processes with the same key accept each other's challenges.
    pub fn new(key: &[u8], clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            clock,
            rng,
            used: Mutex::default(),
        }
    }

    /// Creates a question.
    pub fn question(&self) -> Question {
        let mut nonce = Nonce::default();
        self.rng.fill(&mut nonce);
        let expires = self.clock.seconds() + TTL_SECONDS;
        let sum = self.sum(&nonce);
        Question {
            challenge: Challenge { expires, nonce }.sign(&self.key),
            asked: sum.print(|first| first.to_string(), words),
            again: sum.print(words, |second| second.to_string()),
        }
    }

    /// Checks an answer. A right one uses the challenge up.
    pub fn check(&self, challenge: &str, answer: &str) -> Result<CaptchaPass, WrongAnswer> {
        if challenge.is_empty() || answer.trim().is_empty() {
            return Err(WrongAnswer::Missing);
        }
        let challenge = Challenge::open(challenge, &self.key).ok_or(WrongAnswer::Foreign)?;
        let left = challenge.expires.saturating_sub(self.clock.seconds());
        // A challenge that expires too late was issued while the clock was ahead.
        if !(0..=TTL_SECONDS + CLOCK_SLACK_SECONDS).contains(&left) {
            return Err(WrongAnswer::TooOld);
        }
        let is_right = number(answer) == Some(self.sum(&challenge.nonce).result());
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = used.tries_of(challenge.nonce);
        match (*tries < MAX_TRIES, is_right) {
            (false, _) => Err(WrongAnswer::UsedUp),
            (true, true) => {
                *tries = MAX_TRIES;
                Ok(CaptchaPass(challenge.nonce))
            }
            (true, false) => {
                *tries += 1;
                Err(WrongAnswer::Wrong)
            }
        }
    }

    /// Makes a challenge valid again after the request failed for another reason: clients keep showing the same
    /// question.
    pub fn restore(&self, pass: &CaptchaPass) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tries) = used.tries.get_mut(&pass.0) {
            *tries = 0;
        }
    }

    /// The sum of a challenge.
    fn sum(&self, nonce: &Nonce) -> Sum {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"captcha question");
        context.update(nonce);
        let tag = context.sign();
        let [first, second, sign, ..] = *tag.as_ref() else {
            unreachable!("a tag has 32 bytes");
        };
        // The result is never a number that the question shows, so repeating one is never right.
        Sum {
            first: 21 + first % 39,
            second: 2 + second % 8,
            is_plus: sign % 2 == 0,
        }
    }
}

impl UsedChallenges {
    fn tries_of(&mut self, nonce: Nonce) -> &mut u8 {
        if !self.tries.contains_key(&nonce) {
            if self.order.len() >= MAX_ENTRIES
                && let Some(oldest) = self.order.pop_front()
            {
                self.tries.remove(&oldest);
            }
            self.order.push_back(nonce);
        }
        self.tries.entry(nonce).or_default()
    }
}

impl Challenge {
    fn sign(&self, key: &hmac::Key) -> String {
        let expires = self.expires.to_be_bytes();
        let tag = hmac::sign(key, &Self::signed(expires, &self.nonce));
        BASE64URL_NOPAD.encode(&[&expires, &self.nonce[..], tag.as_ref()].concat())
    }

    fn open(text: &str, key: &hmac::Key) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (&expires, rest) = bytes.split_first_chunk()?;
        let (&nonce, tag) = rest.split_first_chunk()?;
        hmac::verify(key, &Self::signed(expires, &nonce), tag).ok()?;
        Some(Self {
            expires: i64::from_be_bytes(expires),
            nonce,
        })
    }

    fn signed(expires: [u8; 8], nonce: &Nonce) -> Vec<u8> {
        [b"captcha challenge", &expires[..], &nonce[..]].concat()
    }
}

impl Sum {
    fn print(self, first: impl Fn(u8) -> String, second: impl Fn(u8) -> String) -> String {
        let sign = if self.is_plus { '+' } else { '−' };
        format!("{} {sign} {}", first(self.first), second(self.second))
    }

    const fn result(self) -> u8 {
        if self.is_plus {
            self.first + self.second
        } else {
            self.first - self.second
        }
    }
}

/// A number below a hundred, in words.
fn words(number: u8) -> String {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 10] = [
        "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
    ];
    let (tens, ones) = (usize::from(number / 10), usize::from(number % 10));
    match (SMALL.get(usize::from(number)), ones) {
        (Some(small), _) => (*small).to_owned(),
        (None, 0) => TENS[tens % 10].to_owned(),
        (None, _) => format!("{}-{}", TENS[tens % 10], SMALL[ones]),
    }
}

/// Parses a short number in any common digits.
fn number(text: &str) -> Option<u8> {
    let mut number: u8 = 0;
    for digit in text.trim().chars() {
        number = number.checked_mul(10)?.checked_add(digit_value(digit)?)?;
    }
    Some(number)
}

/// The value of a digit: ASCII, Arabic, Persian, Devanagari, Bengali, Thai or full width.
fn digit_value(digit: char) -> Option<u8> {
    const ZEROS: [char; 7] = ['0', '٠', '۰', '०', '০', '๐', '０'];
    ZEROS.iter().find_map(|&zero| {
        let value = u32::from(digit).checked_sub(u32::from(zero))?;
        u8::try_from(value).ok().filter(|value| *value < 10)
    })
}

#[cfg(test)]
mod tests;
