//! Reports of failed pairings. Any client can send any number of reports with any content.

use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName};
use foxden_model::is_invisible;
use http_body_util::BodyExt;

use super::client::ID_BYTES;
use super::name::ChannelName;
use super::route::Route;

const ID: HeaderName = HeaderName::from_static("x-keyexchange-id");
const CHANNEL: HeaderName = HeaderName::from_static("x-keyexchange-cid");
const LOG: HeaderName = HeaderName::from_static("x-keyexchange-log");
/// How many bytes are kept of a body, and of a header.
const MAX_KEPT: usize = 2000;
/// How many bytes of a body are read.
const MAX_READ: usize = 64 * 1024;
/// How many reports are logged per minute. Of the others only the number is.
const MAX_LOGGED: u32 = 60;
const MINUTE: i64 = 60_000;

/// Counts the reports logged recently.
#[derive(Default)]
pub(super) struct Reports(Mutex<ReportWindow>);

#[derive(Default)]
struct ReportWindow {
    began: i64,
    logged: u32,
    left_out: u64,
}

/// Returns the channel that a report ends.
pub(super) fn channel(headers: &HeaderMap) -> Option<ChannelName> {
    let name = headers.get(CHANNEL)?.to_str().ok()?;
    match Route::of(&format!("/{name}"))? {
        Route::Channel(name) => Some(name),
        Route::Root | Route::NewChannel | Route::Report => None,
    }
}

/// Returns the text of a report for the log: one line of printable text, bounded, without the client id.
pub(super) async fn text(headers: &HeaderMap, body: Body) -> String {
    let header = headers.get(LOG).map_or(&b""[..], |value| value.as_bytes());
    let header = &header[..header.len().min(MAX_KEPT + ID_BYTES)];
    let body = read_beginning(body).await;
    let id = id(headers);
    let texts = [header, &body].map(|bytes| without(id, bytes));
    let texts: Vec<&str> = texts
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    texts.join(": ").chars().map(printable).collect()
}

/// Returns the client id. Other values are no secrets, and may be as short as one asterisk.
fn id(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(ID).iter();
    let id = values.next().filter(|id| id.len() == ID_BYTES)?;
    id.to_str().ok().filter(|_| values.next().is_none())
}

/// Returns a text without the client id, truncated.
fn without(id: Option<&str>, bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if let Some(id) = id {
        text = text.replace(id, "***");
    }
    let end = (0..=MAX_KEPT.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or_default());
    text
}

/// Reads the beginning of a body and discards the rest. A client id that begins in the kept part is kept whole.
async fn read_beginning(mut body: Body) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut read = 0;
    while read < MAX_READ {
        // A body that breaks off is no error: the report is what came before.
        let Some(Ok(frame)) = body.frame().await else {
            break;
        };
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        kept.extend_from_slice(&data[..data.len().min(MAX_KEPT + ID_BYTES - kept.len())]);
    }
    kept
}

/// Replaces characters that move the cursor, end a line or turn the direction of writing.
fn printable(character: char) -> char {
    if is_invisible(character) {
        '\u{fffd}'
    } else {
        character
    }
}

impl Reports {
    /// Logs a report that is not empty, within the limit.
    pub(super) fn log(&self, text: &str, now: i64) {
        if text.is_empty() {
            return;
        }
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !(0..MINUTE).contains(&now.saturating_sub(window.began)) {
            if window.left_out > 0 {
                tracing::info!(
                    "{} more reports of pairings that failed were not logged",
                    window.left_out
                );
            }
            *window = ReportWindow {
                began: now,
                ..ReportWindow::default()
            };
        }
        if window.logged < MAX_LOGGED {
            window.logged += 1;
            tracing::info!("a client reports that pairing failed: {text}");
        } else {
            window.left_out += 1;
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

    /// K10.24: of a long body at most 2000 bytes are logged.
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
        let window = reports.0.lock().unwrap();
        assert_eq!((window.logged, window.left_out), (60, 40));
        drop(window);
        reports.log("x", 61_000);
        assert_eq!(reports.0.lock().unwrap().left_out, 0);
    }
}
