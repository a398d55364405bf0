//! Labels of names in ASCII, as RFC 3492 writes them. Old servers hashed addresses in this form.
//!
//! Only what those hashes need: lower case, and no folding of characters that merely look alike.

/// A label as it is, or encoded with `xn--` before it where it is not ASCII.
pub(crate) fn label(text: &str) -> String {
    let text = text.to_lowercase();
    if text.is_ascii() {
        return text;
    }
    // A label that overflows the arithmetic has thousands of characters, and addresses are far shorter.
    idna::punycode::encode_str(&text).map_or(text, |encoded| format!("xn--{encoded}"))
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
