//! Each budget holds, each in its own memory, and the book says so.

use super::*;
use crate::shared::SingleProcess;

const MINUTE: i64 = 60_000;

fn network(text: &str) -> Network {
    Network::of(text.parse().unwrap())
}

fn is_spent(limits: &Limits, what: RateLimitKey) -> bool {
    limits.check(what, 0).is_err()
}

/// Spends all that is left, and says how much that was.
fn exhaust(limits: &Limits, what: impl Fn(u32) -> RateLimitKey) -> u32 {
    let spent = (0..10_000).take_while(|number| limits.check_and_count(what(*number), 0).is_ok());
    u32::try_from(spent.count()).unwrap()
}

#[test]
fn a_refusal_says_how_long_it_lasts() {
    let limits = Limits::new(&SingleProcess);
    let what = RateLimitKey::Guess(network("192.0.2.1"));
    assert_eq!(exhaust(&limits, |_| what), 30);
    let refused = limits.check(what, MINUTE);
    let Err(TooMany { retry_after }) = refused else {
        panic!("{refused:?}");
    };
    let until = MINUTE + i64::try_from(retry_after).unwrap() * 1000;
    assert!(limits.check(what, until - 2000).is_err());
    assert!(limits.check(what, until).is_ok());
    assert!(until <= QUARTER + QUARTER / 20);
}

#[test]
fn wide_networks_have_bounds_of_their_own() {
    for (start, step, most) in [
        ("192.0.2.0", 1_u128, 60),
        // A /64 each.
        ("2001:db8::", 1 << 64, 60),
        // A /56 each, of one /48.
        ("2001:db8::", 1 << 72, 120),
    ] {
        let limits = Limits::new(&SingleProcess);
        let start: std::net::IpAddr = start.parse().unwrap();
        let neighbour = |number: u32| {
            let address = match start {
                std::net::IpAddr::V4(v4) => std::net::Ipv4Addr::from_bits(v4.to_bits() + number % 250).into(),
                std::net::IpAddr::V6(v6) => {
                    std::net::Ipv6Addr::from_bits(v6.to_bits() + u128::from(number % 250) * step).into()
                }
            };
            Network::of(address)
        };
        let spent = exhaust(&limits, |number| RateLimitKey::Enumeration(neighbour(number)));
        let expected = if start.is_ipv4() { 120 } else { most };
        assert_eq!(spent, expected, "{start} {step}");
        assert!(!is_spent(
            &limits,
            RateLimitKey::Enumeration(network("198.51.100.1"))
        ));
        assert!(!is_spent(
            &limits,
            RateLimitKey::Enumeration(network("2001:db8:ffff::1"))
        ));
    }
}

#[test]
fn keys_are_counted_separately() {
    let limits = Limits::new(&SingleProcess);
    let from = network("192.0.2.1");
    exhaust(&limits, |_| RateLimitKey::Guess(from));
    exhaust(&limits, |_| RateLimitKey::Try(7, from));
    assert!(!is_spent(&limits, RateLimitKey::Enumeration(from)));
    assert!(!is_spent(&limits, RateLimitKey::Try(8, from)));
    assert!(!is_spent(&limits, RateLimitKey::Try(7, network("198.51.100.1"))));
    assert!(is_spent(&limits, RateLimitKey::Try(7, from)));
}

/// Each kind of event has counters of its own: otherwise a count would be lost, or added to another.
#[test]
fn every_budget_has_its_memories() {
    let specs: Vec<CounterSpec> = BUDGETS.iter().flat_map(|rate_limit| rate_limit.specs()).collect();
    for (number, counter) in specs.iter().enumerate() {
        assert!(!specs[..number].contains(counter), "{counter:?}");
    }
    let from = network("2001:db8::1");
    for what in [
        RateLimitKey::Try(1, from),
        RateLimitKey::ThrottledTry(1, from),
        RateLimitKey::DayTry(1, from),
        RateLimitKey::SignIn(1),
        RateLimitKey::Spelling(from),
        RateLimitKey::Claim(1, from),
        RateLimitKey::Claims(1),
        RateLimitKey::LateClaim(1, from),
        RateLimitKey::Failure(from),
        RateLimitKey::ReservedFailure(from),
        RateLimitKey::ThrottledFailure(from),
        RateLimitKey::Enumeration(from),
        RateLimitKey::Lookup(from),
        RateLimitKey::Creation(from),
        RateLimitKey::CodesFrom(from),
        RateLimitKey::MailsFrom(from),
        RateLimitKey::MailsTo(1),
        RateLimitKey::Repeats(1),
        RateLimitKey::Notices(1),
        RateLimitKey::Unwritten(1),
        RateLimitKey::DigitsOf(1),
        RateLimitKey::DigitsFor(1),
        RateLimitKey::ResetDigits(1),
        RateLimitKey::AddressChange(1),
        RateLimitKey::Guess(from),
    ] {
        let limits = Limits::new(&SingleProcess);
        let most = what.entries().map(|entry| entry.most).min().unwrap();
        assert_eq!(exhaust(&limits, |_| what), most, "{what:?}");
        limits.refund(what, 0, 0);
        assert!(!is_spent(&limits, what), "{what:?}");
    }
}

/// The table for operators is the one that the program uses.
#[test]
fn the_table_of_the_book_is_this_one() {
    let book = include_str!("../../../../docs/security.md");
    for rate_limit in BUDGETS {
        let hours = rate_limit.span / 3_600_000;
        let span = match (rate_limit.span % 60_000, hours) {
            (0, 0) => format!("{} min", rate_limit.span / 60_000),
            (0, _) => format!("{hours} h"),
            _ => format!("{} s", rate_limit.span / 1000),
        };
        let most = match rate_limit.most {
            Limit::PerSubject(most) => most.to_string(),
            Limit::PerNetwork([narrow, middle, wide]) => format!("{narrow} | {middle} | {wide}"),
        };
        let row = format!("| {} | {most} | {span} |", rate_limit.name);
        assert!(book.contains(&row), "docs/security.md lacks {row}");
    }
}
