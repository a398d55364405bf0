//! memcached, by its meta commands.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use foxden_model::Clock;

use super::wire::{Pool, Protocol, Wire, WireFault};
use super::{CacheAddress, CacheFault, CacheLook, CacheRead, CacheServer, Found, Got};

/// The least bytes of an item that a server has to take: more than any value here.
const LEAST_ITEM: u64 = 16 * 1024;
/// Stores nothing for a second. The answer tells whether the server knows what is asked of it.
const TRIAL: &[u8] = b"ms foxden:trial 0 T1 c\r\n\r\n";

/// A server.
pub(super) struct Memcached {
    pool: Pool<Meta>,
    place: String,
}

/// What it speaks.
struct Meta;

/// An answer: its code, its flags and its value.
struct Reply {
    code: String,
    flags: Vec<String>,
    value: Option<Vec<u8>>,
}

impl Memcached {
    pub(super) fn new(address: &CacheAddress, clock: Arc<dyn Clock>) -> Self {
        Self {
            pool: Pool::new(Meta, address.host.clone(), address.port, clock),
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
        let (replies, _) = self.pool.call(b"version\r\n", 1, None).await?;
        let version = replies.first().and_then(|reply| reply.flags.first());
        Ok(CacheLook {
            server: format!("memcached {}", version.map_or("", String::as_str)),
            advice: None,
        })
    }

    async fn run(&self) -> Result<Arc<str>, CacheFault> {
        // A connection knows it; the answer tells that it is still one.
        Ok(self.pool.repeatable(b"mn\r\n", 1).await?.1)
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
            request.extend(set(key, value, ttl, ""));
        }
        let (replies, _) = self.pool.call(&request, values.len(), Some(run)).await?;
        let refused = replies.iter().find(|reply| reply.code != "HD");
        refused.map_or(Ok(()), |reply| Err(reply.refusal()))
    }

    async fn get(&self, read: CacheRead<'_>) -> Result<Got, CacheFault> {
        // A claim of memcached is an empty value with a number of its own.
        let claim = read.claim;
        let claim = claim.map_or_else(String::new, |(_, ttl)| format!(" N{}", ttl.as_secs()));
        let object = read.object.map(|object| format!("mg {object} v\r\n"));
        let value = read.key.map(|key| format!("mg {key} v c{claim}\r\n"));
        let list = format!("mg {} v c\r\n", read.list);
        let request = [object.unwrap_or_default(), value.unwrap_or_default(), list].concat();
        let answers = 1 + usize::from(read.object.is_some()) + usize::from(read.key.is_some());
        // Each claim has a number of its own, also if it is sent twice.
        let (replies, run) = self.pool.repeatable(request.as_bytes(), answers).await?;
        let mut replies = replies.into_iter();
        let object = read.object.and_then(|_| replies.next());
        let value = read.key.and_then(|_| replies.next());
        let list = replies.next();
        if let Some(refused) = list.as_ref().filter(|list| list.code.contains("ERROR")) {
            return Err(refused.refusal());
        }
        Ok(Got {
            list: list.and_then(Reply::found),
            value: value.and_then(Reply::found),
            object: object.and_then(|object| object.value),
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
        let mut request = set(key, &value, ttl, &format!(" C{} c", before.number));
        if let Some(removed) = removed {
            // If the other value has changed, no harm is done: the entry is read again.
            request.extend(format!("md {removed}\r\n").into_bytes());
        }
        let answers = 1 + usize::from(removed.is_some());
        let (replies, _) = self.pool.call(&request, answers, Some(run)).await?;
        if let Some(refused) = replies.iter().find(|reply| reply.code.contains("ERROR")) {
            return Err(refused.refusal());
        }
        let stored = replies.first().filter(|reply| reply.code == "HD");
        let number = stored.and_then(Reply::number);
        Ok(number.map(|number| Found { value, number }))
    }

    async fn remove(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault> {
        let requests: Vec<_> = keys.iter().map(|key| format!("md {key}\r\n")).collect();
        let request = requests.concat();
        let (replies, _) = self.pool.call(request.as_bytes(), keys.len(), Some(run)).await?;
        let refused = replies.iter().find(|reply| reply.code.contains("ERROR"));
        refused.map_or(Ok(()), |reply| Err(reply.refusal()))
    }

    async fn fill(
        &self,
        run: &Arc<str>,
        key: &str,
        found: &Found,
        value: &[u8],
        ttl: Duration,
    ) -> Result<(), CacheFault> {
        let request = set(key, value, ttl, &format!(" C{}", found.number));
        self.pool.tell(&request, 1, run).await
    }

    async fn touch(&self, run: &Arc<str>, keys: &[String]) -> Result<(), CacheFault> {
        let requests: Vec<_> = keys.iter().map(|key| format!("mg {key}\r\n")).collect();
        self.pool
            .tell(requests.concat().as_bytes(), keys.len(), run)
            .await
    }

    async fn put(&self, run: &Arc<str>, key: &str, value: &[u8], ttl: Duration) -> Result<(), CacheFault> {
        self.pool.tell(&set(key, value, ttl, ""), 1, run).await
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
        let answer = Self::reply(wire).await?;
        match (answer.code.as_str(), answer.number()) {
            ("HD", Some(0)) => Err("it numbers no values: start it without -C".to_owned()),
            ("HD", Some(_)) => Ok(format!("{process} {}", time.saturating_sub(uptime))),
            ("HD" | "ERROR", _) => {
                Err("it knows no meta commands: version 1.6 or later is needed".to_owned())
            }
            _ => Err(answer.refused()),
        }
    }

    async fn reply(wire: &mut Wire) -> Result<Reply, WireFault> {
        let line = wire.line().await?;
        let mut words = line.split(' ').map(str::to_owned);
        let code = words.next().unwrap_or_default();
        let mut value = None;
        if code == "VA" {
            let size = words.next().and_then(|size| size.parse().ok());
            value = Some(wire.bytes(size.ok_or_else(WireFault::strange)?).await?);
        }
        Ok(Reply {
            code,
            flags: words.collect(),
            value,
        })
    }

    /// The same process, started at the same second, give or take two.
    fn is_same_run(one: &str, other: &str) -> bool {
        let parts = |run: &str| {
            let (process, begin) = run.split_once(' ')?;
            Some((process.to_owned(), begin.parse::<u64>().ok()?))
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
        let line = wire.line().await?;
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
            _ => return Err(format!("it answers {line}")),
        }
    }
}

impl Reply {
    /// The number of the value's version.
    fn number(&self) -> Option<u64> {
        let mut flags = self.flags.iter();
        flags.find_map(|flag| flag.strip_prefix('c')?.parse().ok())
    }

    fn found(self) -> Option<Found> {
        let number = self.number()?;
        self.value.map(|value| Found { value, number })
    }

    fn refused(&self) -> String {
        format!("it refuses: {} {}", self.code, self.flags.join(" "))
    }

    fn refusal(&self) -> CacheFault {
        CacheFault::Away(self.refused())
    }
}

fn set(key: &str, value: &[u8], ttl: Duration, flags: &str) -> Vec<u8> {
    let mut request = format!("ms {key} {} T{}{flags}\r\n", value.len(), ttl.as_secs()).into_bytes();
    request.extend_from_slice(value);
    request.extend_from_slice(b"\r\n");
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_a_process_and_its_beginning() {
        assert!(Meta::is_same_run("7 1000", "7 1001"));
        for other in ["8 1000", "7 1003", "", "7", "x y"] {
            assert!(!Meta::is_same_run("7 1000", other), "{other}");
        }
    }
}
