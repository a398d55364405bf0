//! Delivers mails from the outbox, and retries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foxden_accounts::{Accounts, QueuedMail, RetryDecision, Unavailable};
use foxden_http::wire::chain;
use lettre::Message;

use super::compose::{ComposeError, MailHeaders, compose};
use super::mail_text::{MailText, Sender};
use super::smtp_client::{SendError, SmtpClient};
use crate::app::App;
use crate::config::mail::Mail;
use crate::tasks::{Tasks, catch_panic};

/// The maximum time between two looks into the outbox: another process may have queued a mail.
const MAX_PAUSE: Duration = Duration::from_secs(15);
/// The pause after the mail server was unreachable.
const PAUSE: Duration = Duration::from_secs(10);
/// The pause after the register could not be used.
const BUSY: Duration = Duration::from_secs(5);
/// The maximum number of remembered mails that were deferred by an outage.
const MAX_DEFERRED: usize = 10_000;

/// Starts the delivery, if a mail server is configured and this process has the accounts.
pub fn start(app: &Arc<App>, tasks: &Tasks) -> anyhow::Result<()> {
    let (Some(mail), Some(accounts)) = (&app.config.mail, &app.accounts) else {
        return Ok(());
    };
    let deliverer = Deliverer {
        client: SmtpClient::new(mail, app.site.public_url.host())?,
        mail: mail.clone(),
        accounts: accounts.clone(),
        app: Arc::clone(app),
        finished: None,
        deferred: HashMap::new(),
    };
    tasks.spawn(deliverer.run(tasks.clone()));
    Ok(())
}

struct Deliverer {
    client: SmtpClient,
    mail: Mail,
    accounts: Accounts,
    app: Arc<App>,
    /// A mail that is sent or dropped, but still in the outbox: it must not be sent again.
    finished: Option<i64>,
    /// Mails that were deferred because the mail server was unreachable, and when each is due.
    deferred: HashMap<i64, i64>,
}

/// The outcome of one mail.
enum Delivery {
    Sent,
    /// The mail is deferred or dropped.
    Failed,
    /// The mail server is unreachable for all mails.
    Away,
    /// The program stops; the mail waits for the next start.
    Stopped,
}

impl Deliverer {
    /// Delivers mails until the program stops. A mail in transfer is finished first; the stop does not wait for a connection
    /// to the mail server.
    async fn run(mut self, mut tasks: Tasks) {
        while let Err(panic) = catch_panic(Box::pin(self.deliver(&mut tasks))).await {
            tracing::error!("mail delivery panicked and is restarted: {panic}");
            tokio::select! {
                () = tasks.stopped() => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        if let Err(error) = self.ack().await {
            tracing::warn!(
                "a sent mail is still in the outbox and will be sent again: {}",
                chain(&error)
            );
        }
    }

    async fn deliver(&mut self, tasks: &mut Tasks) {
        loop {
            let rest = match self.next(tasks).await {
                Ok(Some(Delivery::Sent | Delivery::Failed)) => Duration::ZERO,
                Ok(Some(Delivery::Away)) => PAUSE,
                Ok(Some(Delivery::Stopped)) => return,
                Ok(None) => match self.wait(tasks).await {
                    Some(()) => Duration::ZERO,
                    None => return,
                },
                Err(error) => {
                    tracing::warn!("the outbox does not answer: {}", chain(&error));
                    BUSY
                }
            };
            tokio::select! {
                biased;
                () = tasks.stopped() => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Waits until a mail may be due; `None` when the program stops.
    async fn wait(&self, tasks: &mut Tasks) -> Option<()> {
        let due = self.accounts.next_mail_due().await.ok().flatten();
        let rest = due.map_or(MAX_PAUSE, Duration::from_millis).min(MAX_PAUSE);
        tokio::select! {
            () = tasks.stopped() => None,
            () = self.accounts.mail_queued() => Some(()),
            () = tokio::time::sleep(rest) => Some(()),
        }
    }

    /// Takes one mail from the outbox and sends it.
    async fn next(&mut self, tasks: &mut Tasks) -> Result<Option<Delivery>, Unavailable> {
        self.ack().await?;
        let Some(posted) = self.accounts.take_mail().await? else {
            return Ok(None);
        };
        let message = match self.message(&posted) {
            Ok(message) => message,
            Err(error) => {
                self.drop_mail(&posted, &error).await?;
                return Ok(Some(Delivery::Failed));
            }
        };
        let connected = tokio::select! {
            biased;
            () = tasks.stopped() => {
                self.accounts.release_mail(posted.id).await?;
                return Ok(Some(Delivery::Stopped));
            }
            connected = self.client.connect() => connected,
        };
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(error) => {
                self.defer(&posted, &error).await?;
                return Ok(Some(Delivery::Away));
            }
        };
        let sent = self.client.send(&mut connection, &message).await;
        let noted = self.note(&posted, sent).await;
        tokio::select! {
            biased;
            () = tasks.stopped() => {}
            () = self.client.quit(connection) => {}
        }
        noted.map(Some)
    }

    /// Records the outcome in the outbox.
    async fn note(
        &mut self,
        posted: &QueuedMail,
        sent: Result<String, SendError>,
    ) -> Result<Delivery, Unavailable> {
        match sent {
            Ok(answer) => {
                self.finished = Some(posted.id);
                let (mail, number) = (posted.mail.kind(), posted.id);
                tracing::info!(mail, number, "a mail was sent: {answer}");
                self.ack().await?;
                self.retry_deferred().await?;
                Ok(Delivery::Sent)
            }
            Err(error @ SendError::Refused(_)) => {
                self.drop_mail(posted, &error).await?;
                Ok(Delivery::Failed)
            }
            Err(error @ SendError::Later(_)) => {
                self.defer(posted, &error).await?;
                Ok(Delivery::Failed)
            }
            Err(error @ SendError::Away { .. }) => {
                self.defer(posted, &error).await?;
                Ok(Delivery::Away)
            }
        }
    }

    /// Deletes the finished mail from the outbox. Until the register does so, no other mail is taken.
    async fn ack(&mut self) -> Result<(), Unavailable> {
        if let Some(id) = self.finished {
            self.accounts.ack_mail(id).await?;
            self.finished = None;
        }
        Ok(())
    }

    /// The mail server is reachable again: mails that its outage deferred are due at once.
    async fn retry_deferred(&mut self) -> Result<(), Unavailable> {
        if !self.deferred.is_empty() {
            let deferred: Vec<(i64, i64)> = self.deferred.iter().map(|(id, due)| (*id, *due)).collect();
            self.accounts.retry_deferred(&deferred).await?;
            self.deferred.clear();
        }
        Ok(())
    }

    fn message(&self, posted: &QueuedMail) -> Result<Message, ComposeError> {
        let url = &self.app.site.public_url;
        let sender = Sender {
            origin: &url.origin(),
            host: url.host(),
        };
        let words = MailText::of(posted, &sender);
        let headers = MailHeaders {
            from: &self.mail.from,
            reply_to: self.mail.reply_to.as_ref(),
            to: &posted.address,
            host: url.host(),
            contact: self.app.config.accounts.contact.as_deref(),
            id: format!("{}.{}.{}", posted.posted_at, posted.id, self.accounts.server_id()),
            now: self.app.clock.millis(),
        };
        compose(&words, &headers)
    }

    async fn drop_mail(
        &mut self,
        posted: &QueuedMail,
        error: &(dyn std::error::Error + Sync),
    ) -> Result<(), Unavailable> {
        let (mail, number) = (posted.mail.kind(), posted.id);
        tracing::warn!(mail, number, "a mail was dropped: {}", chain(error));
        self.finished = Some(posted.id);
        self.ack().await
    }

    async fn defer(&mut self, posted: &QueuedMail, error: &SendError) -> Result<(), Unavailable> {
        let (mail, number) = (posted.mail.kind(), posted.id);
        let cause = chain(error);
        match self.accounts.defer_mail(posted).await? {
            RetryDecision::Retry { pause, due } => {
                if matches!(error, SendError::Away { .. }) && self.deferred.len() < MAX_DEFERRED {
                    self.deferred.insert(posted.id, due);
                }
                let seconds = pause / 1000;
                tracing::warn!(mail, number, "a mail is deferred for {seconds} s: {cause}");
            }
            RetryDecision::GiveUp => tracing::warn!(mail, number, "a mail expired unsent: {cause}"),
        }
        Ok(())
    }
}
