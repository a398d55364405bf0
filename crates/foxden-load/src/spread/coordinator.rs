//! The coordinator: listens for workers, and puts together what they measured.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use foxden_model::{Clock, SystemClock};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::message::{Portion, Report, Share};
use super::roster::{Phase, Roster};
use super::seal::{HEADER, Seal};
use crate::measure::merge::WithTimeline;
use crate::measure::process::Process;
use crate::result::{Comparison, Figures, Machine, RunResult, Settings};
use crate::view::View;

/// The most bytes of a report.
const MOST_BYTES: usize = 64 << 20;
/// The most connections at once.
const MOST_CONNECTIONS: usize = 1000;
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How often the coordinator looks at its workers.
const TICK: Duration = Duration::from_millis(200);
/// How long workers that are done are still answered.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is asked of a coordinator.
#[derive(Debug)]
pub struct Task {
    /// How many workers there are.
    pub workers: usize,
    /// All users.
    pub whole: Share,
    /// What is written down of the run.
    pub settings: Settings,
    /// The server's process on this machine.
    pub process: Option<u32>,
}

/// Waits for the workers, lets them make the load, and returns what all found.
pub async fn run(listener: TcpListener, seal: Seal, task: Task, view: &mut View) -> Result<RunResult> {
    let roster = Arc::new(Mutex::new(Roster::new(task.workers, task.whole.clone())));
    view.say(&format!(
        "Waiting for {} workers at {}",
        task.workers,
        listener.local_addr()?
    ));
    let serving = serve(listener, Arc::clone(&roster), Arc::new(seal));
    let watching = watch(&roster, &task, view);
    let (began, process) = tokio::select! {
        watched = watching => watched?,
        Err(error) = serving => return Err(error),
        _ = tokio::signal::ctrl_c() => bail!("ended before the workers were done"),
    };
    let roster = std::mem::replace(&mut *lock(&roster), Roster::new(0, task.whole));
    let (portions, workers) = roster.end();
    if portions.is_empty() {
        let why = workers.iter().filter_map(|worker| worker.failure.clone());
        bail!(
            "no worker came to its end: {}",
            why.collect::<Vec<_>>().join("; ")
        );
    }
    let figures = figures(&portions);
    let used = process.and_then(|process| {
        let warm_up = Duration::from_secs_f64(task.settings.warm_up);
        process.used(warm_up, figures.requests)
    });
    let sum = |value: fn(&Comparison) -> u64| portions.iter().map(|portion| value(&portion.comparison)).sum();
    let settings = Settings {
        server: portions.iter().find_map(|portion| portion.server.clone()),
        ..task.settings
    };
    let machine = machine(&workers);
    Ok(RunResult {
        server: used,
        comparison: Comparison {
            in_run: sum(|comparison| comparison.in_run),
            after: sum(|comparison| comparison.after),
            users: portions.iter().map(|portion| portion.comparison.users).sum(),
            unreadable: portions.iter().map(|portion| portion.comparison.unreadable).sum(),
        },
        is_cut: portions.iter().any(|portion| portion.is_cut),
        workers,
        ..RunResult::new(began, settings, machine, figures)
    })
}

fn figures(portions: &[Portion]) -> Figures {
    let parts: Vec<WithTimeline> = portions
        .iter()
        .map(|portion| (portion.figures.clone(), portion.timeline.clone()))
        .collect();
    Figures::at_once(&parts)
}

/// The machine of the first worker, which is on the server's if any is.
fn machine(workers: &[crate::result::Worker]) -> Machine {
    let first = workers.first().map(|worker| worker.machine.clone());
    Machine {
        is_shared: workers.iter().any(|worker| worker.machine.is_shared),
        ..first.unwrap_or_default()
    }
}

/// Leads the run from phase to phase until it is over. Returns when users began, and the server's process.
async fn watch(roster: &Mutex<Roster>, task: &Task, view: &mut View) -> Result<(i64, Option<Process>)> {
    let whole = Duration::from_secs_f64(task.settings.warm_up + task.settings.length);
    let mut process = task.process.map(|id| Process::new(id, whole)).transpose()?;
    let mut began = SystemClock.seconds();
    let mut last = Phase::Gathering;
    loop {
        let now = Instant::now();
        let failed = lock(roster).look(now);
        for failed in failed {
            view.say(&format!("A worker is lost: {failed}"));
        }
        let phase = lock(roster).phase();
        match phase {
            Phase::Gathering => view.gathering(lock(roster).workers(), task.workers),
            Phase::Preparing => view.preparing(lock(roster).prepared(), task.whole.users),
            Phase::Running(start) => {
                if last != phase {
                    began = SystemClock.seconds();
                }
                let at = now.saturating_duration_since(start);
                if let Some(process) = process.as_mut().filter(|_| now >= start && at <= whole) {
                    process.look(at);
                }
                let (requests, faults) = lock(roster).running();
                view.spread(at.min(whole), whole, requests, faults);
            }
            Phase::Over => {
                // Their last reports are answered, so that they end, too.
                tokio::time::sleep(FAREWELL).await;
                return Ok((began, process));
            }
        }
        last = phase;
        tokio::time::sleep(TICK).await;
    }
}

/// Answers workers, for as long as it is waited for.
async fn serve(listener: TcpListener, roster: Arc<Mutex<Roster>>, seal: Arc<Seal>) -> Result<Infallible> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, from) = listener.accept().await.context("no more workers can be heard")?;
        while connections.try_join_next().is_some() {}
        if connections.len() >= MOST_CONNECTIONS {
            continue;
        }
        let (roster, seal) = (Arc::clone(&roster), Arc::clone(&seal));
        connections.spawn(async move {
            let answer = service_fn(|request| answer(request, &roster, &seal, from));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), answer);
            // A worker whose connection breaks opens another one.
            let _ = connection.await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    roster: &Mutex<Roster>,
    seal: &Seal,
    from: SocketAddr,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let signature = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok());
    let signature = signature.unwrap_or_default().to_owned();
    let body = Limited::new(request.into_body(), MOST_BYTES);
    let body = tokio::time::timeout(HEAD, body.collect()).await;
    let Ok(Ok(body)) = body else {
        return Ok(refusal(StatusCode::BAD_REQUEST, "no whole report"));
    };
    let body = body.to_bytes();
    if !seal.is_of_report(&body, &signature) {
        return Ok(refusal(StatusCode::UNAUTHORIZED, "its secret is another one"));
    }
    let Ok(report) = serde_json::from_slice::<Report>(&body) else {
        return Ok(refusal(StatusCode::BAD_REQUEST, "its report cannot be read"));
    };
    let heard = lock(roster).hear(report, from, Instant::now());
    Ok(match heard {
        Ok(order) => match serde_json::to_vec(&order) {
            Ok(order) => {
                let seal = seal.of_order(&signature, &order);
                let mut answer = Response::new(Full::from(Bytes::from(order)));
                let seal = seal.parse().expect("digits are a valid header");
                answer.headers_mut().insert(HEADER, seal);
                answer
            }
            Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the order cannot be written"),
        },
        Err(why) => refusal(StatusCode::CONFLICT, why),
    })
}

fn refusal(status: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(Bytes::from_static(why.as_bytes())));
    *answer.status_mut() = status;
    answer
}

fn lock(roster: &Mutex<Roster>) -> MutexGuard<'_, Roster> {
    roster.lock().unwrap_or_else(PoisonError::into_inner)
}
