//! The ids and payloads of made objects. All of them follow from the seed, so that what comes back can be compared with what
//! was stored without keeping it.

use data_encoding::BASE64URL_NOPAD;

use crate::random::Random;

/// An odd number and its inverse modulo 2³²: ids do not sort like the numbers in them.
const SPREAD: u32 = 0x9e37_79b1;
const GATHER: u32 = inverse(SPREAD);

/// Letters of a text as browsers store it.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Text that encoders get wrong: quotes, escapes, line ends, what ends a script, and characters of two to four bytes.
const PITFALLS: &str = "\"\\\u{8}\u{c}\n\r\t\u{1}/</script>\u{e9}\u{2028}\u{2029}\u{fffd}\u{1f98a}";
/// One in this many payloads holds [`PITFALLS`].
const PITFALL_EVERY: u32 = 16;
/// What is in a payload beside the text that grows.
const BEFORE: &str = r#"{"ciphertext":""#;
const BETWEEN: &str = r#"","IV":"x3LtAVDzfBXGcJmoxrtPHA==","hmac":""#;
const AFTER: &str = r#""}"#;
const HMAC_LETTERS: usize = 64;

/// One object of one user, in one of its versions.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the user.
    pub user: u32,
    /// A number that belongs to the collection.
    pub collection: u64,
    /// The number of the object in the collection.
    pub number: u32,
    /// How often it was written before.
    pub version: u32,
    /// The bytes of its payload.
    pub size: u32,
}

impl Content {
    fn random(&self) -> Random {
        let object = u64::from(self.number) << 32 | u64::from(self.version);
        Random::new(self.seed, &[u64::from(self.user), self.collection, object])
    }

    /// The payload: like an encrypted object of a browser where there is room for one, else letters.
    pub fn payload(&self) -> String {
        let random = self.random();
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let fixed = BEFORE.len() + BETWEEN.len() + HMAC_LETTERS + AFTER.len();
        let mut text = String::with_capacity(size);
        if size <= fixed {
            push_letters(&mut text, size, &random);
            return text;
        }
        let mut grows = size - fixed;
        text.push_str(BEFORE);
        if self.number % PITFALL_EVERY == 7 && grows >= PITFALLS.len() {
            text.push_str(PITFALLS);
            grows -= PITFALLS.len();
        }
        push_letters(&mut text, grows, &random);
        text.push_str(BETWEEN);
        push_letters(&mut text, HMAC_LETTERS, &random);
        text.push_str(AFTER);
        text
    }
}

fn push_letters(text: &mut String, count: usize, random: &Random) {
    let mut bytes = vec![0; count];
    random.fill(&mut bytes);
    text.extend(
        bytes
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(byte & 63)])),
    );
}

/// The id of an object: twelve characters, as browsers give them.
pub fn id(user: u32, collection: u64, number: u32) -> String {
    let mut bytes = [0; 9];
    bytes[..4].copy_from_slice(&number.wrapping_mul(SPREAD).to_be_bytes());
    let random = Random::new(collection, &[u64::from(user), u64::from(number)]);
    random.fill(&mut bytes[4..]);
    BASE64URL_NOPAD.encode(&bytes)
}

/// The number of the object with this id, if it is one of that user and collection.
pub fn number(user: u32, collection: u64, text: &str) -> Option<u32> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let spread = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    let number = spread.wrapping_mul(GATHER);
    (id(user, collection, number) == text).then_some(number)
}

/// The inverse of an odd number modulo 2³², by Newton's method.
const fn inverse(odd: u32) -> u32 {
    let mut inverse = odd;
    let mut rounds = 0;
    while rounds < 5 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(inverse)));
        rounds += 1;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(number: u32, version: u32, size: u32) -> Content {
        Content {
            seed: 1,
            user: 2,
            collection: 3,
            number,
            version,
            size,
        }
    }

    #[test]
    fn an_id_leads_back_to_its_number() {
        for at in [0, 1, 2, 99, u32::MAX] {
            let text = id(2, 3, at);
            assert_eq!(text.len(), 12);
            assert_eq!(number(2, 3, &text), Some(at));
            assert_eq!(number(1, 3, &text), None);
            assert_eq!(number(2, 4, &text), None);
        }
        assert_eq!(number(2, 3, "toolbar"), None);
    }

    #[test]
    fn a_payload_has_its_size_and_its_own_text() {
        for size in [0, 1, 100, 138, 139, 200, 1500, 2_000_000] {
            for number in [0, 7] {
                let payload = content(number, 0, size).payload();
                assert_eq!(payload.len(), usize::try_from(size).unwrap());
            }
        }
        assert_eq!(content(1, 0, 300).payload(), content(1, 0, 300).payload());
        assert_ne!(content(1, 0, 300).payload(), content(1, 1, 300).payload());
        assert_ne!(content(1, 0, 300).payload(), content(2, 0, 300).payload());
        assert!(content(7, 0, 300).payload().contains(PITFALLS));
    }
}
