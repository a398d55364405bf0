//! Certificates of database servers that are not trusted.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::{DATABASES, PASSWORD, failed_start, said};
use crate::mail::mail_server::Certificates;
use crate::program::{Folder, Start};

/// A server with TLS that agrees to encrypt in PostgreSQL's words. It gets no further than a certificate.
struct Encrypted {
    openssl: Child,
    port: u16,
}

impl Encrypted {
    fn with(certificates: &Certificates) -> Self {
        let inner = Start::free_port();
        let mut openssl = Command::new("openssl");
        openssl
            .args(["s_server", "-quiet", "-accept"])
            .arg(format!("127.0.0.1:{inner}"));
        openssl
            .arg("-cert")
            .arg(&certificates.cert)
            .arg("-key")
            .arg(&certificates.key);
        let silent = openssl
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let openssl = silent.spawn().unwrap();
        crate::nodes::eventually(|| TcpStream::connect(("127.0.0.1", inner)).is_ok());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (mut client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", inner)));
                // The test has ended.
                let Ok(server) = server else { return };
                let mut request = [0; 8];
                if client.read_exact(&mut request).is_ok() && client.write_all(b"S").is_ok() {
                    carry(&client, &server);
                    carry(&server, &client);
                }
            }
        });
        Self { openssl, port }
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        let _ = self.openssl.kill();
        let _ = self.openssl.wait();
    }
}

fn carry(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    std::thread::spawn(move || {
        // It ends when either side does.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

#[test]
#[ignore = "needs openssl; cargo xtask test installs it"]
fn a_certificate_that_is_not_trusted_is_named() {
    let folder = Folder::new();
    let certificates = Certificates::make(&folder);
    let server = Encrypted::with(&certificates);
    let url = format!(
        "postgres://ann:{PASSWORD}@127.0.0.1:{}/foxden?sslmode=verify-full",
        server.port
    );
    let known = format!("{url}&sslrootcert={}", certificates.ca.display());
    let missing = format!("{url}&sslrootcert={}", folder.path().join("missing").display());
    for (url, cause) in [
        (
            &url,
            "cannot be encrypted: invalid peer certificate: UnknownIssuer",
        ),
        (
            &known,
            "cannot be encrypted: invalid peer certificate: certificate not valid for name",
        ),
        (&missing, "/missing cannot be read"),
    ] {
        for (variable, what) in DATABASES {
            let start = Start::on(&folder).set(variable, url);
            let (checked, started) = (said(&start.run(&["check"])), failed_start(&start));
            assert!(checked.contains(&format!("BAD   {what}: ")), "{checked}");
            for text in [checked, started] {
                assert!(text.contains(cause) && text.contains("sslrootcert="), "{text}");
                assert!(!text.contains(PASSWORD), "{text}");
            }
        }
    }
}
