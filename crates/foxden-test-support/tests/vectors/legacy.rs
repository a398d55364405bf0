//! The scripted 1.1 client computes what published examples of its protocol say.

use data_encoding::BASE64;
use foxden_test_support::client::legacy::jpake::{Group, Party, keys, to_hex};
use foxden_test_support::client::legacy::key::{KeyPair, SyncKey};
use foxden_test_support::client::legacy::{envelope, name};
use foxden_test_support::client::{hex, unhex};
use num_bigint::BigUint;
use serde_json::{Value, json};

#[test]
fn names_accounts() {
    for (account, expected) in [
        ("sync@example.com", "h556uyifil2npdqhtpip45uz4zkj2llp"),
        ("Sync@Example.COM", "h556uyifil2npdqhtpip45uz4zkj2llp"),
        ("new@example.com", "7ioseqrtlsocvds5kgdrs7rvr3tur2lj"),
        ("tarek@mozilla.com", "4bkawybiacr7h7sslleintbmrimswa5z"),
        ("tést@exämple.com", "ndqt46wgjd4m4ua47baoidk4xtliggiy"),
        ("St3fan", "st3fan"),
    ] {
        assert_eq!(name::of_account(account), expected);
    }
}

#[test]
fn spells_sync_keys() {
    let key = SyncKey::parse("6M8MV-8EX2BRQNRMSB9FJUVFG7Y");
    assert_eq!(BASE64.encode(&key.bytes()), "8xbKrJfQYwbFkguKmlSm/g==");
    assert_eq!(key.formatted(), "6-m8mv8-ex2br-qnrms-b9fju-vfg7y");
    assert_eq!(SyncKey::parse(&key.formatted()), key);
    assert_eq!(SyncKey::generate().text().len(), 26);
}

#[test]
fn derives_two_keys_from_one() {
    let pair = SyncKey::parse("q7ynpwq7vsc9m34hankbyi3s3i").pair("st3fan");
    assert_eq!(
        [hex(&pair.encryption), hex(&pair.hmac)],
        [
            "14b8c09fa84e92729ee695160af6e0385f8f6215a25d14906e1747bdaa2de426",
            "370e3566245d79fe602a3adb5137e42439cd2a571235197e0469d7d541b07875",
        ]
    );
    let pair = SyncKey::parse("6m8mv8ex2brqnrmsb9fjuvfg7y").pair("c6o7dvmr2c4ud2fyv6woz2u4zi22bcyd");
    assert_eq!(
        pair.to_json(),
        json!([
            "/8RzbFT396htpZu5rwgIg2WKfyARgm7dLzsF5pwrVz8=",
            "NChGjrqoXYyw8vIYP2334cvmMtsjAMUZNqFwV2LGNkM="
        ])
    );
}

#[test]
fn opens_a_sealed_record_and_nothing_altered() {
    let keys = KeyPair::from_json(&json!([
        "9K/wLdXdw+nrTtXo4ZpECyHFNr4d7aYHqeg3KW9+m6Q=",
        "MMntEfutgLTc8FlTLQFms8/xMPmCldqPlq/QQXEjx70="
    ]));
    let keys = keys.unwrap();
    let sealed = json!({
        "ciphertext": concat!(
            "NMsdnRulLwQsVcwxKW9XwaUe7ouJk5Wn80QhbD80l0HEcZGCynh45qIbeYBik0lgcHbKmlIxTJNwU+OeqipN+/j7",
            "MqhjKOGIlvbpiPQQLC6/ffF2vbzL0nzMUuSyvaQzyGGkSYM2xUFt06aNivoQTvU2GgGmUK6MvadoY38hhW2LCMko",
            "ZcNfgCqJ26lO1O0sEO6zHsk3IVz6vsKiJ2Hq6VCo7hu123wNegmujHWQSGyf8JeudZjKzfi0OFRRvvm4QAKyBWf0",
            "MgrW1F8SFDnVfkq8amCB7NhdwhgLWbN+21NitNwWYknoEWe1m6hmGZDgDT32uxzWxCV8QqqrpH/ZggViEr9uMgoy",
            "4lYaWqP7G5WKvvechc62aqnsNEYhH26A5QgzmlNyvB+KPFvPsYzxDnSCjOoRSLx7GG86wT59QZw=",
        ),
        "IV": "GX8L37AAb2FZJMzIoXlX8w==",
        "hmac": "b1e6c18ac30deb70236bc0d65a46f7a4dce3b8b0e02cf92182b914e3afa5eebc",
    });
    let clear: Value = serde_json::from_str(&envelope::open(&keys, &sealed).unwrap()).unwrap();
    assert_eq!(clear["id"], "5qRsgXWRJZXr");

    let mut altered = sealed.clone();
    altered["hmac"] = "0".repeat(64).into();
    assert_eq!(envelope::open(&keys, &altered), None);
    assert_eq!(envelope::open(&KeyPair::generate(), &sealed), None);
    let again = envelope::seal(&keys, "{\"id\":\"💻\"}");
    assert_eq!(envelope::open(&keys, &again).as_deref(), Some("{\"id\":\"💻\"}"));
}

/// NIST SP 800-38A, F.2.5: the first block of AES-256 in CBC mode.
#[test]
fn encrypts_in_chains() {
    let key = unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    let iv = unhex("000102030405060708090a0b0c0d0e0f");
    let block = unhex("6bc1bee22e409f96e93d7e117393172a");
    let ciphertext = envelope::encrypt(&key, &iv, &block);
    let bytes = BASE64.decode(ciphertext.as_bytes()).unwrap();
    assert_eq!(hex(&bytes[..16]), "f58c4c04d6e5f1ba779eabfb5f7bfbd6");
    assert_eq!(envelope::decrypt(&key, &iv, &ciphertext), Some(block));
}

#[test]
fn derives_keys_from_an_agreed_number() {
    let agreed = concat!(
        "811565455b22c857a3e303d1f48ff72ae9ef42d9c3fe3740ce7772cb5bfe23491dd5b7ee5af4828ab9b7d5844866",
        "f378b4cf0156810aff0504ef2947402e8e40be1179cf7f37b231bc0db9e4e1bb239c849aa5c12ed2b0b441301759",
        "9270aae71ee993dd755ee8c045c5fe03d713894692bf72158d9835ad905442edfd8235e1d0c915053debfc49d824",
        "8e4dae16608743aef5dab061f49fd6edd0b93ecdf9feafcbe47eb7e6c3678356d96e9bcd87814b13b9eb1a791fd4",
        "46d69cb040ec7d7194031267e26f266ee3decbc1a85c5203427361997adf9823fbffe16af9946f1347c535495635",
        "6732e436ef5f8307e96554cf69a54e4e8a78552e3f506e9310a1c4438d3ddce44a37482270533e47fc40dc84abfe",
        "39c1f95328d0d2540074f6301d4f121c2f0eac49c47a2c430614234ca26dede2a429e2fdb6d282a85174886c3a68",
        "c3cf5edc87ccb82af4ae4a9a26fffadc7f4d8ded4ff47b3d2d171f374b230e52e6b45963d3a0a6b20cbe6a440fd4",
        "a932279d52a6fd7694b4cbc0cb67ff3c",
    );
    let pair = keys(&BigUint::parse_bytes(agreed.as_bytes(), 16).unwrap());
    assert_eq!(
        pair.to_json(),
        json!([
            "3TXwVlWf6YbuIPcg8m/2U4UXYV4a8RNu6pE2GOVkJJo=",
            "L49fnEPAD31G5uEKy5e4bGZ6IF3G/62qW6Ua/1NvBeQ="
        ])
    );
}

#[test]
fn the_group_has_the_documented_parameters() {
    let Group { p, q, g } = Group::built_in();
    let one = BigUint::from(1_u32);
    assert_eq!((p.bits(), q.bits()), (3072, 256));
    assert_eq!((&p - &one) % &q, BigUint::ZERO);
    assert!(g > one && g.modpow(&q, &p) == one);
    let witness = BigUint::from(2_u32);
    assert_eq!(witness.modpow(&(&p - &one), &p), one, "p passes a Fermat test");
    assert_eq!(witness.modpow(&(&q - &one), &q), one, "q passes a Fermat test");
}

/// Runs a key agreement of two parties with these secrets. Returns the keys of both.
fn agree(receiver: &str, sender: &str) -> (Option<KeyPair>, Option<KeyPair>) {
    let (ours, first) = Party::begin("receiver");
    let (theirs, answer) = Party::begin("sender");
    let (ours, second) = ours.meet(&answer, "sender", receiver).expect("an honest sender");
    let (theirs, reply) = theirs
        .meet(&first, "receiver", sender)
        .expect("an honest receiver");
    (ours.finish(&reply), theirs.finish(&second))
}

#[test]
fn two_parties_agree_when_they_share_a_secret_and_only_then() {
    let (ours, theirs) = agree("byubd7u7", "byubd7u7");
    assert!(ours.is_some() && ours == theirs);
    let (ours, theirs) = agree("byubd7u7", "byubd7u8");
    assert!(ours.is_some() && theirs.is_some() && ours != theirs);
}

#[test]
fn a_party_refuses_messages_without_a_valid_proof() {
    let meets = |change: fn(&mut Value)| {
        let (_, mut first) = Party::begin("sender");
        change(&mut first);
        let (party, _) = Party::begin("receiver");
        party.meet(&first, "sender", "byubd7u7").is_some()
    };
    assert!(meets(|_| {}));
    assert!(
        !meets(|first| first["gx2"] = first["gx1"].clone()),
        "another number"
    );
    assert!(!meets(|first| first["gx2"] = "01".into()), "the number one");
    assert!(
        !meets(|first| first["gx2"] = to_hex(&(Group::built_in().p + 1_u32)).into()),
        "one, written otherwise"
    );
    assert!(
        !meets(|first| first["zkp_x1"]["b"] = "00".into()),
        "another answer"
    );
    assert!(
        !meets(|first| first["zkp_x1"]["id"] = "receiver".into()),
        "another signer"
    );
    assert!(!meets(|first| first["zkp_x2"]["gr"] = "xyz".into()), "no number");
    let (party, _) = Party::begin("receiver");
    let (_, own) = Party::begin("receiver");
    assert!(party.meet(&own, "receiver", "byubd7u7").is_none(), "an echo");
}
