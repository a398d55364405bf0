//! The scripted client computes what the protocol's published examples say.

use foxden_test_support::client::hawk::Signed;
use foxden_test_support::client::onepw::{Keys, Stretched, TokenKeys};
use foxden_test_support::client::sync_key::{ProofKey, SyncKey};
use foxden_test_support::client::{base64url, hex, jwe, unhex};

/// The bytes from `first` on, each one greater.
fn rising(first: u8, len: u8) -> Vec<u8> {
    (first..first + len).collect()
}

#[test]
fn stretches_a_password() {
    let v1 = Stretched::v1("andré@example.org", "pässwörd");
    assert_eq!(
        [hex(&v1.quick), hex(&v1.auth_pw), hex(&v1.unwrap_b_key)],
        [
            "e4e8889bd8bd61ad6de6b95c059d56e7b50dacdaf62bd84644af7e2add84345d",
            "247b675ffb4c46310bc87e26d712153abe5e1c90ef00a4784594f97ef54f2375",
            "de6a2648b78284fcb9ffa81ba95803309cfba7af583c01a8a1a63e567234dd28",
        ]
    );
    let v2 = Stretched::v2("c2dc400c9cc1a93dd3cd3af1b05ebd60", "pässwörd");
    assert_eq!(
        [hex(&v2.quick), hex(&v2.auth_pw), hex(&v2.unwrap_b_key)],
        [
            "b38b6a81c851c34343899bb1c64bd179cdddea840260849444b0b91b413a80de",
            "28c81379c31905d16f9aa9c63fcf0950094e413e16a9c9be41f52dbb09af518e",
            "e1c1f362437c8977e2ad8372cafcaf873df7dce30ae351bcd262af05e84caa92",
        ]
    );
}

#[test]
fn derives_the_keys_of_tokens() {
    let keys = TokenKeys::derive(&hex(&rising(0x80, 32)), "keyFetchToken");
    assert_eq!(
        [keys.id, hex(&keys.auth_key), hex(&keys.bundle_key)],
        [
            "3d0a7c02a15a62a2882f76e39b6494b500c022a8816e048625a495718998ba60",
            "87b8937f61d38d0e29cd2d5600b3f4da0aa48ac41de36a0efe84bb4a9872ceb7",
            "14f338a9e8c6324d9e102d4e6ee83b209796d5c74bb734a410e729e014a4a546",
        ]
    );
    let session = TokenKeys::derive(&hex(&rising(0xa0, 32)), "sessionToken");
    assert_eq!(
        [session.id, hex(&session.auth_key)],
        [
            "c0a29dcf46174973da1378696e4c82ae10f723cf4f4d9f75e39f4ae3851595ab",
            "9d8f22998ee7f5798b887042466b72d53e56ab0c094388bf65831f702d2febc0",
        ]
    );
    let bearer = TokenKeys::derive(&"0f".repeat(32), "sessionToken");
    assert_eq!(
        bearer.id,
        "923ee512d6153af6796ecb3aaddb1e8a48a713ef79cf0dbcfcc124456fd3ed6a"
    );
}

#[test]
fn opens_a_bundle_made_for_it_and_no_other() {
    let key = unhex("14f338a9e8c6324d9e102d4e6ee83b209796d5c74bb734a410e729e014a4a546");
    let bundle = "ee5c58845c7c9412b11bbd20920c2fddd83c33c9cd2c2de2d66b222613364636c2c0f8cfbb7c630472c0bd8845\
                  1342c6c05b14ce342c5ad46ad89e84464c993c3927d30230157d0817a077eef4b20d976f7a97363faf3f064c00\
                  3ada7d01aa70";
    let keys = Keys::open(&key, bundle).unwrap();
    assert_eq!((keys.ka, keys.wrap_kb), (rising(0x20, 32), rising(0x40, 32)));
    assert_eq!(Keys::open(&rising(0, 32), bundle), None);
}

#[test]
fn names_the_sync_key() {
    let key = SyncKey::derive(&rising(0, 32), 1_795_224_914_997);
    assert_eq!(
        key.k,
        "GEKLLMfWCPr4sZb2CtRo0oNAJSvsX_aTkgnsU7_q37chuk3z1MmDGXs0GO8KGYgwiIF75yvMLD-qVq0MmOjqng"
    );
    assert_eq!(key.client_state, "630dcd2966c4336691125448bbb25b4f");
    assert_eq!(key.kid, "1795224914997-Yw3NKWbEM2aRElRIu7JbTw");
    assert_eq!(SyncKey::from_scoped_keys(&key.scoped_keys()), key);
}

#[test]
fn signs_requests() {
    let session = TokenKeys::derive(&hex(&rising(0xa0, 32)), "sessionToken");
    let get = Signed {
        method: "GET",
        target: "/v1/session/status",
        host: "accounts.example.org",
        port: 443,
        payload: None,
        ts: 1_700_000_000,
        nonce: "abc123",
    };
    assert_eq!(
        get.mac(&session.auth_key),
        "qXKbTED2k3EzhiGzBTlmHDS4mmUA5vWXRkG72eGOwIg="
    );
    let post = Signed {
        method: "POST",
        target: "/v1/session/destroy?service=sync",
        payload: Some(("application/json; charset=utf-8", b"{}")),
        ..get
    };
    assert_eq!(
        post.hash().as_deref(),
        Some("vNZvU+y3rJKqH4hu1yxrNuaijNPgIJ2Rgj/sHzsQhXY=")
    );
    assert_eq!(
        post.mac(&session.auth_key),
        "hL3S0BHyIUXaqOi7hkWM4TogXtniEdFW+UJTKbl87eY="
    );
}

#[test]
fn seals_with_the_agreed_key() {
    let agreed = unhex("7e10e7c909290c47ef711ac1313959dfa2de401ddcd07f6e5476099797f7ad22");
    assert_eq!(
        hex(&jwe::content_key(&agreed)),
        "c9b92e59b1fa0124a299e2141d2b004ef77c79c35fd7dd84ef3d31cc71367d2c"
    );
    let agreed = unhex("4fe243908f378aa1c2a69538822e6ed908c3225d8692575507c649901245150a");
    let key = jwe::content_key(&agreed);
    assert_eq!(
        hex(&key),
        "9f153dc361630708da78a290347e64d60b6e05037c07c4bd69f3ab6188405a10"
    );

    let header = concat!(
        r#"{"alg":"ECDH-ES","enc":"A256GCM","epk":{"kty":"EC","crv":"P-256","#,
        r#""x":"HxQBRr-xslH4T03b4NTNz9d6_ZhKlSDjV5QCH4MSu54","#,
        r#""y":"7JlaCLH6dwTfPcwLUKlmUmP7dxH5X5-KRJxQluR8iSs"}}"#
    );
    let iv = rising(0, 12).try_into().unwrap();
    let sealed = jwe::seal_with(&key, &base64url(header.as_bytes()), iv, b"{}");
    assert!(sealed.ends_with(".VM8.2vZ2JtQ-S2o5kIHFuMA3AQ"), "{sealed}");
}

#[test]
fn opens_sealed_texts_and_refuses_altered_ones() {
    let recipient = jwe::Recipient::generate();
    let sealed = jwe::seal(&recipient.public_jwk(), b"{\"a\":1}");
    assert_eq!(recipient.open(&sealed), b"{\"a\":1}");

    let key = [7; 32];
    let sealed = jwe::seal_with(&key, "e30", [9; 12], b"plain");
    assert_eq!(jwe::open_with(&key, &sealed).as_deref(), Some(&b"plain"[..]));
    let altered = sealed.replacen("e30", "e31", 1);
    assert_eq!(jwe::open_with(&key, &altered), None, "the header is sealed too");
}

#[test]
fn derives_the_pkce_challenge() {
    // RFC 7636, appendix B.
    let proof = ProofKey {
        verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into(),
    };
    assert_eq!(proof.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}
