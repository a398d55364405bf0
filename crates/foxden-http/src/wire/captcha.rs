//! The built-in captcha: a small sum, one number in digits and the other in words.
//!
//! The server stores nothing about a question. Its challenge contains the expiry and a nonce, signed; the sum is
//! derived from the nonce with the same key, so the challenge does not reveal the answer. Only used challenges are
//! stored, up to a limit: a challenge accepts one right answer, of all processes, and a few wrong ones of each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use foxden_accounts::{OnceKey, Shared, Unavailable};
use foxden_model::{Clock, Rng};
use ring::hmac;

use super::chain;

/// How many seconds a question may be answered: people are interrupted while they fill in a form.
const TTL_SECONDS: i64 = 1800;
/// How many seconds the clock may be set back without ending a question.
const CLOCK_SLACK_SECONDS: i64 = 3600;
/// How many wrong answers a challenge accepts. Clients keep a question after a wrong answer.
const MAX_TRIES: u8 = 3;
/// The tries of a challenge that was answered.
const ANSWERED: u8 = u8::MAX;
/// Maximum number of used challenges that are stored.
const MAX_ENTRIES: usize = 10_000;
/// Length of the random part of a challenge.
const NONCE_BYTES: usize = 16;

/// Asks questions and checks answers.
pub struct Captcha {
    key: hmac::Key,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    shared: Arc<dyn Shared>,
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
#[derive(Debug, PartialEq, Eq)]
pub struct CaptchaPass(Nonce);

/// Why an answer is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CaptchaError {
    /// Ask again.
    #[error(transparent)]
    Wrong(#[from] WrongAnswer),
    /// Try again later: whether it was answered before is unknown.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

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
    /// Processes with the same key accept each other's challenges; they share which were answered.
    pub fn new(key: &[u8], clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, shared: Arc<dyn Shared>) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            clock,
            rng,
            shared,
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
    pub async fn check(&self, challenge: &str, answer: &str) -> Result<CaptchaPass, CaptchaError> {
        if challenge.is_empty() || answer.trim().is_empty() {
            return Err(WrongAnswer::Missing.into());
        }
        let challenge = Challenge::open(challenge, &self.key).ok_or(WrongAnswer::Foreign)?;
        let left = challenge.expires.saturating_sub(self.clock.seconds());
        // A challenge that expires too late was issued while the clock was ahead.
        if !(0..=TTL_SECONDS + CLOCK_SLACK_SECONDS).contains(&left) {
            return Err(WrongAnswer::TooOld.into());
        }
        let is_right = number(answer) == Some(self.sum(&challenge.nonce).result());
        let evicted = self.count(challenge.nonce, is_right)?;
        let pass = CaptchaPass(challenge.nonce);
        let millis = (left + CLOCK_SLACK_SECONDS) * 1000;
        match self.use_once(&pass, evicted, millis).await {
            Ok(true) => Ok(pass),
            Ok(false) => Err(WrongAnswer::UsedUp.into()),
            Err(error) => {
                self.forget(&pass);
                Err(error.into())
            }
        }
    }

    /// Makes a challenge valid again after the request failed for another reason: clients keep showing the same
    /// question.
    pub async fn restore(&self, pass: &CaptchaPass) {
        self.forget(pass);
        if let Err(error) = self.shared.release(pass.key()).await {
            tracing::warn!(
                "a question that was answered for nothing cannot be answered again: {}",
                chain(&error)
            );
        }
    }

    /// Counts a try of a challenge in this process. Returns the answered challenge whose place a right answer took.
    fn count(&self, nonce: Nonce, is_right: bool) -> Result<Option<CaptchaPass>, WrongAnswer> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let (tries, evicted) = used.tries_of(nonce);
        match (*tries < MAX_TRIES, is_right) {
            (false, _) => Err(WrongAnswer::UsedUp),
            (true, true) => {
                *tries = ANSWERED;
                Ok(evicted)
            }
            (true, false) => {
                *tries += 1;
                Err(WrongAnswer::Wrong)
            }
        }
    }

    /// Uses a challenge up in all processes. What memory forgets, other processes forget, too: so their rows are as
    /// bounded as it is.
    async fn use_once(
        &self,
        pass: &CaptchaPass,
        evicted: Option<CaptchaPass>,
        millis: i64,
    ) -> Result<bool, Unavailable> {
        if let Some(evicted) = evicted {
            self.shared.release(evicted.key()).await?;
        }
        self.shared.use_once(pass.key(), millis).await
    }

    fn forget(&self, pass: &CaptchaPass) {
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

impl CaptchaPass {
    fn key(&self) -> OnceKey {
        OnceKey::of("captcha", &[&self.0])
    }
}

impl UsedChallenges {
    /// The tries of a challenge, and the answered one whose place it takes, if any.
    fn tries_of(&mut self, nonce: Nonce) -> (&mut u8, Option<CaptchaPass>) {
        let mut evicted = None;
        if !self.tries.contains_key(&nonce) {
            if self.order.len() >= MAX_ENTRIES
                && let Some(oldest) = self.order.pop_front()
            {
                let tries = self.tries.remove(&oldest);
                evicted = (tries == Some(ANSWERED)).then_some(CaptchaPass(oldest));
            }
            self.order.push_back(nonce);
        }
        (self.tries.entry(nonce).or_default(), evicted)
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
