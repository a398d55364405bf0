//! The table in the documents is the one in the code.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::signature::{LINES_MISSING, Signature};
use super::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security-log.md");

fn all() -> Vec<Signature> {
    let mut all: Vec<Signature> = EventKind::ALL.into_iter().map(Signature::of).collect();
    all.push(LINES_MISSING);
    all
}

#[test]
fn every_id_and_every_act_stands_for_one_thing() {
    let ids: BTreeSet<u16> = all().iter().map(|signature| signature.id).collect();
    let acts: BTreeSet<&str> = all().iter().map(|signature| signature.act).collect();
    assert_eq!((ids.len(), acts.len()), (all().len(), all().len()));
    assert!(all().iter().all(|signature| signature.severity <= 10));
}

#[test]
fn the_page_shows_the_table() {
    let mut table =
        String::from("| Id | Name | Severity | `act` | `outcome` |\n| --- | --- | --- | --- | --- |\n");
    for signature in all() {
        let Signature {
            id,
            name,
            severity,
            act,
            outcome,
        } = signature;
        let _ = writeln!(
            table,
            "| {id} | {name} | {severity} | `{act}` | {} |",
            outcome.word()
        );
    }
    let page = fs::read_to_string(PAGE).unwrap();
    assert!(
        page.contains(&table),
        "put this table into docs/security-log.md:\n{table}"
    );
}

/// Every key that any line has, with all it can have.
#[test]
fn the_page_explains_every_key() {
    let event = |what, from: &str| {
        QueuedEvent::of(
            &Event::new(what, EntryPoint::Storage, Some(from.parse().unwrap()))
                .with_subject("a")
                .with_account(AccountId([1; 16]))
                .with_reason("b")
                .with_request("GET", "/"),
            NOW,
        )
    };
    let repeats = Some(super::super::cef::Repeats {
        count: 2,
        first: 1,
        last: 2,
    });
    let page = fs::read_to_string(PAGE).unwrap();
    let whats = [
        EventKind::StorageRefused,
        EventKind::Operator(OperatorAction::UserMoved),
    ];
    for (what, from) in whats.into_iter().zip(["192.0.2.1", "2001:db8::1"]) {
        let line = CefLine::of(&event(what, from), repeats, "h").text;
        for (key, _) in parse(&line).unwrap().fields {
            assert!(
                page.contains(&format!("| `{key}` |")),
                "the page does not explain {key}"
            );
        }
    }
    for entry_point in [
        EntryPoint::Accounts,
        EntryPoint::Basic,
        EntryPoint::UserApi,
        EntryPoint::Pages,
        EntryPoint::Token,
        EntryPoint::Storage,
        EntryPoint::Operator,
        EntryPoint::Chore,
        EntryPoint::KeyExchange,
        EntryPoint::Listener,
    ] {
        assert!(
            page.contains(&format!("`{entry_point}`")),
            "the page does not name the entry point {entry_point}"
        );
    }
}
