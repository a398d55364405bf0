//! The proxy between a program and its database server, which delays and loses bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    /// They arrive.
    Fair,
    /// Each piece arrives so much later.
    Slow(Duration),
    /// Connections end, and there are no new ones.
    Cut,
    /// Questions arrive, answers are lost.
    LosesAnswers,
    /// Questions are lost.
    LosesQuestions,
}

/// A proxy before a server. It lives as long as the test program.
pub(super) struct FaultProxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    target: String,
    weather: Weather,
    /// Both ends of each connection.
    open: Vec<TcpStream>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Questions,
    Answers,
}

impl FaultProxy {
    /// A proxy before the server at this address and port.
    pub(super) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            target: target.to_owned(),
            weather: Weather::Fair,
            open: Vec::new(),
        }));
        let of_thread = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                connect(&client.unwrap(), &of_thread);
            }
        });
        Self { port, state }
    }

    /// Its address and port.
    pub(super) fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Changes the weather. Connections that have lost something end.
    pub(super) fn set(&self, weather: Weather) {
        let mut state = self.state.lock().unwrap();
        let has_lost = matches!(state.weather, Weather::LosesAnswers | Weather::LosesQuestions);
        state.weather = weather;
        if has_lost || weather == Weather::Cut {
            state.end_all();
        }
    }

    /// Leads to another server. Connections end.
    pub(super) fn move_to(&self, target: &str) {
        let mut state = self.state.lock().unwrap();
        target.clone_into(&mut state.target);
        state.end_all();
    }
}

impl State {
    fn end_all(&mut self) {
        for stream in self.open.drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn connect(client: &TcpStream, state: &Arc<Mutex<State>>) {
    let mut open = state.lock().unwrap();
    if open.weather == Weather::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(&open.target) else {
        return;
    };
    for stream in [client, &server] {
        stream.set_nodelay(true).unwrap();
        open.open.push(stream.try_clone().unwrap());
    }
    for direction in [Direction::Questions, Direction::Answers] {
        let (client, server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            let (from, to) = match direction {
                Direction::Questions => (&client, &server),
                Direction::Answers => (&server, &client),
            };
            carry(from, to, direction, &state);
            // Both directions end together. They may have ended already.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        });
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, direction: Direction, state: &Mutex<State>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let weather = state.lock().unwrap().weather;
        match (weather, direction) {
            (Weather::Cut, _) => return,
            (Weather::LosesAnswers, Direction::Answers) | (Weather::LosesQuestions, Direction::Questions) => {
                continue;
            }
            (Weather::Slow(delay), _) => std::thread::sleep(delay),
            _ => {}
        }
        if to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}
