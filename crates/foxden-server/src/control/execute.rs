//! Executes commands: each is one operation, whose result becomes a response.

use foxden_http::wire::chain;

use super::command::{Command, UserState};
use super::response::{LinkPurpose, Outcome, Response, Serving};
use crate::app::App;
use crate::chores;
use crate::config::listener::{Bind, Surface};
use crate::operations::invitations::NewInvitation;
use crate::operations::{OperationError, accounts, invitations, nodes, server};

/// Executes a command.
pub async fn execute(app: &App, command: Command) -> Response {
    match operate(app, with_canonical_url(command)).await {
        Ok(response) => response,
        Err(error) => Response::Failed {
            failure: error.into(),
        },
    }
}

/// The command with the address of its node as nodes are known by it, however the operator spells it.
fn with_canonical_url(mut command: Command) -> Command {
    if let Command::SetNode { url, .. }
    | Command::ConfigureNode { url, .. }
    | Command::ResetNode { url }
    | Command::RemoveNode { url }
    | Command::MoveUser { to: Some(url), .. } = &mut command
    {
        *url = nodes::canonical(url);
    }
    command
}

async fn operate(app: &App, command: Command) -> Result<Response, OperationError> {
    Ok(match command {
        Command::ListUsers => Response::Users {
            users: converted(accounts::list(app).await?),
        },
        Command::ShowUser { name } => accounts::show(app, &name).await?.into(),
        Command::AddUser { address, role } => {
            let url = accounts::add(app, &address, role.into()).await?;
            link(url, LinkPurpose::SetPassword { name: address })
        }
        Command::ResetPassword { name } => {
            let url = accounts::password_link(app, &name).await?;
            link(url, LinkPurpose::SetPassword { name })
        }
        Command::ShowCodes { name } => Response::Codes {
            codes: converted(accounts::pending_codes(app, &name).await?),
        },
        Command::RemoveUser { name } => done(remove(app, name).await?),
        Command::SetRole { name, role } => {
            accounts::set_role(app, &name, role.into()).await?;
            done(Outcome::RoleSet { name, role })
        }
        Command::SetUserState { name, state } => {
            accounts::set_disabled(app, &name, state == UserState::Disabled).await?;
            done(Outcome::UserStateSet { name, state })
        }
        Command::ConfirmUser { name } => {
            accounts::confirm_address(app, &name).await?;
            done(Outcome::UserConfirmed { name })
        }
        Command::MoveUser { name, to } => {
            let stores = accounts::move_stores(app, &name, to.as_deref()).await?;
            done(Outcome::UserMoved { name, stores })
        }
        Command::Invite {
            role,
            note,
            seconds,
            mail,
        } => {
            let role = role.into();
            let note = &note;
            invite(app, NewInvitation { role, note, seconds }, mail).await?
        }
        Command::InviteFirst => {
            let url = invitations::invite_first(app).await?;
            link(url, LinkPurpose::FirstInvitation)
        }
        Command::ListInvitations => Response::Invitations {
            invitations: converted(invitations::list(app).await?),
        },
        Command::RevokeInvitation { id } => {
            invitations::revoke(app, id).await?;
            done(Outcome::InvitationRevoked { id })
        }
        Command::ListNodes => Response::Nodes {
            nodes: converted(nodes::list(app).await?),
        },
        Command::SetNode { url, state } => {
            let has_room = nodes::set_state(app, &url, state.into()).await?;
            done(Outcome::NodeStateSet { url, state, has_room })
        }
        Command::AddNode { url, settings } => {
            let url = nodes::add(app, &url, settings.into()).await?;
            done(Outcome::NodeAdded { url })
        }
        Command::ConfigureNode { url, settings } => {
            nodes::configure(app, &url, settings.into()).await?;
            done(Outcome::NodeConfigured { url })
        }
        Command::ResetNode { url } => {
            let (stores, has_room) = nodes::reset(app, &url).await?;
            done(Outcome::NodeReset {
                url,
                stores,
                has_room,
            })
        }
        Command::RemoveNode { url } => {
            let (stores, has_room) = nodes::remove(app, &url).await?;
            done(Outcome::NodeRemoved {
                url,
                stores,
                has_room,
            })
        }
        Command::MakePrivate => {
            let mark = server::make_private(app)?;
            done(Outcome::MadePrivate { mark })
        }
        Command::Probe => probe(app),
        Command::ListChores => Response::Chores {
            chores: converted(chores::list(&app.chore_history)),
        },
        Command::RunChore { name } => {
            let count = server::run_chore(app, &name).await?;
            done(Outcome::ChoreRan { name, count })
        }
    })
}

async fn remove(app: &App, name: String) -> Result<Outcome, OperationError> {
    let not_emptied = accounts::remove(app, &name).await?;
    let not_emptied = not_emptied.last().map(|(_, error)| chain(error));
    Ok(Outcome::UserRemoved { name, not_emptied })
}

async fn invite(app: &App, new: NewInvitation<'_>, mail: Option<String>) -> Result<Response, OperationError> {
    Ok(match mail {
        None => link(invitations::invite(app, new).await?, LinkPurpose::Invitation),
        Some(address) => {
            let url = invitations::invite_by_mail(app, new, &address).await?;
            link(url, LinkPurpose::MailedInvitation { address })
        }
    })
}

fn probe(app: &App) -> Response {
    Response::Probe {
        public_url: app.site.public_url.base(),
        word: app.probe.announce(&*app.rng),
        serving: serving(app),
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

/// A list in the wire form.
fn converted<T, W: From<T>>(list: Vec<T>) -> Vec<W> {
    list.into_iter().map(W::from).collect()
}

const fn link(url: String, purpose: LinkPurpose) -> Response {
    Response::Link { url, purpose }
}

const fn done(outcome: Outcome) -> Response {
    Response::Done { outcome }
}
