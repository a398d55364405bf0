//! Mails on their way through a real mail server, and the codes in them put to use.

pub mod mail_server;
mod split;

use std::fs;
use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::{Folder, Program, Start};
use foxden_test_support::client::browser::{Session, signer};
use foxden_test_support::client::legacy::account;
use foxden_test_support::client::onepw::Stretched;
use foxden_test_support::client::wire::{Call, Reply, Server};
use mail_server::{Certificates, MailServer, at_port};

const ANN: &str = "ann@example.org";
const BEA: &str = "bea@example.org";
const PASSWORD: &str = "a password";

/// Signs up from outside, which needs a code.
fn sign_up(server: &Server, address: &str) -> Reply {
    let auth_pw = Stretched::v1(address, PASSWORD).auth_pw_hex();
    let body = json!({ "email": address, "authPW": auth_pw });
    let call = Call::post("/v1/account/create", &body).header("X-Forwarded-For", "192.0.2.1");
    server.send(&call).expect(200)
}

fn is_verified(server: &Server, created: &Reply) -> bool {
    let by = signer(&created.text_of("sessionToken"), "sessionToken");
    let status = server.send(&Call::get("/v1/recovery_email/status").signed(&by));
    status.expect(200).json()["verified"] == true
}

/// Waits until the log has a line with all of these.
fn logged(program: &Program, parts: &[&str]) -> String {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        let log = program.log();
        if let Some(line) = log
            .lines()
            .find(|line| parts.iter().all(|part| line.contains(part)))
        {
            return line.to_owned();
        }
        std::thread::yield_now();
    }
    panic!("never logged: {parts:?}");
}

fn said(output: &Output) -> String {
    let (text, complaint) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(text),
        String::from_utf8_lossy(complaint)
    )
}

/// A public client that signs up confirms the address with the digits of the mail, or with its link.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn the_code_that_was_mailed_confirms_the_address() {
    let (folder, mut mail_server) = (Folder::new(), MailServer::plain());
    let program = mail_server.used_by(Start::on(&folder)).serve();
    let server = Server::at(program.url());
    let created = sign_up(&server, ANN);
    assert!(!is_verified(&server, &created));
    let mail = mail_server.mail();
    let code = mail.key().to_owned();
    assert!(
        code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()),
        "{code}"
    );
    assert!(mail.html().contains(&code) && mail.head("To") == ANN);
    assert_eq!(mail.head("Auto-Submitted"), "auto-generated");
    assert_eq!(mail.told("sender"), "foxden@example.org");
    let by = signer(&created.text_of("sessionToken"), "sessionToken");
    // Asked for again while it is valid, it is the same one.
    let again = Call::post("/v1/session/resend_code", &json!({})).signed(&by);
    server.send(&again).expect(200);
    assert_eq!(mail_server.mail().key(), code);
    let verify = Call::post("/v1/session/verify_code", &json!({ "code": code })).signed(&by);
    server.send(&verify).expect(200);
    assert!(is_verified(&server, &created));

    let created = sign_up(&server, BEA);
    let mail = mail_server.mail();
    let link = mail.link("/confirm_address#");
    assert!(link.starts_with(program.url()), "{link}");
    let (uid, link_code) = link.split_once('#').unwrap().1.split_once('.').unwrap();
    let body = json!({ "uid": uid, "code": link_code });
    server
        .send(&Call::post("/v1/recovery_email/verify_code", &body))
        .expect(200);
    assert!(is_verified(&server, &created));
    let log = program.log();
    for secret in [&code, link_code, uid, ANN, BEA] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

/// The link in the mail resets the password; a changed password causes a notice.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn the_link_that_was_mailed_resets_the_password_and_changes_are_told() {
    let (folder, mut mail_server) = (Folder::new(), MailServer::plain());
    let program = mail_server.used_by(Start::on(&folder)).serve();
    let server = Server::at(program.url());
    let ann = Session::sign_up(&server, ANN, PASSWORD);
    ann.change_password(PASSWORD, "another password");
    let notice = mail_server.mail();
    assert_eq!(notice.head("Subject"), "Your password at 127.0.0.1 was changed");
    assert!(
        notice.lines()[1].contains("from 127.0.0.1"),
        "{:?}",
        notice.lines()
    );

    let asked = Call::post("/v1/password/forgot/send_code", &json!({ "email": ANN }));
    server.send(&asked).expect(200);
    let mail = mail_server.mail();
    let fragment = mail.key().split_once("/reset_password#").unwrap().1;
    let [token, code, address]: [&str; 3] = fragment.splitn(3, '.').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(address, "ann%40example.org");
    assert!(mail.lines().contains(&code));
    let by = signer(token, "passwordForgotToken");
    let verify = Call::post("/v1/password/forgot/verify_code", &json!({ "code": code })).signed(&by);
    let verified = server.send(&verify).expect(200);
    let by = signer(&verified.text_of("accountResetToken"), "accountResetToken");
    let auth_pw = Stretched::v1(ANN, "a third password").auth_pw_hex();
    let reset = Call::post("/v1/account/reset", &json!({ "authPW": auth_pw })).signed(&by);
    server.send(&reset).expect(200);
    assert_eq!(
        mail_server.mail().head("Subject"),
        "Your password at 127.0.0.1 was set anew"
    );
    Session::sign_in(&server, ANN, "a third password");
    assert!(!program.log().contains(code) && !program.log().contains(token));
}

/// U13.33, U13.34: a reset for old browsers is mailed, the same code whenever it is asked for; the link opens its page.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn a_plain_reset_is_mailed_twice_with_one_code_that_works_once() {
    let (folder, mut mail_server) = (Folder::new(), MailServer::plain());
    let program = mail_server.used_by(Start::on(&folder)).serve();
    let server = Server::at(program.url());
    let name = account::register(&server, ANN, PASSWORD);
    let asked = Call::get(format!("/user/1.0/{name}/password_reset"));
    let links: [String; 2] = std::array::from_fn(|_| {
        assert_eq!(server.send(&asked).expect(200).text(), "success");
        mail_server.mail().key().to_owned()
    });
    assert_eq!(links[0], links[1]);
    let target = links[0].strip_prefix(program.url()).unwrap();
    let (_, query) = target.split_once("/weave-password-reset?").unwrap();
    let (user, code) = query.split_once("&key=").unwrap();
    assert_eq!((user, code.len()), (format!("username={name}").as_str(), 19));
    server.send(&Call::get(target)).expect(200);

    let reset = Call::new("POST", format!("/user/1.0/{name}/password"))
        .header("X-Weave-Password-Reset", code)
        .body("text/plain", "another password");
    server.send(&reset).expect(200);
    assert_eq!(
        mail_server.mail().head("Subject"),
        "Your password at 127.0.0.1 was set anew"
    );
    assert!(server.send(&reset).status >= 400);
    assert!(account::change_password(&server, &name, "another password", "a third password").status == 200);
    assert_eq!(
        mail_server.mail().head("Subject"),
        "Your password at 127.0.0.1 was changed"
    );
    let changed = account::change_address(&server, &name, "a third password", BEA);
    changed.expect(200);
    let notice = mail_server.mail();
    assert_eq!((notice.head("To"), notice.told("to")), (ANN, &json!([ANN])));
    assert!(notice.html().contains(BEA));
    assert!(!program.log().contains(code));
    mail_server.ends_silent(program);
}

#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn an_invitation_is_mailed_and_makes_an_account() {
    let (folder, mut mail_server) = (Folder::new(), MailServer::plain());
    let security = folder.path().join("security.log");
    let start = mail_server.used_by(Start::on(&folder));
    let start = start.set(
        "FOXDEN__SECURITY_LOG__TARGET",
        format!("file:{}", security.display()),
    );
    let program = start.serve();
    let told = said(&start.run(&["invite", "--mail", BEA]));
    let mail = mail_server.mail();
    assert!(told.contains(mail.key()) && told.contains(BEA), "{told}");
    assert_eq!(mail.head("To"), BEA);
    let code = mail.link("/invite#").split_once('#').unwrap().1.to_owned();
    let server = Server::at(program.url());
    Session::sign_up_invited(&server, BEA, PASSWORD, &code);
    for bad in ["bea", "bea@example.org\r\nBcc: all@example.org"] {
        assert!(said(&start.run(&["invite", "--mail", bad])).contains("is not an address"));
    }
    assert!(!program.log().contains(&code));
    let deeds = fs::read_to_string(security).unwrap();
    let invited = format!(" duser={BEA} reason=member\n");
    assert!(deeds.contains(&invited) && !deeds.contains(&code), "{deeds}");
    let without = Start::on(&folder);
    mail_server.ends_silent(program);
    assert!(said(&without.run(&["invite", "--mail", BEA])).contains("mail.host"));
}

/// `foxden check` goes the whole way: encryption by a private authority, sign-in, a mail.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn the_way_to_the_mail_server_is_encrypted_and_signed_in() {
    let folder = Folder::new();
    let certificates = Certificates::make(&folder);
    for (tls, is_small) in [
        ("starttls", false),
        ("starttls", true),
        ("tls", false),
        ("tls", true),
    ] {
        let mut mail_server = MailServer::start(&json!({
            "tls": tls, "cert": certificates.cert, "key": certificates.key, "login": ["foxden", "short"],
            "small": is_small,
        }));
        let start = || {
            let start = mail_server.used_by(Start::on(&folder));
            start
                .set("FOXDEN__MAIL__TLS", tls)
                .set("FOXDEN__MAIL__USERNAME", "foxden")
        };
        let stranger = start().set("FOXDEN__MAIL__PASSWORD", "short");
        let refused = said(&stranger.run(&["check"]));
        assert!(
            refused.contains("BAD") && refused.contains("ertificate"),
            "{refused}"
        );
        let trusting = || start().set("FOXDEN__MAIL__CA_FILE", certificates.ca.display().to_string());
        let keys = start().set("FOXDEN__MAIL__CA_FILE", certificates.key.display().to_string());
        let keys = keys.set("FOXDEN__MAIL__PASSWORD", "short");
        let wrong = trusting().set("FOXDEN__MAIL__PASSWORD", "wrong");
        let (wrong, right) = (wrong, trusting().set("FOXDEN__MAIL__PASSWORD", "short"));

        let refused = said(&wrong.run(&["check"]));
        assert!(
            refused.contains("no sign-in at localhost") && refused.contains("535"),
            "{refused}"
        );
        assert_eq!(
            mail_server.next_event(),
            json!({ "tried": "PLAIN", "tls": true, "right": false })
        );
        // A file without a certificate is refused, not ignored.
        let refused = said(&keys.run(&["check"]));
        assert!(refused.contains("holds no certificate"), "{refused}");
        // An address that is none is one finding among the others.
        let odd = said(&right.run(&["check", "--mail", "bea"]));
        assert!(
            odd.contains("BAD") && odd.contains("cannot write to bea") && odd.contains(", signed in"),
            "{odd}"
        );
        assert_eq!(mail_server.next_event()["right"], true);
        let output = right.run(&["check", "--mail", ANN]);
        assert!(output.status.success(), "{}", said(&output));
        for _ in ["the way", "the mail"] {
            assert_eq!(mail_server.next_event()["right"], true);
        }
        let mail = mail_server.mail();
        assert_eq!((mail.told("tls"), mail.head("To")), (&json!(true), ANN));
        assert_eq!(mail.told("hello"), "[127.0.0.1]");
    }
}

/// STARTTLS that is asked for is not left out, whatever the mail server offers.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn a_mail_server_without_encryption_gets_nothing_where_encryption_is_wanted() {
    let (folder, mail_server) = (Folder::new(), MailServer::plain());
    let start = mail_server
        .used_by(Start::on(&folder))
        .set("FOXDEN__MAIL__TLS", "starttls");
    let refused = said(&start.run(&["check", "--mail", ANN]));
    assert!(refused.contains("no encryption with localhost"), "{refused}");
    mail_server.ends();
}

/// No request waits for an unreachable mail server, and no mail is lost by it or by a restart.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn mails_survive_an_unreachable_mail_server_and_a_restart() {
    let folder = Folder::new();
    let place = Start::free_port();
    let start = at_port(Start::on(&folder), place);
    let program = start.serve();
    let created = sign_up(&Server::at(program.url()), ANN);
    let line = logged(
        &program,
        &["a mail is deferred for 10 s", "no connection to localhost"],
    );
    assert!(line.contains("confirm_address"), "{line}");
    program.kill();

    let mut mail_server = MailServer::start(&json!({ "port": place }));
    let program = start.serve();
    let code = mail_server.mail().key().to_owned();
    let by = signer(&created.text_of("sessionToken"), "sessionToken");
    let verify = Call::post("/v1/session/verify_code", &json!({ "code": code })).signed(&by);
    Server::at(program.url()).send(&verify).expect(200);
    mail_server.ends_silent(program);
}

/// A wrong password for the mail server is logged, and the mail is retried: the operator may fix it at the mail server.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn a_sign_in_that_fails_is_logged_and_tried_again() {
    let folder = Folder::new();
    let certificates = Certificates::make(&folder);
    let mut mail_server = MailServer::start(&json!({
        "tls": "starttls", "cert": certificates.cert, "key": certificates.key, "login": ["foxden", "right"],
    }));
    let start = mail_server
        .used_by(Start::on(&folder))
        .set("FOXDEN__MAIL__TLS", "starttls");
    let start = start.set("FOXDEN__MAIL__CA_FILE", certificates.ca.display().to_string());
    let start = start.set("FOXDEN__MAIL__USERNAME", "foxden");
    let program = start.set("FOXDEN__MAIL__PASSWORD", "quite wrong").serve();
    sign_up(&Server::at(program.url()), ANN);
    for _ in 0..2 {
        assert_eq!(mail_server.next_event()["right"], false);
    }
    let line = logged(
        &program,
        &["a mail is deferred for 20 s", "no sign-in at localhost", "535"],
    );
    assert!(!line.contains("quite wrong"));
}

/// "Later" is taken at its word, "never" too.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn a_deferred_mail_is_tried_again_and_a_refused_one_is_not() {
    let folder = Folder::new();
    let never = "550 5.1.1 no such user here";
    let mut mail_server = MailServer::start(&json!({ "answers": [never, "451 4.7.1 come back later"] }));
    let program = mail_server.used_by(Start::on(&folder)).serve();
    let server = Server::at(program.url());
    sign_up(&server, ANN);
    assert_eq!(mail_server.next_event()["refused"], never);
    logged(&program, &["a mail was dropped", "550", "no such user here"]);
    sign_up(&server, BEA);
    assert_eq!(mail_server.next_event()["refused"], "451 4.7.1 come back later");
    assert_eq!(mail_server.mail().head("To"), BEA);
    mail_server.ends_silent(program);
    // The operator can still read a code that could not be mailed.
    let start = Start::on(&folder);
    assert!(said(&start.run(&["user", "code", ANN])).contains("confirms the address"));
}

/// A refusal of this server's name or rights drops no mail, since the operator may mend that. Only the refusal of a mail
/// does.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn a_mail_server_that_refuses_this_server_drops_no_mail() {
    let folder = Folder::new();
    let ours = ["530 5.7.0 Authentication required", "550 5.1.7 no such sender"];
    let (right, spam) = ("550 5.7.1 relaying denied", "554 5.6.0 this text is odd");
    let config = json!({ "senders": ours, "answers": [right], "texts": [spam] });
    let mut mail_server = MailServer::start(&config);
    let start = mail_server.used_by(Start::on(&folder));
    let checked = said(&start.run(&["check"]));
    assert_eq!(mail_server.next_event()["refused"], ours[0]);
    assert!(
        checked.contains("no mail of this server is accepted by localhost") && checked.contains("5.7.0"),
        "{checked}"
    );
    let program = start.serve();
    let server = Server::at(program.url());
    sign_up(&server, ANN);
    for (answer, pause) in [(ours[1], "10 s"), (right, "20 s")] {
        assert_eq!(mail_server.next_event()["refused"], answer);
        logged(
            &program,
            &[&format!("a mail is deferred for {pause}"), &answer[4..]],
        );
    }
    sign_up(&server, BEA);
    assert_eq!(mail_server.next_event()["refused"], spam);
    logged(&program, &["a mail was dropped", &spam[4..]]);
    assert_eq!(mail_server.mail().head("To"), ANN);
    mail_server.ends_silent(program);
}

/// A mail is over with the mail server's word that it took it, whatever happens to the farewell.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn a_mail_is_accepted_before_quit() {
    let folder = Folder::new();
    let mut mail_server = MailServer::start(&json!({ "mute": true }));
    let start = mail_server
        .used_by(Start::on(&folder))
        .set("FOXDEN__MAIL__TIMEOUT", "2 min");
    let mut program = start.serve();
    sign_up(&Server::at(program.url()), ANN);
    mail_server.mail();
    logged(&program, &["a mail was sent", "taken"]);
    program.ask_to_stop();
    assert!(program.wait(Duration::from_secs(15)), "{}", program.log());
}

/// A mail server that looks long at a mail gets it once, though all else must be fast.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn a_mail_server_may_check_a_mail_for_longer_than_the_timeout() {
    let folder = Folder::new();
    let mut mail_server = MailServer::start(&json!({ "scan": 4 }));
    let start = mail_server
        .used_by(Start::on(&folder))
        .set("FOXDEN__MAIL__TIMEOUT", "3 s");
    let program = start.serve();
    sign_up(&Server::at(program.url()), ANN);
    mail_server.mail();
    logged(&program, &["a mail was sent"]);
    assert!(!program.log().contains("a mail is deferred"), "{}", program.log());
    mail_server.ends_silent(program);
}

/// The first mail that the mail server takes again brings all along that waited for it.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn after_an_outage_no_mail_waits_any_longer() {
    let folder = Folder::new();
    let place = Start::free_port();
    let program = at_port(Start::on(&folder), place).serve();
    let server = Server::at(program.url());
    sign_up(&server, ANN);
    for pause in [10, 20] {
        logged(
            &program,
            &["confirm_address", &format!("a mail is deferred for {pause} s")],
        );
    }
    let mut mail_server = MailServer::start(&json!({ "port": place }));
    sign_up(&server, BEA);
    assert_eq!(
        [mail_server.mail(), mail_server.mail()].map(|mail| mail.head("To").to_owned()),
        [BEA, ANN]
    );
    let log = program.log();
    assert!(log.matches("a mail is deferred").count() < 4, "{log}");
    mail_server.ends_silent(program);
}

/// However long a mail server takes, requests are answered; a stop waits for the mail under way, which is sent once.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn a_slow_mail_server_slows_no_request_and_a_stop_waits_for_it() {
    let folder = Folder::new();
    let mut mail_server = MailServer::start(&json!({ "hold": true }));
    let start = mail_server.used_by(Start::on(&folder));
    let program = start.serve();
    let server = Server::at(program.url());
    let created = sign_up(&server, ANN);
    assert_eq!(mail_server.next_event()["holding"], true);
    assert!(!is_verified(&server, &created));
    let by = signer(&created.text_of("sessionToken"), "sessionToken");
    server
        .send(&Call::post("/v1/session/resend_code", &json!({})).signed(&by))
        .expect(200);
    program.ask_to_stop();
    logged(&program, &["stopping"]);
    mail_server.release();
    let first = mail_server.mail();
    program.stop();

    let program = start.serve();
    assert_eq!(
        mail_server.next_event()["holding"],
        true,
        "the second mail waited for the next start"
    );
    let second = mail_server.mail();
    assert_eq!(first.key(), second.key());
    assert_ne!(first.head("Message-ID"), second.head("Message-ID"));
    mail_server.ends_silent(program);
}

/// A mail server that accepts the connection and sends nothing does not delay a stop, and no mail is lost.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn a_stop_does_not_wait_for_a_mail_server_that_is_silent() {
    let folder = Folder::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap().port();
    let start = at_port(Start::on(&folder), place);
    let mut program = start.serve();
    sign_up(&Server::at(program.url()), ANN);
    let connection = silent.accept().unwrap();
    program.ask_to_stop();
    assert!(program.wait(Duration::from_secs(15)), "{}", program.log());
    drop((connection, silent));

    let mut mail_server = MailServer::start(&json!({ "port": place }));
    let _program = start.serve();
    assert_eq!(mail_server.mail().head("To"), ANN);
}

/// Two programs on one register send each mail once.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn two_processes_on_one_register_send_each_mail_once() {
    let (folder, mut mail_server) = (Folder::new(), MailServer::plain());
    let register = format!("sqlite:{}", folder.path().join("register.sqlite").display());
    let start = |name| {
        let start = mail_server.used_by(Start::on(&folder).named(name));
        start.set("FOXDEN__ACCOUNTS__URL", register.clone())
    };
    let (one, other) = (start("one"), start("other"));
    let programs = [one.serve(), other.serve()];
    let mut wanted: Vec<String> = (0..6)
        .map(|number| format!("person{number}@example.org"))
        .collect();
    for (number, address) in wanted.iter().enumerate() {
        let by = if number % 2 == 0 { &one } else { &other };
        let output = by.run(&["invite", "--mail", address]);
        assert!(output.status.success(), "{}", said(&output));
    }
    let mut reached: Vec<String> = wanted
        .iter()
        .map(|_| mail_server.mail().head("To").to_owned())
        .collect();
    wanted.sort();
    reached.sort();
    assert_eq!(reached, wanted);
    programs.into_iter().for_each(Program::stop);
    mail_server.ends();
}

/// An address that this mail server has no way to take fails with a reason; another mail server takes it.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn addresses_outside_ascii_are_sent_where_the_mail_server_can() {
    let folder = Folder::new();
    let mut mail_server = MailServer::plain();
    let program = mail_server.used_by(Start::on(&folder)).serve();
    let server = Server::at(program.url());
    sign_up(&server, "ann@exämple.org");
    assert_eq!(mail_server.mail().told("to"), &json!(["ann@xn--exmple-cua.org"]));
    sign_up(&server, "tést@example.org");
    logged(&program, &["a mail was dropped", "SMTPUTF8"]);
    program.stop();

    let mut mail_server = MailServer::start(&json!({ "utf8": true }));
    let program = mail_server.used_by(Start::on(&folder)).serve();
    sign_up(&Server::at(program.url()), "zoë@example.org");
    assert_eq!(mail_server.mail().told("to"), &json!(["zoë@example.org"]));
}
