//! Shows responses on a terminal.

mod nodes;

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::bail;

use crate::calendar::date_time;
use crate::control::Response;
use crate::control::command::Role;
use crate::control::response::{Chore, Event, Invitation, PendingCode, User};
use crate::messages;
use crate::terminal::{self, Style, styled};

/// Shows a response.
pub fn response(response: Response) -> anyhow::Result<ExitCode> {
    match response {
        Response::Users { users } => show_users(&users),
        Response::User { user, events } => {
            show_user(&user);
            show_events(&events);
        }
        Response::Invitations { invitations } => show_invitations(&invitations),
        Response::Link { url, purpose } => {
            terminal::print_line(styled(url, Style::Accent));
            terminal::print_line(styled(messages::link(&purpose), Style::Dim));
        }
        Response::Nodes { nodes: list } => nodes::show(&list),
        Response::Codes { codes } => show_codes(&codes),
        Response::Chores { chores } => show_chores(&chores),
        Response::Probe { .. } => bail!("a probe is not a command"),
        Response::Done { outcome } => {
            terminal::print_line(styled(messages::outcome(&outcome), Style::Good));
        }
        Response::Failed { failure } => bail!(messages::failure(&failure)),
    }
    Ok(ExitCode::SUCCESS)
}

fn show_users(users: &[User]) {
    if users.is_empty() {
        terminal::print_line("There is no account yet.");
        return;
    }
    let widest = users
        .iter()
        .map(|user| user.address.chars().count())
        .max()
        .unwrap_or(0);
    // Before one is confirmed, several accounts may have the same address: then only the id tells them apart.
    let mut having = HashMap::new();
    for user in users {
        *having.entry(user.address.to_lowercase()).or_insert(0) += 1;
    }
    for user in users {
        let address = format!("{:widest$}", user.address);
        let devices = counted(user.devices, "device");
        let names = match user.names.as_slice() {
            [] => String::new(),
            names => format!("  also {}", names.join(", ")),
        };
        let marks = styled(marks(user).join(", "), Style::Warning);
        let is_alone = having.get(&user.address.to_lowercase()) == Some(&1);
        let id = if is_alone { "" } else { &*user.id };
        let marks = format!("{marks}  {id}");
        let marks = marks.trim_end();
        terminal::print_line(format_args!(
            "{}  {devices}{names}  {marks}",
            styled(address, Style::Bold)
        ));
    }
}

/// Unusual properties of an account.
fn marks(user: &User) -> Vec<&'static str> {
    let all = [
        (user.role == Role::Admin, "administrator"),
        (user.is_disabled, "switched off"),
        (!user.is_confirmed, "address not confirmed"),
        (!user.has_password, "no password yet"),
    ];
    all.into_iter()
        .filter_map(|(holds, mark)| holds.then_some(mark))
        .collect()
}

fn show_user(user: &User) {
    let last_used = user.last_used.map_or_else(|| "never".to_owned(), date);
    let marks = marks(user).join(", ");
    for (name, value) in [
        ("address", user.address.clone()),
        ("names", user.names.join(", ")),
        ("id", user.id.clone()),
        ("remarks", marks),
        ("created", date(user.created_at)),
        ("last used", last_used),
        ("sessions", user.sessions.to_string()),
        ("devices", user.devices.to_string()),
    ] {
        if !value.is_empty() {
            terminal::print_line(format_args!(
                "{}  {value}",
                styled(format!("{name:9}"), Style::Dim)
            ));
        }
    }
    for store in &user.stores {
        let protocol = if store.is_legacy { "Sync 1.1" } else { "Firefox" };
        let node = store
            .node
            .as_deref()
            .unwrap_or("no node: the next sync finds one");
        terminal::print_line(format_args!(
            "{}  {} for {protocol}, at {node}",
            styled("store    ", Style::Dim),
            store.uid
        ));
    }
}

fn show_events(events: &[Event]) {
    for event in events {
        let time = styled(date(event.time), Style::Dim);
        terminal::print_line(format_args!("{time}  {} from {}", event.kind, event.address));
    }
}

fn show_invitations(invitations: &[Invitation]) {
    if invitations.is_empty() {
        terminal::print_line("There is no invitation.");
    }
    for invitation in invitations {
        let fate = match &invitation.used_by {
            Some(account) => format!("became account {account}"),
            None => format!("until {}", date(invitation.expires)),
        };
        let role = match invitation.role {
            Role::Admin => "  administrator",
            Role::Member => "",
        };
        terminal::print_line(format_args!(
            "{}  {}{}  {}",
            styled(invitation.id, Style::Bold),
            styled(fate, Style::Dim),
            styled(role, Style::Warning),
            invitation.note
        ));
    }
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn show_codes(codes: &[PendingCode]) {
    if codes.is_empty() {
        terminal::print_line("No code waits.");
    }
    for code in codes {
        let about = format!("{}, until {}", messages::code(code.purpose), date(code.expires));
        terminal::print_line(format_args!(
            "{}  {}",
            styled(&code.code, Style::Accent),
            styled(about, Style::Dim)
        ));
    }
}

fn show_chores(chores: &[Chore]) {
    let widest = chores.iter().map(|chore| chore.name.len()).max().unwrap_or(0);
    for chore in chores {
        let last = match chore.last_success {
            Some(time) => format!("last done {}", date(time)),
            None => "not done since the start".to_owned(),
        };
        let name = format!("{:widest$}", chore.name);
        terminal::print_line(format_args!(
            "{}  {}  {}",
            styled(name, Style::Bold),
            chore.about,
            styled(last, Style::Dim)
        ));
        if let Some(why) = &chore.last_failure {
            let times = if chore.failures == 1 { "time" } else { "times" };
            let failed = format!("{:widest$}  failed {} {times} since: {why}", "", chore.failures);
            terminal::print_line(format_args!("{}", styled(failed, Style::Warning)));
        }
    }
}

fn date(millis: i64) -> String {
    let at = date_time(millis);
    let (hour, minute, _) = at.as_hms();
    format!("{} {hour:02}:{minute:02} UTC", at.date())
}
