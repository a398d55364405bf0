//! What a history happens in: two programs on one database server, and what is done to them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foxden_test_support::client::wire::Server;
use rustix::process::{Pid, Signal, kill_process};

use super::cache::Cache;
use super::dice::Dice;
use super::fault_proxy::{FaultProxy, Weather};
use crate::clock::Machine;
use crate::databases::with_host;
use crate::program::{Folder, Program, Start};

/// How long a client waits for an answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// A database server, or several.
pub(super) trait Database: Send {
    /// The URL of the database.
    fn url(&self) -> String;

    /// The names of what may happen to it.
    fn faults(&self) -> &'static [&'static str];

    /// Has one of them happen, and waits until it is over.
    fn strike(&mut self, fault: usize, dice: &Dice, testbed: &Testbed<'_>);

    /// What happens to it once, at half time.
    fn once(&self) -> Option<&'static str> {
        None
    }

    /// Has that happen.
    fn strike_once(&mut self, _dice: &Dice, _testbed: &Testbed<'_>) {}
}

/// One of the two programs, on a machine of its own.
pub(super) struct Node<'a> {
    machine: Machine<'a>,
    start: Start<'a>,
    program: Mutex<Option<Program>>,
    pub(super) proxy: FaultProxy,
    /// Its line to a cache that both share.
    pub(super) cache_line: Option<FaultProxy>,
    pub(super) server: Server,
}

/// Something that was done, from when to when in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) name: &'static str,
    /// To which program or its line; `None` if to what both use.
    pub(super) node: Option<usize>,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A request to one of the programs, whatever came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) node: usize,
    pub(super) start: u64,
    pub(super) end: u64,
    /// `None` if there was no answer.
    pub(super) status: Option<u16>,
}

pub(super) struct Testbed<'a> {
    pub(super) nodes: [Node<'a>; 2],
    pub(super) url: String,
    began: Instant,
    last: AtomicU64,
    pub(super) spans: Mutex<Vec<Span>>,
    pub(super) attempts: Mutex<Vec<Attempt>>,
    /// Whether clients are to use the first program alone.
    is_alone: AtomicBool,
    is_over: AtomicBool,
    /// Held while the database may be away: a program does not start then.
    database: Mutex<()>,
    /// What no client should be told.
    pub(super) odd: Mutex<Vec<String>>,
}

/// Has clients end when it is dropped.
pub(super) struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What is done to the programs and their lines.
pub(super) const FAULTS: [&str; 9] = [
    "line cut",
    "line slow",
    "answers lost",
    "questions lost",
    "program killed",
    "program killed",
    "program paused",
    "clock jumps",
    "clock jumps",
];

/// Those that leave the programs running.
pub(super) const FAULTS_WITHOUT_KILLS: [&str; 7] = [
    "line cut",
    "line slow",
    "answers lost",
    "questions lost",
    "program paused",
    "clock jumps",
    "clock jumps",
];

impl<'a> Testbed<'a> {
    /// Two programs before a database, each with a line of its own.
    pub(super) fn new(folders: &'a [Folder; 2], database: &dyn Database, cache: Option<&Cache>) -> Self {
        let places = [0, 1].map(|_| format!("127.0.0.1:{}", Start::free_port()));
        let url = format!("http://{}", places[0]);
        let node = |at: usize| Node::new(&folders[at], &places[at], &url, &database.url(), cache);
        Self {
            nodes: [node(0), node(1)],
            url: url.clone(),
            began: Instant::now(),
            last: AtomicU64::new(0),
            spans: Mutex::default(),
            attempts: Mutex::default(),
            is_alone: AtomicBool::new(cache.is_some_and(Cache::is_of_one)),
            is_over: AtomicBool::new(false),
            database: Mutex::default(),
            odd: Mutex::default(),
        }
    }

    /// The nanoseconds since the beginning, different at each call.
    pub(super) fn now(&self) -> u64 {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap();
        let last = self
            .last
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(now.max(last + 1)));
        now.max(last.unwrap() + 1)
    }

    /// Lets faults of the database, of the cache and these others happen until then, each at the same time as others, and mends all of
    /// them.
    pub(super) fn trouble(
        &self,
        database: &mut dyn Database,
        cache: Option<&mut Cache>,
        faults: &[&'static str],
        seed: u64,
        until: Instant,
    ) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.trouble_database(database, &Dice::new(seed, 0), until));
            if let Some(cache) = cache {
                scope.spawn(move || cache.trouble(self, &Dice::new(seed, u64::from(u32::MAX) + 1), until));
            }
            let dice = Dice::new(seed, u64::from(u32::MAX));
            while Instant::now() < until && !faults.is_empty() {
                std::thread::sleep(dice.millis(100, 1500));
                let at = dice.draw(self.nodes.len());
                let fault = dice.pick(faults);
                self.during(fault, Some(at), || {
                    self.nodes[at].strike(fault, &dice, &self.database);
                });
            }
        });
    }

    /// Has clients end once this is dropped, also by a panic.
    pub(super) const fn end(&self) -> End<'_> {
        End(&self.is_over)
    }

    /// Whether clients are to end.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Has clients use the first program alone, or both.
    pub(super) fn set_alone(&self, is_alone: bool) {
        self.is_alone.store(is_alone, Ordering::SeqCst);
    }

    pub(super) fn is_alone(&self) -> bool {
        self.is_alone.load(Ordering::SeqCst)
    }

    /// Whether a program says that it answers from its cache.
    pub(super) fn has_cache_in_use(&self) -> bool {
        self.nodes.iter().any(Node::has_cache_in_use)
    }

    fn trouble_database(&self, database: &mut dyn Database, dice: &Dice, until: Instant) {
        let half = Instant::now() + (until - Instant::now()) / 2;
        let mut once = database.once();
        loop {
            std::thread::sleep(dice.millis(500, 5000));
            if Instant::now() >= until {
                return;
            }
            let _away = self.database.lock().unwrap();
            if Instant::now() > half
                && let Some(name) = once.take()
            {
                self.during(name, None, || database.strike_once(dice, self));
            } else if !database.faults().is_empty() {
                let fault = dice.draw(database.faults().len());
                let name = database.faults()[fault];
                self.during(name, None, || database.strike(fault, dice, self));
            }
        }
    }

    /// Notes what happens meanwhile.
    pub(super) fn during(&self, name: &'static str, node: Option<usize>, what: impl FnOnce()) {
        let start = self.now();
        what();
        let end = self.now();
        self.spans.lock().unwrap().push(Span {
            name,
            node,
            start,
            end,
        });
    }

    /// Notes what came of a request.
    pub(super) fn note(&self, attempt: Attempt) {
        self.attempts.lock().unwrap().push(attempt);
    }

    /// Has both programs use another server.
    pub(super) fn move_to(&self, place: &str) {
        for node in &self.nodes {
            node.proxy.move_to(place);
        }
    }

    /// Stops both programs, which must end well.
    pub(super) fn stop(&self) {
        for node in &self.nodes {
            let program = node.program.lock().unwrap().take();
            program.unwrap().stop();
        }
    }

    /// The logs of both programs.
    pub(super) fn logs(&self) -> String {
        let log = |node: &Node<'_>| {
            let program = node.program.lock().unwrap();
            program.as_ref().map(Program::log).unwrap_or_default()
        };
        self.nodes.each_ref().map(log).join("\n---- the other program\n")
    }
}

impl<'a> Node<'a> {
    fn new(folder: &'a Folder, place: &str, public_url: &str, database: &str, cache: Option<&Cache>) -> Self {
        let (_, rest) = database.split_once('@').unwrap();
        let proxy = FaultProxy::to(rest.split_once('/').unwrap().0);
        let machine = Machine::new(folder);
        machine.set(0);
        let start = machine.start().without_flags();
        let start = start.with("--listen").with(place);
        let start = start.with("--public-url").with(public_url);
        let mut start = start.set("FOXDEN__STORAGE__URL", with_host(database, &proxy.place()));
        let mut cache_line = None;
        if let Some(cache) = cache {
            let (line, setting) = cache.line();
            cache_line = line;
            start = start.set("FOXDEN__STORAGE__CACHE", setting);
        }
        Self {
            program: Mutex::new(Some(start.serve())),
            machine,
            start,
            proxy,
            cache_line,
            server: Server::at(public_url)
                .through(place)
                .with_fresh_connections(CLIENT_TIMEOUT),
        }
    }

    /// Has a fault happen, and waits until it is over. A clock keeps its new time. No program starts while the database is held.
    fn strike(&self, fault: &str, dice: &Dice, database: &Mutex<()>) {
        match fault {
            "line cut" => self.weather(Weather::Cut, dice.millis(10, 2500)),
            "line slow" => {
                let delay = dice.millis(10, 400);
                self.weather(Weather::Slow(delay), dice.millis(500, 3000));
            }
            "answers lost" => self.weather(Weather::LosesAnswers, dice.millis(10, 1500)),
            "questions lost" => self.weather(Weather::LosesQuestions, dice.millis(10, 1500)),
            "program killed" => {
                let mut program = self.program.lock().unwrap();
                program.take().unwrap().kill();
                std::thread::sleep(dice.millis(1, 1000));
                let _there = database.lock().unwrap();
                *program = Some(self.start.serve());
            }
            "program paused" => {
                self.signal(Signal::STOP);
                std::thread::sleep(dice.millis(100, 5000));
                self.signal(Signal::CONT);
            }
            "clock jumps" => {
                let ahead = dice.pick(&[-600, -60, -7, -1, 0, 1, 7, 60, 600]);
                // Its answers tell whether it has jumped.
                self.machine.set_under(&self.server, ahead);
            }
            other => panic!("there is no fault {other}"),
        }
    }

    fn has_cache_in_use(&self) -> bool {
        let program = self.program.lock().unwrap();
        program.as_ref().is_some_and(Program::has_cache_in_use)
    }

    fn weather(&self, weather: Weather, time: Duration) {
        self.proxy.set(weather);
        std::thread::sleep(time);
        self.proxy.set(Weather::Fair);
    }

    fn signal(&self, signal: Signal) {
        let program = self.program.lock().unwrap();
        let process = program.as_ref().unwrap().id();
        let process = Pid::from_raw(process.try_into().unwrap()).unwrap();
        kill_process(process, signal).unwrap();
    }
}
