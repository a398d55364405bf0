#!/usr/bin/env bash
# lettre 0.11.23 understands the keywords of an EHLO answer only in capitals, and AUTH only with a space behind it.
#
# One would expect a client library to read keywords without regard to case, as RFC 5321, 4.1.1.1 says. lettre compares
# whole words: a server that says `auth plain login` or `AUTH PLAIN login` has no mechanism, or fewer, and one that
# says `starttls` offers no encryption, so that a transport that wants some fails before it sends a letter. Nothing can be set
# to read it otherwise; `AUTH=LOGIN PLAIN`, which many servers still send beside the standard line, counts for nothing.
#
# Seen:
#   AUTH PLAIN LOGIN: AUTH PLAIN
#   AUTH plain LOGIN: AUTH LOGIN
#   auth plain login: internal client error: No compatible authentication mechanism was found
#   AUTH=LOGIN PLAIN: internal client error: No compatible authentication mechanism was found
#
# Foxden reads the answer to EHLO by itself, and does STARTTLS and AUTH over lettre's plain commands.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "ehlo"
version = "0.0.0"
edition = "2021"

[dependencies]
lettre = { version = "=0.11.23", default-features = false, features = ["smtp-transport"] }
TOML
cat >"$folder/src/main.rs" <<'RUST'
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::SmtpConnection;
use lettre::transport::smtp::extension::ClientId;

/// Greets, offers this, and tells the first command that is no EHLO.
fn serve(listener: TcpListener, offers: &'static str) -> Option<String> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    stream.write_all(b"220 mail.example.org\r\n").unwrap();
    lines.next()?.unwrap();
    write!(stream, "250-mail.example.org\r\n250 {offers}\r\n").unwrap();
    let command = lines.next()?.ok()?;
    stream.write_all(b"235 welcome\r\n").unwrap();
    Some(command)
}

fn main() {
    for offers in ["AUTH PLAIN LOGIN", "AUTH plain LOGIN", "auth plain login", "AUTH=LOGIN PLAIN"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || serve(listener, offers));
        let hello = ClientId::Domain("client.example.org".to_owned());
        let patience = Some(Duration::from_secs(10));
        let mut connection = SmtpConnection::connect(address, patience, &hello, None, None).unwrap();
        let login = Credentials::new("name".to_owned(), "password".to_owned());
        let outcome = connection.auth(&[Mechanism::Plain, Mechanism::Login], &login);
        drop(connection);
        let told = server.join().unwrap();
        match (outcome, told) {
            (Ok(_), Some(command)) => {
                let words: Vec<&str> = command.split(' ').take(2).collect();
                println!("{offers}: {}", words.join(" "));
            }
            (Err(error), _) => println!("{offers}: {error}"),
            (Ok(_), None) => println!("{offers}: nothing"),
        }
    }
}
RUST
seen=$(cd "$folder" && timeout 600 cargo run -q --target-dir "$folder/target")
echo "$seen"
none='internal client error: No compatible authentication mechanism was found'
[ "$seen" = "AUTH PLAIN LOGIN: AUTH PLAIN
AUTH plain LOGIN: AUTH LOGIN
auth plain login: $none
AUTH=LOGIN PLAIN: $none" ]
