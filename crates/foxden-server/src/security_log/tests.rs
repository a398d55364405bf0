//! Tests that read the security log with a parser of their own.

mod parser;
mod table;
mod targets;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

use foxden_accounts::AccountId;
use foxden_accounts::security::OperatorAction;
use foxden_model::ManualClock;
use proptest::prelude::*;

use super::*;
use parser::{Parsed, parse};

const NOW: i64 = 1_763_690_000_000;

/// A log in a file of its own, in a folder that goes with it.
struct TestContext {
    folder: PathBuf,
    clock: Arc<ManualClock>,
    log: SecurityLog,
}

impl TestContext {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("foxden-security-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let clock = Arc::new(ManualClock::at_millis(NOW));
        let sink = Sink::File(folder.join("log"));
        let log = SecurityLog::open(&sink, "sync.example.org", Arc::clone(&clock) as _).unwrap();
        Self { folder, clock, log }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// All that stands in the file once everything is written.
    fn text(&self) -> String {
        assert!(self.log.flush(Duration::from_secs(30)));
        fs::read_to_string(self.file()).unwrap()
    }

    fn lines(&self) -> Vec<Parsed> {
        self.text().lines().map(|line| parse(line).unwrap()).collect()
    }
}

impl Drop for TestContext {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn failure(name: &str) -> Event<'_> {
    let from = Some("192.0.2.1".parse().unwrap());
    Event::new(EventKind::LoginFailed, EntryPoint::Basic, from).with_subject(name)
}

#[test]
fn a_line_has_subject_address_entry_point_and_reason() {
    let context = TestContext::new();
    let event = failure("ann@example.org")
        .with_account(AccountId([0xab; 16]))
        .with_request("GET", "/1.1/ann/info/collections?x=y")
        .with_reason("the password is wrong");
    context.log.security_events().emit(&event);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        context.text(),
        format!(
            "CEF:0|Foxden|foxden|{version}|101|Log-in failed|4|rt=1763690000000 dvchost=sync.example.org act=login \
             outcome=failure cs1Label=entryPoint cs1=basic src=192.0.2.1 suser=ann@example.org \
             suid=abababababababababababababababab reason=the password is wrong requestMethod=GET \
             request=/1.1/ann/info/collections\n"
        )
    );
}

#[test]
fn an_operators_command_names_its_target() {
    let context = TestContext::new();
    context.log.emit(
        &Event::by_operator(OperatorAction::RoleChanged)
            .with_subject("ann")
            .with_reason("administrator"),
    );
    let lines = context.lines();
    assert_eq!(lines[0].id, "505");
    assert_eq!(lines[0].get("suser"), Some("operator"));
    assert_eq!(lines[0].get("duser"), Some("ann"));
    assert_eq!(lines[0].get("reason"), Some("administrator"));
    assert_eq!(lines[0].get("src"), None);
}

#[test]
fn an_address_of_ipv6_has_a_key_of_its_own() {
    let context = TestContext::new();
    for address in ["2001:db8::1", "::ffff:192.0.2.7"] {
        let from = Some(address.parse().unwrap());
        context
            .log
            .emit(&Event::new(EventKind::AccountCreated, EntryPoint::Accounts, from));
    }
    let lines = context.lines();
    assert_eq!(lines[0].get("c6a2"), Some("2001:db8::1"));
    assert_eq!(lines[0].get("c6a2Label"), Some("Source IPv6 Address"));
    assert_eq!(lines[1].get("src"), Some("192.0.2.7"));
}

#[test]
fn equal_refusals_become_one_line() {
    let context = TestContext::new();
    for second in 0..100 {
        context.clock.set_millis(NOW + second * 1000);
        context.log.emit(&failure("ann"));
        context
            .log
            .emit(&Event::new(EventKind::PasswordChanged, EntryPoint::Accounts, None).with_subject("ann"));
    }
    let lines = context.lines();
    let (changes, failures): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.id == "203");
    assert_eq!((changes.len(), failures.len()), (100, 2));
    assert_eq!(failures[0].get("cnt"), None);
    assert_eq!(failures[1].get("cnt"), Some("99"));
    assert_eq!(failures[1].get("start"), Some("1763690001000"));
    assert_eq!(failures[1].get("end"), Some("1763690099000"));
    assert_eq!(failures[1].get("rt"), failures[1].get("end"));
}

/// A client that makes each refusal differ does not fill the disk faster.
#[test]
fn refusals_that_differ_have_a_bound() {
    let context = TestContext::new();
    for number in 0..2000 {
        context.log.emit(&failure(&number.to_string()));
        // The queue holds half of these.
        if number % 500 == 0 {
            assert!(context.log.flush(Duration::from_secs(30)));
        }
    }
    let lines = context.lines();
    assert_eq!(lines.iter().filter(|line| line.id == "101").count(), 54);
    let missing = lines
        .iter()
        .filter(|line| line.get("reason") == Some("too many refusals in a minute"));
    let missing: u32 = missing
        .map(|line| line.get("cnt").unwrap().parse::<u32>().unwrap())
        .sum();
    assert_eq!(missing, 1946);
}

/// Refusals may fill the queue while the target does not keep up, but for places that are kept for what matters.
#[test]
fn refusals_leave_places_in_the_queue() {
    let (sender, messages) = sync_channel(QUEUE);
    let inside = Queue {
        sender,
        waiting: Arc::default(),
        missed: Arc::default(),
        clock: Arc::new(ManualClock::at_millis(NOW)),
    };
    let missed = || usize::try_from(inside.missed.load(Ordering::Relaxed)).unwrap();
    for number in 0..2 * QUEUE {
        inside.take(&failure(&number.to_string()));
    }
    assert_eq!(missed(), QUEUE + RESERVED);
    for _ in 0..RESERVED / 2 {
        inside.take(&Event::by_operator(OperatorAction::RoleChanged));
        inside.take(&Event::new(EventKind::LoginLocked, EntryPoint::Basic, None));
    }
    assert_eq!(missed(), QUEUE + RESERVED);
    inside.take(&Event::by_operator(OperatorAction::RoleChanged));
    assert_eq!(missed(), QUEUE + RESERVED + 1);
    assert_eq!(messages.try_iter().count(), QUEUE);
}

/// Characters that break lines, keys, terminals or reading.
fn hostile() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        Just('\n'),
        Just('\r'),
        Just('|'),
        Just('\\'),
        Just('='),
        Just('\0'),
        Just('\t'),
        Just(' '),
        Just('"'),
        Just('\u{1b}'),
        Just('\u{7f}'),
        Just('\u{85}'),
        Just('\u{200f}'),
        Just('\u{202e}'),
        Just('\u{2028}'),
        Just('\u{feff}'),
        Just('é'),
        Just('n'),
        Just('r'),
        Just('u'),
        any::<char>(),
    ];
    prop::collection::vec(odd, 0..400).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any input gives one line with the same keys, and each value reads back as it was, except for hidden parts.
    #[test]
    fn hostile_texts_stay_where_they_are(name in hostile(), why in hostile(), path in hostile()) {
        let event = failure(&name).with_reason(&why).with_request("GET", &path);
        let event = QueuedEvent::of(&event, NOW);
        let line = CefLine::of(&event, None, "sync.example.org").text;
        let is_plain = |c: char| !c.is_control() && !"\u{200f}\u{202e}\u{2028}\u{feff}".contains(c);
        prop_assert!(line.chars().all(is_plain), "{line:?}");
        prop_assert!(line.chars().count() < 12_000);

        let parsed = parse(&line).unwrap();
        let keys: Vec<&str> = parsed.fields.iter().map(|(key, _)| key.as_str()).collect();
        let mut expected = vec!["rt", "dvchost", "act", "outcome", "cs1Label", "cs1", "src"];
        let path = path.split('?').next().unwrap();
        for (key, text) in [("suser", name.as_str()), ("reason", &why), ("requestMethod", "GET"), ("request", path)] {
            if text.is_empty() {
                continue;
            }
            expected.push(key);
            let most = if key == "suser" { 256 } else { 500 };
            prop_assert_eq!(parsed.get(key).unwrap(), parser::seen(text, most), "{}", key);
        }
        prop_assert_eq!(keys, expected);
    }

    #[test]
    fn a_hostile_host_stays_where_it_is(host in hostile()) {
        let line = CefLine::missing(7, "x", &host, NOW).text;
        let parsed = parse(&line).unwrap();
        prop_assert_eq!(parsed.get("dvchost").unwrap_or_default(), parser::seen(&host, 500));
        prop_assert_eq!(parsed.get("cnt"), Some("7"));
    }
}
