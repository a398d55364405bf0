//! A plan from what was asked for on the command line.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::{Access, Load};
use crate::client;
use crate::plan::Plan;
use crate::protocol::Protocol;
use crate::scenario::shipped;
use crate::scenario::{MOST_USERS, Scenario};
use crate::secret;
use crate::spread::message::Share;
use crate::target::Target;
use crate::user::accounts::Identity;
use crate::user::login;

/// The most cycles.
const MOST_CYCLES: usize = 50;
/// The longest run. Tokens of the users are good for a day.
const MOST_LENGTH: Duration = Duration::from_secs(12 * 3600);
/// The longest time that an answer may take.
const MOST_TIMEOUT: Duration = Duration::from_secs(600);
/// The most objects before the start, for all users together.
const MOST_OBJECTS: f64 = 20e6;

/// A load that was asked for and is within its bounds, for any server.
pub struct Wanted {
    scenario: Scenario,
    text: String,
    users: u32,
    cycles: Vec<u32>,
    every: Option<Duration>,
    length: Duration,
    warm_up: Duration,
    ramp: Duration,
    rate: Option<f64>,
}

impl Wanted {
    /// This load with this scenario, and so many users in each cycle.
    pub fn read(scenario: &str, load: &Load, cycles: &[u32]) -> Result<Self> {
        let text = shipped::text(scenario)?;
        let mut scenario = Scenario::read(&text).with_context(|| format!("the scenario {scenario}"))?;
        if let Some(every) = load.every {
            scenario.set_every(every);
        }
        let most = cycles.iter().max().copied();
        let users = most.or(load.users).unwrap_or(scenario.users);
        check_users(users)?;
        ensure!(
            cycles.len() <= MOST_CYCLES && !cycles.contains(&0),
            "--cycles: at most {MOST_CYCLES} numbers above 0"
        );
        if let Some(rate) = load.rate {
            let mean = f64::from(users) / rate;
            ensure!(
                rate > 0.0 && (1e-4..=3600.0).contains(&mean),
                "--rate: {users} users cannot do {rate} operations a second"
            );
            scenario.set_rate(rate, users);
        }
        ensure!(
            load.ramp <= load.warm_up + load.length,
            "--ramp: it is longer than the run"
        );
        ensure!(
            !load.length.is_zero(),
            "--length: nothing can be measured in no time"
        );
        ensure!(
            (load.length + load.warm_up) * u32::try_from(cycles.len().max(1))? <= MOST_LENGTH,
            "--length: a run lasts {} hours at most",
            MOST_LENGTH.as_secs() / 3600
        );
        ensure!(
            scenario.objects(users) <= MOST_OBJECTS,
            "--users: all users together would have more than {MOST_OBJECTS} objects before the start"
        );
        Ok(Self {
            scenario,
            text,
            users,
            cycles: cycles.to_vec(),
            every: load.every,
            length: load.length,
            warm_up: load.warm_up,
            ramp: load.ramp,
            rate: load.rate,
        })
    }

    /// So many users that do nothing.
    pub fn nothing(users: u32) -> Result<Self> {
        check_users(users)?;
        Ok(Self {
            scenario: shipped::find("check")?,
            text: String::new(),
            users,
            cycles: Vec::new(),
            every: None,
            length: Duration::ZERO,
            warm_up: Duration::ZERO,
            ramp: Duration::ZERO,
            rate: None,
        })
    }

    /// The plan for the server at this address.
    pub fn plan(&self, target: &str, access: &Access, seed: u64, process: Option<u32>) -> Result<Plan> {
        let identity = identity(access, access.first_uid)?;
        if let Identity::Bearers(bearers) = &identity {
            ensure!(
                usize::try_from(self.users).is_ok_and(|users| users <= bearers.len()),
                "--bearer-file: it has {} users, and {} are needed",
                bearers.len(),
                self.users
            );
        }
        Ok(Plan {
            scenario: self.scenario.clone(),
            text: self.text.clone(),
            users: self.users,
            first: 0,
            cycles: self.cycles.clone(),
            every: self.every,
            length: self.length,
            warm_up: self.warm_up,
            ramp: self.ramp,
            rate: self.rate,
            process,
            seed,
            identity,
            server: server(target, access)?,
        })
    }
}

/// The plan of a worker with this share. How users show who they are, it knows itself.
pub fn plan_of(share: &Share, access: &Access) -> Result<Plan> {
    ensure!(
        share.protocol == access.protocol,
        "--protocol: the run speaks {}",
        share.protocol
    );
    let seconds =
        |value: f64| Duration::try_from_secs_f64(value).context("the coordinator gives a time that is none");
    let mut scenario = Scenario::read(&share.scenario).context("the scenario of the coordinator")?;
    let every = share.every.map(seconds).transpose()?;
    if let Some(every) = every {
        scenario.set_every(every);
    }
    if let Some(rate) = share.rate {
        scenario.set_rate(rate, share.all_users);
    }
    let (length, warm_up) = (seconds(share.length)?, seconds(share.warm_up)?);
    check_users(share.users)?;
    ensure!(
        length + warm_up <= MOST_LENGTH && scenario.objects(share.users) <= MOST_OBJECTS,
        "the coordinator asks for more than a run may do"
    );
    let identity = identity(access, share.first_uid)?;
    ensure!(
        identity.login() == share.login,
        "users of the run show in another way who they are: see --accounts and --bearer-file"
    );
    Ok(Plan {
        scenario,
        text: share.scenario.clone(),
        users: share.users,
        first: share.first,
        cycles: Vec::new(),
        every,
        length,
        warm_up,
        ramp: seconds(share.ramp)?,
        rate: share.rate,
        process: None,
        seed: share.seed,
        identity,
        server: server(&share.target, access)?,
    })
}

fn check_users(users: u32) -> Result<()> {
    ensure!(
        (1..=MOST_USERS).contains(&users),
        "--users: {users} is not from 1 to {MOST_USERS}"
    );
    Ok(())
}

/// The server, if it may be loaded.
fn server(target: &str, access: &Access) -> Result<Arc<client::Server>> {
    let target = Target::read(target).map_err(|error| anyhow!("--target: {error}"))?;
    ensure!(
        !access.timeout.is_zero() && access.timeout <= MOST_TIMEOUT,
        "--timeout: not from 1 ms to 10 min"
    );
    Ok(Arc::new(client::Server::new(
        target,
        access.timeout,
        access.is_own,
    )?))
}

/// How users show who they are.
fn identity(access: &Access, first_uid: u64) -> Result<Identity> {
    let is_modern = access.protocol == Protocol::V1_5;
    ensure!(
        is_modern || (!access.accounts && access.bearer_file.is_none()),
        "--accounts and --bearer-file are for the protocol 1.5"
    );
    if let Some(path) = &access.bearer_file {
        return Ok(Identity::Bearers(login::read(path)?));
    }
    let path = access.secret_file.as_ref().context("--secret-file is missing")?;
    let secret = secret::read_master("--secret-file", path)?;
    Ok(match (access.protocol, access.accounts) {
        (Protocol::V1_1, _) => Identity::Passwords { secret },
        (Protocol::V1_5, true) => Identity::Accounts { secret },
        (Protocol::V1_5, false) => Identity::Secret { secret, first_uid },
    })
}
