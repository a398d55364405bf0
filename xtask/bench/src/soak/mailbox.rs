//! A mail server that accepts and counts every mail, and keeps the code of a password reset.
//!
//! Attackers read their own mails, too: `VRFY` returns the latest code that was mailed to an address.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The received mails.
#[derive(Default)]
struct Received {
    mails: AtomicU64,
    codes: Mutex<HashMap<String, String>>,
}

/// The mail server. It closes on drop.
pub struct Mailbox {
    /// The port it listens on, on this machine alone.
    pub port: u16,
    mails: Arc<Received>,
    _served: JoinSet<()>,
}

impl Mailbox {
    /// Starts to listen.
    pub async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let mails = Arc::<Received>::default();
        let shared = Arc::clone(&mails);
        let mut served = JoinSet::new();
        served.spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let own = Arc::clone(&shared);
                // A sender that disconnects sends no more mails.
                all.spawn(async move { take(stream, &own).await.ok() });
                while all.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            port,
            mails,
            _served: served,
        })
    }

    /// The number of received mails.
    pub fn mails(&self) -> u64 {
        self.mails.mails.load(Ordering::Relaxed)
    }
}

async fn take(stream: TcpStream, mails: &Received) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut receiver = String::new();
    writer.write_all(b"220 mail.example.org\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "DATA" => "354 go on".to_owned(),
            "QUIT" => "221 goodbye".to_owned(),
            "VRFY" => {
                let code = mails.codes().get(line[4..].trim()).cloned();
                code.map_or("550 none".to_owned(), |code| format!("250 {code}"))
            }
            _ => "250 fine".to_owned(),
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
        if verb == "QUIT" {
            break;
        }
        if verb == "RCPT" {
            let address = line.split(['<', '>']).nth(1);
            receiver = address.unwrap_or_default().to_owned();
        }
        if verb == "DATA" {
            while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                if line.len() == 32 && line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    mails.codes().insert(receiver.clone(), line);
                }
            }
            mails.mails.fetch_add(1, Ordering::Relaxed);
            writer.write_all(b"250 taken\r\n").await?;
        }
    }
    Ok(())
}

/// Asks the mailbox at that port for the latest code of a password reset for an address.
pub async fn code(port: u16, address: &str) -> Result<Option<String>> {
    let (reader, mut writer) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
    writer
        .write_all(format!("VRFY {address}\r\nQUIT\r\n").as_bytes())
        .await?;
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(code) = line.strip_prefix("250 ") {
            return Ok(Some(code.to_owned()));
        }
    }
    Ok(None)
}

impl Received {
    fn codes(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
