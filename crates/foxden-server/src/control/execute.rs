//! Executes commands.

use anyhow::{Context, anyhow};
use foxden_accounts::{Accounts, CodePurpose, OperatorError};
use foxden_http::wire::PublicUrl;
use foxden_model::UserId;

use super::audit_record::AuditRecord;
use super::command::{Command, Response, Role, Serving, User, UserState, WaitingCode};
use super::nodes;
use crate::app::App;
use crate::calendar::Utc;
use crate::chores;
use crate::config::listener::{Bind, Surface};
use crate::exposure::Mark;

/// Accounts fetched at once.
const PAGE: u32 = 200;
/// How many events of an account are shown.
const EVENTS: usize = 10;

/// Executes a command.
pub async fn execute(app: &App, command: Command) -> Response {
    let record = AuditRecord::of(&command);
    match attempt(app, command).await {
        Ok(response) => {
            if let Some(record) = record {
                app.security_log.emit(&record.event());
            }
            response
        }
        Err(error) => Response::Failed {
            text: format!("{error:#}"),
        },
    }
}

async fn attempt(app: &App, command: Command) -> anyhow::Result<Response> {
    match command {
        Command::ListChores => {
            let chores = chores::list(&app.chore_history);
            Ok(Response::Chores { chores })
        }
        Command::RunChore { name } => {
            let chore = chores::find(&name)
                .with_context(|| format!("there is no chore {name}; foxden chore list shows them all"))?;
            let done = chores::run_to_the_end(chore, app).await?;
            let text = format!("{name}: {done}");
            Ok(Response::Done { text })
        }
        Command::Probe => Ok(Response::Probe {
            public_url: app.site.public_url.base(),
            word: app.probe.announce(&*app.rng),
            serving: serving(app),
        }),
        Command::MakePrivate => Ok(make_private(app.exposure.make_private()?.as_ref())),
        command => with_accounts(app, command).await,
    }
}

fn serving(app: &App) -> Serving {
    let config = &app.config;
    let surfaces = config.surfaces();
    let ports = config
        .listeners
        .iter()
        .filter_map(|listener| match listener.bind {
            Bind::Tcp(address) => Some(address.port()),
            Bind::Unix(_) => None,
        });
    Serving {
        ports: ports.collect(),
        keeps_objects: surfaces.contains(&Surface::Sync),
        has_root: surfaces.contains(&Surface::Fxa) || surfaces.contains(&Surface::Pages),
        max_request_bytes: config.storage.limits.max_request_bytes,
        is_private: app.exposure.is_private(),
        mark: app.exposure.mark(),
    }
}

fn make_private(mark: Option<&Mark>) -> Response {
    done(match mark {
        Some(Mark { since, why }) => format!(
            "this server is private again: people at this machine make accounts without an invitation. It counted as public since {}: {why}. \
             Should that happen again, it is public again",
            Utc(*since)
        ),
        None => "this server is private: nothing has come from elsewhere".to_owned(),
    })
}

async fn with_accounts(app: &App, command: Command) -> anyhow::Result<Response> {
    let accounts = app.accounts.as_ref().context("this process keeps no accounts")?;
    let url = &app.site.public_url;
    Ok(match command {
        Command::ListUsers => Response::Users {
            users: list(accounts).await?,
        },
        Command::AddUser { address, role } => {
            let code = accounts.add_account(&address, role.into()).await?;
            password_link(
                url,
                &code,
                format!("{address} sets a password here, once, within a day"),
            )
        }
        Command::ShowUser { name } => show(accounts, &name).await?,
        Command::RemoveUser { name } => remove(app, accounts, &name).await?,
        Command::ResetPassword { name } => {
            let code = accounts
                .password_link(&name)
                .await
                .map_err(|error| named(error, &name))?;
            password_link(
                url,
                &code,
                format!("{name} sets a password here, once, within a day"),
            )
        }
        Command::SetRole { name, role } => {
            accounts
                .set_role(&name, role.into())
                .await
                .map_err(|error| named(error, &name))?;
            done(match role {
                Role::Admin => format!("{name} is an administrator now"),
                Role::Member => format!("{name} is no administrator now"),
            })
        }
        Command::SetUserState { name, state } => {
            accounts
                .set_disabled(&name, state == UserState::Disabled)
                .await
                .map_err(|error| named(error, &name))?;
            done(match state {
                UserState::Disabled => format!("{name} is signed out everywhere and kept out"),
                UserState::Enabled => format!("{name} may sign in again"),
            })
        }
        Command::ConfirmUser { name } => {
            accounts
                .approve(&name)
                .await
                .map_err(|error| named(error, &name))?;
            done(format!("the address of {name} counts as confirmed"))
        }
        Command::ShowCodes { name } => codes(accounts, &name).await?,
        Command::MoveUser { name, to } => move_user(accounts, &name, to.as_deref()).await?,
        command @ (Command::ListNodes | Command::SetNode { .. } | Command::RemoveNode { .. }) => {
            nodes::execute(accounts, command).await?
        }
        Command::Invite {
            role,
            note,
            seconds,
            mail: None,
        } => {
            let code = accounts.invite(role.into(), &note, seconds).await?;
            invitation(url, &code, "makes one account, once".to_owned())
        }
        Command::Invite {
            role,
            note,
            seconds,
            mail: Some(address),
        } => invite_by_mail(app, role, &note, seconds, &address).await?,
        Command::InviteFirst => invite_first(accounts, url).await?,
        Command::ListInvitations => Response::Invitations {
            invitations: accounts
                .invitations()
                .await?
                .into_iter()
                .map(Into::into)
                .collect(),
        },
        Command::RevokeInvitation { id } => revoke(accounts, id).await?,
        Command::ListChores | Command::RunChore { .. } | Command::Probe | Command::MakePrivate => {
            return Err(anyhow!("not about accounts"));
        }
    })
}

async fn move_user(accounts: &Accounts, name: &str, to: Option<&str>) -> anyhow::Result<Response> {
    let moved = accounts.move_user(name, to).await;
    let moved = moved.map_err(|error| match to {
        Some(url) if matches!(error, OperatorError::UnknownNode) => nodes::unknown(url),
        _ => named(error, name),
    })?;
    Ok(done(match moved {
        0 => format!("{name} has no store that could be moved"),
        _ => format!("{name} has an empty store elsewhere now; browsers fill it when they sync next"),
    }))
}

async fn remove(app: &App, accounts: &Accounts, name: &str) -> anyhow::Result<Response> {
    let removal = async {
        let removed = accounts.remove_account(name).await;
        removed.map_err(|error| named(error, name))
    };
    let failed = accounts.complete_removal(removal, |store| empty(app, store));
    Ok(done(match failed.await?.last() {
        None => format!("{name} and everything that hung on it is gone"),
        Some((_, error)) => {
            format!("{name} is gone; its store could not be emptied yet and will be tried again: {error:#}")
        }
    }))
}

async fn codes(accounts: &Accounts, name: &str) -> anyhow::Result<Response> {
    let codes = accounts.waiting_codes(name).await;
    let codes = codes.map_err(|error| named(error, name))?;
    Ok(Response::Codes {
        codes: codes.into_iter().map(WaitingCode::from).collect(),
    })
}

async fn invite_first(accounts: &Accounts, url: &PublicUrl) -> anyhow::Result<Response> {
    let code = accounts.first_invitation().await?;
    let code = code.context("there is an account already; invite others with: foxden invite")?;
    let about = "makes the first account, an administrator's, within an hour".to_owned();
    Ok(invitation(url, &code, about))
}

/// The response has the link as well: mail may be slow.
async fn invite_by_mail(
    app: &App,
    role: Role,
    note: &str,
    seconds: Option<u64>,
    address: &str,
) -> anyhow::Result<Response> {
    anyhow::ensure!(
        app.config.mail.is_some(),
        "this server has no mail server; set mail.host, or leave out --mail and pass the link on yourself"
    );
    let accounts = app.accounts.as_ref().context("this process keeps no accounts")?;
    let note = if note.is_empty() { address } else { note };
    let sent = accounts.invite_by_mail(role.into(), note, seconds, address).await;
    let code = sent.map_err(|error| match error {
        OperatorError::InvalidAddress => anyhow!("{address} is not an address"),
        OperatorError::TooMany(_) => anyhow!(
            "too many letters went to {address} today, or too many wait, which foxden check explains; leave out \
             --mail and pass the link on yourself"
        ),
        other => other.into(),
    })?;
    let about = format!("makes one account, once; a letter takes it to {address}");
    Ok(invitation(&app.site.public_url, &code, about))
}

async fn revoke(accounts: &Accounts, id: i64) -> anyhow::Result<Response> {
    let was_there = accounts.revoke_invitation(id).await?;
    anyhow::ensure!(
        was_there,
        "there is no invitation {id}; foxden invite list tells which there are"
    );
    Ok(done(format!("invitation {id} is taken back")))
}

/// Empties a store of a removed account.
async fn empty(app: &App, store: UserId) -> anyhow::Result<()> {
    let closed = match &app.accounts {
        Some(accounts) => accounts.store_to_empty(store).await?,
        None => None,
    };
    match closed {
        Some(closed) => Ok(app.empty_store(&closed).await?),
        None => Ok(()),
    }
}

async fn show(accounts: &Accounts, name: &str) -> anyhow::Result<Response> {
    let account = accounts.show_account(name).await?;
    let account = account.ok_or_else(|| unknown_account(name))?;
    let events = accounts.security_events(account.account).await?;
    Ok(Response::User {
        user: account.into(),
        events: events.into_iter().take(EVENTS).map(Into::into).collect(),
    })
}

async fn list(accounts: &Accounts) -> anyhow::Result<Vec<User>> {
    let mut users = Vec::new();
    let mut after = None;
    loop {
        let page = accounts.list_accounts(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(users);
        };
        after = Some(last.account);
        users.extend(page.into_iter().map(User::from));
    }
}

fn done(text: String) -> Response {
    Response::Done { text }
}

/// The code stands behind the `#`, which no log sees.
fn invitation(url: &PublicUrl, code: &str, about: String) -> Response {
    let url = format!("{}/invite#{code}", url.origin());
    Response::Link { url, about }
}

fn password_link(url: &PublicUrl, code: &str, about: String) -> Response {
    let url = format!("{}/reset_password#{code}", url.origin());
    Response::Link { url, about }
}

fn unknown_account(name: &str) -> anyhow::Error {
    anyhow!("there is no account {name}; foxden user list shows all")
}

fn named(error: OperatorError, name: &str) -> anyhow::Error {
    match error {
        OperatorError::UnknownAccount { .. } => unknown_account(name),
        other => other.into(),
    }
}

impl From<foxden_accounts::WaitingCode> for WaitingCode {
    fn from(waiting: foxden_accounts::WaitingCode) -> Self {
        let purpose = match waiting.purpose {
            CodePurpose::ConfirmAddress => "confirms the address",
            CodePurpose::ResetPassword => "resets the password",
            CodePurpose::ResetOtp => "resets the password in a program that asks for it",
            CodePurpose::ResetLegacy => "resets the password in an old client or on its page",
        };
        Self {
            purpose: purpose.to_owned(),
            code: waiting.code,
            expires: waiting.expires,
        }
    }
}
