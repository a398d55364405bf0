//! The cache in front of the database, and what is done to it: a server that both programs share, or the memory of one program.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::fault_proxy::{FaultProxy, Weather};
use super::testbed::Testbed;
use crate::databases::own_server::OwnServers;

/// How long a cache may take to be in use: 30 seconds after it was announced, and a minute more after a process has objected to it.
const SETTLED: Duration = Duration::from_secs(200);

/// A cache.
pub(super) enum Cache {
    /// In the memory of one program: while both write, none is in use.
    Local,
    /// A server.
    Shared {
        servers: OwnServers,
        name: &'static str,
        url: String,
    },
}

/// What is done to a server.
const FAULTS: [&str; 6] = [
    "cache killed",
    "cache paused",
    "line to the cache cut",
    "line to the cache slow",
    "answers of the cache lost",
    "questions to the cache lost",
];
/// What only Redis can do.
const RESTORED: &str = "cache restored from an old copy";
/// What is done to the cache of one program.
const OTHER_RETURNS: &str = "the other program writes again";

impl Cache {
    /// The cache of that name.
    pub(super) fn start(name: &'static str) -> Self {
        if name == "local" {
            return Self::Local;
        }
        let (servers, mut urls) = OwnServers::start(&[name]);
        let url = urls.remove(0);
        Self::Shared { servers, name, url }
    }

    /// Its name.
    const fn name(&self) -> &'static str {
        match *self {
            Self::Local => "local",
            Self::Shared { name, .. } => name,
        }
    }

    /// Its address and port, if it has any.
    fn place(&self) -> Option<&str> {
        match self {
            Self::Local => None,
            Self::Shared { url, .. } => url.split_once("://").map(|(_, place)| place),
        }
    }

    /// A line to it, for one program, and the setting of the program.
    pub(super) fn line(&self) -> (Option<FaultProxy>, String) {
        let Some(place) = self.place() else {
            return (None, "local".to_owned());
        };
        let proxy = FaultProxy::to(place);
        let scheme = if self.name() == "redis" {
            "redis"
        } else {
            "memcache"
        };
        let setting = format!("{scheme}://{}", proxy.place());
        (Some(proxy), setting)
    }

    /// Whether only one program may be used for the cache to be of use.
    pub(super) const fn is_of_one(&self) -> bool {
        matches!(self, Self::Local)
    }

    /// Lets faults happen to it, each after it has been in use for a moment.
    pub(super) fn trouble(&mut self, testbed: &Testbed<'_>, dice: &Dice, until: Instant) {
        loop {
            if !is_used_before(testbed, until) {
                return;
            }
            std::thread::sleep(dice.millis(3000, 8000));
            let (name, node) = self.pick(dice);
            testbed.during(name, node, || self.strike(name, node, testbed, dice));
            std::thread::sleep(dice.millis(1000, 5000));
        }
    }

    fn pick(&self, dice: &Dice) -> (&'static str, Option<usize>) {
        match self {
            Self::Local => (OTHER_RETURNS, None),
            Self::Shared { name, .. } => {
                let restored = (*name == "redis").then_some(RESTORED);
                let faults: Vec<_> = FAULTS.into_iter().chain(restored).collect();
                let at = dice.draw(faults.len());
                let is_of_line = (2..FAULTS.len()).contains(&at);
                (faults[at], is_of_line.then(|| dice.draw(2)))
            }
        }
    }

    fn strike(&mut self, fault: &str, node: Option<usize>, testbed: &Testbed<'_>, dice: &Dice) {
        let Self::Shared { servers, name, url } = self else {
            testbed.set_alone(false);
            std::thread::sleep(dice.millis(2000, 10_000));
            testbed.set_alone(true);
            return;
        };
        let line = node.and_then(|node| testbed.nodes[node].cache_line.as_ref());
        let weather = |weather, time| {
            if let Some(line) = line {
                line.set(weather);
                std::thread::sleep(time);
                line.set(Weather::Fair);
            }
        };
        match fault {
            "cache killed" => {
                servers.order("kill", name);
                std::thread::sleep(dice.millis(1, 3000));
                servers.order("start", name);
            }
            "cache paused" => {
                servers.order("pause", name);
                std::thread::sleep(dice.millis(100, 8000));
                servers.order("continue", name);
            }
            RESTORED => {
                save(url);
                std::thread::sleep(dice.millis(500, 5000));
                servers.order("kill", name);
                servers.order("start", name);
            }
            "line to the cache cut" => weather(Weather::Cut, dice.millis(10, 5000)),
            "line to the cache slow" => {
                let delay = dice.millis(10, 400);
                weather(Weather::Slow(delay), dice.millis(500, 5000));
            }
            "answers of the cache lost" => weather(Weather::LosesAnswers, dice.millis(10, 3000)),
            "questions to the cache lost" => weather(Weather::LosesQuestions, dice.millis(10, 3000)),
            other => panic!("there is no fault {other}"),
        }
    }
}

/// Waits until the cache is in use.
pub(super) fn await_use(testbed: &Testbed<'_>) {
    let until = Instant::now() + SETTLED;
    assert!(is_used_before(testbed, until), "the cache does not come into use");
}

/// Waits until the cache is in use, but not longer than until then.
fn is_used_before(testbed: &Testbed<'_>, until: Instant) -> bool {
    while !testbed.has_cache_in_use() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(500));
    }
    Instant::now() < until
}

/// Has Redis write down what it holds.
fn save(url: &str) {
    let place = url.split_once("://").unwrap().1;
    let mut stream = TcpStream::connect(place).unwrap();
    stream.write_all(b"SAVE\r\n").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n");
}
