//! Addresses, and the names that follow from them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use foxden_model::is_invisible;
use ring::digest;

use crate::error::InvalidAddress;
use crate::punycode;

/// The greatest length, in bytes, and that of the part before the `@`.
const MAX: usize = 255;
const LOCAL: usize = 64;

/// An address as its owner spells it, checked and trimmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// An address that may be a name of an account. Accounts of earlier releases have some that no mail can reach.
    pub(crate) fn new(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        let is_whole = text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && text.len() <= MAX
                && !text.contains(is_odd)
        });
        is_whole.then(|| Self(text.to_owned())).ok_or(InvalidAddress)
    }

    /// An address that an account is to get: one that mail can reach, and without characters that are invisible or turn
    /// the direction of text, since it would pass for another.
    pub(crate) fn to_get(text: &str) -> Result<Self, InvalidAddress> {
        let address = Self::new(text)?;
        if address.0.contains(is_invisible) || recipient(&address.0).is_none() {
            return Err(InvalidAddress);
        }
        Ok(address)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which addresses are compared.
    pub(crate) fn normal(&self) -> String {
        normal(&self.0)
    }

    /// Every name that means the owner of this address: the address, and the hashed names that old clients make of it,
    /// by the rule of servers and by that of clients, where they differ.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec![
            self.normal(),
            hashed(&normal(&self.server_form())),
            hashed(&self.normal()),
        ];
        names.dedup();
        names
    }

    /// Returns whether the operator reserves this name: the whole address, or the part before the `@`.
    pub(crate) fn is_among(&self, reserved: &[String]) -> bool {
        let normal = self.normal();
        let local = normal.split('@').next().unwrap_or_default();
        reserved.iter().any(|name| *name == normal || name == local)
    }

    fn server_form(&self) -> String {
        let (local, domain) = self.0.split_once('@').unwrap_or((&self.0, ""));
        let domain: Vec<String> = domain.split('.').map(punycode::label).collect();
        let local: Vec<String> = local.split('.').map(punycode::label).collect();
        format!("{}@{}", local.join("."), domain.join("."))
    }
}

/// The parts of an address as mail needs them: the local part, and the domain in ASCII or as an IP address. `None` for an
/// address that mail cannot reach.
pub fn recipient(address: &str) -> Option<(&str, String)> {
    let (local, domain) = address.rsplit_once('@')?;
    let is_sound = local.len() <= LOCAL && is_local_part(local);
    let domain = match address_literal(domain) {
        Some(literal) => literal,
        None => idna::domain_to_ascii(domain)
            .ok()
            .filter(|domain| is_host(domain))?,
    };
    is_sound.then_some((local, domain))
}

/// A quoted text, or atoms separated by dots (RFC 5321, and RFC 6531 for letters outside ASCII).
fn is_local_part(local: &str) -> bool {
    let is_letter = |c: char| !c.is_ascii() && !c.is_whitespace() && !c.is_control();
    let quoted = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(quoted) = quoted {
        let is_quotable = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
        return !quoted.is_empty() && quoted.chars().all(|c| is_quotable(c) || is_letter(c));
    }
    let is_atom_text = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let mut atoms = local.split('.');
    atoms.all(|atom| !atom.is_empty() && atom.chars().all(|c| is_atom_text(c) || is_letter(c)))
}

/// A name in ASCII: labels of letters, digits, hyphens and underscores, which begin and end with a letter or a digit.
fn is_host(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with(['-', '_'])
            && !label.ends_with(['-', '_'])
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    domain.split('.').all(is_label)
}

/// An IP address as mail spells it (RFC 5321, section 4.1.3): in brackets, and one of IPv6 after its name. `None` for what is no
/// IP address, and for one of IPv6 without brackets.
fn address_literal(domain: &str) -> Option<String> {
    if let Some(v4) = ipv4(domain) {
        return Some(format!("[{v4}]"));
    }
    let inside = in_brackets(domain)?;
    let v6: Ipv6Addr = inside.strip_prefix("IPv6:").unwrap_or(inside).parse().ok()?;
    Some(format!("[IPv6:{v6}]"))
}

/// An IPv4 address, in brackets or not.
pub(crate) fn ipv4(domain: &str) -> Option<Ipv4Addr> {
    in_brackets(domain).unwrap_or(domain).parse().ok()
}

fn in_brackets(domain: &str) -> Option<&str> {
    domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
}

/// The form in which names are compared.
pub(crate) fn normal(name: &str) -> String {
    name.trim().to_lowercase()
}

/// A number for the counters, for every way to write the name the same.
pub(crate) fn counted(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    normal(name).hash(&mut hasher);
    hasher.finish()
}

/// The start of an id, for logs: enough to tell two apart.
pub(crate) fn short(id: &[u8]) -> String {
    HEXLOWER.encode(&id[..id.len().min(4)])
}

fn hashed(form: &str) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, form.as_bytes());
    BASE32_NOPAD.encode(hash.as_ref()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        Address::new(text).unwrap().names()
    }

    #[test]
    fn an_ascii_address_has_one_hashed_name() {
        assert_eq!(
            names("Sync@Example.COM"),
            ["sync@example.com", "h556uyifil2npdqhtpip45uz4zkj2llp"]
        );
        assert_eq!(names("tarek@mozilla.com")[1], "4bkawybiacr7h7sslleintbmrimswa5z");
    }

    #[test]
    fn another_address_has_one_by_each_rule() {
        assert_eq!(
            names("tést@exämple.com"),
            [
                "tést@exämple.com",
                "nrrsl7423nhkobui3axjh3dzikuzfnme",
                "ndqt46wgjd4m4ua47baoidk4xtliggiy"
            ]
        );
    }

    #[test]
    fn an_address_has_one_at_sign_and_nothing_odd() {
        assert_eq!(Address::new(" ann@home.lan ").unwrap().as_str(), "ann@home.lan");
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in [
            "",
            "ann",
            "@",
            "ann@",
            "@home",
            "a@b@c",
            "a b@c",
            "a\u{7f}@c",
            "a\u{a0}b@c",
            &long,
        ] {
            assert!(Address::new(bad).is_err(), "{bad}");
        }
    }

    /// Accounts that have such an address already go on signing in with it.
    #[test]
    fn no_account_gets_an_address_that_passes_for_another() {
        for bad in [
            "an\u{200b}n@example.org",
            "ann@exam\u{ad}ple.org",
            "\u{202e}gro.elpmaxe@nna",
            "\u{2066}ann\u{2069}@example.org",
            "ann\u{fe0f}@example.org",
            "ann@example.org\u{e0041}",
            "\u{3164}@example.org",
        ] {
            assert!(
                Address::new(bad).is_ok() && Address::to_get(bad).is_err(),
                "{bad:?}"
            );
        }
        assert!(Address::to_get("ann\u{2028}@example.org").is_err());
        for good in [
            "ann@example.org",
            "tést@exämple.com",
            "анна@пример.рф",
            "安@例え.jp",
            "א@דוגמה.קום",
            "อ้อ@ตัวอย่าง.ไทย",
        ] {
            assert!(Address::to_get(good).is_ok(), "{good}");
        }
    }

    /// An account whose address mail cannot reach could neither confirm it nor reset its password.
    #[test]
    fn no_account_gets_an_address_that_mail_cannot_reach() {
        let long = format!("{}@example.org", "a".repeat(65));
        for bad in [
            ".ann@example.org",
            "a..b@example.org",
            "<ann@example.org",
            "ann,bea@example.org",
            "\"ann@example.org",
            "\"\"@example.org",
            "\"a\\b\"@example.org",
            "ann@-example.org",
            "ann@example..org",
            "ann@example.org>",
            "ann@exam ple.org",
            "ann@[example.org]",
            "ann@::1",
            &long,
        ] {
            assert!(Address::to_get(bad).is_err(), "{bad:?}");
        }
        for (good, local, domain) in [
            ("ann@home", "ann", "home"),
            ("a.b+c@Example.ORG", "a.b+c", "example.org"),
            ("\"a,b\"@example.org", "\"a,b\"", "example.org"),
            ("ann@[127.0.0.1]", "ann", "[127.0.0.1]"),
            ("ann@127.0.0.1", "ann", "[127.0.0.1]"),
            ("ann@[::1]", "ann", "[IPv6:::1]"),
            ("ann@[IPv6:::1]", "ann", "[IPv6:::1]"),
            ("tést@exämple.com", "tést", "xn--exmple-cua.com"),
        ] {
            assert!(Address::to_get(good).is_ok(), "{good}");
            assert_eq!(recipient(good), Some((local, domain.to_owned())), "{good}");
        }
    }

    #[test]
    fn reserved_names_are_whole_or_local() {
        let reserved = ["root".to_owned(), "ann@example.org".to_owned()];
        let is_reserved = |text: &str| Address::new(text).unwrap().is_among(&reserved);
        assert!(is_reserved("Root@anywhere.org") && is_reserved("ANN@example.org"));
        assert!(!is_reserved("ann@example.com"));
    }
}
