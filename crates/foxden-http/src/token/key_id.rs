//! The client's key id: when its key changed, and the client state, a fingerprint of the key.

use axum::http::HeaderMap;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use foxden_accounts::KeyId;

use super::refusal::Refusal;

/// Maximum length of a client state in bytes.
const LONGEST: usize = 16;

/// Parses `X-Client-State`, if it is present and not empty.
pub(super) fn client_state_header(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = headers.get("x-client-state") else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Refusal::BadClientState)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if text.len() > 2 * LONGEST || !text.bytes().all(allowed) {
        return Err(Refusal::BadClientState);
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Parses `X-KeyID`, which must agree with `X-Client-State` where that is present.
pub(super) fn read(headers: &HeaderMap, client_state: Option<&str>) -> Result<KeyId, Refusal> {
    let value = headers.get("x-keyid").ok_or(Refusal::NoKeyId)?;
    let text = value.to_str().map_err(|_| Refusal::UnreadableKeyId)?;
    let key_id = parse(text)?;
    let agrees = |hex: &str| {
        let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes());
        bytes.is_ok_and(|bytes| bytes == key_id.client_state)
    };
    if client_state.is_none_or(agrees) {
        Ok(key_id)
    } else {
        Err(Refusal::OtherClientState)
    }
}

fn parse(text: &str) -> Result<KeyId, Refusal> {
    let (time, state) = text.split_once('-').ok_or(Refusal::MalformedKeyId)?;
    let is_number = !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit());
    let time = Some(time).filter(|_| is_number);
    let keys_changed_at = time.and_then(|time| time.parse().ok());
    // Some clients add padding.
    let state = BASE64URL_NOPAD.decode(state.trim_end_matches('=').as_bytes());
    let (Some(keys_changed_at), Ok(client_state)) = (keys_changed_at, state) else {
        return Err(Refusal::MalformedKeyId);
    };
    if (1..=LONGEST).contains(&client_state.len()) {
        Ok(KeyId {
            keys_changed_at,
            client_state,
        })
    } else {
        Err(Refusal::BadClientState)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_both(key_id: Option<&str>, client_state: Option<&str>) -> Result<KeyId, Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(value) = key_id {
            headers.insert("x-keyid", value.parse().unwrap());
        }
        if let Some(value) = client_state {
            headers.insert("x-client-state", value.parse().unwrap());
        }
        read(&headers, client_state_header(&headers)?)
    }

    #[test]
    fn a_key_id_is_a_time_and_a_client_state() {
        let key_id = read_both(Some("1700000000000-u7u7u7u7u7u7u7u7u7u7uw"), None).unwrap();
        assert_eq!(key_id.keys_changed_at, 1_700_000_000_000);
        assert_eq!(key_id.client_state, [0xbb; 16]);
    }

    #[test]
    fn each_fault_has_its_refusal() {
        let too_long = format!("1234-{}", BASE64URL_NOPAD.encode(&[0xbb; 17]));
        for key_id in [
            "1234",
            "-qqo",
            "+1-qqo",
            "12x4-qqo",
            "99999999999999999999-qqo",
            "1234-state!",
        ] {
            let refused = read_both(Some(key_id), None);
            assert!(matches!(refused, Err(Refusal::MalformedKeyId)), "{key_id}");
        }
        for key_id in ["1234-", &too_long] {
            let refused = read_both(Some(key_id), None);
            assert!(matches!(refused, Err(Refusal::BadClientState)), "{key_id}");
        }
        assert!(matches!(read_both(None, None), Err(Refusal::NoKeyId)));
    }

    #[test]
    fn both_headers_must_agree() {
        let good = Some("1234-qqo");
        for agreeing in ["", "aaaa", "AAAA"] {
            assert!(read_both(good, Some(agreeing)).is_ok(), "{agreeing}");
        }
        for differing in ["bbbb", "aa", "aaa", "aaaaaa", "x.y"] {
            let refused = read_both(good, Some(differing));
            assert!(matches!(refused, Err(Refusal::OtherClientState)), "{differing}");
        }
        for bad in ["state!", &"a".repeat(33)] {
            let refused = read_both(good, Some(bad));
            assert!(matches!(refused, Err(Refusal::BadClientState)), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(key_id in "[ -~]{0,60}", client_state in "[ -~]{0,40}") {
            if let Ok(read) = read_both(Some(&key_id), Some(&client_state)) {
                prop_assert!((1..=LONGEST).contains(&read.client_state.len()));
            }
        }
    }
}
