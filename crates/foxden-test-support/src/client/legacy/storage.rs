//! Requests to a storage node, and the backoff and alerts in its responses.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::wire::{Call, Reply, Server};

/// Why a sync stopped early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The server asked for a backoff; so many seconds are left.
    Waiting(u64),
    /// No node is assigned to this user now.
    NoNode,
    /// The password is wrong.
    LoginRejected,
    /// 401 during a sync: the next sync looks the node up again.
    Reassigned,
    /// The sync key does not decrypt the stored keys.
    WrongKey,
    /// The storage version is newer than the client's.
    TooNew,
    /// The server failed with this status.
    ServerError(u16),
    /// The service has ended.
    Ended,
    /// The store is full.
    OverQuota,
    /// Another device wrote first.
    Stale,
    /// The server rejected the request.
    Refused(u16),
}

/// A time of the server: whole hundredths of a second, written with two decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(u64);

impl Time {
    /// Reads a time; anything but two decimals is a fault of the server.
    #[track_caller]
    pub fn read(text: &str) -> Self {
        let read = || {
            let (seconds, hundredths) = text.split_once('.')?;
            let is_short = hundredths.len() == 2 && hundredths.bytes().all(|byte| byte.is_ascii_digit());
            let hundredths: u64 = hundredths.parse().ok().filter(|_| is_short)?;
            Some(Self(seconds.parse::<u64>().ok()? * 100 + hundredths))
        };
        read().unwrap_or_else(|| panic!("not a time with two decimals: {text:?}"))
    }

    /// Whole seconds.
    pub fn seconds(self) -> u64 {
        self.0 / 100
    }
}

impl fmt::Display for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// A record as it comes from the server.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its id.
    pub id: String,
    /// When the server stored it.
    pub modified: Time,
    /// The encrypted payload.
    pub payload: Value,
    /// The client's sort index.
    pub sortindex: Option<i64>,
}

impl Received {
    /// Reads one record, as strictly as a client may.
    #[track_caller]
    pub fn read(text: &str) -> Self {
        let members: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let member = |name: &str| members.get(name).map(|raw| raw.get());
        let string = |name| serde_json::from_str::<String>(member(name).unwrap_or("null"));
        assert!(!members.contains_key("ttl"), "a response has no ttl: {text}");
        let payload = string("payload").unwrap_or_default();
        Self {
            id: string("id").unwrap_or_else(|_| panic!("no id: {text}")),
            modified: Time::read(member("modified").unwrap_or_default()),
            payload: serde_json::from_str(&payload).unwrap_or(Value::String(payload)),
            sortindex: member("sortindex").map(|number| number.parse().unwrap()),
        }
    }
}

/// The notices in the headers of responses.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    /// The backoff in seconds.
    pub wait: u64,
    /// Alerts for the log or the user.
    pub alerts: Vec<String>,
    /// The remaining quota in kilobytes, if it is low.
    pub quota_left: Option<f64>,
    /// The server's time.
    pub now: Time,
}

/// One user's store on a node.
#[derive(Clone, Debug)]
pub struct Node {
    server: Server,
    root: String,
    authorization: String,
    /// The notices of the responses so far.
    pub notices: Notices,
}

impl Node {
    /// The store of this name on the node at this base, which ends in a slash.
    pub fn at(base: &str, name: &str, authorization: String) -> Self {
        Self {
            server: Server::at(base),
            root: format!("/1.1/{name}"),
            authorization,
            notices: Notices::default(),
        }
    }

    /// The node's base.
    pub fn base(&self) -> String {
        format!("{}/", self.server.base())
    }

    /// Sends a request and returns the response with any status. The target is relative to the user's root.
    pub fn send_unchecked(&mut self, method: &str, target: &str, change: impl FnOnce(Call) -> Call) -> Reply {
        let call = Call::new(method, format!("{}{target}", self.root))
            .header("Authorization", self.authorization.clone())
            .header(
                "User-Agent",
                "PaleMoon/33.9.1 FxSync/1.65.0.20250101000000.desktop",
            );
        let reply = self.server.send(&change(call));
        self.note(&reply);
        reply
    }

    /// Sends a request. An error status becomes a `Stop`.
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        change: impl FnOnce(Call) -> Call,
    ) -> Result<Reply, Stop> {
        let reply = self.send_unchecked(method, target, change);
        match reply.status {
            200 | 404 => Ok(reply),
            400 if reply.body == b"14" => Err(Stop::OverQuota),
            401 => Err(Stop::Reassigned),
            412 => Err(Stop::Stale),
            500 | 502 | 503 | 504 => Err(Stop::ServerError(reply.status)),
            513 => Err(Stop::Ended),
            status => Err(Stop::Refused(status)),
        }
    }

    /// A `GET`.
    pub fn get(&mut self, target: &str) -> Result<Reply, Stop> {
        self.send("GET", target, |call| call)
    }

    /// When each collection last changed.
    pub fn collections(&mut self, query: &str) -> Result<BTreeMap<String, Time>, Stop> {
        let reply = self.get(&format!("/info/collections{query}"))?;
        if reply.status == 404 {
            return Err(Stop::Reassigned);
        }
        let times: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&reply.body).unwrap();
        Ok(times
            .into_iter()
            .map(|(name, time)| (name, Time::read(time.get())))
            .collect())
    }

    /// One record; nothing when there is none.
    pub fn record(&mut self, place: &str) -> Result<Option<Received>, Stop> {
        let reply = self.get(&format!("/storage/{place}"))?;
        Ok((reply.status == 200).then(|| Received::read(&reply.text())))
    }

    /// Stores one record. Returns its time.
    pub fn put(&mut self, place: &str, record: &Value) -> Result<Time, Stop> {
        let text = record.to_string();
        let reply = self.send("PUT", &format!("/storage/{place}"), |call| {
            call.body("text/plain", text)
        })?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let time = stamp(&reply);
        assert_eq!(Time::read(&reply.text()), time, "body and header say the same");
        Ok(time)
    }

    /// Deletes a target. A 404 counts as success, as in clients.
    pub fn delete(&mut self, target: &str) -> Result<Time, Stop> {
        let confirm = |call: Call| call.header("X-Confirm-Delete", "1");
        let reply = self.send("DELETE", target, confirm)?;
        Ok(stamp(&reply))
    }

    /// The records that a query asks for, line by line, and as of which time they are.
    pub fn list(&mut self, target: &str) -> Result<(Vec<Received>, Time), Stop> {
        let (lines, time) = self.lines(target)?;
        Ok((lines.iter().map(|line| Received::read(line)).collect(), time))
    }

    /// The ids that a query asks for.
    pub fn ids(&mut self, target: &str) -> Result<Vec<String>, Stop> {
        let (lines, _) = self.lines(target)?;
        Ok(lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect())
    }

    fn lines(&mut self, target: &str) -> Result<(Vec<String>, Time), Stop> {
        let newlines = |call: Call| call.header("Accept", "application/newlines");
        let reply = self.send("GET", target, newlines)?;
        let kind = reply.header("content-type").unwrap_or_default();
        assert_eq!((reply.status, kind), (200, "application/newlines"));
        let text = reply.text();
        assert!(text.is_empty() || text.ends_with('\n'), "every line ends");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if let Some(count) = reply.header("x-weave-records") {
            assert_eq!(count, lines.len().to_string());
        }
        Ok((lines, stamp(&reply)))
    }

    fn note(&mut self, reply: &Reply) {
        let number = |name: &str| reply.header(name)?.parse::<u64>().ok();
        let notices = &mut self.notices;
        notices.wait = notices.wait.max(number("x-weave-backoff").unwrap_or(0));
        if reply.status == 503 {
            notices.wait = notices.wait.max(number("retry-after").unwrap_or(0));
        }
        notices
            .alerts
            .extend(reply.header("x-weave-alert").map(str::to_owned));
        if let Some(left) = reply.header("x-weave-quota-remaining") {
            notices.quota_left = Some(left.parse().unwrap());
        }
        if let Some(time) = reply.header("x-weave-timestamp") {
            notices.now = Time::read(time);
        }
    }
}

/// The time in every response of a store.
#[track_caller]
pub fn stamp(reply: &Reply) -> Time {
    Time::read(reply.header("x-weave-timestamp").expect("X-Weave-Timestamp"))
}
