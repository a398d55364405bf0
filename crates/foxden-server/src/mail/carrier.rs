//! The mail server, as far as one letter needs it.

use std::time::Duration;

use anyhow::Context;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Category, Code, Response};
use lettre::{Address, Message};

use super::cause::{Cause, plain, said};
use super::line::{Abilities, Line};
use crate::config::mail::{Mail, Tls};
use crate::config::values::Secret;
use crate::node;

/// How long a mail server may look at a letter before it takes it (RFC 5321, 4.5.3.2.6): whoever gives up earlier sends
/// what was taken once more.
const TAKING: Duration = Duration::from_secs(600);

/// How to reach the mail server.
pub struct Carrier {
    host: String,
    port: u16,
    tls: Tls,
    parameters: TlsParameters,
    login: Option<(String, Secret)>,
    hello: ClientId,
    from: Address,
    timeout: Duration,
}

/// Why a letter was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// Nothing can be sent at all right now.
    #[error("{step} {host}")]
    Away {
        /// How far it went.
        step: &'static str,
        /// The mail server.
        host: String,
        /// What it or the system says.
        #[source]
        source: Cause,
    },
    /// This letter was not taken now; a later try may do better.
    #[error("the mail server did not take the letter")]
    Later(#[source] Cause),
    /// This letter will never be taken.
    #[error("the mail server refused the letter")]
    Refused(#[source] Cause),
}

impl Carrier {
    /// Reads what is needed to reach the mail server; `greeting_host` is what this server is called if nothing else is set.
    pub fn new(mail: &Mail, greeting_host: &str) -> anyhow::Result<Self> {
        let mut parameters = TlsParameters::builder(mail.host.clone());
        if let Some(file) = &mail.ca_file {
            for certificate in node::read_certificates(file)? {
                let certificate = Certificate::from_der(certificate.der().to_vec());
                let certificate = certificate.with_context(|| format!("{}", file.display()))?;
                parameters = parameters.add_root_certificate(certificate);
            }
        }
        let name = mail.hello_name.as_deref().unwrap_or(greeting_host);
        Ok(Self {
            host: mail.host.clone(),
            port: mail.port,
            tls: mail.tls,
            parameters: parameters.build_rustls().context("the TLS of mail.host")?,
            login: mail.login.clone(),
            hello: client_id(name),
            from: mail.from.email.clone(),
            timeout: mail.timeout,
        })
    }

    /// Hands one letter over, and says what the mail server answered: it is theirs from then on.
    pub async fn hand_over(&self, line: &mut Line, message: &Message) -> Result<String, NotTaken> {
        let bytes = message.formatted();
        let announced = self.announce(line, message.envelope(), bytes.is_ascii());
        let announced = tokio::time::timeout(self.timeout, announced).await;
        announced.map_err(|_| NotTaken::Later(Cause::Late(self.timeout)))??;
        let taken = tokio::time::timeout(TAKING, line.connection.message(&bytes)).await;
        let taken = taken.map_err(|_| NotTaken::Later(Cause::Late(TAKING)))?;
        let answer = taken.map_err(|error| NotTaken::of_a_letter(&error))?;
        Ok(words(&answer))
    }

    /// Says from whom and to whom a letter is, up to its text.
    async fn announce(&self, line: &mut Line, envelope: &Envelope, is_ascii: bool) -> Result<(), NotTaken> {
        let ways = ways(line.can, envelope, is_ascii)?;
        self.sign(line, envelope.from(), ways).await?;
        for to in envelope.to() {
            let named = line.connection.command(Rcpt::new(to.clone(), vec![])).await;
            named.map_err(|error| NotTaken::of_a_letter(&error))?;
        }
        let may_begin = line.connection.command(Data).await;
        may_begin.map_err(|error| NotTaken::of_a_letter(&error))?;
        Ok(())
    }

    /// Says in whose name a letter comes. Whoever is refused here gets no letter through.
    async fn sign(
        &self,
        line: &mut Line,
        from: Option<&Address>,
        ways: Vec<MailParameter>,
    ) -> Result<(), NotTaken> {
        let signed = line.connection.command(MailFrom::new(from.cloned(), ways)).await;
        signed.map_err(|error| self.away("no letter of ours is taken by", said(&error)))?;
        Ok(())
    }

    /// Ends a connection politely, which nothing depends on.
    pub async fn part(&self, mut line: Line) {
        let _ = tokio::time::timeout(self.timeout, line.connection.quit()).await;
    }

    /// Goes the way up to the first letter, and says how.
    pub async fn try_the_way(&self) -> Result<String, NotTaken> {
        let mut line = self.connect().await?;
        let (host, port) = (&self.host, self.port);
        let cover = match self.tls {
            Tls::Starttls => "encrypted after STARTTLS",
            Tls::Implicit => "encrypted with TLS",
            Tls::None => "not encrypted",
        };
        let login = if self.login.is_some() { ", signed in" } else { "" };
        let signed = tokio::time::timeout(self.timeout, self.try_the_name(&mut line)).await;
        signed.map_err(|_| NotTaken::Later(Cause::Late(self.timeout)))??;
        self.part(line).await;
        Ok(format!("the mail server {host}:{port} answers, {cover}{login}"))
    }

    async fn try_the_name(&self, line: &mut Line) -> Result<(), NotTaken> {
        self.sign(line, Some(&self.from), Vec::new()).await?;
        let taken_back = line.connection.command(Rset).await;
        taken_back.map_err(|error| self.away("no letter of ours is taken by", said(&error)))?;
        Ok(())
    }

    /// Goes the way up to the first letter. Nothing is lost by giving up on it.
    pub async fn connect(&self) -> Result<Line, NotTaken> {
        let connecting = tokio::time::timeout(self.timeout, self.greet_and_sign_in()).await;
        connecting.unwrap_or_else(|_| Err(self.away("no connection to", Cause::Late(self.timeout))))
    }

    async fn greet_and_sign_in(&self) -> Result<Line, NotTaken> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let (address, parameters) = ((host, self.port), self.parameters.clone());
        let opened = match self.tls {
            Tls::Implicit => Line::open_encrypted(address, &self.hello, parameters).await,
            Tls::Starttls => Line::open(address, &self.hello, Some(parameters)).await,
            Tls::None => Line::open(address, &self.hello, None).await,
        };
        let mut line = opened.map_err(|(step, cause)| self.away(step, cause))?;
        if let Some((name, password)) = &self.login {
            let signed_in = line.sign_in(name, password).await;
            signed_in.map_err(|cause| self.away("no sign-in at", cause))?;
        }
        Ok(line)
    }

    fn away(&self, step: &'static str, source: Cause) -> NotTaken {
        NotTaken::Away {
            step,
            host: format!("{}:{}", self.host, self.port),
            source,
        }
    }
}

impl NotTaken {
    fn of_a_letter(error: &Error) -> Self {
        match error.status() {
            Some(code) if error.is_permanent() => {
                let remark = std::error::Error::source(error).map(ToString::to_string);
                if ends_a_letter(code, &remark.unwrap_or_default()) {
                    Self::Refused(said(error))
                } else {
                    Self::Later(said(error))
                }
            }
            _ => Self::Later(said(error)),
        }
    }
}

/// Whether a final answer is about a letter or whoever gets it. One about this server, its name, its rights or its way of
/// speaking holds only until the operator has mended that.
fn ends_a_letter(code: Code, remark: &str) -> bool {
    let about_us = ["5.7.", "5.1.7", "5.1.8"];
    code.category == Category::MailSystem && !about_us.iter().any(|class| remark.starts_with(class))
}

/// What the mail server must be told of a letter beforehand.
fn ways(can: Abilities, envelope: &Envelope, is_ascii: bool) -> Result<Vec<MailParameter>, NotTaken> {
    let needs = |can: bool, name: &str| {
        let lacks = || NotTaken::Refused(Cause::Said(format!("it needs a mail server with {name}")));
        can.then_some(()).ok_or_else(lacks)
    };
    let mut ways = Vec::new();
    let mut addresses = envelope.from().into_iter().chain(envelope.to());
    if !addresses.all(|address| address.to_string().is_ascii()) {
        needs(can.utf8, "SMTPUTF8")?;
        ways.push(MailParameter::SmtpUtfEight);
    }
    if !is_ascii {
        needs(can.eight_bit, "8BITMIME")?;
        ways.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(ways)
}

/// A host's address stands in brackets in a greeting.
fn client_id(name: &str) -> ClientId {
    match name.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(std::net::IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(std::net::IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain(name.to_owned()),
    }
}

fn words(answer: &Response) -> String {
    plain(&answer.message().collect::<Vec<_>>().join(" "))
}
