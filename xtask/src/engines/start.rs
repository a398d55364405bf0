//! Starts one server, and ends it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::files::{Files, delete, last_lines};
use super::process::Process;
use super::server::Server;
use super::state::State;
use super::system_user::SystemUser;

/// How long a server may take to start or to end.
const LIMIT: Duration = Duration::from_secs(60);

/// A server that runs.
pub enum Started {
    /// This call started it.
    Now(State),
    /// An earlier one did.
    Before(State),
}

/// Starts a server with new files, unless one runs already whose state is in this folder.
pub fn start(server: &dyn Server, folder: &Path) -> Result<Started> {
    if let Some(state) = State::read(folder)? {
        if state.process.is_running() && server.has_started(&state) {
            return Ok(Started::Before(state));
        }
        end(server, &state)?;
    }
    // Files of a start that was interrupted.
    delete(folder, folder)?;
    fs::create_dir_all(folder)?;
    let user = SystemUser::for_server(server.system_user())?;
    let files = Files::create(folder, server.name(), user)?;
    let state = server.create(&files).and_then(|()| serve(server, &files, folder));
    if state.is_err() {
        delete(&files.folder, &files.sockets)?;
    }
    state.map(Started::Now)
}

/// Ends a server if it still runs, deletes its files, and says what was done.
pub fn end(server: &dyn Server, state: &State) -> Result<&'static str> {
    let was_running = state.process.is_running();
    state.process.send_with_children("CONT")?;
    let was_killed = state.process.end(server.end_signal(), LIMIT)?;
    delete(&state.files, &state.sockets)?;
    state.delete()?;
    server.forget(state)?;
    Ok(match (was_running, was_killed) {
        (_, true) => "killed: it did not end by itself",
        (true, false) => "ended",
        (false, false) => "had ended before; its files are deleted",
    })
}

/// Stops a server, and keeps its files.
pub fn stop(server: &dyn Server, state: &State) -> Result<()> {
    state.process.send_with_children("CONT")?;
    if state.process.end(server.end_signal(), LIMIT)? {
        bail!("it did not end by itself");
    }
    Ok(())
}

/// Starts a server that was stopped, with its files and on its port.
pub fn start_again(server: &dyn Server, state: &State) -> Result<State> {
    let begun = Instant::now();
    // For a moment a client may have it.
    while !is_free(state.port) && begun.elapsed() < LIMIT {
        sleep(Duration::from_millis(20));
    }
    let files = files(server, state)?;
    let (mut child, state) = spawn(server, &files, &state.folder, state.port)?;
    wait_for(server, &mut child, &state)?;
    take_result(child);
    Ok(state)
}

/// The files of a server that was started.
pub fn files(server: &dyn Server, state: &State) -> Result<Files> {
    Ok(Files {
        home: state.folder.clone(),
        folder: state.files.clone(),
        sockets: state.sockets.clone(),
        password: state.password.clone(),
        user: SystemUser::for_server(server.system_user())?,
    })
}

/// Serves the files. The chosen port is free, but another program may take it first; then the next is tried.
fn serve(server: &dyn Server, files: &Files, folder: &Path) -> Result<State> {
    loop {
        let port = free_port()?;
        let (mut child, state) = spawn(server, files, folder, port)?;
        match wait_for(server, &mut child, &state) {
            Ok(()) => {
                take_result(child);
                return Ok(state);
            }
            Err(_) if !is_free(port) && child.try_wait()?.is_some() => {}
            Err(error) => {
                state.process.end("KILL", LIMIT)?;
                state.delete()?;
                return Err(error);
            }
        }
    }
}

fn spawn(server: &dyn Server, files: &Files, folder: &Path, port: u16) -> Result<(Child, State)> {
    let log = File::create(files.log())?;
    let mut command = server.serve(files, port)?;
    command.stdout(log.try_clone()?).stderr(log);
    // An interrupt of the terminal does not reach it.
    command.process_group(0);
    let child = command.spawn().context("it cannot be started")?;
    let state = State {
        folder: folder.to_owned(),
        port,
        process: Process::with_pid(child.id())?,
        files: files.folder.clone(),
        sockets: files.sockets.clone(),
        password: files.password.clone(),
    };
    state.write()?;
    Ok((child, state))
}

fn wait_for(server: &dyn Server, child: &mut Child, state: &State) -> Result<()> {
    let begun = Instant::now();
    while !server.has_started(state) {
        let has_ended = child.try_wait()?.is_some();
        if has_ended || begun.elapsed() > LIMIT {
            let log = fs::read_to_string(state.log()).unwrap_or_default();
            let what = if has_ended {
                "ended at once"
            } else {
                "does not answer"
            };
            bail!("the server {what}; its log ends: {}", last_lines(&log));
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Takes the result of a server once it ends: until then the kernel keeps its number, and PostgreSQL takes it for one that runs.
fn take_result(mut child: Child) {
    std::thread::spawn(move || child.wait());
}

/// A port of 127.0.0.1 that nothing uses.
pub fn free_port() -> Result<u16> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port of 127.0.0.1 is free")?;
    Ok(socket.local_addr()?.port())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_until_a_program_uses_it() {
        let port = free_port().unwrap();
        assert!(is_free(port));
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        assert_ne!(free_port().unwrap(), port);
        drop(socket);
        assert!(is_free(port));
    }
}
