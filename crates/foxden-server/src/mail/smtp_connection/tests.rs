//! Mail servers that say in their own way what they can do.

use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;

fn can(lines: &[&str]) -> Extensions {
    Extensions::of(std::iter::once("mail.example.org AUTH PLAIN STARTTLS").chain(lines.iter().copied()))
}

#[test]
fn keywords_have_no_case() {
    let all = Extensions {
        starttls: true,
        eight_bit: true,
        utf8: true,
        plain: true,
        login: true,
    };
    for lines in [
        &[
            "SIZE 1000",
            "8BITMIME",
            "STARTTLS",
            "AUTH PLAIN LOGIN",
            "SMTPUTF8",
            "HELP",
        ][..],
        &[
            "size 1000",
            "8bitmime",
            "starttls",
            "auth plain login",
            "smtputf8",
        ],
        &[
            "8BitMime",
            "StartTLS",
            "Auth Login",
            "AUTH  cram-md5  Plain ",
            "SmtpUtf8",
        ],
        &["8BITMIME", "STARTTLS", "AUTH=LOGIN PLAIN", "SMTPUTF8"],
        &["8BITMIME", "STARTTLS", "auth=login", "AUTH= PLAIN", "SMTPUTF8 "],
    ] {
        assert_eq!(can(lines), all, "{lines:?}");
    }
    for lines in [
        &[][..],
        &["", " ", "="],
        &["AUTH", "AUTH=", "XSTARTTLS", "AUTHPLAIN", "8BITMIMEX"],
        &["AUTH CRAM-MD5 PLAIN-CLIENTTOKEN", "X PLAIN"],
    ] {
        assert_eq!(can(lines), Extensions::default(), "{lines:?}");
    }
}

/// A mail server that offers this and then asks in these words for what a sign-in needs; what it was told.
async fn conversation(offers: &str, asks: &[&str]) -> (Result<(), Cause>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut told = Vec::new();
        let mut asks = asks.iter();
        stream.write_all(b"220 mail.example.org ready\r\n").await.unwrap();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap() == 0 {
                return told;
            }
            let answer = if line.starts_with("EHLO ") {
                format!("250-mail.example.org\r\n250-{offers}\r\n250 HELP\r\n")
            } else {
                told.push(line.trim_end().to_owned());
                asks.next()
                    .map_or("235 welcome\r\n".to_owned(), |ask| format!("334 {ask}\r\n"))
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    let client = async {
        let hello = ClientId::Domain("sync.example.org".to_owned());
        let mut line = SmtpConnection::open(("127.0.0.1", port), &hello, None)
            .await
            .unwrap();
        line.sign_in("foxden", &Secret::from("short".to_owned())).await
    };
    tokio::join!(client, server)
}

#[tokio::test]
async fn every_spelling_of_a_mechanism_is_good_for_a_sign_in() {
    const PLAIN: &[&str] = &["AUTH PLAIN AGZveGRlbgBzaG9ydA=="];
    const TWICE: &[&str] = &["AUTH PLAIN AGZveGRlbgBzaG9ydA==", "AGZveGRlbgBzaG9ydA=="];
    const LOGIN: &[&str] = &["AUTH LOGIN", "Zm94ZGVu", "c2hvcnQ="];
    for (offers, asks, expected) in [
        ("AUTH PLAIN LOGIN", &[][..], PLAIN),
        ("auth plain login", &[], PLAIN),
        ("auth plain", &[""], TWICE),
        ("AUTH=LOGIN PLAIN", &[], PLAIN),
        ("Auth Login", &["VXNlcm5hbWU6", "UGFzc3dvcmQ6"], LOGIN),
        // "username:" and "pass", which are as good as any words.
        ("AUTH=LOGIN", &["dXNlcm5hbWU6", "cGFzcw=="], LOGIN),
    ] {
        let (outcome, told) = conversation(offers, asks).await;
        assert!(outcome.is_ok(), "{offers}: {outcome:?}");
        assert_eq!(told, expected, "{offers}");
    }
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_says_why() {
    for (offers, asks, expected) in [
        ("AUTH CRAM-MD5", &[][..], "neither AUTH PLAIN nor AUTH LOGIN"),
        ("AUTH PLAIN", &["", "more"], "more than a name and a password"),
        ("AUTH LOGIN", &["a", "b", "c"], "more than a name and a password"),
    ] {
        let (outcome, _) = conversation(offers, asks).await;
        let said = outcome.unwrap_err().to_string();
        assert!(said.contains(expected), "{offers}: {said}");
    }
}
