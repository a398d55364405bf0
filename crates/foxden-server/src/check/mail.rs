//! Whether letters get on their way.

use foxden_model::{Clock, Rng, SystemClock};

use super::Finding;
use crate::config::Config;
use crate::config::mail::Mail;
use crate::mail::carrier::{Carrier, NotTaken};
use crate::mail::compose::{Heads, compose};
use crate::mail::wording::Wording;
use crate::rng::SystemRng;
use crate::site::configured_site;

/// What there is to say about mail; with an address, one letter is sent there.
pub fn look(config: &Config, to: Option<&str>) -> anyhow::Result<Vec<Finding>> {
    let Some(mail) = &config.mail else {
        return Ok(without(to).into_iter().collect());
    };
    let host = configured_site(config)?.public_url.host().to_owned();
    let carrier = match Carrier::new(mail, &host) {
        Ok(carrier) => carrier,
        Err(error) => return Ok(vec![Finding::bad(format!("{error:#}"), "look at [mail]")]),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut findings = vec![match runtime.block_on(carrier.try_the_way()) {
        Ok(way) => Finding::good(way),
        Err(error) => bad(error),
    }];
    if let Some(to) = to.filter(|_| !findings.iter().any(Finding::is_bad)) {
        findings.push(runtime.block_on(send(&carrier, mail, config, &host, to)));
    }
    Ok(findings)
}

fn without(to: Option<&str>) -> Option<Finding> {
    to.map(|_| {
        Finding::bad(
            "no mail server is set, so nothing was sent",
            "set mail.host and mail.from; docs/mail.md shows how",
        )
    })
}

async fn send(carrier: &Carrier, mail: &Mail, config: &Config, host: &str, to: &str) -> Finding {
    let mut bytes = [0; 16];
    SystemRng::new().fill(&mut bytes);
    let heads = Heads {
        from: &mail.from,
        reply_to: mail.reply_to.as_ref(),
        to,
        host,
        contact: config.accounts.contact.as_deref(),
        id: format!("{}.trial", data_encoding::HEXLOWER.encode(&bytes)),
        now: SystemClock.millis(),
    };
    let message = match compose(&Wording::trial(host), &heads) {
        Ok(message) => message,
        Err(error) => {
            let error = anyhow::Error::from(error);
            let what = format!("cannot write to {to}: {error:#}");
            return Finding::bad(what, "give --mail an address, as in ann@example.org");
        }
    };
    let sent = match carrier.connect().await {
        Ok(mut connection) => {
            let taken = carrier.hand_over(&mut connection, &message).await;
            carrier.part(connection).await;
            taken
        }
        Err(error) => Err(error),
    };
    match sent {
        Ok(answer) => Finding::good(format!("the mail server took a letter to {to}: {answer}")),
        Err(error) => bad(error),
    }
}

fn bad(error: NotTaken) -> Finding {
    let mend = match &error {
        NotTaken::Away { .. } => {
            "look at mail.host, mail.port, mail.tls, mail.username, mail.from and mail.ca_file; until then letters wait, and codes \
             are shown by: foxden user code"
        }
        NotTaken::Later(_) | NotTaken::Refused(_) => "look at mail.from, and at what the mail server says",
    };
    Finding::bad(format!("{:#}", anyhow::Error::from(error)), mend)
}
