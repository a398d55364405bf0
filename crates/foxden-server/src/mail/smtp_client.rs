//! Sends mails to the mail server.

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
use super::smtp_connection::{Extensions, SmtpConnection};
use crate::config::mail::{Mail, Tls};
use crate::config::values::Secret;
use crate::http_client::read_certificates;

/// How long a mail server may take to accept a mail (RFC 5321, 4.5.3.2.6). A client that gives up earlier may send a mail twice.
const DATA_TIMEOUT: Duration = Duration::from_secs(600);

/// How to reach the mail server.
pub struct SmtpClient {
    host: String,
    port: u16,
    tls: Tls,
    parameters: TlsParameters,
    login: Option<(String, Secret)>,
    hello: ClientId,
    from: Address,
    timeout: Duration,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No mail can be sent now.
    #[error("{step} {host}")]
    Away {
        /// The step that failed.
        step: &'static str,
        /// The mail server.
        host: String,
        /// The reply or error.
        #[source]
        source: Cause,
    },
    /// The mail server did not accept this mail now; a retry may succeed.
    #[error("the mail server did not accept the mail")]
    Later(#[source] Cause),
    /// The mail server will never accept this mail.
    #[error("the mail server rejected the mail")]
    Refused(#[source] Cause),
}

impl SmtpClient {
    /// Reads the configuration; `greeting_host` is the EHLO name if none is configured.
    pub fn new(mail: &Mail, greeting_host: &str) -> anyhow::Result<Self> {
        let mut parameters = TlsParameters::builder(mail.host.clone());
        if let Some(file) = &mail.ca_file {
            for certificate in read_certificates(file)? {
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

    /// Sends one mail. Returns the reply of the mail server, which is responsible for the mail from then on.
    pub async fn send(
        &self,
        connection: &mut SmtpConnection,
        message: &Message,
    ) -> Result<String, SendError> {
        let bytes = message.formatted();
        let announced = self.announce(connection, message.envelope(), bytes.is_ascii());
        let announced = tokio::time::timeout(self.timeout, announced).await;
        announced.map_err(|_| SendError::Later(Cause::Timeout(self.timeout)))??;
        let taken = tokio::time::timeout(DATA_TIMEOUT, connection.smtp.message(&bytes)).await;
        let taken = taken.map_err(|_| SendError::Later(Cause::Timeout(DATA_TIMEOUT)))?;
        let answer = taken.map_err(|error| SendError::of_a_mail(&error))?;
        Ok(words(&answer))
    }

    /// Sends the envelope, up to DATA.
    async fn announce(
        &self,
        connection: &mut SmtpConnection,
        envelope: &Envelope,
        is_ascii: bool,
    ) -> Result<(), SendError> {
        let mail_params = mail_params(connection.extensions, envelope, is_ascii)?;
        self.sign(connection, envelope.from(), mail_params).await?;
        for to in envelope.to() {
            let named = connection.smtp.command(Rcpt::new(to.clone(), vec![])).await;
            named.map_err(|error| SendError::of_a_mail(&error))?;
        }
        let may_begin = connection.smtp.command(Data).await;
        may_begin.map_err(|error| SendError::of_a_mail(&error))?;
        Ok(())
    }

    /// Names the sender of a mail. If the mail server refuses it, no mail gets through.
    async fn sign(
        &self,
        connection: &mut SmtpConnection,
        from: Option<&Address>,
        mail_params: Vec<MailParameter>,
    ) -> Result<(), SendError> {
        let signed = connection
            .smtp
            .command(MailFrom::new(from.cloned(), mail_params))
            .await;
        signed.map_err(|error| self.away("no mail of this server is accepted by", said(&error)))?;
        Ok(())
    }

    /// Ends a connection with QUIT. The result does not matter.
    pub async fn quit(&self, mut connection: SmtpConnection) {
        let _ = tokio::time::timeout(self.timeout, connection.smtp.quit()).await;
    }

    /// Connects and checks that the mail server accepts the sender. Returns a description of the connection.
    pub async fn probe(&self) -> Result<String, SendError> {
        let mut connection = self.connect().await?;
        let (host, port) = (&self.host, self.port);
        let cover = match self.tls {
            Tls::Starttls => "encrypted after STARTTLS",
            Tls::Implicit => "encrypted with TLS",
            Tls::None => "not encrypted",
        };
        let login = if self.login.is_some() { ", signed in" } else { "" };
        let signed = tokio::time::timeout(self.timeout, self.probe_sender(&mut connection)).await;
        signed.map_err(|_| SendError::Later(Cause::Timeout(self.timeout)))??;
        self.quit(connection).await;
        Ok(format!("the mail server {host}:{port} answers, {cover}{login}"))
    }

    async fn probe_sender(&self, connection: &mut SmtpConnection) -> Result<(), SendError> {
        self.sign(connection, Some(&self.from), Vec::new()).await?;
        let taken_back = connection.smtp.command(Rset).await;
        taken_back.map_err(|error| self.away("no mail of this server is accepted by", said(&error)))?;
        Ok(())
    }

    /// Connects and authenticates. This may be cancelled at any time.
    pub async fn connect(&self) -> Result<SmtpConnection, SendError> {
        let connecting = tokio::time::timeout(self.timeout, self.greet_and_sign_in()).await;
        connecting.unwrap_or_else(|_| Err(self.away("no connection to", Cause::Timeout(self.timeout))))
    }

    async fn greet_and_sign_in(&self) -> Result<SmtpConnection, SendError> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let (address, parameters) = ((host, self.port), self.parameters.clone());
        let opened = match self.tls {
            Tls::Implicit => SmtpConnection::open_encrypted(address, &self.hello, parameters).await,
            Tls::Starttls => SmtpConnection::open(address, &self.hello, Some(parameters)).await,
            Tls::None => SmtpConnection::open(address, &self.hello, None).await,
        };
        let mut connection = opened.map_err(|(step, cause)| self.away(step, cause))?;
        if let Some((name, password)) = &self.login {
            let signed_in = connection.sign_in(name, password).await;
            signed_in.map_err(|cause| self.away("no sign-in at", cause))?;
        }
        Ok(connection)
    }

    fn away(&self, step: &'static str, source: Cause) -> SendError {
        SendError::Away {
            step,
            host: format!("{}:{}", self.host, self.port),
            source,
        }
    }
}

impl SendError {
    fn of_a_mail(error: &Error) -> Self {
        match error.status() {
            Some(code) if error.is_permanent() => {
                let reply = std::error::Error::source(error).map(ToString::to_string);
                if is_about_the_mail(code, &reply.unwrap_or_default()) {
                    Self::Refused(said(error))
                } else {
                    Self::Later(said(error))
                }
            }
            _ => Self::Later(said(error)),
        }
    }
}

/// Returns whether a final reply is about the mail or its recipient. One about this server, its name, its rights or its protocol
/// holds only until the operator has fixed that.
fn is_about_the_mail(code: Code, reply: &str) -> bool {
    let about_us = ["5.7.", "5.1.7", "5.1.8"];
    code.category == Category::MailSystem && !about_us.iter().any(|class| reply.starts_with(class))
}

/// The parameters of MAIL FROM.
fn mail_params(
    can: Extensions,
    envelope: &Envelope,
    is_ascii: bool,
) -> Result<Vec<MailParameter>, SendError> {
    let needs = |can: bool, name: &str| {
        let lacks = || SendError::Refused(Cause::Reply(format!("it needs a mail server with {name}")));
        can.then_some(()).ok_or_else(lacks)
    };
    let mut mail_params = Vec::new();
    let mut addresses = envelope.from().into_iter().chain(envelope.to());
    if !addresses.all(|address| address.to_string().is_ascii()) {
        needs(can.utf8, "SMTPUTF8")?;
        mail_params.push(MailParameter::SmtpUtfEight);
    }
    if !is_ascii {
        needs(can.eight_bit, "8BITMIME")?;
        mail_params.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(mail_params)
}

/// An IP address is written in brackets in EHLO.
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
