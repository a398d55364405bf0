//! What the coordinator knows of its workers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::SILENCE;
use super::message::{Order, Portion, Report, Share, State};
use crate::result::{Machine, Worker};

/// How long after the last worker is ready all begin together.
const BEGIN: Duration = Duration::from_millis(1500);

/// All workers of a run.
#[derive(Debug)]
pub struct Roster {
    /// How many are wanted.
    wanted: usize,
    /// All users, of whom each worker gets a part.
    whole: Share,
    members: Vec<Member>,
    phase: Phase,
}

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Workers are still awaited.
    Gathering,
    /// They prepare their users.
    Preparing,
    /// Users act from then on.
    Running(Instant),
    /// It is over.
    Over,
}

#[derive(Debug)]
struct Member {
    id: u64,
    number: u64,
    address: SocketAddr,
    machine: Machine,
    heard: Instant,
    share: Share,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Waiting,
    Preparing(usize),
    Ready,
    Running(u64, u64),
    Done(Box<Portion>),
    Failed(String),
}

impl Progress {
    const fn is_over(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_))
    }
}

impl Roster {
    /// For so many workers, who share all these users.
    pub const fn new(wanted: usize, whole: Share) -> Self {
        Self {
            wanted,
            whole,
            members: Vec::new(),
            phase: Phase::Gathering,
        }
    }

    /// Takes a report, and gives the order that follows; a text says why the worker is not wanted.
    pub fn hear(&mut self, report: Report, from: SocketAddr, now: Instant) -> Result<Order, &'static str> {
        if report.program != env!("CARGO_PKG_VERSION") {
            return Err("it has another version");
        }
        let known = self.members.iter().position(|member| member.id == report.worker);
        let Some(known) = known else {
            return self.join(report, from, now);
        };
        let member = &mut self.members[known];
        if report.number <= member.number {
            return Err("this was said before");
        }
        if matches!(member.progress, Progress::Failed(_)) {
            return Err("it was silent for too long, or failed");
        }
        member.number = report.number;
        member.heard = now;
        member.progress = match report.state {
            State::Waiting(_) => Progress::Waiting,
            State::Preparing(done) => Progress::Preparing(done),
            State::Ready => Progress::Ready,
            State::Running(requests, faults) => Progress::Running(requests, faults),
            State::Done(portion) => Progress::Done(portion),
            State::Failed(why) => Progress::Failed(why),
        };
        Ok(self.order(known, now))
    }

    fn join(&mut self, report: Report, from: SocketAddr, now: Instant) -> Result<Order, &'static str> {
        let State::Waiting(machine) = report.state else {
            return Err("it belongs to another run");
        };
        if self.phase != Phase::Gathering || self.members.len() == self.wanted {
            return Err("there are workers enough");
        }
        self.members.push(Member {
            id: report.worker,
            number: report.number,
            address: from,
            machine,
            heard: now,
            share: self.whole.clone(),
            progress: Progress::Waiting,
        });
        Ok(Order::Wait)
    }

    fn order(&self, member: usize, now: Instant) -> Order {
        let member = &self.members[member];
        match (&member.progress, self.phase) {
            (Progress::Done(_) | Progress::Failed(_), _) | (_, Phase::Over) => Order::End,
            (Progress::Waiting, Phase::Preparing) => Order::Prepare(Box::new(member.share.clone())),
            (Progress::Ready, Phase::Running(start)) => {
                let after = start.saturating_duration_since(now).as_millis();
                Order::Start(u64::try_from(after).unwrap_or_default())
            }
            _ => Order::Wait,
        }
    }

    /// Looks at the time: who is silent for too long has failed, and when all are so far the next phase begins. Returns who
    /// failed since.
    pub fn look(&mut self, now: Instant) -> Vec<String> {
        let mut failed = Vec::new();
        let is_gathering = self.phase == Phase::Gathering;
        self.members.retain_mut(|member| {
            let is_silent = !member.progress.is_over() && now.duration_since(member.heard) > SILENCE;
            if is_silent {
                failed.push(format!("{}: silent for {} s", member.address, SILENCE.as_secs()));
                member.progress = Progress::Failed("silent".to_owned());
            }
            // Another one may still take the part of one that is lost before the users are handed out.
            !(is_gathering && matches!(member.progress, Progress::Failed(_)))
        });
        let all = |is_it: fn(&Progress) -> bool| self.members.iter().all(|member| is_it(&member.progress));
        self.phase = match self.phase {
            Phase::Gathering if self.members.len() == self.wanted => {
                self.hand_out();
                Phase::Preparing
            }
            Phase::Preparing | Phase::Running(_) if all(Progress::is_over) => Phase::Over,
            Phase::Preparing if all(|progress| matches!(progress, Progress::Ready) || progress.is_over()) => {
                Phase::Running(now + BEGIN)
            }
            phase => phase,
        };
        failed
    }

    /// Gives each worker its users: as many as the others, or one more.
    fn hand_out(&mut self) {
        let workers = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let mut first = 0;
        for (number, member) in (0..workers).zip(&mut self.members) {
            let users = self.whole.users / workers + u32::from(number < self.whole.users % workers);
            member.share.first = first;
            member.share.users = users;
            first += users;
        }
    }

    /// How far the run is.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// How many workers are there.
    pub const fn workers(&self) -> usize {
        self.members.len()
    }

    /// How many users are prepared.
    pub fn prepared(&self) -> usize {
        let of = |member: &Member| match member.progress {
            Progress::Preparing(done) => done,
            Progress::Ready => usize::try_from(member.share.users).unwrap_or_default(),
            _ => 0,
        };
        self.members.iter().map(of).sum()
    }

    /// Requests and faults until now.
    pub fn running(&self) -> (u64, u64) {
        let of = |member: &Member| match &member.progress {
            Progress::Running(requests, faults) => (*requests, *faults),
            Progress::Done(portion) => {
                let faults = portion.figures.faults.iter().map(|fault| fault.count).sum();
                (portion.figures.requests, faults)
            }
            _ => (0, 0),
        };
        let sum = |one: (u64, u64), other: (u64, u64)| (one.0 + other.0, one.1 + other.1);
        self.members.iter().map(of).fold((0, 0), sum)
    }

    /// What each worker measured, and what is known of all.
    pub fn end(self) -> (Vec<Portion>, Vec<Worker>) {
        let (mut portions, mut workers) = (Vec::new(), Vec::new());
        for member in self.members {
            let mut worker = Worker {
                address: member.address.ip().to_string(),
                machine: member.machine,
                users: member.share.users,
                requests: 0,
                failure: None,
            };
            match member.progress {
                Progress::Done(portion) => {
                    worker.requests = portion.figures.requests;
                    portions.push(*portion);
                }
                Progress::Failed(why) => worker.failure = Some(why),
                _ => worker.failure = Some("it did not end".to_owned()),
            }
            workers.push(worker);
        }
        (portions, workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> Share {
        Share {
            scenario: String::new(),
            target: "http://127.0.0.1:5000".to_owned(),
            protocol: crate::protocol::Protocol::V1_5,
            login: crate::result::LoginKind::Secret,
            first_uid: 7,
            first: 0,
            users: 10,
            all_users: 10,
            every: None,
            rate: None,
            length: 1.0,
            warm_up: 0.0,
            ramp: 0.0,
            seed: 1,
            timeout: 1.0,
        }
    }

    fn report(worker: u64, number: u64, state: State) -> Report {
        Report {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            worker,
            number,
            state,
        }
    }

    #[test]
    fn users_are_handed_out_and_a_silent_worker_does_not_stop_the_run() {
        let (mut roster, mut now) = (Roster::new(3, share()), Instant::now());
        let from = SocketAddr::from(([127, 0, 0, 1], 9));
        let waiting = || State::Waiting(Machine::default());
        for worker in 1..=3 {
            assert_eq!(
                roster.hear(report(worker, 1, waiting()), from, now),
                Ok(Order::Wait)
            );
        }
        assert!(
            roster.hear(report(4, 1, waiting()), from, now).is_err(),
            "a fourth is not wanted"
        );
        assert!(
            roster.hear(report(1, 1, waiting()), from, now).is_err(),
            "a report counts once"
        );
        roster.look(now);
        let mut users = Vec::new();
        for worker in 1..=3 {
            match roster.hear(report(worker, 2, waiting()), from, now) {
                Ok(Order::Prepare(share)) => users.extend(share.first..share.first + share.users),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(users, (0..10).collect::<Vec<_>>());

        now += SILENCE * 2;
        for worker in 1..=2 {
            assert_eq!(
                roster.hear(report(worker, 3, State::Ready), from, now),
                Ok(Order::Wait)
            );
        }
        assert_eq!(roster.look(now).len(), 1);
        let begin = roster.hear(report(1, 4, State::Ready), from, now);
        assert!(
            matches!(begin, Ok(Order::Start(after)) if after > 1000),
            "{begin:?}"
        );
        assert!(roster.hear(report(3, 3, State::Ready), from, now).is_err());

        let failed = State::Failed("no connection".to_owned());
        assert_eq!(
            roster.hear(report(1, 5, State::Running(5, 1)), from, now),
            Ok(Order::Wait)
        );
        assert_eq!(roster.running(), (5, 1));
        for worker in 1..=2 {
            assert_eq!(
                roster.hear(report(worker, 6, failed.clone()), from, now),
                Ok(Order::End)
            );
        }
        roster.look(now);
        assert_eq!(roster.phase(), Phase::Over);
        assert!(roster.end().1.iter().all(|worker| worker.failure.is_some()));
    }
}
