//! Tests of connections to a server whose answers a test writes.

use foxden_model::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::*;

/// Answers like Redis: each key has its name as its value. The first time the answer comes twice.
async fn answer_one_twice(listener: TcpListener) {
    let mut times = 2;
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        answer_all(stream, &mut times).await;
    }
}

async fn answer_all(mut stream: TcpStream, times: &mut usize) {
    let mut request = vec![0; 1024];
    loop {
        // A short request on loopback comes in one piece.
        let length = stream.read(&mut request).await.unwrap();
        let text = String::from_utf8_lossy(&request[..length]).into_owned();
        let words: Vec<_> = text.split("\r\n").collect();
        match words.get(2) {
            None => return,
            Some(&"INFO") => {
                let info = "redis_version:7.0.15\r\nrun_id:abc";
                let answer = format!("${}\r\n{info}\r\n", info.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            Some(_) => {
                let answer = format!("*1\r\n{}\r\n{}\r\n", words[3], words[4]);
                stream
                    .write_all(answer.repeat(std::mem::replace(times, 1)).as_bytes())
                    .await
                    .unwrap();
            }
        }
    }
}

#[tokio::test]
async fn no_command_gets_the_answer_to_another_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("redis://{}", listener.local_addr().unwrap());
    let address = CacheAddress::parse(&address).unwrap().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(answer_one_twice(listener));
    let server = cache_server(&address, Arc::new(SystemClock));
    let first = server.get(CacheRead::list("first")).await;
    assert!(
        matches!(first, Err(CacheFault::Away(_))),
        "it may be an older answer"
    );
    let second = server.get(CacheRead::list("second")).await.unwrap();
    assert_eq!(second.list.unwrap().value, b"second");
}
