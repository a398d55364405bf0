//! A mail server that takes every letter, counts it and throws it away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Where letters go. It closes when dropped.
pub struct Mailbox {
    /// The port it listens on, on this machine alone.
    pub port: u16,
    letters: Arc<AtomicU64>,
    _served: JoinSet<()>,
}

impl Mailbox {
    /// Begins to listen.
    pub async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let letters = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&letters);
        let mut served = JoinSet::new();
        served.spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                // A carrier that hangs up brings no more letters.
                all.spawn(async move { take(stream, &counter).await.ok() });
                while all.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            port,
            letters,
            _served: served,
        })
    }

    /// How many letters came.
    pub fn letters(&self) -> u64 {
        self.letters.load(Ordering::Relaxed)
    }
}

async fn take(stream: TcpStream, letters: &AtomicU64) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 mail.example.org\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "DATA" => b"354 go on\r\n",
            "QUIT" => b"221 goodbye\r\n",
            _ => b"250 fine\r\n",
        };
        writer.write_all(answer).await?;
        if verb == "DATA" {
            while lines.next_line().await?.is_some_and(|line| line != ".") {}
            letters.fetch_add(1, Ordering::Relaxed);
            writer.write_all(b"250 taken\r\n").await?;
        }
    }
    Ok(())
}
