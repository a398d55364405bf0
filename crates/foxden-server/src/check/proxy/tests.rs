//! Tests of findings about proxies that change requests.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::super::Severity;
use super::*;
use crate::http_client::HttpClient;

fn url() -> PublicUrl {
    "https://sync.example.org".parse().unwrap()
}

fn seen(host: &str, forwarded_for: Option<&str>, client: &str) -> Seen {
    Seen {
        target: String::new(),
        host: Some(host.to_owned()),
        forwarded_for: forwarded_for.map(str::to_owned),
        client: client.parse().ok(),
        bytes: 0,
    }
}

#[test]
fn a_path_that_changes_is_bad() {
    let sent = probe::request_path("abc", TARGET);
    assert_eq!(judge_path(&url(), &sent, &sent).severity, Severity::Ok);
    let came = sent.replace("%7E", "~");
    let bad = judge_path(&url(), &sent, &came);
    assert_eq!(bad.severity, Severity::Error);
    assert!(bad.what.contains("came as a~b%2Fc"), "{}", bad.what);
    assert!(!bad.what.contains("abc"), "the value is not shown: {}", bad.what);
}

#[test]
fn an_upload_comes_whole_or_is_bad() {
    let whole = Seen {
        bytes: 2000,
        ..seen("a", None, "::1")
    };
    let half = Seen {
        bytes: 1000,
        ..seen("a", None, "::1")
    };
    for (came, severity, part) in [
        (ProbeOutcome::Seen(whole), Severity::Ok, "2 KB"),
        (ProbeOutcome::Seen(half), Severity::Error, "1000 came"),
        (
            ProbeOutcome::Refused(413, "the proxy (nginx)".into()),
            Severity::Error,
            "the proxy (nginx) refuses",
        ),
        (
            ProbeOutcome::Refused(504, "the proxy".into()),
            Severity::Error,
            "504",
        ),
        (ProbeOutcome::Broken("reset".into()), Severity::Error, "reset"),
    ] {
        let finding = judge_upload(&url(), 2000, &came);
        assert_eq!(finding.severity, severity);
        assert!(finding.what.contains(part), "{}", finding.what);
    }
}

#[test]
fn a_proxy_says_which_name_is_meant_and_who_asks() {
    for (host, forwarded_for, client, weights) in [
        ("sync.example.org", Some("198.51.100.7"), "198.51.100.7", &[][..]),
        (
            "Sync.Example.Org:443",
            Some("192.0.2.123, 198.51.100.7"),
            "198.51.100.7",
            &[],
        ),
        (
            "127.0.0.1:5000",
            Some("198.51.100.7"),
            "198.51.100.7",
            &[Severity::Warning],
        ),
        (
            "sync.example.org",
            Some("192.0.2.123"),
            "192.0.2.123",
            &[Severity::Error],
        ),
        (
            "sync.example.org",
            Some("198.51.100.7"),
            "10.0.0.1",
            &[Severity::Error],
        ),
        // The same addresses, in other spellings.
        ("sync.example.org", Some("2001:DB8:0::7"), "2001:db8::7", &[]),
        (
            "sync.example.org",
            Some("::ffff:198.51.100.7"),
            "198.51.100.7",
            &[],
        ),
        (
            "[::1]:5000",
            Some("192.0.2.123"),
            "127.0.0.1",
            &[Severity::Warning, Severity::Error],
        ),
    ] {
        let found = judge_names(&url(), &seen(host, forwarded_for, client));
        let found: Vec<Severity> = found.iter().map(|finding| finding.severity).collect();
        assert_eq!(found, weights, "{host} {forwarded_for:?} {client}");
    }
}

/// Proxies have rules for each path, so what clients of storage send is tried where they send it.
#[test]
fn storage_is_tried_below_the_path_of_the_public_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let way = PublicAddress {
        url: format!("{origin}/sync").parse().unwrap(),
        base: origin,
        client: HttpClient::new(Duration::from_secs(30), None).unwrap(),
        ports: Vec::new(),
    };
    // The server has seen each, under another path than was asked for.
    let seen = serde_json::to_string(&seen("a", None, "::1")).unwrap();
    let asked = std::thread::spawn(move || {
        let answer = |mut stream: TcpStream| {
            let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            let _ = lines.find(String::is_empty);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", seen.len());
            write!(stream, "{head}Connection: close\r\n\r\n{seen}").unwrap();
            first
        };
        listener
            .incoming()
            .take(3)
            .flatten()
            .map(answer)
            .collect::<Vec<_>>()
    });
    let weights: Vec<Severity> = way
        .check_storage("abc", 0)
        .iter()
        .map(|finding| finding.severity)
        .collect();
    assert_eq!(weights, [Severity::Error, Severity::Ok]);
    for line in asked.join().unwrap() {
        let (_, target) = line.split_once(' ').unwrap();
        assert!(
            target.starts_with(&format!("/sync{}/", probe::word_path("abc"))),
            "{line}"
        );
    }
}
