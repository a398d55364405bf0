//! An answer of the server, and what is checked in every one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use bytes::Bytes;
use hyper::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fault::{Fault, FaultKind, excerpt};
use crate::instant::SyncInstant;

/// The request, for faults.
#[derive(Clone, Debug)]
pub struct RequestText {
    /// Method and URL.
    pub line: String,
    /// The beginning of the body.
    pub body: Option<Bytes>,
}

impl fmt::Display for RequestText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)?;
        match &self.body {
            Some(body) => write!(f, " {}", excerpt(body)),
            None => Ok(()),
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    request: RequestText,
    /// The status.
    pub status: StatusCode,
    headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// An object as the server sends it.
#[derive(Debug, Deserialize)]
pub struct Object<'a> {
    /// Its id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// When it changed, as it is written.
    #[serde(borrow)]
    pub modified: &'a RawValue,
    /// Its content.
    #[serde(borrow, default)]
    pub payload: Cow<'a, str>,
}

/// The answer to several objects that were written.
#[derive(Debug, Deserialize)]
pub struct PostResult<'a> {
    /// The time of the write; parts of a batch have none.
    #[serde(borrow)]
    pub modified: Option<&'a RawValue>,
    /// The id of the batch.
    #[serde(borrow)]
    pub batch: Option<Cow<'a, str>>,
    /// The ids that are stored.
    #[serde(borrow)]
    pub success: Vec<Cow<'a, str>>,
    /// The ids that are not, with the reasons.
    #[serde(borrow)]
    pub failed: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

impl Reply {
    /// The answer to this request.
    pub fn new(request: RequestText, answer: Response<Bytes>) -> Self {
        let (head, body) = answer.into_parts();
        Self {
            request,
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    /// A fault of this answer.
    pub fn fault(&self, kind: FaultKind, what: impl Into<String>) -> Fault {
        let mut answer = self.status.as_u16().to_string();
        for (name, value) in &self.headers {
            // Writing to a text does not fail.
            let _ = write!(answer, "; {name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        answer.push_str("; ");
        answer.push_str(&excerpt(&self.body));
        Fault {
            kind,
            what: what.into(),
            request: self.request.to_string(),
            answer,
        }
    }

    /// Only this status will do.
    pub fn expect(&self, status: StatusCode) -> Result<(), Fault> {
        if self.status == status {
            return Ok(());
        }
        let what = format!("{} in place of {}", self.status.as_u16(), status.as_u16());
        Err(self.fault(FaultKind::Status, what))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header that must be there and hold a time.
    pub fn time(&self, name: &str) -> Result<SyncInstant, Fault> {
        let Some(text) = self.header(name) else {
            return Err(self.fault(FaultKind::Form, format!("the answer lacks {name}")));
        };
        let time = SyncInstant::read(text);
        time.ok_or_else(|| {
            self.fault(
                FaultKind::Form,
                format!("{name} is {text:?}, not a time with two decimals"),
            )
        })
    }

    /// A time in the body.
    pub fn time_in(&self, text: &str) -> Result<SyncInstant, Fault> {
        let time = SyncInstant::read(text);
        time.ok_or_else(|| {
            self.fault(
                FaultKind::Form,
                format!("{text:?} is not a time with two decimals"),
            )
        })
    }

    /// The body, which must be JSON of this form.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.fault(FaultKind::Form, format!("the body: {error}")))
    }

    /// The objects of a list, whose number must be as announced.
    pub fn objects(&self) -> Result<Vec<Object<'_>>, Fault> {
        let objects: Vec<Object<'_>> = self.json()?;
        self.announced(objects.len())?;
        Ok(objects)
    }

    /// Compares the number of elements with the one in the header, where there is one.
    pub fn announced(&self, count: usize) -> Result<(), Fault> {
        match self.header("x-weave-records") {
            Some(announced) if announced != count.to_string() => {
                let what = format!("x-weave-records announces {announced}, and {count} came");
                Err(self.fault(FaultKind::Form, what))
            }
            _ => Ok(()),
        }
    }
}
