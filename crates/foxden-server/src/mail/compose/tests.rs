//! Tests of mails on the wire.

use foxden_accounts::{AccountId, Mail, QueuedMail};

use super::*;
use crate::mail::mail_text::Sender;

/// The day whose name is the longest.
const NOW: i64 = 1_790_776_800_000;

fn posted(address: &str, mail: Mail) -> QueuedMail {
    QueuedMail {
        id: 7,
        account: Some(AccountId([0xab; 16])),
        address: address.to_owned(),
        mail,
        posted_at: NOW,
        expires: NOW + 30 * 60_000,
        tries: 1,
    }
}

fn words(address: &str, mail: Mail) -> MailText {
    let sender = Sender {
        origin: "https://sync.example.org",
        host: "sync.example.org",
    };
    MailText::of(&posted(address, mail), &sender)
}

fn mails() -> Vec<Mail> {
    let from = || "2001:db8:1111:2222:3333:4444:5555:6666".to_owned();
    vec![
        Mail::ConfirmAddress {
            code: "048291".to_owned(),
            link_code: "0123456789abcdef0123456789abcdef".to_owned(),
        },
        Mail::ResetCode {
            code: "c0de".repeat(8),
            token: "70ce".repeat(16),
            instead_of_digits: false,
        },
        Mail::LegacyReset {
            name: "ann@example.org".to_owned(),
            code: "ABCD-EFGH-2345-6789".to_owned(),
        },
        Mail::Invitation {
            code: "AbCdEfGhIjKlMnOpQrStUv".to_owned(),
        },
        Mail::PasswordChanged { from: from() },
        Mail::PasswordReset { from: from() },
        Mail::AddressChanged {
            address: "bea@example.org".to_owned(),
            from: from(),
        },
        Mail::ResetOtp {
            code: "04829117".to_owned(),
            again: false,
        },
        Mail::ResetOtp {
            code: "04829117".to_owned(),
            again: true,
        },
        Mail::ResetCode {
            code: "c0de".repeat(8),
            token: "70ce".repeat(16),
            instead_of_digits: true,
        },
    ]
}

struct Names {
    from: Mailbox,
}

impl Names {
    fn new() -> Self {
        Self {
            from: "Foxden <foxden@example.org>".parse().unwrap(),
        }
    }

    fn headers<'a>(&'a self, to: &'a str) -> MailHeaders<'a> {
        MailHeaders {
            from: &self.from,
            reply_to: None,
            to,
            host: "sync.example.org",
            contact: Some("mailto:operator@example.org"),
            id: "1.7.server".to_owned(),
            now: NOW,
        }
    }
}

fn message(to: &str, mail: Mail) -> String {
    let names = Names::new();
    let message = compose(&words(to, mail), &names.headers(to)).unwrap();
    String::from_utf8(message.formatted()).unwrap()
}

#[test]
fn plain_text_keeps_to_its_columns_and_says_who_and_why() {
    let names = Names::new();
    for mail in mails() {
        let text = plain(&words("ann@example.org", mail), &names.headers("ann@example.org")).unwrap();
        for line in text.lines() {
            let cannot_break = line.starts_with("https://");
            assert!(cannot_break || line.chars().count() <= COLUMNS, "{line}");
            assert!(line == "-- " || line == line.trim_end(), "{line:?}");
        }
        assert!(
            text.contains("sync.example.org sent this to ann@example.org"),
            "{text}"
        );
        assert!(
            text.contains("operator@example.org") && !text.contains("\n\n\n"),
            "{text}"
        );
    }
}

#[test]
fn the_third_line_of_a_plain_reset_is_its_link() {
    let names = Names::new();
    for (name, encoded) in [
        (
            "h556uyifil2npdqhtpip45uz4zkj2llp",
            "h556uyifil2npdqhtpip45uz4zkj2llp",
        ),
        ("ann@example.org", "ann%40example.org"),
        ("a&key=X\r\n<b>é", "a%26key%3DX%0D%0A%3Cb%3E%C3%A9"),
    ] {
        let mail = Mail::LegacyReset {
            name: name.to_owned(),
            code: "ABCD-EFGH-2345-6789".to_owned(),
        };
        let text = plain(&words("ann@example.org", mail), &names.headers("ann@example.org")).unwrap();
        let link = format!(
            "https://sync.example.org/weave-password-reset?username={encoded}&key=ABCD-EFGH-2345-6789"
        );
        assert_eq!(text.lines().nth(2), Some(link.as_str()));
    }
}

#[test]
fn the_third_line_of_a_mail_is_its_code_or_link() {
    let names = Names::new();
    let third = |mail: &Mail| {
        let text = plain(
            &words("ann@example.org", mail.clone()),
            &names.headers("ann@example.org"),
        )
        .unwrap();
        text.lines().nth(2).unwrap_or_default().to_owned()
    };
    let mails = mails();
    assert_eq!(third(&mails[0]), "048291");
    let (token, code) = ("70ce".repeat(16), "c0de".repeat(8));
    assert_eq!(
        third(&mails[1]),
        format!("https://sync.example.org/reset_password#{token}.{code}.ann%40example.org")
    );
    assert_eq!(
        third(&mails[3]),
        "https://sync.example.org/invite#AbCdEfGhIjKlMnOpQrStUv"
    );
    assert_eq!(third(&mails[7]), "04829117");
    let page = format!(
        "https://sync.example.org/confirm_address#{}.0123456789abcdef0123456789abcdef",
        "ab".repeat(16)
    );
    let text = plain(
        &words("ann@example.org", mails[0].clone()),
        &names.headers("ann@example.org"),
    );
    assert!(text.unwrap().lines().any(|line| line == page));
    let text = html(
        &words("ann@example.org", mails[7].clone()),
        &names.headers("ann@example.org"),
    );
    assert!(
        !text.unwrap().contains("<a class"),
        "digits without a page link to none"
    );
}

#[test]
fn html_says_the_same_and_asks_for_nothing_outside() {
    let names = Names::new();
    for mail in mails() {
        let words = words("ann@example.org", mail);
        let text = html(&words, &names.headers("ann@example.org")).unwrap();
        for outside in ["<img", "<script", "url(", "@import", "<link", "src="] {
            assert!(!text.contains(outside), "{outside}");
        }
        assert!(text.contains(words.heading) && text.contains("ann@example.org"));
        match &words.key {
            Key::Digits { code, .. } => assert!(text.contains(code.as_str())),
            Key::Link { link, label, .. } => {
                let link = link.replace('&', "&#38;");
                assert!(text.contains(&link) && text.contains(label));
            }
            Key::Nothing => {}
        }
        assert!(text.lines().all(|line| line.len() < 998));
    }
}

#[test]
fn hostile_names_end_in_no_header_and_in_no_markup() {
    let mail = Mail::AddressChanged {
        address: "<script>@x".to_owned(),
        from: "\"><img src=x>".to_owned(),
    };
    let names = Names::new();
    let text = html(&words("ann@example.org", mail), &names.headers("ann@example.org")).unwrap();
    assert!(!text.contains("<script") && !text.contains("<img"));

    for bad in [
        "ann@example.org\r\nBcc: all@example.org",
        "ann\r\n@example.org",
        "ann@exam\nple.org",
        "ann@example.org, bea@example.org",
        "ann@example.org> SIZE=1",
        "<ann@example.org>",
        "ann",
        "@example.org",
        "ann@",
        "\0@example.org",
    ] {
        let mail = Mail::Invitation { code: "x".to_owned() };
        let made = compose(&words(bad, mail), &names.headers(bad));
        assert!(matches!(made, Err(ComposeError::Address)), "{bad:?}");
    }
}

#[test]
fn a_message_has_the_heads_that_mail_wants_and_no_more() {
    let text = message("ann@example.org", mails().remove(0));
    let (headers, _) = text.split_once("\r\n\r\n").unwrap();
    let mut names: Vec<&str> = headers
        .lines()
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    names.sort_unstable();
    let wanted = [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ];
    assert_eq!(names, wanted);
    assert!(
        headers.contains("Message-ID: <1.7.server@example.org>"),
        "{headers}"
    );
    assert!(headers.contains("Auto-Submitted: auto-generated"));
    assert!(
        headers.contains("Date: Wed, 30 Sep 2026 14:00:00 +0000"),
        "{headers}"
    );
}

#[test]
fn an_address_outside_ascii_is_written_as_mail_requires() {
    let names = Names::new();
    let made = |to: &str| compose(&words(to, mails().remove(3)), &names.headers(to)).unwrap();
    let envelope = made("ann@exämple.org").envelope().clone();
    assert_eq!(envelope.to()[0].to_string(), "ann@xn--exmple-cua.org");
    assert_eq!(
        made("tést@example.org").envelope().to()[0].to_string(),
        "tést@example.org"
    );
    assert_eq!(made("ann@home").envelope().to()[0].to_string(), "ann@home");
}
