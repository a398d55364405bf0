//! A proxy between an engine and its server, which counts round trips and cuts connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// They work.
    Fair,
    /// The next commit reaches the server, but its answer is lost.
    LosesAnswer,
    /// The next two commits reach the server, but their answers are lost.
    LosesTwoAnswers,
    /// The next commit reaches the server, but its answer is lost, and the commit after it is.
    LosesAnswerAndConfirmation,
    /// The next commit does not reach the server.
    LosesCommit,
    /// The next question reaches the server, but its answer is lost.
    LosesNextAnswer,
    /// The next question does not reach the server.
    LosesNextQuestion,
    /// The client of the next question is cut, and the question reaches the server half a second later.
    DelaysNextQuestion,
    /// The next question does not reach the server before the weather changes.
    HoldsNextQuestion,
    /// A question is held.
    Holds,
    /// A question is on its way that has no client any more. Connections work.
    Delivers,
    /// No question reaches the server, and no connection is closed.
    Swallows,
    /// All connections are closed, and new ones, too.
    Down,
}

/// A proxy that lives as long as this.
pub struct Proxy {
    turns: Arc<AtomicU64>,
    weather: watch::Sender<Weather>,
    /// Ends with the proxy.
    _task: JoinSet<()>,
}

impl Proxy {
    /// A proxy in front of the host of a URL, and the URL through it.
    pub async fn before(url: &str) -> (Self, String) {
        let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
        let (authority, path) = rest.split_once('/').expect("it has a database");
        let (user, upstream) = authority.rsplit_once('@').expect("it has a user");
        let upstream = upstream.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let turns = Arc::new(AtomicU64::new(0));
        let (weather, _) = watch::channel(Weather::Fair);
        let (counted, changes) = (Arc::clone(&turns), weather.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&upstream).await.expect("the server listens");
                client.set_nodelay(true).expect("a socket has options");
                server.set_nodelay(true).expect("a socket has options");
                connections.spawn(carry(client, server, Arc::clone(&counted), changes.clone()));
            }
        });
        let through = format!("{scheme}://{user}@127.0.0.1:{port}/{path}");
        let proxy = Self {
            turns,
            weather,
            _task: task,
        };
        (proxy, through)
    }

    /// The round trips since the last call.
    pub fn take_round_trips(&self) -> u64 {
        self.turns.swap(0, Ordering::SeqCst)
    }

    /// Whether what was set to be lost is lost.
    pub fn has_lost(&self) -> bool {
        *self.weather.borrow() == Weather::Fair
    }

    /// Waits until a question is held.
    pub async fn holds(&self) {
        let mut changes = self.weather.subscribe();
        let held = changes.wait_for(|weather| *weather == Weather::Holds).await;
        held.expect("the proxy lives");
    }

    /// Changes what happens to connections.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

/// Carries bytes both ways until one side ends or the weather forbids it.
async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    turns: Arc<AtomicU64>,
    weather: watch::Sender<Weather>,
) {
    let mut changes = weather.subscribe();
    // The end of one read may be the beginning of a word.
    let mut tail = Vec::new();
    let (mut is_asking, mut loses) = (false, false);
    let (mut question, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        if *changes.borrow_and_update() == Weather::Down {
            return;
        }
        tokio::select! {
            read = client.read(&mut question) => {
                let Ok(count @ 1..) = read else { return };
                if !std::mem::replace(&mut is_asking, true) {
                    turns.fetch_add(1, Ordering::SeqCst);
                }
                let now = *weather.borrow();
                tail.extend_from_slice(&question[..count]);
                let commits = tail.windows(8).any(|word| word == b"; COMMIT");
                let kept = tail.len().saturating_sub(7);
                tail.drain(..kept);
                match now {
                    Weather::Swallows => continue,
                    Weather::LosesNextQuestion => {
                        weather.send_replace(Weather::Fair);
                        return;
                    }
                    Weather::DelaysNextQuestion => {
                        weather.send_replace(Weather::Delivers);
                        drop(client);
                        tokio::time::sleep(Duration::from_millis(500)).await;
                        let delivered = server.write_all(&question[..count]).await;
                        delivered.expect("the server listens");
                        let answered = server.read(&mut answer).await;
                        answered.expect("the server answers");
                        weather.send_replace(Weather::Fair);
                        return;
                    }
                    Weather::HoldsNextQuestion => {
                        weather.send_replace(Weather::Holds);
                        let mut held = weather.subscribe();
                        let released = held.wait_for(|weather| *weather != Weather::Holds).await;
                        released.expect("the proxy lives");
                    }
                    Weather::LosesCommit if commits => {
                        weather.send_replace(Weather::Fair);
                        return;
                    }
                    Weather::LosesNextAnswer => {
                        weather.send_replace(Weather::Fair);
                        loses = true;
                    }
                    Weather::LosesAnswer if commits => {
                        weather.send_replace(Weather::Fair);
                        loses = true;
                    }
                    Weather::LosesAnswerAndConfirmation if commits => {
                        weather.send_replace(Weather::LosesCommit);
                        loses = true;
                    }
                    Weather::LosesTwoAnswers if commits => {
                        weather.send_replace(Weather::LosesAnswer);
                        loses = true;
                    }
                    _ => {}
                }
                if server.write_all(&question[..count]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answer) => {
                let Ok(count @ 1..) = read else { return };
                is_asking = false;
                if loses || client.write_all(&answer[..count]).await.is_err() {
                    return;
                }
            }
            _ = changes.changed() => {}
        }
    }
}
