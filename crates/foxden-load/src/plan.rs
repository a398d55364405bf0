//! What a run is asked to do.

use std::sync::Arc;
use std::time::Duration;

use crate::client::Server;
use crate::measure::recorder::Recorder;
use crate::result::Settings;
use crate::scenario::Scenario;
use crate::spread::message::Share;
use crate::user::accounts::{Accounts, Identity};

/// What is asked for.
#[derive(Debug)]
pub struct Plan {
    /// What users do.
    pub scenario: Scenario,
    /// The text of the scenario.
    pub text: String,
    /// How many they are.
    pub users: u32,
    /// The number of the first of them: above zero where workers share the users of a run.
    pub first: u32,
    /// How many of them act, one cycle after the other; all in the only one where this is empty.
    pub cycles: Vec<u32>,
    /// The time between operations that was asked for in place of the scenario's.
    pub every: Option<Duration>,
    /// How long is measured.
    pub length: Duration,
    /// How long is waited before that.
    pub warm_up: Duration,
    /// Over how long users begin, one after the other.
    pub ramp: Duration,
    /// How many operations a second were asked for, in place of the scenario's pauses.
    pub rate: Option<f64>,
    /// The server's process on this machine, to watch what it uses.
    pub process: Option<u32>,
    /// The seed of everything.
    pub seed: u64,
    /// How users show who they are.
    pub identity: Identity,
    /// The server.
    pub server: Arc<Server>,
}

impl Plan {
    /// Where users come from.
    pub fn accounts(&self, recorder: &Arc<Recorder>) -> Accounts {
        Accounts::new(
            Arc::clone(&self.server),
            Arc::clone(recorder),
            &self.identity,
            self.seed,
        )
    }

    /// The numbers of the users.
    pub fn numbers(&self) -> std::ops::Range<u32> {
        self.first..self.first + self.users
    }

    /// How many users act in each cycle.
    pub fn parts(&self) -> Vec<u32> {
        match &self.cycles[..] {
            [] => vec![self.users],
            cycles => cycles.to_vec(),
        }
    }

    /// How long a cycle lasts.
    pub fn part_length(&self) -> Duration {
        self.warm_up + self.length
    }

    /// All of it, to be shared by workers.
    pub fn share(&self) -> Share {
        let first_uid = match &self.identity {
            Identity::Secret { first_uid, .. } => *first_uid,
            Identity::Passwords { .. } | Identity::Accounts { .. } | Identity::Bearers(_) => 0,
        };
        Share {
            scenario: self.text.clone(),
            target: self.server.target.to_string(),
            protocol: self.identity.protocol(),
            login: self.identity.login(),
            first_uid,
            first: self.first,
            users: self.users,
            all_users: self.users,
            every: self.every.map(|every| every.as_secs_f64()),
            rate: self.rate,
            length: self.length.as_secs_f64(),
            warm_up: self.warm_up.as_secs_f64(),
            ramp: self.ramp.as_secs_f64(),
            seed: self.seed,
            timeout: self.server.timeout.as_secs_f64(),
        }
    }

    /// What is written down of it, with what the server says of its version.
    pub fn settings(&self, server: Option<String>) -> Settings {
        Settings {
            scenario: self.scenario.name.clone(),
            about: self.scenario.about.clone(),
            text: self.text.clone(),
            target: self.server.target.to_string(),
            server,
            protocol: self.identity.protocol(),
            login: self.identity.login(),
            users: self.users,
            cycles: self.cycles.clone(),
            every: self.scenario.every.mean(),
            given_every: self.every.map(|every| every.as_secs_f64()),
            length: self.length.as_secs_f64(),
            warm_up: self.warm_up.as_secs_f64(),
            ramp: self.ramp.as_secs_f64(),
            rate: self.rate,
            seed: self.seed,
            timeout: self.server.timeout.as_secs_f64(),
        }
    }
}
