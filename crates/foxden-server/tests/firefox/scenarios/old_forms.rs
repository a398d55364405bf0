//! The forms that old clients open, in a browser: with script and without, in every state, and what they do.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64;
use foxden_accounts::legacy;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::evidence::{artefacts, picture};
use crate::page::{self, Person, STEP_LIMIT};
use crate::page_check::{check_page, clear_console, console_errors, no_faults};
use crate::process::wait_for;
use crate::server::Server;
use crate::test_context::scenario;

const RESET: &str = "/weave-password-reset";
const DELETE: &str = "/weave-delete-account";
/// The preference that disables JavaScript.
const SCRIPT: &str = "javascript.enabled";

/// Asking for a code, setting the password with it (U13.46) and deleting the account, in a browser that runs no script. The
/// golden conversations fix the order of the errors.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn forms_work_without_script() -> Result<()> {
    scenario("old-forms-no-script", |test| {
        let mut ann = Person::new("ann@example.org");
        make_account(&test.server, &ann)?;
        let (a, server) = (&mut test.a, &test.server);
        a.set_pref(SCRIPT, json!(false))?;

        open(a, server, RESET)?;
        send(
            a,
            &[("username", "bea@example.org")],
            "unable to locate your account",
        )?;
        send(a, &[("username", &ann.email)], "next 6 hours")?;
        keep_picture(a, "no-script-asked")?;
        let code = reset_code(server, &ann.email)?;

        page::press(a, "form button")?;
        expect(a, "Set a new password")?;
        let new = "five quite unrelated words";
        send(
            a,
            &[
                ("key", &code),
                ("password", new),
                ("confirm", "five other unrelated words"),
            ],
            "do not match",
        )?;
        send(
            a,
            &[("password", new), ("confirm", new)],
            "Password successfully changed",
        )?;
        keep_picture(a, "no-script-reset-done")?;
        ann.password = new.to_owned();

        open(
            a,
            server,
            &format!("{RESET}?username=ann%40example.org&key={code}"),
        )?;
        expect(a, "Key does not match with username")?;

        open(a, server, DELETE)?;
        send(
            a,
            &[("username", &ann.email), ("password", "not this one")],
            "Bad credentials",
        )?;
        send(a, &[("password", &ann.password)], "Account removed.")?;
        a.set_pref(SCRIPT, Value::Null)?;
        let status = basic_status(&test.server, &ann)?;
        ensure!(status == 401, "the account answers {status}");
        Ok(())
    })
}

/// A user of both kinds of client: the form names what Firefox loses, and asks for consent; afterwards old and new clients log
/// in with the new password. Every state on the way looks right, and so does the deletion of the account.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn forms_look_right_and_ask_before_data_are_lost() -> Result<()> {
    scenario("old-forms", |test| {
        let mut ann = Person::ann();
        test.sign_up_in_a(&ann)?;
        let mut faults = Vec::new();
        clear_console(&mut test.b)?;
        let (b, server) = (&mut test.b, &test.server);

        open(b, server, RESET)?;
        faults.extend(check_page(b, "old-1-ask")?);
        send(
            b,
            &[("username", "bea@example.org")],
            "unable to locate your account",
        )?;
        expect_focus(b, "username")?;
        faults.extend(check_page(b, "old-2-ask-error")?);
        send(b, &[("username", &ann.email)], "next 6 hours")?;
        faults.extend(check_page(b, "old-3-asked")?);
        let code = reset_code(server, &ann.email)?;

        open(b, server, &format!("{RESET}?username=ann%40example.org&key="))?;
        faults.extend(check_page(b, "old-4-reset-by-hand")?);
        open(
            b,
            server,
            &format!("{RESET}?username=ann%40example.org&key=ABCD-EFGH-JKLM-NPQR"),
        )?;
        expect(b, "Key does not match with username")?;
        expect_focus(b, "key")?;
        faults.extend(check_page(b, "old-5-reset-old-link")?);

        open(
            b,
            server,
            &format!("{RESET}?username=ann%40example.org&key={code}"),
        )?;
        expect(b, "What Firefox stored here becomes unreadable")?;
        faults.extend(check_page(b, "old-6-reset")?);
        let new = "five quite unrelated words";
        send(
            b,
            &[("password", new), ("confirm", new)],
            "Tick that you understand",
        )?;
        expect_focus(b, "understood")?;
        faults.extend(check_page(b, "old-7-reset-error")?);
        page::press(b, "#understood")?;
        send(
            b,
            &[("password", new), ("confirm", new)],
            "Password successfully changed",
        )?;
        faults.extend(check_page(b, "old-8-reset-done")?);
        ann.password = new.to_owned();

        open(b, server, &format!("{RESET}?foo=1"))?;
        faults.extend(check_page(b, "old-9-not-ours")?);
        let status = basic_status(&test.server, &ann)?;
        ensure!(status == 200, "the legacy API answers {status}");

        open(b, server, DELETE)?;
        faults.extend(check_page(b, "old-delete-1")?);
        b.marionette
            .content("document.forms[0].noValidate = true;", json!(null))?;
        send(b, &[], "Missing data")?;
        faults.extend(check_page(b, "old-delete-2-error")?);
        let password = ann.password.clone();
        send(
            b,
            &[("username", &ann.email), ("password", &password)],
            "Account removed.",
        )?;
        faults.extend(check_page(b, "old-delete-3-gone")?);
        faults.extend(console_errors(b, &server.url)?);
        no_faults(&faults)
    })
}

/// With `accounts.captcha = "question"` the form asks a question before it makes a code: a wrong answer gets another one.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn question_is_asked_first() -> Result<()> {
    scenario("old-forms-question", |test| {
        let ann = Person::ann();
        make_account(&test.server, &ann)?;
        test.server.stop();
        test.server.set("FOXDEN__ACCOUNTS__CAPTCHA", "question");
        test.server.resume()?;
        let (a, server) = (&mut test.a, &test.server);
        clear_console(a)?;

        open(a, server, RESET)?;
        let mut faults = check_page(a, "old-question-1")?;
        send(
            a,
            &[("username", &ann.email), ("answer", "1000")],
            "not the answer to the question",
        )?;
        faults.extend(check_page(a, "old-question-2-error")?);
        let sum = answer(a)?.to_string();
        send(a, &[("answer", &sum)], "next 6 hours")?;

        faults.extend(console_errors(a, &server.url)?);
        no_faults(&faults)
    })
}

/// An account as an old client makes it.
fn make_account(server: &Server, person: &Person) -> Result<()> {
    let body = json!({"email": person.email, "password": person.password}).to_string();
    let status = request(
        server,
        "PUT",
        &format!("/user/1.0/{}", name(person)?),
        None,
        &body,
    )?;
    ensure!(status == 200, "no account was made: {status}");
    Ok(())
}

/// The status with which the legacy storage API answers to name and password.
fn basic_status(server: &Server, person: &Person) -> Result<u16> {
    let path = format!("/1.1/{}/info/collections", name(person)?);
    request(server, "GET", &path, Some(person), "")
}

fn name(person: &Person) -> Result<String> {
    legacy::name_of(&person.email).context("a name")
}

/// One request as an old client sends it; the status of the answer.
fn request(server: &Server, method: &str, path: &str, by: Option<&Person>, body: &str) -> Result<u16> {
    let host = server.url.trim_start_matches("http://");
    let authorization = by.map_or_else(String::new, |person| {
        let pair = format!("{}:{}", person.email, person.password);
        format!("Authorization: Basic {}\r\n", BASE64.encode(pair.as_bytes()))
    });
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).context("a status")?;
    Ok(status.parse()?)
}

fn open(browser: &mut Browser, server: &Server, path: &str) -> Result<()> {
    browser.marionette.navigate(&format!("{}{path}", server.url))
}

/// Fills in the form, sends it, and waits until the page that comes says this.
fn send(browser: &mut Browser, fields: &[(&str, &str)], words: &str) -> Result<()> {
    page::fill(browser, fields)?;
    page::submit(browser)?;
    expect(browser, words)
}

fn expect(browser: &mut Browser, words: &str) -> Result<()> {
    let mut message = String::new();
    let outcome = wait_for(&format!("the words {words}"), STEP_LIMIT, || {
        // A page that is just being replaced cannot answer.
        if let Ok(Some(main)) = browser.marionette.find("main") {
            message = browser.marionette.text(&main).unwrap_or_default();
        }
        Ok(message.contains(words).then_some(()))
    });
    outcome.with_context(|| format!("the page says: {message}"))
}

/// After an error the focus is on the field that caused it.
fn expect_focus(browser: &mut Browser, id: &str) -> Result<()> {
    let field = format!("#{id}:focus");
    wait_for(&format!("the focus on {id}"), STEP_LIMIT, || {
        Ok(browser.marionette.find(&field)?.map(drop))
    })
}

/// The code that the operator sees.
fn reset_code(server: &Server, name: &str) -> Result<String> {
    let message = server.run(&["user", "code", name])?;
    let is_code = |word: &&str| word.len() == 19 && word.split('-').all(|group| group.len() == 4);
    let code = message.split_whitespace().find(is_code);
    Ok(code.with_context(|| format!("no code in: {message}"))?.to_owned())
}

/// The result of the sum on the page, whose numbers are written in digits.
fn answer(browser: &mut Browser) -> Result<i64> {
    let asked = page::text(browser, "label[for=answer]")?;
    let again = page::text(browser, "#answer-hint")?;
    let number = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<i64>()
    };
    let (first, second) = (number(&asked)?, number(&again)?);
    Ok(if asked.contains('+') {
        first + second
    } else {
        first - second
    })
}

fn keep_picture(browser: &mut Browser, name: &str) -> Result<()> {
    picture(browser, &artefacts().join(format!("screenshots/{name}.png")))
}
