//! Signs storage tokens from the protocol alone.

use data_encoding::BASE64URL;
use foxden_model::{Clock, SystemClock};
use ring::{hkdf, hmac};

use foxden_test_support::client::hawk::Credentials;
use foxden_test_support::client::{hex, random_bytes};

/// The prefix of the HKDF info of every derivation.
const NAMESPACE: &str = "services.mozilla.com/tokenlib/v1/";

/// A token for a user of this node, good for an hour.
pub fn mint(secret: &str, user: u64, node: &str) -> Credentials {
    mint_for(secret, user, node, 3600)
}

/// A token for a user of this node, good for so many seconds.
pub fn mint_for(secret: &str, user: u64, node: &str, seconds: i64) -> Credentials {
    let salt = hex(&random_bytes(3));
    let payload = serde_json::json!({
        "uid": user,
        "node": node,
        "expires": SystemClock.seconds() + seconds,
        "fxa_uid": format!("{user:032x}"),
        "fxa_kid": "0000000000000-AAAAAAAAAAAAAAAAAAAAAA",
        "salt": salt,
    });
    sign(secret, &salt, payload.to_string().into_bytes())
}

fn sign(secret: &str, salt: &str, payload: Vec<u8>) -> Credentials {
    let signing = derive(secret, &[], &format!("{NAMESPACE}signing"));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &signing), &payload);
    let mut token = payload;
    token.extend_from_slice(signature.as_ref());
    let id = BASE64URL.encode(&token);
    let key = derive(secret, salt.as_bytes(), &format!("{NAMESPACE}derive/{id}"));
    Credentials {
        key: BASE64URL.encode(&key).into_bytes(),
        id,
    }
}

fn derive(secret: &str, salt: &[u8], info: &str) -> [u8; 32] {
    let mut out = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret.as_bytes())
        .expand(&[info.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut out))
        .expect("one block is never too long");
    out
}

/// The published example.
#[test]
fn signs_as_the_example_does() {
    let payload = r#"{"uid":42,"node":"https://sync.example.org","expires":1763700000,"fxa_uid":"0123456789abcdef0123456789abcdef","fxa_kid":"0000000002345-u7s","hashed_fxa_uid":"4d00ecae64b98dd7dc7dea68d0dd615d","hashed_device_id":"3a41cccbdd666ebc4199f1f9d1249d44","salt":"a1b2c3"}"#;
    let signed = sign("TED KOPPEL IS A ROBOT", "a1b2c3", payload.as_bytes().to_vec());
    assert!(signed.id.ends_with("jNqmHJLUndcU6NvOvU6se7"), "{}", signed.id);
    assert_eq!(signed.key, b"geOSMk2ledqZhejKLwnKwtoSaLOJUWWoxw8kGbKPZ9s=");
}
