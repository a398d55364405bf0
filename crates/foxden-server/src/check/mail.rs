//! Checks that mail can be sent.

use foxden_model::{Clock, Rng, SystemClock};

use super::Finding;
use crate::config::Config;
use crate::config::mail::Mail;
use crate::mail::compose::{MailHeaders, compose};
use crate::mail::mail_text::MailText;
use crate::mail::smtp_client::{SendError, SmtpClient};
use crate::rng::SystemRng;
use crate::site::configured_site;

/// Checks the mail server. With an address, sends a test mail to it.
pub fn check(config: &Config, to: Option<&str>) -> anyhow::Result<Vec<Finding>> {
    let Some(mail) = &config.mail else {
        return Ok(without(to).into_iter().collect());
    };
    let host = configured_site(config)?.public_url.host().to_owned();
    let client = match SmtpClient::new(mail, &host) {
        Ok(client) => client,
        Err(error) => {
            return Ok(vec![Finding::error(
                format!("{error:#}"),
                "fix the section [mail]",
            )]);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut findings = vec![match runtime.block_on(client.probe()) {
        Ok(way) => Finding::ok(way),
        Err(error) => send_error(error),
    }];
    if let Some(to) = to.filter(|_| !findings.iter().any(Finding::is_error)) {
        findings.push(runtime.block_on(send(&client, mail, config, &host, to)));
    }
    Ok(findings)
}

fn without(to: Option<&str>) -> Option<Finding> {
    to.map(|_| {
        Finding::error(
            "no mail server is set, so nothing was sent",
            "set mail.host and mail.from; docs/mail.md shows how",
        )
    })
}

async fn send(client: &SmtpClient, mail: &Mail, config: &Config, host: &str, to: &str) -> Finding {
    let mut bytes = [0; 16];
    SystemRng::new().fill(&mut bytes);
    let headers = MailHeaders {
        from: &mail.from,
        reply_to: mail.reply_to.as_ref(),
        to,
        host,
        contact: config.accounts.contact.as_deref(),
        id: format!("{}.trial", data_encoding::HEXLOWER.encode(&bytes)),
        now: SystemClock.millis(),
    };
    let message = match compose(&MailText::trial(host), &headers) {
        Ok(message) => message,
        Err(error) => {
            let error = anyhow::Error::from(error);
            let what = format!("cannot write to {to}: {error:#}");
            return Finding::error(what, "give --mail an address, as in ann@example.org");
        }
    };
    let sent = match client.connect().await {
        Ok(mut connection) => {
            let taken = client.send(&mut connection, &message).await;
            client.quit(connection).await;
            taken
        }
        Err(error) => Err(error),
    };
    match sent {
        Ok(answer) => Finding::ok(format!("the mail server took a mail to {to}: {answer}")),
        Err(error) => send_error(error),
    }
}

fn send_error(error: SendError) -> Finding {
    let hint = match &error {
        SendError::Away { .. } => {
            "check mail.host, mail.port, mail.tls, mail.username, mail.from and mail.ca_file; until then mails wait, and codes \
             are shown by: foxden user code"
        }
        SendError::Later(_) | SendError::Refused(_) => "check mail.from, and the reply of the mail server",
    };
    Finding::error(format!("{:#}", anyhow::Error::from(error)), hint)
}
