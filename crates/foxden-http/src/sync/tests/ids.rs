//! Every character that an id may have, in every spelling of clients and proxies, in each dialect.

use std::fmt::Write as _;

use super::*;
use crate::sync::legacy::tests as legacy;

/// How a client spells an id: which ASCII characters it does not escape, besides letters and digits.
struct Spelling {
    name: &'static str,
    leaves: &'static str,
    space: &'static str,
}

/// The spelling in a path. Proxies remove escapes, which is the same as never escaping.
const IN_PATHS: [Spelling; 5] = [
    Spelling {
        name: "all escaped",
        leaves: "",
        space: "%20",
    },
    Spelling {
        name: "application/x-www-form-urlencoded but for the space",
        leaves: "*-._",
        space: "%20",
    },
    Spelling {
        name: "encodeURIComponent",
        leaves: "-_.!~*'()",
        space: "%20",
    },
    Spelling {
        name: "Go's PathEscape",
        leaves: "-_.~$&+=:@",
        space: "%20",
    },
    Spelling {
        name: "as it is",
        leaves: "-_.~!$&'()*+,;=:@[]\\^|{}",
        space: "%20",
    },
];

/// The spelling in a list of ids.
const IN_LISTS: [Spelling; 3] = [
    Spelling {
        name: "as browsers write it",
        leaves: "-_.~!$()*+,;=:@/?[]\\^|{}",
        space: "%20",
    },
    Spelling {
        name: "application/x-www-form-urlencoded",
        leaves: "*-._",
        space: "+",
    },
    Spelling {
        name: "encodeURIComponent",
        leaves: "-_.!~*'()",
        space: "%20",
    },
];

impl Spelling {
    fn of(&self, id: &str) -> String {
        let mut text = String::new();
        for c in id.chars() {
            if c == ' ' {
                text.push_str(self.space);
            } else if c.is_ascii_alphanumeric() || self.leaves.contains(c) {
                text.push(c);
            } else {
                for byte in c.to_string().bytes() {
                    write!(text, "%{byte:02X}").unwrap();
                }
            }
        }
        text
    }
}

/// The caller, and the base path.
enum Dialect<'t> {
    Legacy(&'static str),
    Today(&'t Token),
}

impl Dialect<'_> {
    async fn send(&self, sync: &SyncState, method: &str, below: &str, body: String) -> (StatusCode, String) {
        let request = match self {
            Self::Legacy(version) => {
                legacy::request(method, &format!("/{version}/ann/storage/{below}"), body.into())
            }
            Self::Today(token) => request(token, method, &format!("/1.5/42/storage/{below}"), body.into()),
        };
        let response = serve(sync, request).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Stores an object, reads, changes and removes it, by path and by list.
    async fn hold(&self, sync: &SyncState, id: &str, path: &str, list: &str, what: &str) {
        let printed = serde_json::to_string(id).unwrap();
        let (path, list) = (format!("forms/{path}"), format!("forms?ids={list}"));
        let object = format!(r#"{{"id":{printed},"payload":"x"}}"#);
        let payload = r#"{"payload":"changed"}"#.to_owned();
        let ok = |answer: (StatusCode, String)| {
            assert_eq!(answer.0, StatusCode::OK, "{what}: {}", answer.1);
            answer.1
        };
        let none = String::new;

        let taken = ok(self.send(sync, "POST", "forms", format!("[{object}]")).await);
        assert!(
            taken.contains(&format!(r#""success":[{printed}],"failed":{{}}"#)),
            "{what}: {taken}"
        );
        let read = ok(self.send(sync, "GET", &path, none()).await);
        assert!(
            read.starts_with(&format!(r#"{{"id":{printed},"#)),
            "{what}: {read}"
        );
        ok(self.send(sync, "PUT", &path, payload.clone()).await);
        let listed = ok(self.send(sync, "GET", &format!("{list}&full=1"), none()).await);
        assert!(listed.contains(r#""payload":"changed""#), "{what}: {listed}");
        ok(self.send(sync, "DELETE", &list, none()).await);
        let (gone, _) = self.send(sync, "GET", &path, none()).await;
        assert_eq!(gone, StatusCode::NOT_FOUND, "{what}");
        ok(self.send(sync, "PUT", &path, payload).await);
        ok(self.send(sync, "DELETE", &path, none()).await);
        let left = ok(self.send(sync, "GET", "forms", none()).await);
        assert_eq!(left, "[]", "{what}");
    }
}

#[tokio::test]
async fn every_character_of_an_id_goes_there_and_back() {
    let sync = legacy::surface(legacy::HERE).await;
    let token = token();
    let dialects = [
        Dialect::Legacy("1.0"),
        Dialect::Legacy("1"),
        Dialect::Legacy("1.1"),
        Dialect::Today(&token),
    ];
    let mut ids: Vec<String> = (' '..='~').map(|c| format!("a{c}b{c}{c}c")).collect();
    ids.push("Qk3/aB7x+Zr9LmWd".to_owned());
    for (at, id) in ids.iter().enumerate() {
        for (number, path) in IN_PATHS.iter().enumerate() {
            // A comma separates two ids, so such an id is in no list.
            let list = &IN_LISTS[(at + number) % IN_LISTS.len()];
            let is_listed = !id.contains(',');
            for dialect in &dialects {
                let what = format!("{id:?} in a path {}, in a list {}", path.name, list.name);
                if is_listed {
                    // A list of one id without a comma does not show how it was encoded.
                    let (path, list) = (path.of(id), list.of(&format!("other,{id}")));
                    dialect.hold(&sync, id, &path, &list, &what).await;
                } else {
                    let (status, _) = dialect
                        .send(&sync, "GET", &format!("forms/{}", path.of(id)), String::new())
                        .await;
                    assert_eq!(status, StatusCode::NOT_FOUND, "{what}");
                }
            }
        }
    }
}

/// Old clients escape nothing, and proxies that unescape paths cannot know better. In 1.5, where paths are signed,
/// a slash ends an id.
#[tokio::test]
async fn a_slash_may_stand_as_it_is_in_old_dialects() {
    let sync = legacy::surface(legacy::HERE).await;
    for version in ["1.0", "1", "1.1"] {
        for id in ["Qk3/aB7x+Zr9LmWd", "a/b/c", "a//b==", "info/collections"] {
            let escaped = id.replace('/', "%2F");
            Dialect::Legacy(version)
                .hold(&sync, id, id, &escaped, &format!("{version} {id}"))
                .await;
        }
    }
    let token = token();
    let (status, _) = Dialect::Today(&token)
        .send(
            &sync,
            "PUT",
            "forms/Qk3/aB7x+Zr9LmWd",
            r#"{"payload":"x"}"#.to_owned(),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
