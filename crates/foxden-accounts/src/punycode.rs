//! Labels of names in ASCII, as RFC 3492 writes them. Old servers hashed addresses in this form.
//!
//! Only what those hashes need: lower case, and no folding of characters that merely look alike.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;

/// A label as it is, or encoded with `xn--` before it where it is not ASCII.
pub(crate) fn label(text: &str) -> String {
    let text = text.to_lowercase();
    if text.is_ascii() {
        return text;
    }
    // A label that overflows the arithmetic has thousands of characters, and addresses are far shorter.
    encode(&text).map_or(text, |encoded| format!("xn--{encoded}"))
}

fn encode(text: &str) -> Option<String> {
    let mut out: String = text.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    let total = u32::try_from(text.chars().count()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let (mut next, mut delta, mut bias, mut done) = (128_u32, 0_u32, 72_u32, basic);
    while done < total {
        let least = text.chars().map(u32::from).filter(|&code| code >= next).min()?;
        delta = delta.checked_add((least - next).checked_mul(done + 1)?)?;
        next = least;
        for code in text.chars().map(u32::from) {
            if code < next {
                delta = delta.checked_add(1)?;
            }
            if code == next {
                push_number(&mut out, delta, bias);
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done += 1;
            }
        }
        delta = delta.checked_add(1)?;
        next += 1;
    }
    Some(out)
}

fn push_number(out: &mut String, mut number: u32, bias: u32) {
    let mut k = BASE;
    loop {
        let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if number < threshold {
            out.push(digit(number));
            return;
        }
        let span = BASE - threshold;
        out.push(digit(threshold + (number - threshold) % span));
        number = (number - threshold) / span;
        k += BASE;
    }
}

fn digit(value: u32) -> char {
    let code = if value < 26 {
        u32::from(b'a') + value
    } else {
        u32::from(b'0') + value - 26
    };
    char::from_u32(code).unwrap_or('a')
}

fn adapt(delta: u32, points: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn encodes_as_published() {
        assert_eq!(label("tést"), "xn--tst-bma");
        assert_eq!(label("exämple"), "xn--exmple-cua");
        assert_eq!(label("bücher"), "xn--bcher-kva");
        assert_eq!(label("他们为什么不说中文"), "xn--ihqwcrb4cv8a8dqg056pqjye");
        assert_eq!(label("Plain"), "plain");
    }
}
