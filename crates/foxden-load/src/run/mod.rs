//! A run: users are prepared, act for the time of the run, and everything is read again.
//!
//! - [`crowd`]: does something for many users at once
//! - [`parts`]: the users act, all at once or more of them in each cycle
//! - [`closed`]: a fixed number of users, each by its plan
//! - [`alternate`]: runs against several servers in turn

pub mod alternate;
pub mod closed;
pub mod crowd;
mod parts;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Error, Result, anyhow, bail};
use foxden_model::{Clock, SystemClock};

use crate::client::{Authorization, Call, Client};
use crate::fault::Fault;
use crate::machine;
use crate::measure::latency::LatencySummary;
use crate::measure::process::Process;
use crate::measure::recorder::Recorder;
use crate::plan::Plan;
use crate::protocol::RequestKind;
use crate::result::{Comparison, Cycle, Figures, RunResult};
use crate::user::User;
use crate::user::accounts::{Accounts, Identity, Owner};
use crate::view::View;
use parts::Part;

/// The most users that are prepared, compared or removed at once.
pub const AT_ONCE: usize = 32;
/// How long everything may be read again.
const AUDIT: Duration = Duration::from_secs(60);

/// Carries out a plan.
pub async fn run(plan: Plan, view: &mut View) -> Result<RunResult> {
    let prepared = prepare(plan, view, &mut |_| {}).await?;
    let plan = Arc::clone(&prepared.plan);
    let ran = act(prepared, view, &mut |_, _| {}).await?;
    let parts: Vec<(f64, Figures)> = ran.parts.iter().map(Part::figures).collect();
    let figures = Figures::in_turn(&parts);
    let used = ran
        .process
        .and_then(|process| process.used(plan.warm_up, figures.requests));
    let machine = machine::this(plan.server.target.is_local());
    let cycles = plan.cycles.iter().zip(parts);
    let cycles = cycles.map(|(users, (_, figures))| Cycle {
        users: *users,
        rate: figures.rate,
        faults: figures.faults.iter().map(|fault| fault.count).sum(),
        response: figures.all.response,
    });
    Ok(RunResult {
        server: used,
        comparison: ran.comparison,
        is_cut: ran.is_cut,
        cycles: cycles.collect(),
        ..RunResult::new(ran.began, plan.settings(ran.server), machine, figures)
    })
}

/// Users that can begin.
#[derive(Debug)]
pub struct Prepared {
    plan: Arc<Plan>,
    recorder: Arc<Recorder>,
    users: Vec<User>,
    /// What the server says of its version.
    server: Option<String>,
    began: i64,
}

/// What users did.
#[derive(Debug)]
pub struct Ran {
    parts: Vec<Part>,
    process: Option<Process>,
    began: i64,
    /// What the server says of its version.
    pub server: Option<String>,
    /// What was compared.
    pub comparison: Comparison,
    /// The run was ended before its time.
    pub is_cut: bool,
}

impl Ran {
    /// The figures of all cycles.
    pub fn figures(&self) -> Figures {
        let parts: Vec<(f64, Figures)> = self.parts.iter().map(Part::figures).collect();
        Figures::in_turn(&parts)
    }

    /// The latencies of each part of the timeline.
    pub fn timeline(&self) -> Vec<LatencySummary> {
        self.parts
            .iter()
            .flat_map(|part| part.measurement.timeline())
            .collect()
    }
}

/// Fills the stores of all users, and tells how many are filled.
pub async fn prepare(plan: Plan, view: &mut View, tell: &mut impl FnMut(usize)) -> Result<Prepared> {
    let recorder = Arc::new(Recorder::new());
    let accounts = Arc::new(plan.accounts(&recorder));
    let plan = Arc::new(plan);
    let server = version(&plan, &recorder).await;
    let began = SystemClock.seconds();
    let users = fill(&plan, &accounts, view, tell).await?;
    Ok(Prepared {
        plan,
        recorder,
        users,
        server,
        began,
    })
}

/// Lets the users act, tells of requests and faults until now, and reads everything again at the end.
pub async fn act(prepared: Prepared, view: &mut View, tell: &mut impl FnMut(u64, u64)) -> Result<Ran> {
    let Prepared { plan, recorder, .. } = prepared;
    let mut acted = parts::all(&plan, prepared.users, &recorder, view, tell).await?;
    let in_run = recorder.compared();
    let audited = audit(acted.users, view).await;
    let last = acted.parts.last_mut();
    let last = last.expect("a plan has at least one part");
    last.measurement.add(recorder.take(), last.ended);
    Ok(Ran {
        parts: acted.parts,
        process: acted.process,
        began: prepared.began,
        server: prepared.server,
        comparison: Comparison {
            in_run,
            after: recorder.compared() - in_run,
            users: audited.whole,
            unreadable: audited.unreadable,
        },
        is_cut: acted.is_cut,
    })
}

/// Fills the stores of all users.
async fn fill(
    plan: &Arc<Plan>,
    accounts: &Arc<Accounts>,
    view: &mut View,
    tell: &mut impl FnMut(usize),
) -> Result<Vec<User>> {
    let all = plan.users;
    let work = {
        let (plan, accounts) = (Arc::clone(plan), Arc::clone(accounts));
        move |number: u32| {
            let (plan, accounts) = (Arc::clone(&plan), Arc::clone(&accounts));
            async move {
                let mut user = accounts.user(number);
                let done = user.prepare(&accounts, &plan.scenario).await;
                // The connections of many users at once would be closed by a server that is waiting for them.
                user.client().disconnect();
                done.map(|()| user)
            }
        }
    };
    let mut users = Vec::with_capacity(usize::try_from(all).unwrap_or_default());
    let mut fault = None;
    let done = crowd::each(plan.numbers(), AT_ONCE, Duration::MAX, work, |done| match done {
        Ok(user) => {
            users.push(user);
            view.preparing(users.len(), all);
            tell(users.len());
            true
        }
        Err(error) => {
            fault = Some(error);
            false
        }
    });
    tokio::select! {
        () = done => {}
        _ = tokio::signal::ctrl_c() => bail!("ended before users were prepared"),
    }
    if let Some(fault) = fault {
        return Err(failure(plan, "a user could not be prepared", &fault));
    }
    Ok(users)
}

/// How many users were looked at again.
#[derive(Default)]
struct Audited {
    /// Everything was read.
    whole: u32,
    /// Something could not be read.
    unreadable: u32,
}

/// Reads everything of all users again, as far as there is time.
async fn audit(users: Vec<User>, view: &mut View) -> Audited {
    let all = users.len();
    let work = |mut user: User| async move {
        user.audit().await.unwrap_or_else(|fault| {
            user.report(fault);
            false
        })
    };
    let mut audited = Audited::default();
    crowd::each(users, AT_ONCE, AUDIT, work, |is_whole| {
        audited.whole += u32::from(is_whole);
        audited.unreadable += u32::from(!is_whole);
        let count = audited.whole + audited.unreadable;
        view.comparing(usize::try_from(count).unwrap_or_default(), all);
        true
    })
    .await;
    audited
}

/// What the server says of its version.
async fn version(plan: &Plan, recorder: &Arc<Recorder>) -> Option<String> {
    let server = Arc::clone(&plan.server);
    let root = String::new();
    let mut client = Client::new(
        server,
        plan.identity.protocol(),
        root,
        Authorization::None,
        recorder.handle(0),
    );
    let reply = client
        .send(Call::get(RequestKind::Info, "/__version__"))
        .await
        .ok()?;
    let version: serde_json::Value = reply.json().ok()?;
    let text = version.get("version")?.as_str()?;
    (reply.status.is_success() && text.len() < 100).then(|| foxden_model::Escaped(text).to_string())
}

/// Removes all made users. Returns how many there were.
pub async fn clean(plan: Plan, view: &mut View) -> Result<u32> {
    let recorder = Arc::new(Recorder::new());
    let accounts = Arc::new(plan.accounts(&recorder));
    let work = {
        let accounts = Arc::clone(&accounts);
        move |number: u32| {
            let accounts = Arc::clone(&accounts);
            async move {
                let mut user = accounts.user(number);
                accounts.remove(&mut user).await
            }
        }
    };
    let (mut seen, mut removed) = (0, 0);
    let mut fault = None;
    crowd::each(plan.numbers(), AT_ONCE, Duration::MAX, work, |done| match done {
        Ok(owner) => {
            seen += 1;
            removed += u32::from(owner == Owner::Made);
            view.removing(seen, plan.users);
            true
        }
        Err(error) => {
            fault = Some(error);
            false
        }
    })
    .await;
    match fault {
        Some(fault) => Err(failure(&plan, "a user could not be removed", &fault)),
        None => Ok(removed),
    }
}

/// Asks whether the server answers, and knows the secret where there is one.
pub async fn ask(plan: &Plan) -> Result<()> {
    let recorder = Arc::new(Recorder::new());
    let mut user = plan.accounts(&recorder).user(plan.first);
    let asked = match &plan.identity {
        Identity::Secret { .. } => user.owner().await.map(|_| ()),
        // The token or the account is still to be made.
        Identity::Passwords { .. } | Identity::Accounts { .. } | Identity::Bearers(_) => {
            let call = Call::get(RequestKind::Info, "/__version__");
            user.client()
                .send_to("/__version__".to_owned(), call)
                .await
                .map(|_| ())
        }
    };
    asked.map_err(|fault| failure(plan, "the server cannot be used", &fault))
}

/// Why it does not go on.
fn failure(plan: &Plan, what: &str, fault: &Fault) -> Error {
    let is_signed = matches!(plan.identity, Identity::Secret { .. });
    if is_signed && fault.is_unauthorized() {
        return anyhow!(
            "{} does not know this secret: it is `master_secret` in secrets.toml of its data folder, or in its configuration \
             (401 to {})",
            plan.server.target,
            fault.request
        );
    }
    if fault.kind.is_silence() {
        return anyhow!("{what}: {fault}");
    }
    anyhow!("{what}: {fault}\nThe server answered: {}", fault.answer)
}
