//! The files that pages load: style sheet, mark and script.
//!
//! The name of each file contains a hash of its content, so browsers may cache it for ever and still see a change
//! at once. Script modules import each other by these names.

use std::collections::BTreeMap;
use std::io::Write;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest::{SHA256, digest};

use crate::wire::accepts_gzip;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Length of the hash in names, in hexadecimal digits.
const HASH_LENGTH: usize = 12;

macro_rules! file {
    ($name:literal, $kind:expr) => {
        Source {
            name: $name,
            kind: $kind,
            text: include_str!(concat!("../../assets/", $name)),
        }
    };
}

/// All files. A module comes after those that it imports.
const SOURCES: &[Source] = &[
    file!("foxden.css", CSS),
    file!("mark.svg", SVG),
    file!("bytes.js", SCRIPT),
    file!("onepw.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("person.js", SCRIPT),
    file!("channel.js", SCRIPT),
    file!("copy.js", SCRIPT),
    file!("checks.js", SCRIPT),
    file!("stepper.js", SCRIPT),
    file!("code.js", SCRIPT),
    file!("picture.js", SCRIPT),
    file!("devices.js", SCRIPT),
    file!("identify.js", SCRIPT),
    file!("handover.js", SCRIPT),
    file!("confirm.js", SCRIPT),
    file!("front.js", SCRIPT),
    file!("invite.js", SCRIPT),
    file!("reset.js", SCRIPT),
    file!("settings.js", SCRIPT),
    file!("signin.js", SCRIPT),
];

struct Source {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// The files and their paths.
#[derive(Debug)]
pub(super) struct Assets {
    paths: BTreeMap<&'static str, String>,
    imports: BTreeMap<&'static str, Vec<String>>,
    files: BTreeMap<String, File>,
}

#[derive(Debug)]
struct File {
    kind: &'static str,
    plain: Bytes,
    compressed: Bytes,
}

impl Assets {
    /// Loads all files.
    pub(super) fn new() -> Self {
        let mut assets = Self {
            paths: BTreeMap::new(),
            imports: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        for source in SOURCES {
            assets.add(source);
        }
        assets
    }

    /// Returns the path of a file by its name in the source; empty for an unknown name.
    pub(super) fn path(&self, name: &str) -> &str {
        self.paths.get(name).map_or("", String::as_str)
    }

    /// Returns the paths of all modules that a module imports, directly or not.
    pub(super) fn imports(&self, name: &str) -> &[String] {
        self.imports.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns a file by its name in the source, which does not change with the content.
    pub(super) fn answer_by_name(&self, name: &str, request_headers: &HeaderMap) -> Option<Response> {
        let hashed = self.paths.get(name)?.trim_start_matches("/assets/");
        let mut answer = self.answer(hashed, request_headers)?;
        let hour = HeaderValue::from_static("public, max-age=3600");
        answer.headers_mut().insert(CACHE_CONTROL, hour);
        Some(answer)
    }

    /// Returns the file at `/assets/<hashed>`, if there is one.
    pub(super) fn answer(&self, hashed: &str, request_headers: &HeaderMap) -> Option<Response> {
        let file = self.files.get(hashed)?;
        let mut answer = file.body(request_headers).into_response();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if accepts_gzip(request_headers) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Some(answer)
    }

    fn add(&mut self, source: &Source) {
        let mut text = source.text.to_owned();
        let mut imports = Vec::new();
        for (name, path) in &self.paths {
            let import = format!("\"./{name}\"");
            if !text.contains(&import) {
                continue;
            }
            text = text.replace(&import, &format!("\"{path}\""));
            imports.push(path.clone());
            imports.extend_from_slice(self.imports(name));
        }
        imports.sort();
        imports.dedup();
        let hashed = hashed_name(source.name, &text);
        self.paths.insert(source.name, format!("/assets/{hashed}"));
        self.imports.insert(source.name, imports);
        self.files.insert(hashed, File::new(source.kind, text));
    }
}

impl File {
    fn new(kind: &'static str, text: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let compressed = encoder
            .write_all(text.as_bytes())
            .and_then(|()| encoder.finish())
            .expect("writing to memory does not fail");
        Self {
            kind,
            plain: text.into(),
            compressed: compressed.into(),
        }
    }

    fn body(&self, request_headers: &HeaderMap) -> Body {
        let bytes = if accepts_gzip(request_headers) {
            &self.compressed
        } else {
            &self.plain
        };
        Body::from(bytes.clone())
    }
}

fn hashed_name(name: &str, text: &str) -> String {
    let hash = data_encoding::HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref());
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{stem}.{}.{ending}", &hash[..HASH_LENGTH])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_import_leads_to_a_file() {
        let assets = Assets::new();
        for source in SOURCES.iter().filter(|source| source.kind == SCRIPT) {
            let hashed = assets.path(source.name).trim_start_matches("/assets/");
            let text = std::str::from_utf8(&assets.files[hashed].plain).unwrap();
            let imports = text.lines().filter(|line| line.starts_with("import "));
            for import in imports {
                let named = import.rsplit('"').nth(1).unwrap();
                let target = named.trim_start_matches("/assets/");
                assert!(assets.files.contains_key(target), "{}: {import}", source.name);
                assert!(assets.imports(source.name).contains(&named.to_owned()));
            }
            assert!(
                !text.contains("\"./"),
                "{} imports what stands below it",
                source.name
            );
        }
    }

    #[test]
    fn every_imported_name_is_exported() {
        let text_of = |name: &str| SOURCES.iter().find(|source| source.name == name).unwrap().text;
        for source in SOURCES.iter().filter(|source| source.kind == SCRIPT) {
            for line in source.text.lines().filter(|line| line.starts_with("import {")) {
                let (names, module) = line[8..].split_once("} from \"./").unwrap();
                let exporter = text_of(module.trim_end_matches("\";"));
                for name in names.split(',').map(str::trim) {
                    let is_exported = ["function", "async function", "const", "class"]
                        .iter()
                        .any(|kind| exporter.contains(&format!("export {kind} {name}")));
                    assert!(is_exported, "{} imports {name}", source.name);
                }
            }
        }
    }

    #[test]
    fn script_writes_text_and_never_markup() {
        for source in SOURCES.iter().filter(|source| source.kind == SCRIPT) {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "document.cookie",
                "localStorage",
                "sessionStorage",
                "indexedDB",
                "eval(",
                ".style.",
            ] {
                assert!(!source.text.contains(word), "{} says {word}", source.name);
            }
        }
    }

    #[test]
    fn packed_files_hold_the_same() {
        use std::io::Read;
        for file in Assets::new().files.values() {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&file.compressed[..])
                .read_to_end(&mut text)
                .unwrap();
            assert_eq!(text, file.plain);
        }
    }
}
