//! What the program says and how it ends, as someone who calls it sees it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::server::{Fault, Server};
use crate::{SCENARIO, folder};

/// The program, called in a folder.
struct Program(PathBuf);

impl Program {
    fn new(name: &str) -> Self {
        let folder = folder(name);
        fs::write(folder.join("scenario.toml"), SCENARIO).unwrap();
        fs::write(folder.join("secret"), "a secret").unwrap();
        Self(folder)
    }

    fn command(&self, arguments: &str) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_foxden-load"));
        program
            .current_dir(&self.0)
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        program
    }

    /// Calls it, and returns its status and what it says.
    fn call(&self, arguments: &str) -> (i32, String) {
        said(&self.command(arguments).output().unwrap())
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn said(output: &Output) -> (i32, String) {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), text)
}

#[test]
fn a_server_that_dies_in_the_run_is_no_good_run() {
    let program = Program::new("dies");
    let server = Server::start(Fault::None);
    let arguments = format!(
        "run scenario.toml --target {} --secret-file secret --length 12s --warm-up 0s --report page.html",
        server.url()
    );
    let mut child = program.command(&arguments).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(" a second") {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "the run is over");
    }
    drop(server);
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    let (status, said) = said(&child.wait_with_output().unwrap());
    assert_eq!(status, 3, "{said}");
    assert!(said.contains("The final check could not be made"), "{said}");
    assert!(!said.contains("everything of"), "{said}");
    let page = program.text("page.html");
    assert!(page.contains("The final check could not be made"), "{page}");
    assert!(!page.contains("Every answer was checked") && !page.contains("when everything was read"));
}

#[test]
fn a_refused_request_is_no_good_run() {
    let program = Program::new("refuses");
    let server = Server::start(Fault::Refuses);
    let (status, said) = program.call(&format!(
        "run scenario.toml --target {} --secret-file secret --length 3s --warm-up 0s",
        server.url()
    ));
    assert_eq!(status, 3, "{said}");
}

#[test]
fn a_file_that_cannot_be_written_is_noticed_before_the_run() {
    let program = Program::new("outputs");
    let server = Server::start(Fault::None);
    for option in ["--report", "--json"] {
        let begun = std::time::Instant::now();
        let (status, said) = program.call(&format!(
            "run scenario.toml --target {} --secret-file secret --length 30s {option} nowhere/file",
            server.url()
        ));
        assert_eq!(status, 2, "{said}");
        assert!(
            said.contains(option) && said.contains("nowhere/file cannot be written"),
            "{said}"
        );
        assert!(begun.elapsed().as_secs() < 20);
    }
    // A run that does not come about leaves no file, and what is there stays.
    fs::write(program.0.join("kept"), "kept").unwrap();
    program
        .call("run scenario.toml --target http://127.0.0.1:1 --secret-file secret --json kept --report new");
    assert_eq!(program.text("kept"), "kept");
    assert!(!program.0.join("new").exists());
}

#[test]
fn mistakes_on_the_command_line_have_a_status_of_their_own() {
    let program = Program::new("mistakes");
    let url = "http://127.0.0.1:1";
    for (arguments, says) in [
        (
            format!("run nothing-such --target {url} --secret-file secret"),
            "nothing-such",
        ),
        (
            "run check --target 127.0.0.1:1 --secret-file secret".to_owned(),
            "does not begin with http://",
        ),
        (
            format!("run check --target {url} --secret-file missing"),
            "missing cannot be read",
        ),
        (
            format!("run check --target {url} --secret-file secret --length 0s"),
            "--length",
        ),
        (
            format!("alternate check --target {url} --target {url} --secret-file secret --into secret"),
            "secret/a cannot be made",
        ),
        ("compare nowhere elsewhere".to_owned(), "nowhere"),
        ("trend nowhere".to_owned(), "nowhere"),
        ("show nowhere".to_owned(), "nowhere"),
    ] {
        let (status, said) = program.call(&arguments);
        assert_eq!(status, 2, "{arguments}: {said}");
        assert!(said.contains(says), "{arguments}: {said}");
    }
    let (status, said) = program.call(&format!("run check --target {url} --secret-file secret"));
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("http://127.0.0.1:1/1.5/"), "{said}");
}

#[test]
fn a_secret_that_the_server_does_not_know_is_called_so() {
    let program = Program::new("secret");
    let server = Server::start(Fault::Stranger);
    for command in ["run scenario.toml", "clean"] {
        let (status, said) = program.call(&format!(
            "{command} --target {} --secret-file secret",
            server.url()
        ));
        assert_eq!(status, 1, "{said}");
        let says = format!(
            "{} does not know this secret: it is `master_secret` in secrets.toml of its data folder",
            server.url()
        );
        assert!(
            said.contains(&says) && !said.contains("x-weave-timestamp"),
            "{said}"
        );
    }
}

#[test]
fn servers_that_take_turns_are_all_asked_before_the_first_run() {
    let program = Program::new("asked");
    let (one, other) = (Server::start(Fault::None), Server::start(Fault::Stranger));
    let arguments = format!(
        "alternate scenario.toml --target {} --target {} --secret-file secret --into runs --runs 1 --length 1s --warm-up 0s",
        one.url(),
        other.url()
    );
    let (status, said) = program.call(&arguments);
    assert_eq!(status, 1, "{said}");
    assert!(
        said.contains(&format!("{} does not know this secret", other.url())),
        "{said}"
    );
    assert!(!said.contains("Pair 1"), "{said}");
    // The folders are still empty, so that the same can be tried again.
    let another = Server::start(Fault::None);
    let (status, said) = program.call(&arguments.replace(&other.url(), &another.url()));
    assert_eq!(status, 0, "{said}");
    let (status, said) = program.call(&arguments);
    assert_eq!(status, 2, "{said}");
    assert!(
        said.contains("runs/a is not empty: name another --into, or delete it"),
        "{said}"
    );
}
