//! Two programs on one register that serve the same people at one address, as behind a proxy that sends each request to either.

use std::path::PathBuf;

use foxden_model::{Clock, SystemClock};
use foxden_sql::{Database, Fetch};
use foxden_test_support::client::browser::{Browser, Session};
use foxden_test_support::client::hawk::Signed;
use foxden_test_support::client::legacy::account::{self, basic};
use foxden_test_support::client::legacy::device::Credentials;
use foxden_test_support::client::legacy::key::SyncKey;
use foxden_test_support::client::legacy::name;
use foxden_test_support::client::legacy::pairing::{End, Poll, Receiver, Sender};
use foxden_test_support::client::sync_key::OLDSYNC;
use foxden_test_support::client::wire::{Call, Server};
use serde_json::json;

use crate::nodes::eventually;
use crate::program::{Folder, Program, Start};

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "ann's password";

/// Two programs and what reaches each.
struct Pair<'a> {
    first: Program,
    second: Program,
    servers: [Server; 2],
    /// How the second one was started, for commands.
    start: Start<'a>,
    register: PathBuf,
}

impl<'a> Pair<'a> {
    /// Both serve everything but objects, which the first one keeps, and they have met.
    fn new(folder: &'a Folder, settings: &[(&str, &str)]) -> Self {
        let register = folder.path().join("register.sqlite");
        let (own, other) = (address(), address());
        let public = format!("http://{own}");
        let start = |name, listen: &str| {
            let mut start = Start::on(folder)
                .named(name)
                .without_flags()
                .with("--listen")
                .with(listen)
                .with("--public-url")
                .with(&public)
                .set("FOXDEN__ACCOUNTS__SIGN_UP", "open")
                .set("FOXDEN__ACCOUNTS__URL", format!("sqlite:{}", register.display()));
            for (name, value) in settings {
                start = start.set(name, *value);
            }
            start
        };
        let first = start("first", &own).serve();
        let second = start("second", &other)
            .with("--surfaces")
            .with("token,user,fxa,pages,ops")
            .set("FOXDEN__TOKENS__NODES", &public);
        let pair = Self {
            first,
            second: second.serve(),
            servers: [Server::at(&public), Server::at(&public).through(&other)],
            start: second,
            register,
        };
        pair.meet();
        pair
    }

    /// Waits until each has told the other what it counted before.
    fn meet(&self) {
        meet(&self.register.display().to_string());
    }

    fn stop(self) {
        self.second.stop();
        self.first.stop();
    }
}

/// Waits until each of two programs on this register has told the other what it counted before.
pub fn meet(register: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let open = Database::open(register, foxden_accounts::MIGRATIONS);
    let database = runtime.block_on(open).unwrap();
    let beats = || -> Vec<i64> {
        let rows = runtime.block_on(database.fetch_all("SELECT beat FROM process ORDER BY id", vec![]));
        let rows = rows.unwrap().into_iter();
        rows.map(|mut row| row.take(0).unwrap()).collect()
    };
    let mut before = beats();
    before.resize(2, 0);
    // The first may have begun before, the second tells, and with the third has been heard.
    eventually(|| {
        let now = beats();
        now.len() == 2 && now.iter().zip(&before).all(|(now, before)| *now >= before + 3)
    });
}

fn address() -> String {
    format!("127.0.0.1:{}", Start::free_port())
}

/// Ten wrong passwords for a name are looked at in a quarter of an hour, and no more at the other program.
#[test]
fn two_programs_are_not_twice_the_guesses() {
    let folder = Folder::new();
    let pair = Pair::new(&folder, &[]);
    let [first, second] = &pair.servers;
    Session::sign_up(first, ANN, PASSWORD);
    let mut number = 0;
    let mut guess = |server: &Server| {
        number += 1;
        Session::try_sign_in(server, ANN, &format!("guess {number}")).status
    };
    for server in [first, second].into_iter().cycle().take(6) {
        assert_eq!(guess(server), 400);
    }
    pair.meet();
    let looked_at = (0..20).take_while(|_| guess(first) == 400).count();
    assert_eq!(looked_at, 4);
    pair.meet();
    assert_eq!(guess(second), 429);
    pair.stop();
}

#[test]
fn a_signed_request_is_taken_by_one_program() {
    let folder = Folder::new();
    let pair = Pair::new(&folder, &[]);
    let [first, second] = &pair.servers;
    let session = Session::sign_up(first, ANN, PASSWORD);
    let (host, port) = pair.first.url().rsplit_once(':').unwrap();
    for (number, [one, other]) in [[first, second], [second, first], [first, first]]
        .into_iter()
        .enumerate()
    {
        let signed = Signed {
            method: "GET",
            target: "/v1/account/devices",
            host: host.strip_prefix("http://").unwrap(),
            port: port.parse().unwrap(),
            payload: None,
            ts: SystemClock.seconds(),
            nonce: &format!("nonce {number}"),
        };
        let call = Call::get(signed.target).header("Authorization", signed.header(&session.signer));
        one.send(&call).expect(200);
        let again = other.send(&call).expect(401);
        assert_eq!(again.json()["errno"], 115, "{}", again.text());
    }
    pair.stop();
}

#[test]
fn an_answer_to_a_question_counts_once_at_both_programs() {
    let folder = Folder::new();
    let pair = Pair::new(&folder, &[("FOXDEN__ACCOUNTS__CAPTCHA", "question")]);
    let [first, second] = &pair.servers;
    for (number, [asks, one, other]) in [[first, first, second], [first, second, first]]
        .into_iter()
        .enumerate()
    {
        let (challenge, answer) = solve(&asks.send(&Call::get("/misc/1.0/captcha_html")).expect(200).text());
        let register = |server: &Server, address: &str| {
            let body = json!({
                "email": address, "password": PASSWORD,
                "captcha-challenge": challenge, "captcha-response": answer,
            });
            let call = Call::new("PUT", format!("/user/1.0/{}", name::of_account(address)));
            server.send(&call.body("text/plain", body.to_string()))
        };
        register(one, &format!("ann{number}@example.org")).expect(200);
        for server in [other, one] {
            let again = register(server, &format!("bea{number}@example.org")).expect(400);
            assert_eq!(again.text(), "2", "the answer is not taken");
        }
    }
    pair.stop();
}

/// The challenge on the page, and the answer that a person who reads digits finds.
fn solve(page: &str) -> (String, String) {
    let (_, rest) = page.split_once("value=\"").unwrap();
    let (challenge, _) = rest.split_once('"').unwrap();
    let numbers: Vec<i32> = page_sums(page);
    let [first, second] = numbers[..] else {
        panic!("{page}");
    };
    let answer = if page.contains(" + ") {
        first + second
    } else {
        first - second
    };
    (challenge.to_owned(), answer.to_string())
}

/// The first number of the sum as asked, and the second one of its other spelling.
fn page_sums(page: &str) -> Vec<i32> {
    let words = page.split(|letter: char| letter.is_whitespace() || letter == '<' || letter == '>');
    words
        .filter_map(|word| word.parse().ok())
        .filter(|number| *number < 100)
        .collect()
}

#[test]
fn two_devices_meet_whichever_program_each_reaches() {
    let folder = Folder::new();
    let pair = Pair::new(&folder, &[]);
    let [first, second] = &pair.servers;
    for [one, other] in [[first, second], [second, first]] {
        let mut receiver = Receiver::begin(one, "/jpake");
        let pin = receiver.pin();
        assert_eq!(receiver.end.poll(), Poll::NothingNew);
        let mut sender = Sender::begin(other, "/jpake", &pin);
        assert_eq!(sender.end.poll(), Poll::NothingNew);
        receiver.second();
        sender.second();
        receiver.third();
        assert!(sender.is_paired());
        let credentials = Credentials {
            account: ANN.to_owned(),
            password: PASSWORD.to_owned(),
            sync_key: SyncKey::generate(),
            server: one.base().to_owned(),
        };
        sender.finish(&credentials);
        assert_eq!(
            receiver.finish().expect("sealed with the agreed key"),
            credentials
        );
        for server in [one, other] {
            assert_eq!(End::new(server, "/jpake", &pin[8..]).poll(), Poll::Gone);
        }
    }
    pair.stop();
}

/// What the operator and the person do through one program holds at the other, whose caches are warm.
#[test]
fn what_one_program_changes_holds_at_the_other() {
    let folder = Folder::new();
    let pair = Pair::new(&folder, &[]);
    let [first, second] = &pair.servers;
    let name = account::register(second, ANN, PASSWORD);
    let status = |password: &str| {
        let call = Call::get(format!("/1.1/{name}/info/collections"));
        first
            .send(&call.header("Authorization", basic(&name, password)))
            .status
    };
    // A browser whose tokens were good a moment ago.
    let access = |password: &str| {
        let session = Session::sign_in(first, ANN, password);
        let browser = session.connect("a browser");
        let access = browser.access_token(OLDSYNC).expect(200).text_of("access_token");
        browser.ask_tokenserver_with(&access).expect(200);
        (browser, access)
    };
    let is_over = |(browser, access): (Browser, String)| {
        browser.ask_tokenserver_with(&access).expect(401);
        assert_ne!(browser.access_token(OLDSYNC).status, 200);
    };
    for _ in 0..3 {
        assert_eq!(status(PASSWORD), 200);
    }
    let before = access(PASSWORD);
    account::change_password(second, &name, PASSWORD, "another password").expect(200);
    is_over(before);
    eventually(|| status(PASSWORD) == 401);
    assert_eq!(status("another password"), 200);

    let command = |command: &[&str]| {
        let done = pair.start.run(command);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let before = access("another password");
    command(&["user", "disable", ANN]);
    is_over(before);
    eventually(|| status("another password") == 401);
    assert_ne!(Session::try_sign_in(first, ANN, "another password").status, 200);
    command(&["user", "enable", ANN]);
    eventually(|| status("another password") == 200);
    let before = access("another password");
    command(&["user", "remove", ANN, "--yes"]);
    is_over(before);
    eventually(|| status("another password") == 401);
    pair.stop();
}
