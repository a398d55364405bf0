//! memcached, by its meta commands.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::Clock;

use super::pipeline::Pipeline;
use super::wire::{Input, Protocol, ReadFault, Wire, number, put_number};
use super::{CacheAddress, CacheFault, CacheLook, CacheRead, CacheServer, Found, Got};

/// The least bytes of an item that a server has to take: more than any value here.
const LEAST_ITEM: u64 = 16 * 1024;
/// Stores nothing for a second. The answer tells whether the server knows what is asked of it.
const TRIAL: &[u8] = b"ms foxden:trial 0 T1 c\r\n\r\n";

/// How the line begins that tells the version.
const VERSION: &str = "VERSION";
/// How the line begins with which a server refuses what it understands.
const REFUSED: &str = "SERVER_ERROR";
/// The bytes that a request which reads has room for.
const READ_BYTES: usize = 160;

/// A server.
pub(super) struct Memcached {
    pipeline: Pipeline<Meta>,
    place: String,
}

/// What it speaks.
struct Meta;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    /// It is done, or found, with what was asked for: the value, and the number of its version.
    Done {
        value: Option<Vec<u8>>,
        number: Option<u64>,
    },
    /// There is no such value, or it has changed.
    Nothing,
    /// Any other line.
    Line(String),
}

impl Memcached {
    pub(super) fn new(address: &CacheAddress, clock: Arc<dyn Clock>) -> Self {
        Self {
            pipeline: Pipeline::new(Meta, address.host.clone(), address.port, clock),
            place: address.to_string(),
        }
    }
}

#[async_trait]
impl CacheServer for Memcached {
    fn place(&self) -> &str {
        &self.place
    }

    async fn look(&self) -> Result<CacheLook, CacheFault> {
        let (replies, _) = self.pipeline.call(b"version\r\n".to_vec(), 1, None).await?;
        let version = match replies.first() {
            Some(Reply::Line(line)) => line.strip_prefix(VERSION),
            Some(Reply::Done { .. } | Reply::Nothing) | None => None,
        };
        Ok(CacheLook {
            server: format!("memcached {}", version.unwrap_or_default().trim()),
            advice: None,
        })
    }

    async fn run(&self) -> Result<Arc<str>, CacheFault> {
        // A connection knows it; the answer tells that it is still one.
        Ok(self.pipeline.repeatable(b"mn\r\n".to_vec(), 1).await?.1)
    }

    fn is_same_run(&self, one: &str, other: &str) -> bool {
        Meta::is_same_run(one, other)
    }

    async fn store(
        &self,
        run: &Arc<str>,
        values: &[(String, Vec<u8>)],
        ttl: Duration,
    ) -> Result<(), CacheFault> {
        let mut request = Vec::new();
        for (key, value) in values {
            put_set(&mut request, key, value, ttl, None);
        }
        let (replies, _) = self.pipeline.call(request, values.len(), Some(run)).await?;
        if replies.contains(&Reply::Nothing) {
            return Err(CacheFault::Away("it does not store a value".to_owned()));
        }
        accepted(&replies)
    }

    async fn get(&self, read: CacheRead<'_>) -> Result<Got, CacheFault> {
        let mut request = Vec::with_capacity(READ_BYTES);
        let mut answers = 1;
        if let Some(object) = read.object {
            put_words(&mut request, &[b"mg ", object.as_bytes(), b" v\r\n"]);
            answers += 1;
        }
        if let Some(key) = read.key {
            put_words(&mut request, &[b"mg ", key.as_bytes(), b" v c"]);
            if let Some((_, ttl)) = read.claim {
                // A claim of memcached is an empty value with a number of its own.
                request.extend_from_slice(b" N");
                put_number(&mut request, ttl.as_secs());
            }
            request.extend_from_slice(b"\r\n");
            answers += 1;
        }
        put_words(&mut request, &[b"mg ", read.list.as_bytes(), b" v c\r\n"]);
        // Each claim has a number of its own, also if it is sent twice.
        let (replies, run) = self.pipeline.repeatable(request, answers).await?;
        let mut replies = replies.into_iter();
        let object = read.object.and_then(|_| replies.next());
        let value = read.key.and_then(|_| replies.next());
        let list = replies.next();
        accepted(list.as_slice())?;
        Ok(Got {
            list: list.and_then(Reply::found),
            value: value.and_then(Reply::found),
            object: object.and_then(Reply::value),
            run,
        })
    }

    async fn replace(
        &self,
        run: &Arc<str>,
        key: &str,
        before: &Found,
        value: Vec<u8>,
        ttl: Duration,
        removed: Option<&str>,
    ) -> Result<Option<Found>, CacheFault> {
        let mut request = Vec::new();
        put_set(&mut request, key, &value, ttl, Some(before.number));
        if let Some(removed) = removed {
            // If the other value has changed, no harm is done: the entry is read again.
            put_words(&mut request, &[b"md ", removed.as_bytes(), b"\r\n"]);
        }
        let answers = 1 + usize::from(removed.is_some());
        let (replies, _) = self.pipeline.call(request, answers, Some(run)).await?;
        accepted(&replies)?;
        let number = replies.first().and_then(Reply::number);
        Ok(number.map(|number| Found { value, number }))
    }

    async fn remove(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault> {
        let request = for_each(b"md ", keys);
        let (replies, _) = self.pipeline.call(request, keys.len(), Some(run)).await?;
        accepted(&replies)
    }

    async fn fill(
        &self,
        run: &Arc<str>,
        key: &str,
        found: &Found,
        value: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheFault> {
        let mut request = Vec::new();
        put_set(&mut request, key, value, ttl, Some(found.number));
        self.pipeline.tell(request, 1, run).await
    }

    async fn touch(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault> {
        self.pipeline.tell(for_each(b"mg ", keys), keys.len(), run).await
    }

    async fn put(&self, run: &Arc<str>, key: &str, value: &[u8], ttl: Duration) -> Result<(), CacheFault> {
        let mut request = Vec::new();
        put_set(&mut request, key, value, ttl, None);
        self.pipeline.tell(request, 1, run).await
    }
}

impl Protocol for Meta {
    type Reply = Reply;

    async fn greet(&self, wire: &mut Wire) -> Result<String, String> {
        let [process, time, uptime] = stats(wire, b"stats\r\n", ["pid", "time", "uptime"]).await?;
        let [most] = stats(wire, b"stats settings\r\n", ["item_size_max"]).await?;
        let (Some(process), Some(time), Some(uptime)) = (process, time, uptime) else {
            return Err("it does not say which process it is".to_owned());
        };
        if most.is_some_and(|most| most < LEAST_ITEM) {
            return Err("its items are too small: start it with -I 16k or more".to_owned());
        }
        wire.send(TRIAL).await?;
        match wire.read(answer).await? {
            Reply::Done { number: Some(0), .. } => {
                Err("it numbers no values: start it without -C".to_owned())
            }
            Reply::Done { number: Some(_), .. } => Ok(format!("{process} {}", time.saturating_sub(uptime))),
            Reply::Line(line) if line != "ERROR" => Err(refused(&line)),
            Reply::Done { number: None, .. } | Reply::Line(_) | Reply::Nothing => {
                Err("it knows no meta commands: version 1.6 or later is needed".to_owned())
            }
        }
    }

    /// A server that does not understand a command may answer it twice, so that no other answer would be the one to its own command.
    fn reply(input: &mut Input<'_>) -> Result<Reply, ReadFault> {
        match answer(input)? {
            Reply::Line(line) if ![VERSION, REFUSED].iter().any(|begin| line.starts_with(begin)) => {
                Err(ReadFault::Broken(refused(&line)))
            }
            reply => Ok(reply),
        }
    }

    /// The same process, started at the same second, give or take two.
    fn is_same_run(one: &str, other: &str) -> bool {
        let parts = |run| {
            let (process, begin) = str::split_once(run, ' ')?;
            Some((process, begin.parse::<u64>().ok()?))
        };
        match (parts(one), parts(other)) {
            (Some(one), Some(other)) => one.0 == other.0 && one.1.abs_diff(other.1) <= 2,
            _ => false,
        }
    }
}

/// Some of the numbers that it tells.
async fn stats<const N: usize>(
    wire: &mut Wire,
    request: &[u8],
    names: [&str; N],
) -> Result<[Option<u64>; N], String> {
    wire.send(request).await?;
    let mut numbers = [None; N];
    loop {
        let line = wire.read(text).await?;
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("END"), ..) => return Ok(numbers),
            (Some("STAT"), Some(name), value) => {
                let at = names.iter().position(|known| *known == name);
                if let Some(number) = at.and_then(|at| numbers.get_mut(at)) {
                    *number = value.and_then(|value| value.parse().ok());
                }
            }
            _ if line.contains("unauthenticated") => {
                return Err(
                    "it wants a login, which it must not have for this: start it without -Y and -S"
                        .to_owned(),
                );
            }
            // So begin the refusals of Redis.
            _ if line.starts_with('-') => {
                return Err(format!("what listens there is not memcached: it answers {line}"));
            }
            _ => return Err(format!("it answers {line}")),
        }
    }
}

/// Reads an answer.
fn answer(input: &mut Input<'_>) -> Result<Reply, ReadFault> {
    let line = input.line()?;
    let mut words = line.split(|byte| *byte == b' ');
    let code = words.next().unwrap_or_default();
    let value = match code {
        b"VA" => {
            let size = words.next().and_then(number).ok_or_else(ReadFault::strange)?;
            Some(input.bytes(size)?.to_vec())
        }
        b"HD" => None,
        b"EN" | b"NF" | b"NS" | b"EX" | b"MN" => return Ok(Reply::Nothing),
        _ => return Ok(Reply::Line(String::from_utf8_lossy(line).into_owned())),
    };
    let number = words.find_map(|flag| number(flag.strip_prefix(b"c")?));
    Ok(Reply::Done { value, number })
}

/// Reads a line.
fn text(input: &mut Input<'_>) -> Result<String, ReadFault> {
    Ok(String::from_utf8_lossy(input.line()?).into_owned())
}

impl Reply {
    fn value(self) -> Option<Vec<u8>> {
        match self {
            Self::Done { value, .. } => value,
            Self::Nothing | Self::Line(_) => None,
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Self::Done { number, .. } => *number,
            Self::Nothing | Self::Line(_) => None,
        }
    }

    fn found(self) -> Option<Found> {
        let number = self.number()?;
        self.value().map(|value| Found { value, number })
    }
}

/// Whether the server did not refuse anything.
fn accepted(replies: &[Reply]) -> Result<(), CacheFault> {
    let refusal = replies.iter().find_map(|reply| match reply {
        Reply::Line(line) => Some(CacheFault::Away(refused(line))),
        Reply::Done { .. } | Reply::Nothing => None,
    });
    refusal.map_or(Ok(()), Err)
}

fn refused(line: &str) -> String {
    format!("it refuses: {line}")
}

/// The same command for each key.
fn for_each(command: &[u8], keys: &[String]) -> Vec<u8> {
    let mut request = Vec::new();
    for key in keys {
        put_words(&mut request, &[command, key.as_bytes(), b"\r\n"]);
    }
    request
}

/// Stores a value; with a number, in place of the version that has it. The answer has the number of the new version.
fn put_set(request: &mut Vec<u8>, key: &str, value: &[u8], ttl: Duration, number: Option<u64>) {
    put_words(request, &[b"ms ", key.as_bytes(), b" "]);
    put_number(request, value.len() as u64);
    request.extend_from_slice(b" T");
    put_number(request, ttl.as_secs());
    if let Some(number) = number {
        request.extend_from_slice(b" C");
        put_number(request, number);
        request.extend_from_slice(b" c");
    }
    put_words(request, &[b"\r\n", value, b"\r\n"]);
}

fn put_words(request: &mut Vec<u8>, words: &[&[u8]]) {
    for word in words {
        request.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_once_they_are_whole() {
        let done = |value: Option<&str>, number| Reply::Done {
            value: value.map(|value| value.as_bytes().to_vec()),
            number,
        };
        let refused = "SERVER_ERROR out of memory";
        for (bytes, reply) in [
            ("HD\r\n", done(None, None)),
            ("HD c12\r\n", done(None, Some(12))),
            ("VA 4 W c3\r\na\r\nb\r\n", done(Some("a\r\nb"), Some(3))),
            ("VA 0\r\n\r\n", done(Some(""), None)),
            ("EN\r\n", Reply::Nothing),
            ("EX\r\n", Reply::Nothing),
            ("SERVER_ERROR out of memory\r\n", Reply::Line(refused.to_owned())),
        ] {
            let more = format!("{bytes}HD\r\n");
            let mut input = Input::new(more.as_bytes());
            assert_eq!(Meta::reply(&mut input), Ok(reply));
            assert_eq!(Meta::reply(&mut input), Ok(done(None, None)));
            assert_eq!(input.len(), 0);
            for end in 0..bytes.len() {
                let cut = Meta::reply(&mut Input::new(&bytes.as_bytes()[..end]));
                assert_eq!(cut, Err(ReadFault::Incomplete));
            }
        }
        // One command may have both as its answers.
        for strange in [
            "ERROR\r\n",
            "CLIENT_ERROR bad data chunk\r\n",
            "VA\r\n",
            "VA 1\r\nab\r\n",
            "HD\n",
        ] {
            let read = Meta::reply(&mut Input::new(strange.as_bytes()));
            assert!(matches!(read, Err(ReadFault::Broken(_))), "{strange}");
        }
    }

    #[test]
    fn a_run_is_a_process_and_its_beginning() {
        assert!(Meta::is_same_run("7 1000", "7 1001"));
        for other in ["8 1000", "7 1003", "", "7", "x y"] {
            assert!(!Meta::is_same_run("7 1000", other), "{other}");
        }
    }
}
