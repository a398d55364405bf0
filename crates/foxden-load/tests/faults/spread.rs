//! A run by several processes: a coordinator and its workers, of which one may die.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::server::{Fault, Server};
use crate::{SCENARIO, folder};

/// A coordinator that waits for workers.
struct Coordinator {
    folder: PathBuf,
    child: Child,
    lines: std::io::Lines<BufReader<ChildStderr>>,
    address: String,
}

impl Coordinator {
    fn start(name: &str, server: &Server, workers: u32, length: &str) -> Self {
        let folder = folder(name);
        fs::write(folder.join("scenario.toml"), SCENARIO).unwrap();
        fs::write(folder.join("secret"), "a secret").unwrap();
        fs::write(folder.join("shared"), "another secret").unwrap();
        fs::write(folder.join("wrong"), "a wrong secret").unwrap();
        let mut child = Self::program(&folder)
            .args([
                "run",
                "scenario.toml",
                "--target",
                &server.url(),
                "--secret-file",
                "secret",
            ])
            .args(["--users", "7", "--length", length, "--warm-up", "0s"])
            .args(["--workers", &workers.to_string(), "--listen", "127.0.0.1:0"])
            .args([
                "--shared-secret-file",
                "shared",
                "--json",
                "result.json",
                "--report",
                "report.html",
            ])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let (_, address) = line.split_once(" at ").unwrap();
        Self {
            address: format!("http://{address}"),
            folder,
            child,
            lines,
        }
    }

    fn program(folder: &PathBuf) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_foxden-load"));
        program
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        program
    }

    fn worker(&self, secret: &str) -> Child {
        Self::program(&self.folder)
            .args([
                "worker",
                "--coordinator",
                &self.address,
                "--secret-file",
                "secret",
            ])
            .args(["--shared-secret-file", secret])
            .spawn()
            .unwrap()
    }

    /// Waits for a line with this part.
    fn wait_for(&mut self, part: &str) {
        let mut seen = Vec::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if line.contains(part) {
                return;
            }
            seen.push(line);
        }
        panic!("{part:?} is not in {seen:?}");
    }

    /// Waits for the end, and reads the result.
    fn end(mut self) -> serde_json::Value {
        let rest: Vec<String> = self.lines.map(Result::unwrap).collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {rest:?}");
        let text = fs::read_to_string(self.folder.join("result.json")).unwrap();
        let page = fs::read_to_string(self.folder.join("report.html")).unwrap();
        let result: serde_json::Value = serde_json::from_str(&text).unwrap();
        for worker in result["workers"].as_array().unwrap() {
            assert!(page.contains(worker["address"].as_str().unwrap()));
        }
        fs::remove_dir_all(&self.folder).unwrap();
        result
    }
}

/// How many requests, users and workers a result has.
fn numbers(result: &serde_json::Value) -> (u64, u64, Vec<u64>) {
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    let workers = result["workers"].as_array().unwrap();
    (
        number(&result["figures"]["requests"]),
        number(&result["comparison"]["users"]),
        workers.iter().map(|worker| number(&worker["requests"])).collect(),
    )
}

#[test]
fn several_processes_make_the_load_of_one_run() {
    let server = Server::start(Fault::None);
    let coordinator = Coordinator::start("spread", &server, 3, "2s");
    let stranger = coordinator.worker("wrong").wait_with_output().unwrap();
    assert!(!stranger.status.success());
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(said.contains("its secret is another one"), "{said}");
    let workers: Vec<Child> = (0..3).map(|_| coordinator.worker("shared")).collect();
    let result = coordinator.end();
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let (requests, users, each) = numbers(&result);
    assert_eq!(users, 7, "every user of every worker was read again");
    assert!(
        each.len() == 3 && each.iter().all(|requests| *requests > 0),
        "{each:?}"
    );
    assert_eq!(requests, each.iter().sum::<u64>());
    assert_eq!(result["figures"]["all"]["service"]["count"], requests);
    assert_eq!(result["figures"]["faults"], serde_json::json!([]), "{result}");
    let timeline = result["figures"]["timeline"].as_array().unwrap();
    assert!(!timeline.is_empty() && timeline[0]["rate"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_worker_that_dies_is_reported_and_the_run_goes_on() {
    let server = Server::start(Fault::None);
    let mut coordinator = Coordinator::start("spread-death", &server, 2, "12s");
    let (mut one, other) = (coordinator.worker("shared"), coordinator.worker("shared"));
    coordinator.wait_for(" requests, ");
    one.kill().unwrap();
    one.wait().unwrap();
    coordinator.wait_for("A worker is lost");
    let result = coordinator.end();
    assert!(other.wait_with_output().unwrap().status.success());
    let (requests, users, each) = numbers(&result);
    assert!(requests > 0 && users < 7 && each.contains(&0), "{result}");
    let lost = result["workers"].as_array().unwrap();
    let lost = lost.iter().filter(|worker| !worker["failure"].is_null());
    assert_eq!(lost.count(), 1);
}
