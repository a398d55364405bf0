//! What is said of proxies that change requests.

use super::super::Weight;
use super::*;

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
    let sent = format!("{PATH}abc/{TARGET}");
    assert_eq!(judge_path(&url(), &sent, &sent).weight, Weight::Good);
    let came = sent.replace("%7E", "~");
    let bad = judge_path(&url(), &sent, &came);
    assert_eq!(bad.weight, Weight::Bad);
    assert!(bad.what.contains("came as a~b%2Fc"), "{}", bad.what);
    assert!(
        !bad.what.contains("abc"),
        "the word is nobody's business: {}",
        bad.what
    );
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
    for (came, weight, part) in [
        (Came::Seen(whole), Weight::Good, "2 KB"),
        (Came::Seen(half), Weight::Bad, "1000 came"),
        (
            Came::Refused(413, "the proxy (nginx)".into()),
            Weight::Bad,
            "the proxy (nginx) refuses",
        ),
        (Came::Refused(504, "the proxy".into()), Weight::Bad, "504"),
        (Came::Broken("reset".into()), Weight::Bad, "reset"),
    ] {
        let finding = judge_upload(&url(), 2000, &came);
        assert_eq!(finding.weight, weight);
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
            &[Weight::Doubtful],
        ),
        (
            "sync.example.org",
            Some("192.0.2.123"),
            "192.0.2.123",
            &[Weight::Bad],
        ),
        (
            "sync.example.org",
            Some("198.51.100.7"),
            "10.0.0.1",
            &[Weight::Bad],
        ),
        (
            "[::1]:5000",
            Some("192.0.2.123"),
            "127.0.0.1",
            &[Weight::Doubtful, Weight::Bad],
        ),
    ] {
        let found = judge_names(&url(), &seen(host, forwarded_for, client));
        let found: Vec<Weight> = found.iter().map(|finding| finding.weight).collect();
        assert_eq!(found, weights, "{host} {forwarded_for:?} {client}");
    }
}
