//! Requests of a 1.1 client to the User API. It reads the responses byte for byte.

use data_encoding::BASE64;
use serde_json::json;

use super::name;
use crate::client::wire::{Call, Reply, Server};

/// The node of a user, as the client understands the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageLocation {
    /// The base URL of the node, which ends in a slash.
    At(String),
    /// No node can be assigned now: wait.
    NotNow,
    /// The name or the password is refused.
    Rejected,
    /// The server failed with this status.
    ServerError(u16),
}

/// The header of Basic authentication, with the password as UTF-8.
pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{name}:{password}").as_bytes()))
}

/// The same as some desktops send it: in ISO 8859-1 if possible.
pub fn basic_latin1(name: &str, password: &str) -> String {
    let text = format!("{name}:{password}");
    let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(letter).ok()).collect();
    match bytes {
        Some(bytes) => format!("Basic {}", BASE64.encode(&bytes)),
        None => basic(name, password),
    }
}

fn path(name: &str, rest: &str) -> String {
    format!("/user/1.0/{name}{rest}")
}

/// Whether the name of this account is taken. Clients ask while the user types.
#[track_caller]
pub fn is_taken(server: &Server, account: &str) -> bool {
    let reply = server
        .send(&Call::get(path(&name::of_account(account), "")))
        .expect(200);
    match reply.body.as_slice() {
        b"0" => false,
        b"1" => true,
        _ => panic!("neither 0 nor 1: {:?}", reply.text()),
    }
}

/// Whether the setup dialog shows a captcha: it hides the captcha only on a 404.
pub fn asks_a_question(server: &Server) -> bool {
    server.send(&Call::get("/misc/1.0/captcha_html")).status != 404
}

/// Tries to register, with all fields of the request.
pub fn try_register(server: &Server, address: &str, password: &str, secret: Option<&str>) -> Reply {
    let body = json!({
        "email": address, "password": password, "captcha-challenge": null, "captcha-response": null,
    });
    let call = Call::new("PUT", path(&name::of_account(address), ""));
    let call = call.body("text/plain", body.to_string());
    server.send(&match secret {
        Some(secret) => call.header("X-Weave-Secret", secret),
        None => call,
    })
}

/// Registers. Returns the account's name.
#[track_caller]
pub fn register(server: &Server, address: &str, password: &str) -> String {
    let name = name::of_account(address);
    assert!(!is_taken(server, address), "{address} is free");
    try_register(server, address, password, None).expect(200);
    assert!(is_taken(server, address));
    name
}

/// Looks up the node.
pub fn storage_location(server: &Server, name: &str) -> StorageLocation {
    let reply = server.send(&Call::get(path(name, "/node/weave")));
    match reply.status {
        200 if reply.body == b"null" => StorageLocation::NotNow,
        200 => {
            let url = reply.text();
            assert!(
                url.starts_with("http") && url.ends_with('/'),
                "used as a prefix as it stands: {url:?}"
            );
            StorageLocation::At(url)
        }
        404 => StorageLocation::At(format!("{}/", server.base())),
        400 => StorageLocation::Rejected,
        status => StorageLocation::ServerError(status),
    }
}

/// Changes the password with the old one.
pub fn change_password(server: &Server, name: &str, old: &str, new: &str) -> Reply {
    let call = Call::new("POST", path(name, "/password")).body("text/plain", new);
    server.send(&call.header("Authorization", basic(name, old)))
}

/// Changes the address.
pub fn change_address(server: &Server, name: &str, password: &str, address: &str) -> Reply {
    let call = Call::new("POST", path(name, "/email")).body("text/plain", address);
    server.send(&call.header("Authorization", basic(name, password)))
}

/// Closes the account.
pub fn remove(server: &Server, name: &str, password: &str) -> Reply {
    let call = Call::new("DELETE", path(name, ""));
    server.send(&call.header("Authorization", basic(name, password)))
}
