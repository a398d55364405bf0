//! Server processes of the run, and their resource usage.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::request::SECRET;

/// A server process with its own folder; both are removed on drop.
pub struct Process {
    child: Child,
    folder: PathBuf,
    /// The port it listens on.
    pub port: u16,
}

/// The beginning of the names of files that callgrind writes.
const COUNTS: &str = "callgrind.out";
/// How often a server is asked whether it listens, and the time between: a minute in all, as valgrind starts slowly.
const CONNECT_ATTEMPTS: usize = 1200;
const PAUSE: Duration = Duration::from_millis(50);

/// How often all threads must be seen asleep, one look after the other: in between one may have woken another.
const SETTLED_LOOKS: usize = 2;
/// The time between two looks. Looks without a pause would take the processor that the server needs.
const SETTLED_PAUSE: Duration = Duration::from_micros(100);
/// The longest wait for that; machines may be busy.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);

/// What a counted server writes to its standard error, in its folder, and how many of the last lines errors quote.
const STDERR: &str = "stderr";
const QUOTED_LINES: usize = 20;

/// The latency of the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DiskLatency {
    /// That of this machine.
    Native,
    /// Two milliseconds more for each sync, as on a typical disk.
    Slow,
}

impl Process {
    /// A fresh Foxden.
    pub async fn foxden(program: &Path, disk: DiskLatency) -> Result<Self> {
        let (port, folder) = allocate_port_and_folder("foxden")?;
        Self::start(serve(program, port, &folder, "error"), port, folder, disk).await
    }

    /// A fresh Foxden with this store and cache. It writes its log.
    pub async fn with_store(program: &Path, store: &str, cache: &str) -> Result<Self> {
        let (port, folder) = allocate_port_and_folder("foxden")?;
        let log = std::fs::File::create(folder.join("log"))?;
        let mut command = serve(program, port, &folder, "info");
        command
            .env("FOXDEN__STORAGE__URL", store)
            .env("FOXDEN__STORAGE__CACHE", cache)
            .stderr(log);
        Self::start(command, port, folder, DiskLatency::Native).await
    }

    /// A fresh Foxden with open sign-up behind a local proxy. It writes both of its logs.
    pub async fn for_soak(program: &Path, quota: &str, mail_port: u16) -> Result<Self> {
        let (port, folder) = allocate_port_and_folder("soak")?;
        let log = std::fs::File::create(folder.join("log"))?;
        let mut command = serve(program, port, &folder, "warn");
        command
            .env("FOXDEN__PUBLIC_URL", format!("http://127.0.0.1:{port}"))
            .env("FOXDEN__ACCOUNTS__SIGN_UP", "open")
            .env("FOXDEN__STORAGE__QUOTA", quota)
            .env("FOXDEN__MAIL__HOST", "127.0.0.1")
            .env("FOXDEN__MAIL__PORT", mail_port.to_string())
            .env("FOXDEN__MAIL__TLS", "none")
            .env("FOXDEN__MAIL__FROM", "foxden@example.org")
            .env(
                "FOXDEN__SECURITY_LOG__TARGET",
                format!("file:{}", folder.join("security.log").display()),
            )
            .stderr(log);
        Self::start(command, port, folder, DiskLatency::Native).await
    }

    /// Confirms the address of an account by the command line.
    pub fn confirm(&self, address: &str) -> Result<()> {
        let program = std::fs::read_link(format!("/proc/{}/exe", self.child.id()))?;
        let mut command = Command::new(program);
        command
            .args(["user", "confirm", address])
            .arg("--data-dir")
            .arg(self.folder.join("data"))
            .env("FOXDEN__MASTER_SECRET", SECRET)
            .stdout(Stdio::null());
        if !command.status()?.success() {
            bail!("{address} cannot be confirmed");
        }
        Ok(())
    }

    /// A file of its folder.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// The same Foxden, restarted: caches are empty, stored data is kept.
    pub async fn restart(mut self, program: &Path) -> Result<Self> {
        self.end()?;
        let (port, folder) = (self.port, std::mem::take(&mut self.folder));
        Self::start(
            serve(program, port, &folder, "error"),
            port,
            folder,
            DiskLatency::Native,
        )
        .await
    }

    /// A fresh Foxden under callgrind, which counts what it does. It runs no chores: they come at times of their own. Neither the
    /// environment nor files of the machine configure it or valgrind.
    pub async fn under_callgrind(program: &Path) -> Result<Self> {
        let (port, folder) = allocate_port_and_folder("counted")?;
        Self::counted(program, "sqlite:", port, folder).await
    }

    /// The same Foxden with the same store, restarted under callgrind: caches are empty, stored data is kept.
    pub async fn restart_under_callgrind(mut self, program: &Path, store: &str) -> Result<Self> {
        self.end()?;
        let (port, folder) = (self.port, std::mem::take(&mut self.folder));
        Self::counted(program, store, port, folder).await
    }

    async fn counted(program: &Path, store: &str, port: u16, folder: PathBuf) -> Result<Self> {
        let config = folder.join("foxden.toml");
        std::fs::write(&config, "")?;
        let mut command = Command::new("valgrind");
        command
            .arg("--tool=callgrind")
            // Else options in the home folder and in the working folder hold, too.
            .arg("--command-line-only=yes")
            .arg(format!("--callgrind-out-file={}", folder.join(COUNTS).display()))
            .arg(vgdb_prefix(&folder))
            .stderr(std::fs::File::create(folder.join(STDERR))?);
        let plain = serve(program, port, &folder, "error");
        command.arg(plain.get_program()).args(plain.get_args());
        command.arg("--config").arg(config);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("FOXDEN_") || name == "VALGRIND_OPTS" {
                command.env_remove(&*name);
            }
        }
        command
            .env("FOXDEN__MASTER_SECRET", SECRET)
            .env("FOXDEN__STORAGE__URL", store)
            .env("FOXDEN__CHORES__ENABLED", "false")
            // As many as cores would make other counts on other machines.
            .env("TOKIO_WORKER_THREADS", "1");
        Self::start(command, port, folder, DiskLatency::Native).await
    }

    /// Waits until every thread sleeps: nothing of the last request is left to do.
    pub fn settle(&mut self) -> Result<()> {
        let end = Instant::now() + SETTLED_LIMIT;
        let mut looks = 0;
        while looks < SETTLED_LOOKS {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}");
            }
            if Instant::now() > end {
                bail!("a server is still busy {SETTLED_LIMIT:?} after its last request");
            }
            looks = if self.is_asleep()? { looks + 1 } else { 0 };
            std::thread::sleep(SETTLED_PAUSE);
        }
        Ok(())
    }

    /// The last lines of its standard error, to go behind an error; nothing if it wrote none.
    pub fn quoted(&self) -> String {
        let text = self.file(STDERR);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
        if last.is_empty() {
            return String::new();
        }
        format!("; its last lines on standard error:\n{}", last.join("\n"))
    }

    fn is_asleep(&self) -> Result<bool> {
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let Ok(stat) = std::fs::read_to_string(thread?.path().join("stat")) else {
                // It has ended meanwhile.
                return Ok(false);
            };
            // The state follows the name, which is in brackets.
            if !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sets the counters of a counted server to zero.
    pub fn reset_counts(&self) -> Result<()> {
        self.callgrind("zero")
    }

    /// What callgrind has counted since the counters were set to zero: its profile.
    pub fn counts(&self) -> Result<String> {
        self.callgrind("dump")?;
        // A number follows the name. The file of that name itself is for the end of the process.
        let prefix = format!("{COUNTS}.");
        let mut dumps = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                dumps.push(entry.path());
            }
        }
        let [dump] = dumps.as_slice() else {
            bail!("callgrind wrote {} profiles", dumps.len());
        };
        let profile = std::fs::read_to_string(dump)?;
        std::fs::remove_file(dump)?;
        Ok(profile)
    }

    /// Gives a command to callgrind.
    fn callgrind(&self, command: &str) -> Result<()> {
        let output = Command::new("vgdb")
            .arg(vgdb_prefix(&self.folder))
            .arg(format!("--pid={}", self.child.id()))
            .args(["--max-invoke-ms=20", "--cmd-time-out=30", command])
            .output()
            .context("vgdb, which comes with valgrind, cannot be started")?;
        if !output.status.success() {
            bail!("vgdb: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// A fresh reference program of that kind.
    pub async fn reference(kind: &str, disk: DiskLatency) -> Result<Self> {
        let (port, folder) = allocate_port_and_folder(kind)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["reference", kind, &port.to_string()]).arg(&folder);
        Self::start(command, port, folder, disk).await
    }

    async fn start(mut command: Command, port: u16, folder: PathBuf, disk: DiskLatency) -> Result<Self> {
        if disk == DiskLatency::Slow {
            command.env("LD_PRELOAD", shim()?);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command
            .spawn()
            .with_context(|| format!("{command:?} cannot be started"))?;
        let mut process = Self { child, folder, port };
        for _ in 0..CONNECT_ATTEMPTS {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(process);
            }
            if let Some(status) = process.child.try_wait()? {
                bail!("{command:?} ended with {status}{}", process.quoted());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("{command:?} does not listen on {port}{}", process.quoted())
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A file with its master secret.
    pub fn secret_file(&self) -> Result<PathBuf> {
        let file = self.folder.join("secret");
        std::fs::write(&file, SECRET)?;
        Ok(file)
    }

    /// Processor time used so far, by all its threads.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        // The kernel reports these in hundredths of a second on all machines.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Its memory in bytes.
    pub fn memory(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Its memory in bytes some seconds after the start: it listens before it is completely loaded.
    pub async fn settled_memory(&self) -> Result<u64> {
        tokio::time::sleep(Duration::from_secs(3)).await;
        self.memory()
    }

    /// The peak of its memory in bytes, since the last reset.
    pub fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// Resets the peak.
    pub fn forget_peak(&self) -> Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").context("clear_refs")
    }

    fn status(&self, field: &'static str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .context(field)?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }

    /// Stops it with a signal, and returns the bytes of its folder.
    pub fn stop(mut self) -> Result<u64> {
        self.end()?;
        self.disk_usage()
    }

    fn end(&mut self) -> Result<()> {
        let id = self.child.id().to_string();
        if !Command::new("kill").args(["-TERM", &id]).status()?.success() {
            bail!("process {id} cannot be stopped");
        }
        self.child.wait()?;
        Ok(())
    }

    /// Bytes its folder takes on disk.
    pub fn disk_usage(&self) -> Result<u64> {
        size_of(&self.folder)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, and its folder may be gone; both are fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A restarted server has passed its folder on.
        if !self.folder.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn serve(program: &Path, port: u16, folder: &Path, log: &str) -> Command {
    let mut command = Command::new(program);
    command
        .arg("serve")
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .arg("--data-dir")
        .arg(folder.join("data"))
        .args(["--log", log])
        .env("FOXDEN__MASTER_SECRET", SECRET);
    command
}

fn size_of(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size_of(&entry.path())?
        } else {
            // A file may have been removed meanwhile.
            entry.metadata().map_or(0, |file| file.len())
        };
    }
    Ok(bytes)
}

/// Where valgrind and what controls it meet.
fn vgdb_prefix(folder: &Path) -> String {
    format!("--vgdb-prefix={}", folder.join("vgdb").display())
}

/// A free port and an empty folder.
fn allocate_port_and_folder(name: &str) -> Result<(u16, PathBuf)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let folder = std::env::temp_dir().join(format!("foxden-bench-{}-{name}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok((port, folder))
}

/// Compiles the library that makes every sync two milliseconds longer.
fn shim() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("foxden-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let library = folder.join("slow_sync.so");
    if !library.exists() {
        let source = folder.join("slow_sync.c");
        std::fs::write(&source, include_str!("slow_sync.c"))?;
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ldl")
            .status();
        if !status.context("cc cannot be started")?.success() {
            bail!("slow_sync.c does not compile");
        }
    }
    Ok(library)
}
