//! The pages' cryptography against published vectors, where it will run: in a browser.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use anyhow::Result;
use serde_json::json;

use crate::page;
use crate::process::wait_for;
use crate::test_context::scenario;

const PAGE: &str = r#"<!doctype html><html lang="en"><title>Vectors</title><p id="result"></p>
<script type="module" src="/vectors.js"></script></html>"#;

/// The modules that make the keys give the values of the published vectors.
#[test]
#[ignore = "needs Firefox; cargo xtask test runs it"]
fn key_modules_meet_the_vectors() -> Result<()> {
    scenario("vectors", |test| {
        // The pages' policy lets no script in but their own, so the modules are served anew.
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Err(error) = answer(&stream) {
                    eprintln!("the vectors' server: {error}");
                }
            }
        });
        test.a.marionette.navigate(&format!("http://{address}/"))?;

        let result = wait_for("the result", page::STEP_LIMIT, || {
            let words = page::text(&mut test.a, "#result")?;
            Ok((!words.is_empty()).then_some(words))
        })?;

        assert_eq!(json!(result), json!("all right"));
        Ok(())
    })
}

/// Answers one request with the page, the vectors or one of the pages' modules.
fn answer(stream: &TcpStream) -> Result<()> {
    let mut head = BufReader::new(stream.take(64 * 1024)).lines();
    let first = head.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in head {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (kind, body) = match path {
        "/" => ("text/html", PAGE.to_owned()),
        "/vectors.js" => ("text/javascript", include_str!("vectors.js").to_owned()),
        module => ("text/javascript", module_text(module)),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// One module of the pages; nothing when there is none of that name.
fn module_text(path: &str) -> String {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../foxden-http/assets");
    let name = path.rsplit('/').next().unwrap_or_default();
    fs::read_to_string(assets.join(name)).unwrap_or_default()
}
