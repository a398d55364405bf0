//! A worker: prepares the users that it is given, lets them act, and hands over what it measured.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use foxden_model::{Clock, SystemClock};
use http_body_util::Full;
use hyper::{Request, header};
use tokio::sync::watch;

use super::PAUSE;
use super::message::{Order, Portion, Report, Share, State};
use super::seal::{HEADER, Seal};
use crate::client::connection::{Connection, Connector, NoAnswer};
use crate::machine;
use crate::plan::Plan;
use crate::run;
use crate::target::Target;
use crate::view::View;

/// How long the coordinator may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long one answer of it may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The way to the coordinator.
#[derive(Debug)]
pub struct Line {
    target: Target,
    connector: Connector,
    connection: Option<Connection>,
    seal: Seal,
    worker: u64,
    number: u64,
}

impl Line {
    /// To the coordinator at this address.
    pub fn new(target: Target, seal: Seal) -> Result<Self> {
        // Two workers differ in their time or process. The number is no secret.
        let began = u64::try_from(SystemClock.millis()).unwrap_or_default();
        let worker = (began << 22) ^ u64::from(std::process::id());
        Ok(Self {
            connector: Connector::new(&target)?,
            target,
            connection: None,
            seal,
            worker,
            number: 0,
        })
    }

    /// Reports, and takes the order.
    async fn report(&mut self, state: State) -> Result<Order> {
        self.number += 1;
        let report = Report {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            worker: self.worker,
            number: self.number,
            state,
        };
        let body = serde_json::to_vec(&report)?;
        let signature = self.seal.of_report(&body);
        let request = Request::post(format!("{}/", self.target.path))
            .header(header::HOST, self.target.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(HEADER, &signature)
            .body(Full::from(Bytes::from(body)))?;
        let answer = tokio::time::timeout(ANSWER, self.exchange(request)).await;
        let answer = answer.context("no answer")??;
        let sealed = answer.headers().get(HEADER).and_then(|value| value.to_str().ok());
        let sealed = sealed.unwrap_or_default().to_owned();
        let (status, body) = (answer.status(), answer.into_body());
        if !status.is_success() {
            let why = foxden_model::Escaped(&String::from_utf8_lossy(&body)).to_string();
            return Err(anyhow::Error::new(Refused(why)));
        }
        ensure!(
            self.seal.is_of_order(&signature, &body, &sealed),
            "what answers does not know the secret"
        );
        Ok(serde_json::from_slice(&body)?)
    }

    async fn exchange(&mut self, mut request: Request<Full<Bytes>>) -> Result<hyper::Response<Bytes>> {
        if let Some(mut connection) = self.connection.take()
            && connection.is_open().await
        {
            match connection.exchange(request).await {
                Ok(answer) => {
                    self.connection = Some(connection);
                    return Ok(answer);
                }
                Err(NoAnswer::Broken(what)) => bail!(what),
                Err(NoAnswer::NotSent(unsent)) => request = *unsent,
            }
        }
        let mut connection = self.connector.connect().await?;
        match connection.exchange(request).await {
            Ok(answer) => {
                self.connection = Some(connection);
                Ok(answer)
            }
            Err(NoAnswer::Broken(what)) => bail!(what),
            Err(NoAnswer::NotSent(_)) => bail!("the connection was closed"),
        }
    }
}

/// The coordinator does not want this worker.
#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the coordinator refuses this worker: {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// What the worker does, for its reports.
#[derive(Clone, Debug)]
struct Desk(Arc<Mutex<State>>);

impl Desk {
    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn state(&self) -> State {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Works until the coordinator says that it is over. The share becomes a plan by that function.
pub async fn work(line: Line, plan: impl FnOnce(&Share) -> Result<Plan>, view: &mut View) -> Result<()> {
    let is_local = line.target.is_local();
    let desk = Desk(Arc::new(Mutex::new(State::Waiting(machine::this(is_local)))));
    let (tell, orders) = watch::channel(Order::Wait);
    let reporting = keep_reporting(line, desk.clone(), tell);
    let act = async {
        let done = act(&desk, orders.clone(), plan, view).await;
        if let Err(error) = &done {
            desk.set(State::Failed(format!("{error:#}")));
        }
        // What it ended with is still to be told.
        wait(orders, |order| *order == Order::End).await?;
        done
    };
    tokio::select! {
        done = act => done,
        Err(error) = reporting => Err(error),
    }
}

/// Reports again and again. Ends when the coordinator is gone.
async fn keep_reporting(mut line: Line, desk: Desk, tell: watch::Sender<Order>) -> Result<()> {
    let mut heard = Instant::now();
    loop {
        match line.report(desk.state()).await {
            Ok(order) => {
                heard = Instant::now();
                tell.send_replace(order);
            }
            Err(error) if error.is::<Refused>() => return Err(error),
            Err(error) if heard.elapsed() > SILENCE => {
                return Err(error).context("the coordinator is gone");
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn wait(mut orders: watch::Receiver<Order>, is_it: impl FnMut(&Order) -> bool) -> Result<Order> {
    let order = orders.wait_for(is_it).await;
    order
        .map(|order| order.clone())
        .context("the coordinator is gone")
}

async fn act(
    desk: &Desk,
    orders: watch::Receiver<Order>,
    plan: impl FnOnce(&Share) -> Result<Plan>,
    view: &mut View,
) -> Result<()> {
    let is_share = |order: &Order| matches!(order, Order::Prepare(_) | Order::End);
    let Order::Prepare(share) = wait(orders.clone(), is_share).await? else {
        bail!("the run ended before it began");
    };
    let plan = plan(&share)?;
    desk.set(State::Preparing(0));
    let prepared = run::prepare(plan, view, &mut |done| desk.set(State::Preparing(done))).await?;
    desk.set(State::Ready);
    let is_start = |order: &Order| matches!(order, Order::Start(_) | Order::End);
    let Order::Start(after) = wait(orders, is_start).await? else {
        bail!("the run ended before it began");
    };
    desk.set(State::Running(0, 0));
    tokio::time::sleep(Duration::from_millis(after)).await;
    let tell = &mut |requests, faults| desk.set(State::Running(requests, faults));
    let ran = run::act(prepared, view, tell).await?;
    let portion = Portion {
        figures: ran.figures(),
        timeline: ran.timeline(),
        comparison: ran.comparison,
        server: ran.server.clone(),
        is_cut: ran.is_cut,
    };
    desk.set(State::Done(Box::new(portion)));
    Ok(())
}
