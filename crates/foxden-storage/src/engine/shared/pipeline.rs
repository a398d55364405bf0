//! Calls to a cache server, pipelined: all share one connection, and none waits for the answer to another one before it is sent.

mod call;
mod connection;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foxden_model::Clock;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::call::{Answer, Call, Sending};
use super::CacheFault;
use super::wire::{Protocol, Wire};

/// How long a connection may take to be made, its greeting included.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a call may wait until it is sent. With [`connection::ANSWER_TIMEOUT`] it takes no more than a second.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);
/// How long after a failure no connection is tried.
const REST_MILLIS: i64 = 1000;
/// How long other calls wait for the outcome of the one that tries again. It is known earlier, but for a call that was not sent.
const TRIAL_MILLIS: i64 = 2000;
/// The most calls that wait to be sent.
const MOST_WAITING: usize = 512;

/// The calls to one server.
pub(super) struct Pipeline<P: Protocol> {
    target: Arc<Target<P>>,
    queue: Mutex<Queue<P::Reply>>,
}

/// The way to the task that has the connection.
struct Queue<R> {
    calls: Option<mpsc::Sender<Call<R>>>,
    /// The task, which ends with the pipeline.
    task: JoinSet<()>,
}

/// A server and what is known of it.
struct Target<P> {
    protocol: P,
    host: String,
    port: u16,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The run of the server that was met last.
    run: Option<Arc<str>>,
    down: Option<Down>,
}

/// The server could not be reached.
struct Down {
    cause: String,
    /// Until when it is not tried again.
    until: i64,
}

impl<P: Protocol> Pipeline<P> {
    pub(super) fn new(protocol: P, host: String, port: u16, clock: Arc<dyn Clock>) -> Self {
        let target = Arc::new(Target {
            protocol,
            host,
            port,
            clock,
            state: Mutex::default(),
        });
        let queue = Mutex::new(Queue {
            calls: None,
            task: JoinSet::new(),
        });
        Self { target, queue }
    }

    /// Sends commands that may be sent twice, and returns the answers and the run of the server that gave them.
    pub(super) async fn repeatable(
        &self,
        request: Vec<u8>,
        answers: usize,
    ) -> Result<Answer<P::Reply>, CacheFault> {
        self.ask(request, answers, Sending::Repeatable, None).await
    }

    /// Sends commands once, and returns the answers and the run of the server that gave them. With a run, no other one is asked.
    pub(super) async fn call(
        &self,
        request: Vec<u8>,
        answers: usize,
        run: Option<&Arc<str>>,
    ) -> Result<Answer<P::Reply>, CacheFault> {
        self.ask(request, answers, Sending::Once, run).await
    }

    /// Has commands sent whose answers no call needs.
    pub(super) async fn tell(
        &self,
        request: Vec<u8>,
        answers: usize,
        run: &Arc<str>,
    ) -> Result<(), CacheFault> {
        let call = Call::told(request, answers, Arc::clone(run));
        self.enqueue(call).await
    }

    async fn ask(
        &self,
        request: Vec<u8>,
        answers: usize,
        sending: Sending,
        run: Option<&Arc<str>>,
    ) -> Result<Answer<P::Reply>, CacheFault> {
        let (call, answer) = Call::new(request, answers, sending, run.cloned());
        self.enqueue(call).await?;
        let answer = answer.await;
        answer.unwrap_or_else(|_| Err(given_up()))
    }

    /// Has the task that has the connection send a call.
    async fn enqueue(&self, call: Call<P::Reply>) -> Result<(), CacheFault> {
        self.target.admit()?;
        let calls = self.calls();
        let call = match calls.try_send(call) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(call) | TrySendError::Closed(call)) => call,
        };
        match timeout(SEND_TIMEOUT, calls.send(call)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(given_up()),
            Err(_) => Err(CacheFault::Away("too many calls wait for it".to_owned())),
        }
    }

    /// The way to the task, which begins with the first call.
    fn calls(&self) -> mpsc::Sender<Call<P::Reply>> {
        // No code panics under this lock.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = &queue.calls
            && !calls.is_closed()
        {
            return calls.clone();
        }
        let (calls, waiting) = mpsc::channel(MOST_WAITING);
        // A stop need not wait for it: callers wait for what matters, and it ends with the pipeline.
        queue.task = JoinSet::new();
        queue
            .task
            .spawn(connection::serve(Arc::clone(&self.target), waiting));
        queue.calls = Some(calls.clone());
        calls
    }
}

impl<P: Protocol> Target<P> {
    /// Refuses a call while the server is down, but for one at a time, which tries again.
    fn admit(&self) -> Result<(), CacheFault> {
        let mut state = self.state();
        let Some(down) = &mut state.down else {
            return Ok(());
        };
        let now = self.clock.steady_millis();
        if now < down.until {
            return Err(CacheFault::Away(down.cause.clone()));
        }
        down.until = now + TRIAL_MILLIS;
        Ok(())
    }

    /// A new connection, and the run of the server.
    async fn connect(&self) -> Result<(TcpStream, Arc<str>), String> {
        let connected = timeout(CONNECT_TIMEOUT, self.greeted()).await;
        let (stream, run) = connected
            .unwrap_or_else(|_| Err(slow()))
            .inspect_err(|cause| self.rest(cause))?;
        let mut state = self.state();
        state.down = None;
        let known = state.run.clone().filter(|known| P::is_same_run(known, &run));
        let run = known.unwrap_or_else(|| run.into());
        state.run = Some(Arc::clone(&run));
        Ok((stream, run))
    }

    async fn greeted(&self) -> Result<(TcpStream, String), String> {
        let mut wire = Wire::connect(&self.host, self.port).await?;
        let run = self.protocol.greet(&mut wire).await?;
        Ok((wire.greeted()?, run))
    }

    /// Notes a failure: the server is not asked for a while.
    fn rest(&self, cause: &str) {
        let until = self.clock.steady_millis() + REST_MILLIS;
        let cause = cause.to_owned();
        self.state().down = Some(Down { cause, until });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runtime of the task has ended, or the task has panicked.
fn given_up() -> CacheFault {
    CacheFault::Away("its connection was given up".to_owned())
}

fn slow() -> String {
    "it does not answer in time".to_owned()
}
