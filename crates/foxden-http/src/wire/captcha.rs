//! The built-in question that a person answers and a dumb program does not: a small sum, one number in digits and
//! the other in words.
//!
//! Nothing is kept of a question that was asked. Its challenge carries when it ends and what it was drawn from, signed;
//! the sum follows from that by another use of the key, so the challenge tells nobody the answer. Only what was answered is
//! remembered, within bounds: a challenge takes one right answer and a few wrong ones.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use foxden_model::{Clock, Rng};
use ring::hmac;

/// How long a question may be answered, in seconds: whoever fills in a form may be called away.
const LIFE: i64 = 1800;
/// How far the clock may be set back without ending a question, in seconds.
const SLACK: i64 = 3600;
/// Wrong answers that a challenge takes. The clients keep a question standing when an answer was wrong.
const TRIES: u8 = 3;
/// Challenges that are remembered at once.
const REMEMBERED: usize = 10_000;
/// Bytes that make challenges differ.
const NONCE: usize = 16;

/// Asks questions and checks answers.
pub struct Captcha {
    key: hmac::Key,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    answered: Mutex<Answered>,
}

/// A question, as a form shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What the form sends back beside the answer.
    pub challenge: String,
    /// The sum: the first number in digits, the second in words.
    pub asked: String,
    /// The same sum the other way round, for whoever does not read one of the words.
    pub again: String,
}

/// A right answer, which uses its challenge up.
#[derive(Debug)]
pub struct Pass(Nonce);

/// Why an answer does not do, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongAnswer {
    /// No challenge or no answer.
    #[error("the question was not answered")]
    Missing,
    /// A challenge that was never given out.
    #[error("the challenge is not one of ours")]
    Foreign,
    /// The question was asked too long ago.
    #[error("the question is too old")]
    TooOld,
    /// It was answered before, or tried too often.
    #[error("the question was answered before")]
    UsedUp,
    /// Not the answer.
    #[error("the answer is wrong")]
    Wrong,
}

type Nonce = [u8; NONCE];

/// What became of challenges that were answered, the oldest first.
#[derive(Default)]
struct Answered {
    tries: HashMap<Nonce, u8>,
    order: VecDeque<Nonce>,
}

/// What a challenge says.
struct Challenge {
    expires: i64,
    nonce: Nonce,
}

/// Two numbers that are added, or the second taken from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    first: u8,
    second: u8,
    is_plus: bool,
}

impl Captcha {
    /// Processes with the same key take each other's challenges.
    pub fn new(key: &[u8], clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            clock,
            rng,
            answered: Mutex::default(),
        }
    }

    /// A new question.
    pub fn ask(&self) -> Question {
        let mut nonce = Nonce::default();
        self.rng.fill(&mut nonce);
        let expires = self.clock.seconds() + LIFE;
        let sum = self.sum(&nonce);
        Question {
            challenge: Challenge { expires, nonce }.sign(&self.key),
            asked: sum.print(|first| first.to_string(), words),
            again: sum.print(words, |second| second.to_string()),
        }
    }

    /// Checks an answer. The right one uses the challenge up.
    pub fn check(&self, challenge: &str, answer: &str) -> Result<Pass, WrongAnswer> {
        if challenge.is_empty() || answer.trim().is_empty() {
            return Err(WrongAnswer::Missing);
        }
        let challenge = Challenge::open(challenge, &self.key).ok_or(WrongAnswer::Foreign)?;
        let left = challenge.expires.saturating_sub(self.clock.seconds());
        // One that lasts too long was asked while the clock was ahead.
        if !(0..=LIFE + SLACK).contains(&left) {
            return Err(WrongAnswer::TooOld);
        }
        let is_right = number(answer) == Some(self.sum(&challenge.nonce).result());
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = answered.tries_of(challenge.nonce);
        match (*tries < TRIES, is_right) {
            (false, _) => Err(WrongAnswer::UsedUp),
            (true, true) => {
                *tries = TRIES;
                Ok(Pass(challenge.nonce))
            }
            (true, false) => {
                *tries += 1;
                Err(WrongAnswer::Wrong)
            }
        }
    }

    /// Lets the challenge be answered again: what it stood guard over failed for another reason, and clients keep the
    /// question standing.
    pub fn give_back(&self, pass: &Pass) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tries) = answered.tries.get_mut(&pass.0) {
            *tries = 0;
        }
    }

    /// The sum that belongs to a challenge.
    fn sum(&self, nonce: &Nonce) -> Sum {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"captcha question");
        context.update(nonce);
        let tag = context.sign();
        let [first, second, sign, ..] = *tag.as_ref() else {
            unreachable!("a tag has 32 bytes");
        };
        // No result is a number that the question shows, so nobody passes by repeating one.
        Sum {
            first: 21 + first % 39,
            second: 2 + second % 8,
            is_plus: sign % 2 == 0,
        }
    }
}

impl Answered {
    fn tries_of(&mut self, nonce: Nonce) -> &mut u8 {
        if !self.tries.contains_key(&nonce) {
            if self.order.len() >= REMEMBERED
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

/// Reads a short number, in whichever digits the keyboard gives.
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
