//! What a run is asked to do.

use std::sync::Arc;
use std::time::Duration;

use crate::client::Server;
use crate::measure::recorder::Recorder;
use crate::protocol::Protocol;
use crate::result::Settings;
use crate::scenario::Scenario;
use crate::user::accounts::Accounts;

/// What is asked for.
#[derive(Debug)]
pub struct Plan {
    /// What users do.
    pub scenario: Scenario,
    /// The text of the scenario.
    pub text: String,
    /// How many they are.
    pub users: u32,
    /// How long is measured.
    pub length: Duration,
    /// How long is waited before that.
    pub warm_up: Duration,
    /// The seed of everything.
    pub seed: u64,
    /// The protocol.
    pub protocol: Protocol,
    /// The secret of tokens or passwords.
    pub secret: String,
    /// The uid of the first user.
    pub first_uid: u64,
    /// The server.
    pub server: Arc<Server>,
}

impl Plan {
    /// Where users come from.
    pub fn accounts(&self, recorder: &Arc<Recorder>) -> Accounts {
        Accounts::new(
            Arc::clone(&self.server),
            Arc::clone(recorder),
            self.protocol,
            &self.secret,
            self.first_uid,
            self.seed,
        )
    }

    /// What is written down of it, with what the server says of its version.
    pub fn settings(&self, server: Option<String>) -> Settings {
        Settings {
            scenario: self.scenario.name.clone(),
            about: self.scenario.about.clone(),
            text: self.text.clone(),
            target: self.server.target.to_string(),
            server,
            protocol: self.protocol,
            users: self.users,
            every: self.scenario.every.mean(),
            length: self.length.as_secs_f64(),
            warm_up: self.warm_up.as_secs_f64(),
            seed: self.seed,
            timeout: self.server.timeout.as_secs_f64(),
        }
    }
}
