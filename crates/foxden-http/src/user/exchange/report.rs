//! What clients say when a pairing failed. Anybody can say anything here, as often as they like.

use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName};
use foxden_model::is_invisible;
use http_body_util::BodyExt;

use super::client::ID_BYTES;
use super::name::Name;
use super::place::Place;

const ID: HeaderName = HeaderName::from_static("x-keyexchange-id");
const CHANNEL: HeaderName = HeaderName::from_static("x-keyexchange-cid");
const LOG: HeaderName = HeaderName::from_static("x-keyexchange-log");
/// How much of a body is kept, and of a header.
const KEPT: usize = 2000;
/// How much of a body is listened to at all.
const HEARD: usize = 64 * 1024;
/// Reports that are logged within a minute; of the others only the number is.
const LOGGED: u32 = 60;
const MINUTE: i64 = 60_000;

/// How many reports were logged of late.
#[derive(Default)]
pub(super) struct Reports(Mutex<Lately>);

#[derive(Default)]
struct Lately {
    began: i64,
    logged: u32,
    left_out: u64,
}

/// The channel that a report is to end.
pub(super) fn channel(headers: &HeaderMap) -> Option<Name> {
    let name = headers.get(CHANNEL)?.to_str().ok()?;
    match Place::of(&format!("/{name}"))? {
        Place::Channel(name) => Some(name),
        Place::Root | Place::NewChannel | Place::Report => None,
    }
}

/// The text of a report, fit for a log: one line of plain text, no longer than allowed, without the client's id.
pub(super) async fn text(headers: &HeaderMap, body: Body) -> String {
    let header = headers.get(LOG).map_or(&b""[..], |value| value.as_bytes());
    let header = &header[..header.len().min(KEPT + ID_BYTES)];
    let body = beginning(body).await;
    let id = id(headers);
    let texts = [header, &body].map(|bytes| without(id, bytes));
    let texts: Vec<&str> = texts
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    texts.join(": ").chars().map(harmless).collect()
}

/// The id by which channels know this client. Anything else is no secret, and may be as short as a star.
fn id(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(ID).iter();
    let id = values.next().filter(|id| id.len() == ID_BYTES)?;
    id.to_str().ok().filter(|_| values.next().is_none())
}

/// A text without that id, and no longer than is kept.
fn without(id: Option<&str>, bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if let Some(id) = id {
        text = text.replace(id, "***");
    }
    let end = (0..=KEPT.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or_default());
    text
}

/// The first bytes of a body; what follows is let pass. An id that begins in what is kept is there whole.
async fn beginning(mut body: Body) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut heard = 0;
    while heard < HEARD {
        // A body that breaks off is no matter: what came before is the report.
        let Some(Ok(frame)) = body.frame().await else {
            break;
        };
        let Ok(data) = frame.into_data() else { continue };
        heard += data.len();
        kept.extend_from_slice(&data[..data.len().min(KEPT + ID_BYTES - kept.len())]);
    }
    kept
}

/// A character that may stand in a log: what moves a cursor, ends a line or turns the direction of writing may not.
fn harmless(character: char) -> char {
    if is_invisible(character) {
        '\u{fffd}'
    } else {
        character
    }
}

impl Reports {
    /// Logs a report that says something, within bounds.
    pub(super) fn log(&self, text: &str, now: i64) {
        if text.is_empty() {
            return;
        }
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !(0..MINUTE).contains(&now.saturating_sub(lately.began)) {
            if lately.left_out > 0 {
                tracing::info!(
                    "{} more reports of pairings that failed were not logged",
                    lately.left_out
                );
            }
            *lately = Lately {
                began: now,
                ..Lately::default()
            };
        }
        if lately.logged < LOGGED {
            lately.logged += 1;
            tracing::info!("a client reports that pairing failed: {text}");
        } else {
            lately.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn text_of(headers: &[(HeaderName, &[u8])], body: impl Into<Body>) -> String {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value).unwrap()));
        let headers = headers.collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(text(&headers, body.into()))
    }

    /// K10.24: of a long body at most 2000 bytes.
    #[test]
    fn a_report_is_cut() {
        assert_eq!(text_of(&[], "x".repeat(5000)).len(), 2000);
        assert_eq!(text_of(&[(LOG, &[b'y'; 5000])], "x".repeat(5000)).len(), 4002);
    }

    #[test]
    fn a_report_is_one_harmless_line() {
        let hostile = "a\r\nb\u{1b}[31m\u{202e}c\0\u{2028}";
        let text = text_of(&[(LOG, b"jpake.error.timeout\tx\xff")], hostile);
        assert_eq!(
            text,
            "jpake.error.timeout\u{fffd}x\u{fffd}: a\u{fffd}\u{fffd}b\u{fffd}[31m\u{fffd}c\u{fffd}"
        );
    }

    #[test]
    fn a_report_does_not_tell_the_id() {
        let id = "ab".repeat(128);
        let text = text_of(&[(ID, id.as_bytes())], format!("failed for {id}"));
        assert_eq!(text, "failed for ***");
        let text = text_of(&[(ID, id.as_bytes())], format!("{}{id}", "-".repeat(1990)));
        assert_eq!(text, format!("{}***", "-".repeat(1990)));
    }

    #[test]
    fn no_id_makes_a_report_longer() {
        let stars = vec![(ID, &b"*"[..]); 30];
        assert_eq!(text_of(&stars, "*".repeat(5000)), "*".repeat(2000));
        let text = text_of(&[(ID, &[b'*'; 256]), (ID, b"*")], "*".repeat(600));
        assert_eq!(text, "*".repeat(600));
    }

    #[test]
    fn so_many_reports_and_no_more_are_logged() {
        let reports = Reports::default();
        for _ in 0..100 {
            reports.log("x", 1000);
        }
        reports.log("", 1000);
        let lately = reports.0.lock().unwrap();
        assert_eq!((lately.logged, lately.left_out), (60, 40));
        drop(lately);
        reports.log("x", 61_000);
        assert_eq!(reports.0.lock().unwrap().left_out, 0);
    }
}
