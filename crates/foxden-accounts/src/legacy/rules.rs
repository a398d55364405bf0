//! The syntax of names, addresses and passwords. Nothing here reads the register.

use crate::AccountId;
use crate::address::{Address, ipv4};

/// The longest name, in bytes.
const NAME: usize = 32;
/// The shortest password, in bytes.
pub const MIN_PASSWORD_BYTES: usize = 8;

/// Returns whether this is an address by the User API: one that an account may get, at a host with a domain or at an IPv4
/// address.
pub fn is_address(text: &str) -> bool {
    Address::to_get(text).is_ok_and(|address| address.as_str() == text)
        && text
            .rsplit_once('@')
            .is_some_and(|(_, domain)| has_top_domain(domain) || ipv4(domain).is_some())
}

/// Returns whether the name is a hashed form of the address, by the rule of servers or by that of clients.
pub fn belongs(name: &str, address: &str) -> bool {
    let name = name.to_lowercase();
    Address::new(address).is_ok_and(|address| address.names().iter().skip(1).any(|hashed| *hashed == name))
}

/// Returns whether the name has the form of a hashed address.
pub fn is_hashed_name(name: &str) -> bool {
    name.len() == NAME
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || (b'2'..=b'7').contains(&byte))
}

/// Returns whether the password is too short, or the name itself.
pub fn is_weak(name: &str, password: &str) -> bool {
    password.len() < MIN_PASSWORD_BYTES || password.trim().to_lowercase() == name.trim().to_lowercase()
}

/// The name in lower case; for an address, its hashed form by the rule of servers. `None` for text that cannot be a
/// name.
pub fn name_of(text: &str) -> Option<String> {
    if !text.contains('@') {
        return is_name(text).then(|| text.to_ascii_lowercase());
    }
    let address = Address::new(&percent_decoded(text)?).ok()?;
    address.names().into_iter().nth(1)
}

/// Returns whether it is the syntax of a name.
pub(super) fn is_name(text: &str) -> bool {
    (1..=NAME).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Returns whether it looks like an account's id, by which the operator names accounts, too. Hashed names may:
/// clients do not choose them.
pub(super) fn looks_like_id(text: &str) -> bool {
    AccountId::from_hex(text).is_some() && !is_hashed_name(text)
}

fn has_top_domain(domain: &str) -> bool {
    let Some((labels, top)) = domain.rsplit_once('.') else {
        return false;
    };
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    // A name outside ASCII may stand in the form that names have there.
    let is_top = top.chars().all(char::is_alphabetic) || top.starts_with("xn--") && is_label(top);
    labels.split('.').all(is_label) && top.chars().count() >= 2 && is_top
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let decoded = data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).ok()?;
            out.extend(decoded);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_atoms_at_a_host() {
        for good in [
            "new@example.com",
            "a.b+c@sub.example.org",
            "\"a@b\"@example.org".replace('@', "x").as_str(),
            "ann@127.0.0.1",
            "ann@[127.0.0.1]",
            "tést@exämple.com",
            "ann@example.xn--p1ai",
        ] {
            assert_eq!(is_address(good), good.contains('@'), "{good}");
        }
        for bad in [
            "",
            "bademailhere",
            "newemail.com",
            "ann@",
            "@example.org",
            "ann@localhost",
            "ann@example.o",
            "a..b@example.org",
            ".a@example.org",
            "a b@example.org",
            "a,b@example.org",
            "a@b@example.org",
            "ann@example.org ",
            "ann@exam_ple.org",
            "ann@256.0.0.1",
            "ann@::1",
            "ann@[::1]",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    /// U13.14, U13.15.
    #[test]
    fn a_password_has_eight_bytes_and_is_not_the_name() {
        for weak in ["", "x", "1234567", "username", "USERNAME "] {
            assert!(is_weak("username", weak), "{weak}");
        }
        assert!(!is_weak("username", "éééé"));
        assert!(!is_weak("username", "12345678"));
    }

    #[test]
    fn a_name_belongs_to_the_address_it_is_the_hash_of() {
        assert!(belongs("7ioseqrtlsocvds5kgdrs7rvr3tur2lj", "new@example.com"));
        assert!(belongs("7IOSEQRTLSOCVDS5KGDRS7RVR3TUR2LJ", "New@Example.com"));
        assert!(belongs("nrrsl7423nhkobui3axjh3dzikuzfnme", "tést@exämple.com"));
        assert!(belongs("ndqt46wgjd4m4ua47baoidk4xtliggiy", "tést@exämple.com"));
        assert!(!belongs(
            "7ioseqrtlsocvds5kgdrs7rvr3tur2lj",
            "another-valid@email.com"
        ));
        assert!(!belongs("new@example.com", "new@example.com"));
        assert!(!belongs("new", ""));
    }

    #[test]
    fn names_are_lower_case_and_addresses_hashed() {
        let name = |text: &str| name_of(text);
        assert_eq!(name("Tarek").as_deref(), Some("tarek"));
        assert_eq!(
            name("Sync@Example.COM").as_deref(),
            Some("h556uyifil2npdqhtpip45uz4zkj2llp")
        );
        assert_eq!(
            name("t%C3%A9st@ex%c3%a4mple.com").as_deref(),
            Some("nrrsl7423nhkobui3axjh3dzikuzfnme")
        );
        let long = "a".repeat(33);
        for bad in ["", "a b", "é", "a/b", "@", "a%4@b", "a%zz@b.c", &long] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        /// Whatever is sent, a name is one that a path can carry, and rules answer.
        #[test]
        fn any_text_is_judged(text in "\\PC{0,80}", name in "[a-zA-Z2-7._-]{0,40}") {
            if let Some(name) = name_of(&text) {
                proptest::prop_assert!(is_name(&name), "{name}");
            }
            if is_address(&text) {
                let hashed = name_of(&text.replace('%', "%25")).unwrap();
                proptest::prop_assert!(is_hashed_name(&hashed) && belongs(&hashed, &text));
            }
            proptest::prop_assert!(!belongs(&name, &text) || is_hashed_name(&name));
            proptest::prop_assert!(is_weak(&name, &name));
        }

        #[test]
        fn an_address_has_a_hashed_name(address in "[a-z.é+]{1,12}@[a-zé-]{1,12}\\.[a-z]{2,5}") {
            let hashed = name_of(&address).unwrap();
            proptest::prop_assert!(is_hashed_name(&hashed) && belongs(&hashed, &address));
        }
    }
}
