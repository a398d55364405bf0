//! Programs that the tests start, and that end with the tests however those end.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Starts a program and ends when it does. When this process closes the script's standard input before (on purpose, by
/// a panic, or by being killed), the script sends the program SIGTERM, and SIGKILL after 20 seconds.
const KEEPER: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
(
  read -r _ <&3
  kill -TERM "$program" 2>/dev/null
  rounds=0
  while kill -0 "$program" 2>/dev/null && [ "$rounds" -lt 200 ]; do
    sleep 0.1
    rounds=$((rounds + 1))
  done
  kill -KILL "$program" 2>/dev/null
) &
watcher=$!
wait "$program"
kill "$watcher" 2>/dev/null
"#;

/// A running program; dropping it ends it and waits for that.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a command, everything it prints going to one file.
    pub(crate) fn start(command: &Command, log: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]);
        keeper.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                keeper.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            keeper.current_dir(folder);
        }
        keeper.stdin(Stdio::piped());
        keeper.stdout(log.try_clone()?).stderr(log);
        let child = keeper.spawn().context("sh cannot be started")?;
        Ok(Self(child))
    }

    /// Waits until the program ends by itself.
    pub(crate) fn wait(mut self, limit: Duration) -> Result<()> {
        wait_for("a program to end", limit, || Ok(self.0.try_wait()?.map(drop)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            eprintln!("a program could not be waited for: {error}");
        }
    }
}

/// Polls until there is an answer: other processes do not signal their progress.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut poll: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = poll().with_context(|| format!("while waiting for {what}"))? {
            return Ok(answer);
        }
        if Instant::now() > end {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A port of this machine on which no program listens.
pub(crate) fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}
