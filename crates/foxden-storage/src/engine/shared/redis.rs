//! Redis and Valkey, by the few commands that the cache needs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::Clock;

use super::pipeline::Pipeline;
use super::wire::{Input, Protocol, ReadFault, STRANGE, Wire, number, put_number};
use super::{CacheAddress, CacheFault, CacheLook, CacheRead, CacheServer, Found, Got};

/// Stores a value if the one before has not changed, and removes another key then.
const REPLACE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                       redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) \
                       if KEYS[2] then redis.call('DEL', KEYS[2]) end return 1";
/// Reads values and answers nothing of them: fewer commands to allow than with TOUCH.
const TOUCH: &str = "for _, key in ipairs(KEYS) do redis.call('GET', key) end";
/// The earliest version of Redis, and that of Valkey, which has another number of its own for it.
const LEAST_VERSION: u32 = 7;
/// The most values of an answer.
const MOST_VALUES: usize = 16;
/// The bytes that a request which reads has room for.
const READ_BYTES: usize = 320;

/// A server.
pub(super) struct Redis {
    pipeline: Pipeline<Login>,
    place: String,
}

/// What it speaks, and who speaks with it.
struct Login(CacheAddress);

/// An answer.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Done,
    Error(String),
    Number(i64),
    Bytes(Vec<u8>),
    Nothing,
    List(Vec<Option<Vec<u8>>>),
}

impl Redis {
    pub(super) fn new(address: CacheAddress, clock: Arc<dyn Clock>) -> Self {
        let (host, port, place) = (address.host.clone(), address.port, address.to_string());
        Self {
            pipeline: Pipeline::new(Login(address), host, port, clock),
            place,
        }
    }

    /// The answer to one command.
    async fn ask(&self, request: Vec<u8>, run: Option<&Arc<str>>) -> Result<Reply, CacheFault> {
        let (replies, _) = self.pipeline.call(request, 1, run).await?;
        match replies.into_iter().next() {
            Some(Reply::Error(cause)) => Err(CacheFault::Away(cause)),
            Some(reply) => Ok(reply),
            None => Err(strange()),
        }
    }
}

#[async_trait]
impl CacheServer for Redis {
    fn place(&self) -> &str {
        &self.place
    }

    async fn look(&self) -> Result<CacheLook, CacheFault> {
        let Reply::Bytes(info) = self.ask(command(&[b"INFO"]), None).await? else {
            return Err(strange());
        };
        Ok(judged(&String::from_utf8_lossy(&info)))
    }

    async fn run(&self) -> Result<Arc<str>, CacheFault> {
        // A connection knows it; the answer tells that it is still one.
        Ok(self.pipeline.repeatable(command(&[b"PING"]), 1).await?.1)
    }

    fn is_same_run(&self, one: &str, other: &str) -> bool {
        Login::is_same_run(one, other)
    }

    async fn store(
        &self,
        run: &Arc<str>,
        values: &[(String, Vec<u8>)],
        ttl: Duration,
    ) -> Result<(), CacheFault> {
        let mut request = Vec::new();
        for (key, value) in values {
            put_set(&mut request, key, value, ttl);
        }
        let (replies, _) = self.pipeline.call(request, values.len(), Some(run)).await?;
        let failed = replies.into_iter().find_map(|reply| match reply {
            Reply::Error(cause) => Some(CacheFault::Away(cause)),
            _ => None,
        });
        failed.map_or(Ok(()), Err)
    }

    async fn get(&self, read: CacheRead<'_>) -> Result<Got, CacheFault> {
        let keys = [Some(read.list), read.key, read.object].map(|key| key.map(str::as_bytes));
        let mut request = Vec::with_capacity(READ_BYTES);
        let mut answers = 1;
        if let (Some(key), Some((claim, ttl))) = (read.key, read.claim) {
            // It is refused if there is an entry, or no memory.
            put_claim(&mut request, key, claim, ttl);
            answers += 1;
        }
        let asked = keys.iter().flatten().count();
        begin(&mut request, 1 + asked);
        put_word(&mut request, b"MGET");
        for key in keys.iter().flatten() {
            put_word(&mut request, key);
        }
        // A claim that arrives late, once more, could come after the write that has removed it.
        let (replies, run) = match read.claim {
            Some(_) => self.pipeline.call(request, answers, None).await?,
            None => self.pipeline.repeatable(request, answers).await?,
        };
        let values = match replies.into_iter().next_back() {
            Some(Reply::List(values)) if values.len() == asked => values,
            Some(Reply::Error(cause)) => return Err(CacheFault::Away(cause)),
            _ => return Err(strange()),
        };
        let mut values = values.into_iter();
        let mut next = |key: Option<&[u8]>| key.and_then(|_| values.next().flatten());
        let [list, value, object] = keys.map(&mut next);
        Ok(Got {
            list: list.map(found),
            value: value.map(found),
            object,
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
        let request = replace(key, &before.value, &value, ttl, removed);
        let reply = self.ask(request, Some(run)).await?;
        Ok((reply == Reply::Number(1)).then(|| found(value)))
    }

    async fn remove(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault> {
        let words: Vec<_> = std::iter::once(b"DEL".as_slice())
            .chain(keys.iter().map(String::as_bytes))
            .collect();
        self.ask(command(&words), Some(run)).await.map(drop)
    }

    async fn fill(
        &self,
        run: &Arc<str>,
        key: &str,
        found: &Found,
        value: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheFault> {
        let request = replace(key, &found.value, value, ttl, None);
        self.pipeline.tell(request, 1, run).await
    }

    async fn touch(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault> {
        let count = keys.len().to_string();
        let mut words = vec![b"EVAL".as_slice(), TOUCH.as_bytes(), count.as_bytes()];
        words.extend(keys.iter().map(String::as_bytes));
        self.pipeline.tell(command(&words), 1, run).await
    }

    async fn put(&self, run: &Arc<str>, key: &str, value: &[u8], ttl: Duration) -> Result<(), CacheFault> {
        let mut request = Vec::new();
        put_set(&mut request, key, value, ttl);
        self.pipeline.tell(request, 1, run).await
    }
}

impl Protocol for Login {
    type Reply = Reply;

    async fn greet(&self, wire: &mut Wire) -> Result<String, String> {
        let Self(address) = self;
        if let Some(password) = &address.password {
            let mut words = vec![b"AUTH".as_slice()];
            words.extend(address.user.as_deref().map(str::as_bytes));
            words.push(password.as_bytes());
            greeted(wire, &command(&words), "the password").await?;
        }
        if address.database != 0 {
            let number = address.database.to_string();
            greeted(wire, &command(&[b"SELECT", number.as_bytes()]), "the database").await?;
        }
        let Reply::Bytes(info) = greeted(wire, &command(&[b"INFO"]), "INFO").await? else {
            return Err("it tells nothing of itself".to_owned());
        };
        check(&String::from_utf8_lossy(&info))
    }

    fn reply(input: &mut Input<'_>) -> Result<Reply, ReadFault> {
        let (kind, rest) = input.line()?.split_first().ok_or_else(ReadFault::strange)?;
        Ok(match kind {
            b'+' => Reply::Done,
            b'-' => Reply::Error(String::from_utf8_lossy(rest).into_owned()),
            b':' => Reply::Number(number(rest).ok_or_else(ReadFault::strange)?),
            b'$' => bytes(input, rest)?.map_or(Reply::Nothing, Reply::Bytes),
            b'*' => {
                let values = length(rest)?.unwrap_or_default();
                if values > MOST_VALUES {
                    return Err(ReadFault::strange());
                }
                let mut list = Vec::with_capacity(values);
                for _ in 0..values {
                    let line = input.line()?;
                    let length = line.strip_prefix(b"$").ok_or_else(ReadFault::strange)?;
                    list.push(bytes(input, length)?);
                }
                Reply::List(list)
            }
            _ => return Err(ReadFault::strange()),
        })
    }
}

/// The answer to a command of the greeting.
async fn greeted(wire: &mut Wire, request: &[u8], what: &str) -> Result<Reply, String> {
    wire.send(request).await?;
    let reply = wire.read(Login::reply).await.map_err(|cause| match &*cause {
        STRANGE => format!("what listens there is not Redis: {cause}"),
        _ => cause,
    });
    match reply? {
        Reply::Error(cause) if cause.starts_with("NOAUTH") => Err(
            "it wants a password: write redis://:PASSWORD@HOST, or redis://HOST?password_file=FILE"
                .to_owned(),
        ),
        Reply::Error(cause) => Err(format!("it refuses {what}: {cause}")),
        reply => Ok(reply),
    }
}

/// Returns the run of a server that is fit.
fn check(info: &str) -> Result<String, String> {
    let field = |name| field(info, name);
    let version = field("redis_version").unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < LEAST_VERSION) {
        return Err(format!(
            "it is Redis {version}: version 7.0 or later is needed, or Valkey 8.0"
        ));
    }
    if field("role") == Some("slave") {
        return Err(
            "it is a replica, and may follow another server at any time: name a server of its own, without replicas"
                .to_owned(),
        );
    }
    if field("connected_slaves").is_some_and(|replicas| replicas != "0") {
        return Err(
            "it has replicas, which may take its place without its last values: name a server of its own"
                .to_owned(),
        );
    }
    if field("cluster_enabled") == Some("1") {
        return Err("it is part of a cluster: name a server of its own".to_owned());
    }
    let policy = field("maxmemory_policy").unwrap_or_default();
    let is_bounded = field("maxmemory").is_some_and(|bytes| bytes != "0");
    if is_bounded && policy.ends_with("random") {
        return Err(format!(
            "its maxmemory-policy is {policy}, which removes what is in use: set allkeys-lru"
        ));
    }
    field("run_id")
        .map(str::to_owned)
        .ok_or_else(|| "it tells no run_id".to_owned())
}

/// What a server that is fit is, and what it would be better with.
fn judged(info: &str) -> CacheLook {
    let field = |name| field(info, name);
    let server = match (field("valkey_version"), field("redis_version")) {
        (Some(valkey), _) => format!("Valkey {valkey}"),
        (None, redis) => format!("Redis {}", redis.unwrap_or_default()),
    };
    let is_unbounded = field("maxmemory").is_some_and(|bytes| bytes == "0");
    let cause = if is_unbounded {
        Some("takes as much memory as it likes".to_owned())
    } else if field("maxmemory_policy") == Some("noeviction") {
        Some("stores nothing more once its memory is full".to_owned())
    } else {
        None
    };
    let cure = "set maxmemory, and maxmemory-policy allkeys-lru".to_owned();
    CacheLook {
        server,
        advice: cause.map(|cause| (cause, cure)),
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// A command of these words.
fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut request = Vec::new();
    put_command(&mut request, words);
    request
}

fn put_command(request: &mut Vec<u8>, words: &[&[u8]]) {
    begin(request, words.len());
    for word in words {
        put_word(request, word);
    }
}

/// Begins a command of so many words.
fn begin(request: &mut Vec<u8>, words: usize) {
    request.push(b'*');
    put_number(request, words as u64);
    request.extend_from_slice(b"\r\n");
}

fn put_word(request: &mut Vec<u8>, word: &[u8]) {
    request.push(b'$');
    put_number(request, word.len() as u64);
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(word);
    request.extend_from_slice(b"\r\n");
}

fn put_set(request: &mut Vec<u8>, key: &str, value: &[u8], ttl: Duration) {
    let ttl = ttl.as_secs().to_string();
    put_command(request, &[b"SET", key.as_bytes(), value, b"EX", ttl.as_bytes()]);
}

/// Stores a value under a key that is absent.
fn put_claim(request: &mut Vec<u8>, key: &str, value: &[u8], ttl: Duration) {
    let ttl = ttl.as_secs().to_string();
    put_command(
        request,
        &[b"SET", key.as_bytes(), value, b"EX", ttl.as_bytes(), b"NX"],
    );
}

fn replace(key: &str, before: &[u8], value: &[u8], ttl: Duration, removed: Option<&str>) -> Vec<u8> {
    let ttl = ttl.as_secs().to_string();
    let count = if removed.is_some() { b"2" } else { b"1" };
    let mut words = vec![b"EVAL".as_slice(), REPLACE.as_bytes(), count, key.as_bytes()];
    words.extend(removed.map(str::as_bytes));
    words.extend([before, value, ttl.as_bytes()]);
    command(&words)
}

const fn found(value: Vec<u8>) -> Found {
    Found { value, number: 0 }
}

fn strange() -> CacheFault {
    CacheFault::Away(STRANGE.to_owned())
}

/// A length that was told; none if it is below zero, which stands for nothing.
fn length(digits: &[u8]) -> Result<Option<usize>, ReadFault> {
    let length: i64 = number(digits).ok_or_else(ReadFault::strange)?;
    Ok(usize::try_from(length).ok())
}

/// The bytes of this length; none if it is below zero.
fn bytes(input: &mut Input<'_>, digits: &[u8]) -> Result<Option<Vec<u8>>, ReadFault> {
    let length = length(digits)?;
    length.map(|length| Ok(input.bytes(length)?.to_vec())).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_once_they_are_whole() {
        let list = Reply::List(vec![Some(b"a\r\nb".to_vec()), None, Some(Vec::new())]);
        for (bytes, reply) in [
            ("+OK\r\n", Reply::Done),
            ("-ERR no\r\n", Reply::Error("ERR no".to_owned())),
            (":-12\r\n", Reply::Number(-12)),
            ("$3\r\nabc\r\n", Reply::Bytes(b"abc".to_vec())),
            ("$-1\r\n", Reply::Nothing),
            ("*3\r\n$4\r\na\r\nb\r\n$-1\r\n$0\r\n\r\n", list),
            ("*-1\r\n", Reply::List(Vec::new())),
        ] {
            let more = format!("{bytes}+OK\r\n");
            let mut input = Input::new(more.as_bytes());
            assert_eq!(Login::reply(&mut input), Ok(reply));
            assert_eq!(Login::reply(&mut input), Ok(Reply::Done));
            assert_eq!(input.len(), 0);
            for end in 0..bytes.len() {
                let cut = Login::reply(&mut Input::new(&bytes.as_bytes()[..end]));
                assert_eq!(cut, Err(ReadFault::Incomplete));
            }
        }
        for strange in [
            "\r\n",
            "OK\r\n",
            "+OK\n",
            ":x\r\n",
            "$1\r\nabc",
            "*17\r\n",
            "*1\r\n:1\r\n",
            "$1048577\r\n",
        ] {
            let read = Login::reply(&mut Input::new(strange.as_bytes()));
            assert!(matches!(read, Err(ReadFault::Broken(_))), "{strange}");
        }
    }

    #[test]
    fn a_command_says_how_long_its_words_are() {
        let request = command(&[b"SET", b"", &[b'x'; 1234]]);
        let text = String::from_utf8(request).unwrap();
        assert!(text.starts_with("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1234\r\nxxx"));
    }

    #[test]
    fn a_server_that_is_not_fit_is_refused_with_the_cure() {
        let info = |more: &str| {
            check(&format!(
                "redis_version:7.0.15\r\nrun_id:abc\r\nrole:master\r\n{more}"
            ))
        };
        for fit in [
            "connected_slaves:0\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-random\r\n",
            "maxmemory:9\r\nmaxmemory_policy:allkeys-lru\r\n",
        ] {
            assert_eq!(info(fit).unwrap(), "abc");
        }
        for (unfit, cause) in [
            (
                "maxmemory:9\r\nmaxmemory_policy:volatile-random\r\n",
                "set allkeys-lru",
            ),
            ("cluster_enabled:1\r\n", "part of a cluster"),
            ("connected_slaves:1\r\n", "it has replicas"),
        ] {
            assert!(info(unfit).unwrap_err().contains(cause));
        }
        for (other, cause) in [
            ("redis_version:7.0.0\r\nrole:slave\r\n", "it is a replica"),
            ("redis_version:6.2.14\r\nrun_id:abc\r\n", "version 7.0 or later"),
            ("", "version 7.0 or later"),
        ] {
            assert!(check(other).unwrap_err().contains(cause));
        }
    }
}
