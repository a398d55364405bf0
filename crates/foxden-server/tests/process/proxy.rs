//! A real proxy in front of the program, configured as the operator's manual says.
//!
//! Each runs on loopback as one process in the foreground, with its files in a folder of the test.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The page that operators copy their configuration from.
const BOOK: &str = include_str!("../../../../docs/operating.md");

/// A proxy between clients and the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Apache,
    HaProxy,
}

/// The proxy that every program is to be behind, from the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment what to test with"
)]
pub fn wanted() -> Option<Kind> {
    let name = std::env::var("FOXDEN_TEST_PROXY").ok()?;
    Some(match name.as_str() {
        "nginx" => Kind::Nginx,
        "apache" => Kind::Apache,
        "haproxy" => Kind::HaProxy,
        other => panic!("FOXDEN_TEST_PROXY is nginx, apache or haproxy, not {other}"),
    })
}

/// A proxy that is not started yet.
#[derive(Clone, Debug)]
pub struct Setup {
    kind: Kind,
    /// The manual's configuration of this proxy.
    block: String,
    /// Where the program is, as the proxy names it.
    backend: String,
    /// Addresses of the manual, and those of further programs.
    others: Vec<(&'static str, String)>,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    folder: PathBuf,
}

/// The blocks of the manual in this language, in their order.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let after = BOOK.split(fence.as_str()).skip(1);
    after
        .map(|text| text.split("```\n").next().unwrap().to_owned())
        .collect()
}

impl Setup {
    /// The book's proxy in front of the program at this address and port.
    pub fn of_the_manual(kind: Kind, backend: &str) -> Self {
        let language = match kind {
            Kind::Nginx => "nginx",
            Kind::Apache => "apache",
            Kind::HaProxy => "haproxy",
        };
        Self {
            kind,
            block: blocks(language).swap_remove(0),
            backend: backend.to_owned(),
            others: Vec::new(),
        }
    }

    /// The book's `HAProxy` in front of two programs, which get the requests in turn.
    pub fn of_two(first: &str, second: &str) -> Self {
        let mut setup = Self::of_the_manual(Kind::HaProxy, first);
        let (frontend, _) = setup.block.split_once("\nbackend foxden").unwrap();
        setup.block = format!("{frontend}\n{}", blocks("haproxy").swap_remove(1));
        let others = [("10.0.0.2:5000", first), ("10.0.0.3:5000", second)];
        for (of_the_manual, address) in others {
            assert!(setup.block.contains(of_the_manual), "{}", setup.block);
            setup.others.push((of_the_manual, address.to_owned()));
        }
        setup
    }

    /// nginx with nothing but `proxy_pass` and these lines.
    pub fn bare_nginx(backend: &str, lines: &str) -> Self {
        let block = format!(
            "server {{\n    listen 443 ssl;\n    location / {{\n        proxy_pass http://127.0.0.1:5000;\n{lines}    }}\n}}\n"
        );
        Self {
            kind: Kind::Nginx,
            block,
            backend: backend.to_owned(),
            others: Vec::new(),
        }
    }

    /// The same nginx, where others than this machine can reach it.
    pub fn for_others(self) -> Self {
        self.with("listen 443 ssl;", "listen LISTEN_FOR_ALL;")
    }

    /// The same with a part replaced, which must be there.
    #[track_caller]
    pub fn with(mut self, part: &str, other: &str) -> Self {
        assert!(self.block.contains(part), "no {part} in {}", self.block);
        self.block = self.block.replace(part, other);
        self
    }

    /// nginx with `keepalive` towards the program, as in the manual.
    pub fn with_keepalive(self) -> Self {
        let [_, upstream, location, _] = &blocks("nginx")[..] else {
            panic!("the manual has another number of blocks for nginx")
        };
        let mut kept = self.with("proxy_pass http://127.0.0.1:5000;", location);
        kept.block = format!("{upstream}{}", kept.block);
        kept
    }

    /// A proxy that cuts the first part of the path off.
    pub fn cutting(self, name: &str) -> Self {
        match self.kind {
            Kind::Nginx => {
                let location = blocks("nginx").swap_remove(3).replace("node1", name);
                let end = self.block.rfind('}').unwrap();
                let block = format!("{}{location}}}\n", &self.block[..end]);
                Self { block, ..self }
            }
            Kind::Apache => {
                let whole = "ProxyPass / http://127.0.0.1:5000/ nocanon ttl=60";
                let cut = format!("ProxyPass /{name} http://127.0.0.1:5000 nocanon ttl=60");
                assert!(BOOK.contains(&cut.replace(name, "node1")));
                self.with(whole, &format!("{cut}\n    {whole}"))
            }
            Kind::HaProxy => {
                let cut = format!("http-request replace-pathq ^/{name}(/.*) \\1");
                assert!(BOOK.contains(&cut.replace(name, "node1")));
                self.with("default_backend", &format!("{cut}\n    default_backend"))
            }
        }
    }

    /// Starts it on this port, and waits until it takes connections.
    pub fn start(&self, port: u16) -> Proxy {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("proxy-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("proxy.conf");
        fs::write(&file, self.configuration(&folder, port)).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let mut command = self.command(&folder, &file);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{:?} cannot be started; cargo xtask test installs it: {error}",
                self.kind
            )
        });
        let mut proxy = Proxy { child, folder };
        proxy.wait(port);
        proxy
    }

    fn command(&self, folder: &Path, file: &Path) -> Command {
        let mut command;
        match self.kind {
            Kind::Nginx => {
                command = Command::new("nginx");
                command
                    .arg("-p")
                    .arg(folder)
                    .arg("-e")
                    .arg(folder.join("log"))
                    .arg("-c")
                    .arg(file);
            }
            Kind::Apache => {
                command = Command::new("apache2");
                command.args(["-X", "-d"]).arg(folder).arg("-f").arg(file);
            }
            Kind::HaProxy => {
                command = Command::new("haproxy");
                command.args(["-db", "-f"]).arg(file);
            }
        }
        // Debian keeps them where only root looks by itself.
        command.env(
            "PATH",
            "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin",
        );
        command
    }

    /// The block of the operator's manual, with the test's addresses and without TLS, in the usual configuration of a distribution.
    fn configuration(&self, folder: &Path, port: u16) -> String {
        let folder = folder.display();
        let lines = self.block.lines().filter(|line| {
            let line = line.trim_start();
            !line.starts_with("ssl_certificate") && !line.starts_with("SSL")
        });
        let block = lines.collect::<Vec<_>>().join("\n") + "\n";
        let block = block
            .replace("listen 443 ssl;", "listen LISTEN;")
            .replace("*:443", "LISTEN")
            .replace(
                "bind :443 ssl crt /etc/haproxy/sync.example.org.pem",
                "bind LISTEN",
            );
        // Before ports are put in: those may hold these digits.
        assert!(!block.contains("443"), "{block}");
        let block = block
            .replace("LISTEN_FOR_ALL", &format!("0.0.0.0:{port}"))
            .replace("LISTEN", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:5000", &self.backend)
            .replace("sync.example.org", "127.0.0.1");
        let block = self.others.iter().fold(block, |block, (of_the_manual, address)| {
            block.replace(of_the_manual, address)
        });
        match self.kind {
            Kind::Nginx => format!(
                "daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n\
                 client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n\
                 fastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n\
                 gzip on;\ngzip_proxied any;\ngzip_min_length 1;\n\
                 gzip_types application/json application/newlines text/plain;\n{block}}}\n"
            ),
            Kind::Apache => {
                let modules = [
                    "mpm_event",
                    "authz_core",
                    "proxy",
                    "proxy_http",
                    "headers",
                    "filter",
                    "deflate",
                ];
                let load =
                    |name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
                let modules: String = modules.into_iter().map(load).collect();
                format!(
                    "{modules}Listen 127.0.0.1:{port}\nServerName 127.0.0.1\nPidFile {folder}/pid\nErrorLog {folder}/log\n\
                     DefaultRuntimeDir {folder}\nMutex posixsem\nUser nobody\nGroup nogroup\n\
                     AddOutputFilterByType DEFLATE application/json application/newlines text/plain\n{block}"
                )
            }
            Kind::HaProxy => {
                let compressed =
                    "    mode http\n    compression algo gzip\n    compression type application/json";
                format!(
                    "global\n    maxconn 500\n{}",
                    block.replacen("    mode http", compressed, 1)
                )
            }
        }
    }
}

impl Proxy {
    /// Its output.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    fn wait(&mut self, port: u16) {
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.child.try_wait().unwrap();
            let is_late = begin.elapsed() > Duration::from_secs(20);
            assert!(
                ended.is_none() && !is_late,
                "the proxy does not serve: {}",
                self.log()
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the proxy's words: {}", self.log());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
