//! A connection to a server that breaks while a transaction is being committed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a client sends to commit: the statement alone, as PostgreSQL and as MariaDB put it into a message.
const COMMITS: [&[u8]; 2] = [b"\x0bCOMMIT", b"\x03COMMIT"];

/// What is lost with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The commit does not reach the server.
    Commit,
    /// The server commits, and its answer is lost.
    Answer,
}

/// A line to a server, which works until it is told what to lose.
pub(crate) struct LossyLine {
    pub(crate) place: SocketAddr,
    loss: Arc<Mutex<Option<Loss>>>,
    _serving: JoinSet<()>,
}

impl LossyLine {
    /// A line to the server of that URL.
    pub(crate) async fn to(url: &str) -> Self {
        let server = url.split_once('@').unwrap().1.split_once('/').unwrap().0;
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let loss = Arc::new(Mutex::new(None));
        let mut serving = JoinSet::new();
        serving.spawn({
            let loss = Arc::clone(&loss);
            async move {
                let mut all = JoinSet::new();
                loop {
                    let (near, _) = listener.accept().await.unwrap();
                    let far = TcpStream::connect(&server).await.unwrap();
                    let loss = Arc::clone(&loss);
                    all.spawn(async move {
                        // It ends when either side does.
                        drop(carry(near, far, &loss).await);
                    });
                }
            }
        });
        Self {
            place,
            loss,
            _serving: serving,
        }
    }

    /// Breaks the connection of the next commit.
    pub(crate) fn lose(&self, loss: Loss) {
        *self.loss.lock().unwrap() = Some(loss);
    }

    /// Whether a commit has come since it was told what to lose.
    pub(crate) fn has_lost(&self) -> bool {
        self.loss.lock().unwrap().is_none()
    }
}

async fn carry(mut near: TcpStream, mut far: TcpStream, loss: &Mutex<Option<Loss>>) -> std::io::Result<()> {
    let (mut question, mut answer) = (vec![0; 1 << 14], vec![0; 1 << 14]);
    loop {
        tokio::select! {
            read = near.read(&mut question) => {
                let question = &question[..read?];
                if question.is_empty() {
                    return Ok(());
                }
                // The client waits for an answer before it commits, so the message comes alone and whole.
                let commits = COMMITS.iter().any(|commit| question.windows(commit.len()).any(|part| part == *commit));
                let breaks = if commits { loss.lock().unwrap().take() } else { None };
                if breaks == Some(Loss::Commit) {
                    return Ok(());
                }
                far.write_all(question).await?;
                if breaks == Some(Loss::Answer) {
                    // Its arrival says that the server has committed.
                    assert!(far.read(&mut answer).await? > 0, "the server committed");
                    return Ok(());
                }
            }
            read = far.read(&mut answer) => {
                let answer = &answer[..read?];
                if answer.is_empty() {
                    return Ok(());
                }
                near.write_all(answer).await?;
            }
        }
    }
}
