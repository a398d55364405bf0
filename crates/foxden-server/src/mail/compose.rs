//! A mail as a message: plain text and HTML that say the same.

use std::time::{Duration, SystemTime};

use askama::Template;
use foxden_model::Escaped;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};

use super::mail_text::{Key, MailText};

/// The maximum length of a line of plain text; longer words are not broken.
const COLUMNS: usize = 76;

/// Styles of the HTML that are used more than once.
const TEXT: &str = "font-family: system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; \
                    font-size: 16px; line-height: 1.6;";
const SMALL: &str = "font-family: system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; \
                     font-size: 14px; line-height: 1.6;";

/// Sender and recipient.
pub struct MailHeaders<'a> {
    /// The sender.
    pub from: &'a Mailbox,
    /// Where answers go.
    pub reply_to: Option<&'a Mailbox>,
    /// The recipient.
    pub to: &'a str,
    /// The host of the server that sends it.
    pub host: &'a str,
    /// How to reach the operator of the server.
    pub contact: Option<&'a str>,
    /// The part of the message's id before the `@`: the same whenever the same mail is sent.
    pub id: String,
    /// Now, in milliseconds.
    pub now: i64,
}

/// Why a mail cannot be made into a message. No later try will do better.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// Mail has no way to say that address.
    #[error("mail cannot be sent to such an address")]
    Address,
    /// A template failed.
    #[error("the mail could not be written")]
    Template(#[from] askama::Error),
    /// The parts make no message.
    #[error("the mail could not be put together")]
    Message(#[from] lettre::error::Error),
}

#[derive(Template)]
#[template(path = "mail/mail.txt")]
struct Plain<'a> {
    heading: &'a str,
    lead: &'a str,
    key: &'a str,
    paragraphs: Vec<String>,
    footer: String,
}

#[derive(Template)]
#[template(path = "mail/mail.html")]
struct Html<'a> {
    words: &'a MailText,
    host: &'a str,
    footer: &'a str,
}

/// Makes the message.
pub fn compose(words: &MailText, headers: &MailHeaders<'_>) -> Result<Message, ComposeError> {
    let to = recipient(headers.to)?;
    let mut message = Message::builder()
        .from(headers.from.clone())
        .to(Mailbox::new(None, to))
        .subject(words.subject.as_str())
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(headers.now).unwrap_or(0)))
        .message_id(Some(format!(
            "<{}@{}>",
            headers.id,
            ascii_domain(headers.from.email.domain())
        )))
        // No automatic reply shall answer it.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
    if let Some(reply_to) = headers.reply_to {
        message = message.reply_to(reply_to.clone());
    }
    let (plain, html) = (plain(words, headers)?, html(words, headers)?);
    Ok(message.multipart(MultiPart::alternative_plain_html(plain, html))?)
}

/// The address of the envelope: a host name outside ASCII is encoded, so that every mail server accepts it.
fn recipient(address: &str) -> Result<Address, ComposeError> {
    let (local, domain) = foxden_accounts::recipient(address).ok_or(ComposeError::Address)?;
    // Checked by the same rule as addresses at sign-up: lettre's own refuses characters of some scripts.
    Ok(Address::new_dangerous(local, domain))
}

fn ascii_domain(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}

fn plain(words: &MailText, headers: &MailHeaders<'_>) -> Result<String, askama::Error> {
    let mut paragraphs = Vec::new();
    let key = match &words.key {
        Key::Digits { code, link } => {
            if let Some(link) = link {
                paragraphs.push(format!("Or confirm it on this page:\n{link}"));
            }
            code.as_str()
        }
        Key::Link { link, code, .. } => {
            if let Some(code) = code {
                paragraphs.push(format!(
                    "Or copy this code into the page that asks for it:\n{code}"
                ));
            }
            link.as_str()
        }
        Key::Nothing => "",
    };
    paragraphs.extend(words.more.iter().map(|paragraph| wrapped(paragraph)));
    paragraphs.push(wrapped(&words.otherwise));
    let text = Plain {
        heading: words.heading,
        lead: &wrapped(&words.lead),
        key,
        paragraphs,
        footer: wrapped(&footer(words, headers)),
    };
    text.render()
}

fn html(words: &MailText, headers: &MailHeaders<'_>) -> Result<String, askama::Error> {
    let html = Html {
        words,
        host: headers.host,
        footer: &footer(words, headers),
    };
    html.render()
}

fn footer(words: &MailText, headers: &MailHeaders<'_>) -> String {
    let (host, to, why) = (headers.host, Escaped(headers.to), words.why);
    let mut footer = format!("The Foxden server at {host} sent this to {to} {why}.");
    if let Some(contact) = headers.contact {
        let contact = contact.strip_prefix("mailto:").unwrap_or(contact);
        footer.push_str(" Its operator: ");
        footer.push_str(contact);
    }
    footer
}

/// The text in lines; a word that is longer than a line has one to itself.
fn wrapped(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / COLUMNS);
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > COLUMNS {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += width;
    }
    lines
}

#[cfg(test)]
mod tests;
