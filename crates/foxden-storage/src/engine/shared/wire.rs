//! Connections to a cache server: each is used for one call at a time, and kept for the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foxden_model::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::CacheFault;

/// How long a connection may take to be made, its greeting included.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a call may take, a connection included.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long after a failure no connection is tried.
const REST_MILLIS: i64 = 1000;
/// How long other calls wait for the outcome of the one that tries again. It is known earlier, but for a call that was dropped.
const TRIAL_MILLIS: i64 = 2000;
/// How lately another call was answered if a failure is one of its connection alone.
const LATELY_MILLIS: i64 = 500;
/// How long a connection is kept without a use. Servers and firewalls end idle ones, and some say nothing.
const IDLE_MILLIS: i64 = 60_000;
/// The most connections at once.
const MOST_CONNECTIONS: usize = 64;
/// The most answers of a connection that no call waits for.
const MOST_UNREAD: usize = 64;
/// The longest line and the longest value of an answer.
const MOST_BYTES: usize = 1 << 20;

/// What a kind of server speaks.
pub(super) trait Protocol: Send + Sync + 'static {
    /// An answer.
    type Reply: Send;

    /// Logs in, checks the server, and tells which run of it this is.
    fn greet(&self, wire: &mut Wire) -> impl Future<Output = Result<String, String>> + Send;

    /// Reads the next answer.
    fn reply(wire: &mut Wire) -> impl Future<Output = Result<Self::Reply, WireFault>> + Send;

    /// Whether two texts name the same run.
    fn is_same_run(one: &str, other: &str) -> bool {
        one == other
    }
}

/// Why there is no answer.
pub(super) enum WireFault {
    /// The connection has ended, or says what no server says.
    Broken(String),
    /// The server takes too long.
    Slow,
}

/// The connections to one server.
pub(super) struct Pool<P> {
    protocol: P,
    host: String,
    port: u16,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Wire>,
    /// The run of the server that was met last.
    run: Option<Arc<str>>,
    down: Option<Down>,
    /// When a call was answered last.
    answered: Option<i64>,
}

/// The server could not be reached.
struct Down {
    cause: String,
    /// Until when it is not tried again.
    until: i64,
}

/// A connection.
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    read: usize,
    /// Answers that no call waits for and that come first.
    unread: usize,
    /// The run of the server: a restart ends its connections.
    run: Arc<str>,
    /// When it was last used.
    used: i64,
}

/// A connection in use. Unless it is given back it is closed: an answer may still come.
struct Held<'a> {
    wire: Wire,
    is_fresh: bool,
    _permit: SemaphorePermit<'a>,
}

impl<P: Protocol> Pool<P> {
    pub(super) fn new(protocol: P, host: String, port: u16, clock: Arc<dyn Clock>) -> Self {
        Self {
            protocol,
            host,
            port,
            clock,
            permits: Semaphore::new(MOST_CONNECTIONS),
            state: Mutex::default(),
        }
    }

    /// Sends commands that may be sent twice, and returns the answers and the run of the server that gave them.
    pub(super) async fn repeatable(
        &self,
        request: &[u8],
        answers: usize,
    ) -> Result<(Vec<P::Reply>, Arc<str>), CacheFault> {
        let called = timeout(CALL_TIMEOUT, self.exchange_again(request, answers)).await;
        called.unwrap_or_else(|_| Err(self.failed(WireFault::Slow)))
    }

    /// Sends commands once, and returns the answers and the run of the server that gave them. With a run, no other one is asked.
    pub(super) async fn call(
        &self,
        request: &[u8],
        answers: usize,
        run: Option<&Arc<str>>,
    ) -> Result<(Vec<P::Reply>, Arc<str>), CacheFault> {
        let called = timeout(CALL_TIMEOUT, async {
            let held = self.take(run).await?;
            let exchanged = self.exchange(held, request, answers).await;
            exchanged.map_err(|fault| self.failed(fault))
        });
        called.await.unwrap_or_else(|_| Err(self.failed(WireFault::Slow)))
    }

    /// Sends commands whose answers no call needs.
    pub(super) async fn tell(
        &self,
        request: &[u8],
        answers: usize,
        run: &Arc<str>,
    ) -> Result<(), CacheFault> {
        let told = timeout(CALL_TIMEOUT, async {
            let mut held = self.take(Some(run)).await?;
            let told = held.wire.tell::<P>(request, answers).await;
            told.map_err(|fault| self.failed(fault))?;
            self.give_back(held);
            Ok(())
        });
        told.await.unwrap_or_else(|_| Err(self.failed(WireFault::Slow)))
    }

    async fn exchange_again(
        &self,
        request: &[u8],
        answers: usize,
    ) -> Result<(Vec<P::Reply>, Arc<str>), CacheFault> {
        loop {
            let held = self.take(None).await?;
            let is_fresh = held.is_fresh;
            match self.exchange(held, request, answers).await {
                Ok(answer) => return Ok(answer),
                // The server has closed it while it was idle, perhaps.
                Err(WireFault::Broken(_)) if !is_fresh => self.state().idle.clear(),
                Err(fault) => return Err(self.failed(fault)),
            }
        }
    }

    async fn exchange(
        &self,
        mut held: Held<'_>,
        request: &[u8],
        answers: usize,
    ) -> Result<(Vec<P::Reply>, Arc<str>), WireFault> {
        let replies = held.wire.exchange::<P>(request, answers).await?;
        let run = Arc::clone(&held.wire.run);
        self.give_back(held);
        Ok((replies, run))
    }

    /// A connection for one call.
    async fn take(&self, run: Option<&Arc<str>>) -> Result<Held<'_>, CacheFault> {
        let permit = timeout(ANSWER_TIMEOUT, self.permits.acquire()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(CacheFault::Away("all connections to it are busy".to_owned()));
        };
        let idle = self.idle()?;
        let is_fresh = idle.is_none();
        let wire = match idle {
            Some(wire) => wire,
            None => self.connect().await?,
        };
        let held = Held {
            wire,
            is_fresh,
            _permit: permit,
        };
        if run.is_some_and(|run| !P::is_same_run(run, &held.wire.run)) {
            self.give_back(held);
            return Err(CacheFault::Lost);
        }
        Ok(held)
    }

    /// An idle connection, if there is one. While the server is down, one call at a time tries again.
    fn idle(&self) -> Result<Option<Wire>, CacheFault> {
        let now = self.clock.steady_millis();
        let mut state = self.state();
        if let Some(down) = &mut state.down {
            if now < down.until {
                return Err(CacheFault::Away(down.cause.clone()));
            }
            down.until = now + TRIAL_MILLIS;
        }
        while let Some(mut wire) = state.idle.pop() {
            if now - wire.used < IDLE_MILLIS && wire.is_open() {
                return Ok(Some(wire));
            }
        }
        Ok(None)
    }

    /// Keeps a connection whose answers have been read, but for those that it knows of.
    fn give_back(&self, mut held: Held<'_>) {
        let now = self.clock.steady_millis();
        let mut state = self.state();
        state.answered = Some(now);
        held.wire.used = now;
        if state.down.is_none()
            && state
                .run
                .as_ref()
                .is_some_and(|run| Arc::ptr_eq(run, &held.wire.run))
        {
            state.idle.push(held.wire);
        }
    }

    async fn connect(&self) -> Result<Wire, CacheFault> {
        let connected = timeout(CONNECT_TIMEOUT, self.greeted()).await;
        let connected = connected.unwrap_or_else(|_| Err(slow()));
        let mut state = self.state();
        match connected {
            Ok(mut wire) => {
                let known = state.run.clone();
                if let Some(known) = known.filter(|known| P::is_same_run(known, &wire.run)) {
                    wire.run = known;
                } else {
                    // Connections of an earlier run are of no use.
                    state.idle.clear();
                    state.run = Some(Arc::clone(&wire.run));
                }
                state.down = None;
                Ok(wire)
            }
            Err(cause) => {
                state.rest(self.clock.steady_millis(), cause.clone());
                Err(CacheFault::Away(cause))
            }
        }
    }

    async fn greeted(&self) -> Result<Wire, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut wire = Wire {
            stream,
            buffer: Vec::new(),
            read: 0,
            unread: 0,
            run: Arc::from(""),
            used: self.clock.steady_millis(),
        };
        wire.run = self.protocol.greet(&mut wire).await?.into();
        Ok(wire)
    }

    fn failed(&self, fault: WireFault) -> CacheFault {
        let mut state = self.state();
        CacheFault::Away(match fault {
            WireFault::Broken(cause) => {
                // Whether the server is down, the next connection tells.
                state.idle.clear();
                cause
            }
            WireFault::Slow => {
                state.rest(self.clock.steady_millis(), slow());
                slow()
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes a failure. If no other call is answered either, the server is not asked for a while.
    fn rest(&mut self, now: i64, cause: String) {
        if self
            .answered
            .is_some_and(|answered| now - answered < LATELY_MILLIS)
        {
            return;
        }
        self.idle.clear();
        self.down = Some(Down {
            cause,
            until: now + REST_MILLIS,
        });
    }
}

fn slow() -> String {
    "it does not answer in time".to_owned()
}

impl Wire {
    pub(super) async fn send(&mut self, request: &[u8]) -> Result<(), WireFault> {
        let sent = self.stream.write_all(request).await;
        sent.map_err(|error| WireFault::Broken(error.to_string()))
    }

    async fn exchange<P: Protocol>(
        &mut self,
        request: &[u8],
        answers: usize,
    ) -> Result<Vec<P::Reply>, WireFault> {
        self.send(request).await?;
        self.skip::<P>().await?;
        let mut replies = Vec::with_capacity(answers);
        for _ in 0..answers {
            replies.push(P::reply(self).await?);
        }
        if self.read < self.buffer.len() {
            // One answer too many: those that were read may belong to earlier commands.
            return Err(WireFault::Broken("it answers more than it is asked".to_owned()));
        }
        Ok(replies)
    }

    async fn tell<P: Protocol>(&mut self, request: &[u8], answers: usize) -> Result<(), WireFault> {
        if self.unread >= MOST_UNREAD {
            self.skip::<P>().await?;
        }
        self.send(request).await?;
        self.unread += answers;
        Ok(())
    }

    /// Reads the answers that no call waits for.
    async fn skip<P: Protocol>(&mut self) -> Result<(), WireFault> {
        while self.unread > 0 {
            P::reply(self).await?;
            self.unread -= 1;
        }
        Ok(())
    }

    /// Whether an idle connection can be used.
    fn is_open(&mut self) -> bool {
        match self.stream.try_read_buf(&mut self.buffer) {
            Ok(0) => false,
            Ok(_) => self.unread > 0,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    /// The next line, without its end.
    pub(super) async fn line(&mut self) -> Result<String, WireFault> {
        loop {
            let unread = &self.buffer[self.read..];
            if let Some(end) = unread.windows(2).position(|end| end == b"\r\n") {
                let line = String::from_utf8_lossy(&unread[..end]).into_owned();
                self.read += end + 2;
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    /// The next bytes, which a line end follows.
    pub(super) async fn bytes(&mut self, count: usize) -> Result<Vec<u8>, WireFault> {
        if count > MOST_BYTES {
            return Err(too_long());
        }
        while self.buffer.len() - self.read < count + 2 {
            self.fill().await?;
        }
        let bytes = self.buffer[self.read..self.read + count].to_vec();
        self.read += count + 2;
        Ok(bytes)
    }

    async fn fill(&mut self) -> Result<(), WireFault> {
        self.buffer.drain(..self.read);
        self.read = 0;
        if self.buffer.len() > 2 * MOST_BYTES {
            return Err(too_long());
        }
        match timeout(ANSWER_TIMEOUT, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(0)) => Err(WireFault::Broken("it has closed the connection".to_owned())),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(WireFault::Broken(error.to_string())),
            Err(_) => Err(WireFault::Slow),
        }
    }
}

fn too_long() -> WireFault {
    WireFault::Broken("an answer is too long".to_owned())
}

impl WireFault {
    pub(super) fn strange() -> Self {
        Self::Broken("its answer has another form".to_owned())
    }
}

impl From<WireFault> for String {
    fn from(fault: WireFault) -> Self {
        match fault {
            WireFault::Broken(cause) => cause,
            WireFault::Slow => slow(),
        }
    }
}
