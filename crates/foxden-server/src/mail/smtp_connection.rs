//! A connection to the mail server, up to the first mail: extensions, encryption, authentication.
//!
//! `lettre` reads the extensions of a mail server case-sensitively, but their keywords have no case (RFC 5321, 4.1.1.1). So
//! this module reads the reply to EHLO, and does STARTTLS and AUTH itself.

use data_encoding::BASE64;
use lettre::transport::smtp::client::{self, AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Ehlo, Starttls};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;

use super::cause::{Cause, said};
use crate::config::values::Secret;

/// The code of a reply that asks for the next step of AUTH.
const GO_ON: u16 = 334;

/// A connection on which the mail server has greeted.
pub struct SmtpConnection {
    /// Takes commands.
    pub smtp: AsyncSmtpConnection,
    /// The extensions in the last reply to EHLO.
    pub extensions: Extensions,
}

/// The extensions of a mail server that this program uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword that is there or not"
)]
pub struct Extensions {
    /// STARTTLS.
    pub starttls: bool,
    /// 8BITMIME: texts outside ASCII.
    pub eight_bit: bool,
    /// SMTPUTF8: addresses outside ASCII.
    pub utf8: bool,
    plain: bool,
    login: bool,
}

impl Extensions {
    /// Reads an answer to EHLO: its first line is a greeting, each other one a keyword and its parameters.
    fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut can = Self::default();
        for line in lines.skip(1) {
            // Before there was a standard, the mechanisms stood behind `AUTH=`; some servers still say both.
            let mut words = line.split(|c: char| c.is_ascii_whitespace() || c == '=');
            let keyword = words.find(|word| !word.is_empty()).unwrap_or_default();
            let is = |name| keyword.eq_ignore_ascii_case(name);
            can.starttls |= is("STARTTLS");
            can.eight_bit |= is("8BITMIME");
            can.utf8 |= is("SMTPUTF8");
            if is("AUTH") {
                for mechanism in words {
                    can.plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                    can.login |= mechanism.eq_ignore_ascii_case("LOGIN");
                }
            }
        }
        can
    }
}

impl SmtpConnection {
    /// Connects without encryption, and encrypts then if asked to.
    pub async fn open(
        address: (&str, u16),
        hello: &ClientId,
        starttls: Option<TlsParameters>,
    ) -> Result<Self, (&'static str, Cause)> {
        let away = |error: &dyn std::fmt::Display| ("no connection to", Cause::of(error));
        let stream = TcpStream::connect(address).await.map_err(|error| away(&error))?;
        let (stream, twin) = twins(stream).map_err(|error| away(&error))?;
        let connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello);
        let connection = connection
            .await
            .map_err(|error| ("no connection to", said(&error)))?;
        let mut connection = Self::greeted(connection, hello).await?;
        if let Some(parameters) = starttls {
            let encrypted = connection.encrypt(twin, parameters, hello).await;
            encrypted.map_err(|cause| ("no encryption with", cause))?;
        }
        Ok(connection)
    }

    /// Connects with encryption from the first byte on.
    pub async fn open_encrypted(
        address: (&str, u16),
        hello: &ClientId,
        parameters: TlsParameters,
    ) -> Result<Self, (&'static str, Cause)> {
        let connecting = AsyncSmtpConnection::connect_tokio1(address, None, hello, Some(parameters), None);
        let connection = connecting
            .await
            .map_err(|error| ("no connection to", said(&error)))?;
        Self::greeted(connection, hello).await
    }

    /// Sends EHLO again: `lettre` does not keep the reply.
    async fn greeted(
        mut connection: AsyncSmtpConnection,
        hello: &ClientId,
    ) -> Result<Self, (&'static str, Cause)> {
        let response = connection.command(Ehlo::new(hello.clone())).await;
        let response = response.map_err(|error| ("no connection to", said(&error)))?;
        Ok(Self {
            smtp: connection,
            extensions: extensions(&response),
        })
    }

    /// Encrypts the connection, whose other handle is `twin`. Replies from before the encryption are forgotten.
    async fn encrypt(
        &mut self,
        twin: TcpStream,
        parameters: TlsParameters,
        hello: &ClientId,
    ) -> Result<(), Cause> {
        if !self.extensions.starttls {
            return Err(Cause::Reply("it does not offer STARTTLS".to_owned()));
        }
        let agreed = self.smtp.command(Starttls).await;
        agreed.map_err(|error| said(&error))?;
        #[expect(
            deprecated,
            reason = "the library encrypts by itself only where it can read the offer"
        )]
        {
            let mut stream = client::AsyncNetworkStream::use_existing_tokio1(Box::new(twin));
            stream
                .upgrade_tls(parameters)
                .await
                .map_err(|error| said(&error))?;
            self.smtp.set_stream(stream);
        }
        let can = self.smtp.command(Ehlo::new(hello.clone())).await;
        self.extensions = extensions(&can.map_err(|error| said(&error))?);
        Ok(())
    }

    /// Signs in by a mechanism that the mail server has.
    pub async fn sign_in(&mut self, name: &str, password: &Secret) -> Result<(), Cause> {
        let password = password.reveal();
        // Servers choose the texts of their prompts, but not the order.
        let words = if self.extensions.plain {
            let both = BASE64.encode(format!("\0{name}\0{password}").as_bytes());
            // Some servers ask for it though it came with the command.
            vec![format!("AUTH PLAIN {both}"), both]
        } else if self.extensions.login {
            let (name, password) = (name.as_bytes(), password.as_bytes());
            vec![
                "AUTH LOGIN".to_owned(),
                BASE64.encode(name),
                BASE64.encode(password),
            ]
        } else {
            let lacks = "it offers neither AUTH PLAIN nor AUTH LOGIN";
            return Err(Cause::Reply(lacks.to_owned()));
        };
        for word in words {
            let answer = self.smtp.command(word + "\r\n").await;
            if !answer.map_err(|error| said(&error))?.has_code(GO_ON) {
                return Ok(());
            }
        }
        Err(Cause::Reply(
            "it asks for more than a name and a password".to_owned(),
        ))
    }
}

fn extensions(answer: &Response) -> Extensions {
    Extensions::of(answer.message())
}

/// Two handles of one connection.
fn twins(stream: TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let twin = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(twin)?))
}

#[cfg(test)]
mod tests;
