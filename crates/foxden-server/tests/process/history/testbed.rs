//! What a history happens in: two programs on one database server, and what is done to them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foxden_test_support::client::wire::Server;
use rustix::process::{Pid, Signal, kill_process};

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
    pub(super) server: Server,
    /// How far its clock is ahead, in seconds.
    ahead: AtomicI64,
}

/// Something that was done, from when to when in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) end: u64,
}

pub(super) struct Testbed<'a> {
    pub(super) nodes: [Node<'a>; 2],
    pub(super) url: String,
    began: Instant,
    last: AtomicU64,
    pub(super) spans: Mutex<Vec<Span>>,
    /// What no client should be told.
    pub(super) odd: Mutex<Vec<String>>,
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

impl<'a> Testbed<'a> {
    /// Two programs before a database, each with a line of its own.
    pub(super) fn new(folders: &'a [Folder; 2], database: &dyn Database) -> Self {
        let places = [0, 1].map(|_| format!("127.0.0.1:{}", Start::free_port()));
        let url = format!("http://{}", places[0]);
        let node = |at: usize| Node::new(&folders[at], &places[at], &url, &database.url());
        Self {
            nodes: [node(0), node(1)],
            url: url.clone(),
            began: Instant::now(),
            last: AtomicU64::new(0),
            spans: Mutex::default(),
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

    /// Lets faults of the database and these others happen until then, and mends all of them.
    pub(super) fn trouble(&self, database: &mut dyn Database, faults: &[&str], dice: &Dice, until: Instant) {
        std::thread::sleep(dice.millis(300, 1000));
        let half = Instant::now() + (until - Instant::now()) / 2;
        let mut once = database.once();
        while Instant::now() < until {
            let own = database.faults().len();
            if Instant::now() > half
                && let Some(name) = once.take()
            {
                self.during(name.to_owned(), || database.strike_once(dice, self));
            }
            // The database is struck a third of the time.
            if own > 0 && (faults.is_empty() || dice.draw(3) == 0) {
                let fault = dice.draw(own);
                let name = database.faults()[fault].to_owned();
                self.during(name, || database.strike(fault, dice, self));
            } else {
                let at = dice.draw(self.nodes.len());
                let fault = dice.pick(faults);
                let name = format!("{fault} ({})", ["A", "B"][at]);
                self.during(name, || self.nodes[at].strike(fault, dice));
            }
            std::thread::sleep(dice.millis(100, 1500));
        }
    }

    /// Notes what happens meanwhile.
    pub(super) fn during<T>(&self, name: String, what: impl FnOnce() -> T) -> T {
        let start = self.now();
        let done = what();
        let span = Span {
            name,
            start,
            end: self.now(),
        };
        self.spans.lock().unwrap().push(span);
        done
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
    fn new(folder: &'a Folder, place: &str, public_url: &str, database: &str) -> Self {
        let (_, rest) = database.split_once('@').unwrap();
        let proxy = FaultProxy::to(rest.split_once('/').unwrap().0);
        let machine = Machine::new(folder);
        machine.set(0);
        let start = machine.start().without_flags();
        let start = start.with("--listen").with(place);
        let start = start.with("--public-url").with(public_url);
        let start = start.set("FOXDEN__STORAGE__URL", with_host(database, &proxy.place()));
        Self {
            program: Mutex::new(Some(start.serve())),
            machine,
            start,
            proxy,
            server: Server::at(public_url)
                .through(place)
                .with_fresh_connections(CLIENT_TIMEOUT),
            ahead: AtomicI64::new(0),
        }
    }

    /// Has a fault happen, and waits until it is over. A clock keeps its new time.
    fn strike(&self, fault: &str, dice: &Dice) {
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
                *program = Some(self.start.serve());
            }
            "program paused" => {
                self.signal(Signal::STOP);
                std::thread::sleep(dice.millis(100, 5000));
                self.signal(Signal::CONT);
            }
            "clock jumps" => {
                let ahead = dice.pick(&[-600, -60, -7, -1, 0, 1, 7, 60, 600]);
                self.machine.set(ahead);
                self.ahead.store(ahead, Ordering::SeqCst);
                self.server.set_ahead(ahead);
            }
            other => panic!("there is no fault {other}"),
        }
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
