//! Storage tokens against published vectors, and against those who would alter them.

use foxden_model::Rng;
use proptest::prelude::*;

use super::*;

const SECRET: &str = "TED KOPPEL IS A ROBOT";
const ID: &str = "eyJ1aWQiOjQyLCJub2RlIjoiaHR0cHM6Ly9zeW5jLmV4YW1wbGUub3JnIiwiZXhwaXJlcyI6MTc2MzcwMDAwMCwiZnhhX3VpZCI6IjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmIiwiZnhhX2tpZCI6IjAwMDAwMDAwMDIzNDUtdTdzIiwiaGFzaGVkX2Z4YV91aWQiOiI0ZDAwZWNhZTY0Yjk4ZGQ3ZGM3ZGVhNjhkMGRkNjE1ZCIsImhhc2hlZF9kZXZpY2VfaWQiOiIzYTQxY2NjYmRkNjY2ZWJjNDE5OWYxZjlkMTI0OWQ0NCIsInNhbHQiOiJhMWIyYzMifXRjTSgOtrzN_H8ZdBmeeAjNqmHJLUndcU6NvOvU6se7";
const KEY_TEXT: &str = "geOSMk2ledqZhejKLwnKwtoSaLOJUWWoxw8kGbKPZ9s=";

/// Gives the salt of the published token.
struct Salt;

impl Rng for Salt {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&[0xa1, 0xb2, 0xc3]);
    }
}

fn claims() -> Claims<'static> {
    Claims {
        user: UserId(42),
        node: "https://sync.example.org",
        expires: 1_763_700_000,
        fxa_uid: "0123456789abcdef0123456789abcdef",
        fxa_kid: "0000000002345-u7s",
        hashed_fxa_uid: Some("4d00ecae64b98dd7dc7dea68d0dd615d"),
        hashed_device_id: Some("3a41cccbdd666ebc4199f1f9d1249d44"),
        other_uids: &[],
        backoff_seconds: 0,
    }
}

fn secrets(secret: &str) -> TokenSecrets {
    TokenSecrets::new([], secret)
}

/// Any statement, signed with the secret.
fn signed(statement: &str) -> String {
    let mut bytes = statement.as_bytes().to_vec();
    let signature = hmac::sign(&Secret::new(SECRET.as_bytes()).signing, &bytes);
    bytes.extend_from_slice(signature.as_ref());
    BASE64URL.encode(&bytes)
}

#[test]
fn mints_the_published_token() {
    let token = secrets(SECRET).mint(&claims(), &Salt);
    assert_eq!(token.id, ID);
    assert_eq!(token.key.as_str(), KEY_TEXT);
}

#[test]
fn verifies_the_published_token() {
    let verified = secrets(SECRET).verify(ID).unwrap();
    assert_eq!(verified.user, UserId(42));
    assert_eq!(verified.account, AccountId::from_hex(claims().fxa_uid));
    assert_eq!(&*verified.node, "https://sync.example.org");
    assert_eq!(verified.expires.to_string(), "1763700000.00");
    assert_eq!(verified.key.as_str(), KEY_TEXT);
}

/// T12.50: a secret is replaced on the nodes first.
#[test]
fn any_secret_verifies_and_the_last_one_signs() {
    let both = TokenSecrets::new(["old"], "new");
    let old = secrets("old").mint(&claims(), &Salt);
    assert_eq!(both.verify(&old.id).unwrap().key, old.key);
    let new = both.mint(&claims(), &Salt);
    assert_eq!(secrets("new").verify(&new.id).unwrap().key, new.key);
    assert_eq!(secrets("old").verify(&new.id).unwrap_err(), BadToken::WrongSecret);
}

#[test]
fn a_token_of_the_few_members_that_a_purge_writes_is_enough() {
    let claims = Claims {
        hashed_fxa_uid: None,
        hashed_device_id: None,
        ..claims()
    };
    let token = secrets(SECRET).mint(&claims, &Salt);
    assert_eq!(secrets(SECRET).verify(&token.id).unwrap().user, UserId(42));
}

/// The node knows by it which stores share a quota.
#[test]
fn a_token_carries_the_account_s_other_stores() {
    let claims = Claims {
        other_uids: &[UserId(7), UserId(9)],
        ..claims()
    };
    let token = secrets(SECRET).mint(&claims, &Salt);
    let verified = secrets(SECRET).verify(&token.id).unwrap();
    assert_eq!(*verified.other_uids, [UserId(7), UserId(9)]);
    assert!(secrets(SECRET).verify(ID).unwrap().other_uids.is_empty());
}

/// A node that has nothing but the shared secret asks its clients to stay away because their tokens say so.
#[test]
fn a_token_carries_for_how_long_its_owner_is_asked_to_stay_away() {
    for (given, seen) in [(600, 600), (u32::MAX, 86_400)] {
        let claims = Claims {
            backoff_seconds: given,
            ..claims()
        };
        let token = secrets(SECRET).mint(&claims, &Salt);
        assert_eq!(secrets(SECRET).verify(&token.id).unwrap().backoff_seconds, seen);
    }
    assert_eq!(secrets(SECRET).verify(ID).unwrap().backoff_seconds, 0);
}

#[test]
fn takes_any_order_and_a_fraction_and_members_it_does_not_know() {
    let id = signed(
        r#"{ "salt":"a1b2c3", "new":[1], "expires":1763700000.5, "node":"https:\/\/a", "uid":7, "device_id":"x", "fxa_uid":"y" }"#,
    );
    let verified = secrets(SECRET).verify(&id).unwrap();
    assert_eq!((verified.user, &*verified.node), (UserId(7), "https://a"));
    assert_eq!(verified.expires.to_string(), "1763700000.50");
}

#[test]
fn a_signed_token_needs_valid_claims() {
    for statement in [
        "",
        "{}",
        "[]",
        r#"{"uid":-1,"node":"n","expires":1,"salt":"a"}"#,
        r#"{"uid":"1","node":"n","expires":1,"salt":"a"}"#,
        r#"{"uid":1,"node":"n","expires":"1","salt":"a"}"#,
        r#"{"uid":1,"node":"n","expires":1}"#,
        r#"{"uid":1,"node":"n","salt":"a"}"#,
        r#"{"uid":1,"expires":1,"salt":"a"}"#,
        r#"{"uid":1,"node":"n","expires":1,"salt":"a","hashed_fxa_uid":"h"}"#,
        r#"{"uid":1,"node":"n","expires":1,"salt":"a","hashed_fxa_uid":"h","fxa_uid":"u","fxa_kid":"a b"}"#,
    ] {
        let refused = secrets(SECRET).verify(&signed(statement)).unwrap_err();
        assert_eq!(refused, BadToken::Malformed, "{statement}");
    }
}

#[test]
fn secrets_and_keys_do_not_print_themselves() {
    let token = secrets(SECRET).mint(&claims(), &Salt);
    let printed = format!("{:?} {token:?} {:?}", secrets(SECRET), secrets(SECRET).verify(ID));
    assert!(
        !printed.contains("KOPPEL") && !printed.contains(KEY_TEXT),
        "{printed}"
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(id in ".{0,400}") {
        prop_assert!(secrets(SECRET).verify(&id).is_err());
    }

    /// T12.51: each character counts, the last one too.
    #[test]
    fn a_changed_character_is_refused(at in 0..ID.len(), new in "[A-Za-z0-9_-]") {
        let mut id = ID.to_owned();
        id.replace_range(at..=at, &new);
        prop_assume!(id != ID);
        prop_assert!(secrets(SECRET).verify(&id).is_err());
    }
}
