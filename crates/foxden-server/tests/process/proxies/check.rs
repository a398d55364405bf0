//! `foxden check` finds mistakes of a proxy.

use crate::program::proxy::{Kind, Setup};
use crate::program::{Folder, Start};

/// The findings about a proxy with this setup.
fn said_of(setup: impl Fn(&str) -> Setup, path: &str) -> String {
    let folder = Folder::new();
    let (port, backend) = (Start::free_port(), format!("127.0.0.1:{}", Start::free_port()));
    let start = Start::on(&folder).without_flags().with("--listen").with(&backend);
    let start = start
        .with("--public-url")
        .with(format!("http://127.0.0.1:{port}{path}"));
    let program = start.serve();
    let proxy = setup(&backend).start(port);
    let report = String::from_utf8(start.run(&["check"]).stdout).unwrap();
    drop(proxy);
    program.stop();
    report
}

#[track_caller]
fn expect(report: &str, expected: &[&str]) {
    for part in expected {
        assert!(report.contains(part), "no {part:?} in:\n{report}");
    }
}

const ALL_WELL: &[&str] = &[
    "ok    paths come through",
    "ok    an upload of 2564 KB, the largest, goes through",
];

#[track_caller]
fn expect_all_well(report: &str) {
    expect(report, ALL_WELL);
    assert!(!report.contains("proxy") && !report.contains("BAD"), "{report}");
}

#[test]
fn nothing_is_wrong_with_no_proxy() {
    let folder = Folder::new();
    let start = Start::on(&folder);
    let port = Start::free_port();
    let start = start
        .without_flags()
        .with("--listen")
        .with(format!("127.0.0.1:{port}"));
    let program = start.serve();
    expect_all_well(&String::from_utf8(start.run(&["check"]).stdout).unwrap());
    program.stop();
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn nothing_is_wrong_with_the_proxies_of_the_book() {
    for kind in [Kind::Nginx, Kind::Apache, Kind::HaProxy] {
        expect_all_well(&said_of(|backend| Setup::of_the_manual(kind, backend), ""));
    }
    let cut = |backend: &str| Setup::of_the_manual(Kind::Nginx, backend).cutting("node1");
    expect_all_well(&said_of(cut, "/node1"));
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn faults_in_the_configuration_of_nginx_are_named() {
    let nginx = |part: &'static str, other: &'static str| {
        said_of(
            |backend| Setup::of_the_manual(Kind::Nginx, backend).with(part, other),
            "",
        )
    };
    // By default it takes 1 MB.
    expect(
        &nginx("client_max_body_size 4m;", ""),
        &[
            "BAD   the proxy (nginx",
            "refuses an upload of 2564 KB, the largest, as too large (413)",
            "client_max_body_size in nginx",
        ],
    );
    expect(
        &nginx("127.0.0.1:5000;", "127.0.0.1:5000/;"),
        &[
            "BAD   a proxy writes paths anew: a%7Eb%2Fc%25d",
            " came as a~b/c%25d",
            "nothing behind the port",
        ],
    );
    expect(
        &nginx("proxy_set_header X-Forwarded-For $remote_addr;", ""),
        &["BAD   the proxy does not say who asks, and passes on what clients claim"],
    );
    expect(
        &nginx(
            "proxy_set_header X-Forwarded-For $remote_addr;",
            "proxy_set_header X-Forwarded-For \"\";",
        ),
        &["look  the proxy does not say who asks"],
    );
    let report = nginx(
        "proxy_set_header Host $http_host;",
        "proxy_set_header Host elsewhere.test;",
    );
    expect(
        &report,
        &["look  the proxy asks this server for elsewhere.test, not for 127.0.0.1"],
    );
}

/// How nginx changes the path of the public address alone.
#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn faults_in_the_configuration_of_nginx_below_a_path_are_named() {
    let nginx = |part: &'static str, other: &'static str| {
        let setup = |backend: &str| Setup::of_the_manual(Kind::Nginx, backend).cutting("node1");
        said_of(|backend| setup(backend).with(part, other), "/node1")
    };
    expect(
        &nginx("127.0.0.1:5000$rest;", "127.0.0.1:5000/;"),
        &["BAD   a proxy writes paths anew: a%7Eb%2Fc%25d"],
    );
    expect(
        &nginx(
            "location /node1/ {",
            "location /node1/ { client_max_body_size 1m;",
        ),
        &["refuses an upload of 2564 KB, the largest, as too large (413)"],
    );
}

#[test]
#[ignore = "needs proxies: run by cargo xtask test"]
fn faults_in_the_configuration_of_apache_are_named() {
    let apache = |part: &'static str, other: &'static str| {
        said_of(
            |backend| Setup::of_the_manual(Kind::Apache, backend).with(part, other),
            "",
        )
    };
    expect(
        &apache("AllowEncodedSlashes NoDecode", ""),
        &[
            "BAD   the proxy (Apache",
            "refuses paths with %2F in them, with status 404",
        ],
    );
    expect(
        &apache(" nocanon", ""),
        &["BAD   ", "with escapes in them, with status 400"],
    );
}
