//! Clients without an account upload pictures slowly (2).

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Field;

/// Connections at once.
const CONNECTIONS: u64 = 200;
/// Bytes of one picture.
const PICTURE: usize = 300_000;

pub async fn run(field: Field) -> Result<()> {
    let mut all = JoinSet::new();
    for number in 0..CONNECTIONS {
        let own = field.clone();
        all.spawn(async move {
            let field = own;
            loop {
                match upload(&field, number).await {
                    Ok(()) => field.count("sent"),
                    Err(_) => field.count("cut"),
                }
                field.pause(500).await;
            }
        });
        field.pause(10).await;
    }
    all.join_next().await;
    Ok(())
}

async fn upload(field: &Field, number: u64) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", field.port)).await?;
    let head = format!(
        "POST /v1/avatar/upload HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nx-forwarded-for: {}\r\ncontent-type: image/png\r\n\
         content-length: {PICTURE}\r\n\r\n",
        field.port,
        field.address(number)
    );
    stream.write_all(head.as_bytes()).await?;
    let piece = vec![0x89; PICTURE / 30];
    for _ in 0..30 {
        stream.write_all(&piece).await?;
        field.pause(500).await;
    }
    Ok(())
}
