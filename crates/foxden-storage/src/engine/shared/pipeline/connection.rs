//! The task that has the connection to a server: it sends the calls that wait together in one write, and reads their answers, which come
//! in the same order, as many at a time as there are.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep};

use super::call::Call;
use super::{CacheFault, SEND_TIMEOUT, Target, slow};
use crate::engine::shared::wire::{self, Input, MOST_BYTES, Protocol, ReadFault};

/// How long the answers to a call may take.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a connection is kept without a use. Servers and firewalls end idle ones, and some say nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The most calls of a connection whose answers have not come.
const MOST_PENDING: usize = 512;
/// When this many bytes wait to be written, no call is added to them.
const MOST_OUTPUT: usize = 1 << 20;
/// How many bytes a read has room for, at least.
const READ_BYTES: usize = 16 * 1024;
/// How much room the buffers keep while they are empty.
const KEPT_BYTES: usize = 64 * 1024;

/// A connection and the calls that it has.
struct Connection<P: Protocol> {
    run: Arc<str>,
    /// What was read and is no whole answer yet.
    input: Vec<u8>,
    /// What was not written yet.
    output: Vec<u8>,
    /// How many bytes were ever put into the output.
    put: u64,
    /// How many of them were written.
    written: u64,
    /// The calls whose answers have not come, in the order in which they will.
    pending: VecDeque<Pending<P::Reply>>,
    /// When calls were last taken.
    used: Instant,
    /// How many were taken then.
    taken: usize,
}

/// A call that a connection has.
struct Pending<R> {
    call: Call<R>,
    /// The answers that have come.
    replies: Vec<R>,
    /// The bytes that were put into the output before it.
    begin: u64,
    /// When its answers are late.
    due: Instant,
}

/// Why a connection ended.
enum End {
    /// The server has ended it, or says what no server says.
    Broken(String),
    /// The server takes too long.
    Slow,
    /// It was not used for long.
    Idle,
    /// No call can come any more.
    Useless,
}

/// Serves calls, over a connection while there are some, until no more can come.
pub(super) async fn serve<P: Protocol>(target: Arc<Target<P>>, mut waiting: Receiver<Call<P::Reply>>) {
    let mut first = VecDeque::new();
    loop {
        if first.is_empty() {
            match waiting.recv().await {
                Some(call) => first.push_back(call),
                None => return,
            }
        }
        let failure = match target.connect().await {
            Ok((stream, run)) => {
                let mut connection = Connection::<P>::new(run);
                connection.take(first.drain(..), &mut waiting);
                match connection.serve(stream, &mut waiting).await {
                    End::Broken(cause) => {
                        // Whether the server is down, the next connection tells.
                        first = connection.for_another(&cause);
                        continue;
                    }
                    End::Slow => {
                        target.rest(&slow());
                        first.extend(connection.pending.drain(..).map(|pending| pending.call));
                        slow()
                    }
                    End::Idle => continue,
                    End::Useless => return,
                }
            }
            Err(cause) => cause,
        };
        for call in first.drain(..) {
            call.fail(CacheFault::Away(failure.clone()));
        }
        while let Ok(call) = waiting.try_recv() {
            call.fail(CacheFault::Away(failure.clone()));
        }
    }
}

impl<P: Protocol> Connection<P> {
    fn new(run: Arc<str>) -> Self {
        Self {
            run,
            input: Vec::new(),
            output: Vec::new(),
            put: 0,
            written: 0,
            pending: VecDeque::new(),
            used: Instant::now(),
            taken: 0,
        }
    }

    /// Serves calls until the connection ends.
    async fn serve(&mut self, mut stream: TcpStream, waiting: &mut Receiver<Call<P::Reply>>) -> End {
        let (mut reader, mut writer) = stream.split();
        let mut timer = pin!(sleep(ANSWER_TIMEOUT));
        loop {
            self.input.reserve(READ_BYTES);
            // What has come is read before anything counts as late. No branch loses anything when another one is ready.
            let step = tokio::select! {
                biased;
                read = reader.read_buf(&mut self.input) => self.receive(read),
                count = writer.write(&self.output), if !self.output.is_empty() => self.wrote(count),
                call = waiting.recv(), if self.has_room() => match call {
                    Some(call) => {
                        if self.is_busy() {
                            // The tasks that are ready have their turn first: their calls go out in the same write.
                            yield_now().await;
                        }
                        self.take([call], waiting);
                        self.arm(timer.as_mut());
                        Ok(())
                    }
                    None => Err(End::Useless),
                },
                () = timer.as_mut() => self.look_at_the_time(timer.as_mut()),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Whether other calls are likely to come. One alone would only be held up.
    fn is_busy(&self) -> bool {
        self.taken > 1 || !self.pending.is_empty()
    }

    fn has_room(&self) -> bool {
        self.pending.len() < MOST_PENDING && self.output.len() < MOST_OUTPUT
    }

    /// Takes these calls, and the others that wait.
    fn take(
        &mut self,
        first: impl IntoIterator<Item = Call<P::Reply>>,
        waiting: &mut Receiver<Call<P::Reply>>,
    ) {
        (self.used, self.taken) = (Instant::now(), 0);
        for call in first {
            self.put(call);
        }
        while self.has_room()
            && let Ok(call) = waiting.try_recv()
        {
            self.put(call);
        }
    }

    /// Puts a call into the output, unless its caller is gone, it is for another run, or it has waited for long.
    fn put(&mut self, call: Call<P::Reply>) {
        self.taken += 1;
        let is_other = |run: &Arc<str>| !Arc::ptr_eq(run, &self.run) && !P::is_same_run(run, &self.run);
        if call.run.as_ref().is_some_and(is_other) {
            call.fail(CacheFault::Lost);
        } else if call.answers == 0 {
            // It asks for nothing.
            call.answer(Vec::new(), &self.run);
        } else if self.used.duration_since(call.began) > SEND_TIMEOUT {
            call.fail(CacheFault::Away(slow()));
        } else if !call.is_abandoned() {
            self.output.extend_from_slice(&call.request);
            let begin = self.put;
            self.put += call.request.len() as u64;
            self.pending.push_back(Pending {
                replies: Vec::with_capacity(call.answers),
                begin,
                due: self.used + ANSWER_TIMEOUT,
                call,
            });
        }
    }

    fn wrote(&mut self, count: io::Result<usize>) -> Result<(), End> {
        let count = count.map_err(End::broken)?;
        self.output.drain(..count);
        self.written += count as u64;
        if self.output.is_empty() {
            self.output.shrink_to(KEPT_BYTES);
        }
        Ok(())
    }

    /// Gives the answers that have come to their callers.
    fn receive(&mut self, count: io::Result<usize>) -> Result<(), End> {
        if count.map_err(End::broken)? == 0 {
            return Err(End::Broken(wire::closed()));
        }
        let mut input = Input::new(&self.input);
        let mut answered = 0;
        while input.len() > 0 {
            let asked = self.pending.get_mut(answered);
            // Of a call that is written in part, the first commands may be answered.
            let Some(asked) = asked.filter(|asked| asked.begin < self.written) else {
                // One answer too many: those that came with it may belong to earlier commands.
                return Err(End::Broken(wire::too_many()));
            };
            let mut ahead = input;
            match P::reply(&mut ahead) {
                Ok(reply) => asked.replies.push(reply),
                Err(ReadFault::Incomplete) => break,
                Err(ReadFault::Broken(cause)) => return Err(End::Broken(cause)),
            }
            input = ahead;
            if asked.replies.len() == asked.call.answers {
                if asked.end() > self.written {
                    return Err(End::Broken(wire::too_many()));
                }
                answered += 1;
            }
        }
        // Bytes that come in time one by one, and are no answer, keep everything else from its turn.
        let is_late = |oldest: &Pending<_>| oldest.due <= Instant::now();
        if answered == 0 && self.pending.front().is_some_and(is_late) {
            return Err(End::Slow);
        }
        let rest = input.len();
        if rest > 2 * MOST_BYTES {
            return Err(End::Broken(wire::too_long()));
        }
        for answered in self.pending.drain(..answered) {
            answered.call.answer(answered.replies, &self.run);
        }
        self.input.drain(..self.input.len() - rest);
        if self.input.is_empty() {
            self.input.shrink_to(KEPT_BYTES);
        }
        Ok(())
    }

    /// Has the timer end no later than the oldest call is late.
    fn arm(&self, timer: Pin<&mut Sleep>) {
        if let Some(oldest) = self.pending.front()
            && oldest.due < timer.deadline()
        {
            timer.reset(oldest.due);
        }
    }

    /// The timer has ended: sets it again, unless the connection has to end. Most calls do not touch it.
    fn look_at_the_time(&self, timer: Pin<&mut Sleep>) -> Result<(), End> {
        let (due, end) = match self.pending.front() {
            Some(oldest) => (oldest.due, End::Slow),
            None => (self.used + IDLE_TIMEOUT, End::Idle),
        };
        if due <= Instant::now() {
            return Err(end);
        }
        timer.reset(due);
        Ok(())
    }

    /// The calls that may go to another connection, after this one has ended. The others fail, and those that are too late for it.
    fn for_another(&mut self, cause: &str) -> VecDeque<Call<P::Reply>> {
        let (written, now) = (self.written, Instant::now());
        let again = |pending: Pending<P::Reply>| {
            if now.duration_since(pending.call.began) > SEND_TIMEOUT {
                pending.call.fail(CacheFault::Away(cause.to_owned()));
                return None;
            }
            pending.call.again(pending.begin < written, cause)
        };
        self.pending.drain(..).filter_map(again).collect()
    }
}

impl<R> Pending<R> {
    /// How many bytes were put into the output up to its end.
    const fn end(&self) -> u64 {
        self.begin + self.call.request.len() as u64
    }
}

impl End {
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    fn broken(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
