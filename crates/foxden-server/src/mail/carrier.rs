//! The mail server, as far as one letter needs it.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, response::Response};

use crate::config::mail::{Mail, Tls};

/// How to reach the mail server.
pub struct Carrier {
    host: String,
    port: u16,
    tls: Tls,
    parameters: TlsParameters,
    login: Option<Credentials>,
    hello: ClientId,
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

/// What a mail server or the system says.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// In words.
    #[error("{0}")]
    Said(String),
    /// Nothing in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

impl Carrier {
    /// Reads what is needed to reach the mail server; `greeting_host` is what this server is called if nothing else is set.
    pub fn new(mail: &Mail, greeting_host: &str) -> anyhow::Result<Self> {
        let mut parameters = TlsParameters::builder(mail.host.clone());
        if let Some(file) = &mail.ca_file {
            let pem = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let certificate = Certificate::from_pem(&pem);
            let certificate =
                certificate.with_context(|| format!("{} holds no certificate", file.display()))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        let login = mail.login.as_ref();
        let name = mail.hello_name.as_deref().unwrap_or(greeting_host);
        Ok(Self {
            host: mail.host.clone(),
            port: mail.port,
            tls: mail.tls,
            parameters: parameters.build_rustls().context("the TLS of mail.host")?,
            login: login.map(|(name, password)| Credentials::new(name.clone(), password.reveal().to_owned())),
            hello: client_id(name),
            timeout: mail.timeout,
        })
    }

    /// Sends one letter over an open connection, closes it, and says what the mail server answered.
    pub async fn carry(
        &self,
        mut connection: AsyncSmtpConnection,
        message: &Message,
    ) -> Result<String, NotTaken> {
        let bytes = message.formatted();
        let sent = tokio::time::timeout(self.timeout, connection.send(message.envelope(), &bytes)).await;
        let sent = sent.map_err(|_| NotTaken::Later(Cause::Late(self.timeout)))?;
        let answer = sent.map_err(|error| NotTaken::of_a_letter(&error))?;
        // The letter is theirs now, however the farewell goes.
        let _ = tokio::time::timeout(self.timeout, connection.quit()).await;
        Ok(words(&answer))
    }

    /// Goes the way up to the first letter, and says how.
    pub async fn try_the_way(&self) -> Result<String, NotTaken> {
        let mut connection = self.connect().await?;
        let (host, port) = (&self.host, self.port);
        let cover = match self.tls {
            Tls::Starttls => "encrypted after STARTTLS",
            Tls::Implicit => "encrypted with TLS",
            Tls::None => "not encrypted",
        };
        let login = if self.login.is_some() { ", signed in" } else { "" };
        // All that was to be seen was seen, however the farewell goes.
        let _ = tokio::time::timeout(self.timeout, connection.quit()).await;
        Ok(format!("the mail server {host}:{port} answers, {cover}{login}"))
    }

    /// Goes the way up to the first letter. Nothing is lost by giving up on it.
    pub async fn connect(&self) -> Result<AsyncSmtpConnection, NotTaken> {
        let connecting = tokio::time::timeout(self.timeout, self.greet_and_sign_in()).await;
        connecting.unwrap_or_else(|_| Err(self.away("no connection to", Cause::Late(self.timeout))))
    }

    async fn greet_and_sign_in(&self) -> Result<AsyncSmtpConnection, NotTaken> {
        let at_once = (self.tls == Tls::Implicit).then(|| self.parameters.clone());
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let connecting = AsyncSmtpConnection::connect_tokio1(
            (host, self.port),
            Some(self.timeout),
            &self.hello,
            at_once,
            None,
        );
        let mut connection = connecting
            .await
            .map_err(|error| self.away("no connection to", said(&error)))?;
        if self.tls == Tls::Starttls {
            let parameters = self.parameters.clone();
            let encrypted = connection.starttls(parameters, &self.hello).await;
            encrypted.map_err(|error| self.away("no encryption with", said(&error)))?;
        }
        if let Some(login) = &self.login {
            let signed_in = connection.auth(DEFAULT_MECHANISMS, login).await;
            signed_in.map_err(|error| self.away("no sign-in at", said(&error)))?;
        }
        Ok(connection)
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
        // A client's error is about the letter: an address that this mail server has no way to take.
        if error.is_permanent() || error.is_client() {
            Self::Refused(said(error))
        } else {
            Self::Later(said(error))
        }
    }
}

/// A host's address stands in brackets in a greeting.
fn client_id(name: &str) -> ClientId {
    match name.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(std::net::IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(std::net::IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain(name.to_owned()),
    }
}

/// The longest remark of a mail server that is kept, in characters.
const REMARK: usize = 300;

fn said(error: &Error) -> Cause {
    Cause::Said(plain(&error.to_string()))
}

fn words(answer: &Response) -> String {
    plain(&answer.message().collect::<Vec<_>>().join(" "))
}

/// What others say goes into a log: without control characters and not endless.
fn plain(text: &str) -> String {
    let characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    characters.take(REMARK).collect()
}
