//! Doing what an order says.

use anyhow::{Context, anyhow};
use foxden_accounts::{AccountError, Accounts, CodePurpose};
use foxden_http::wire::PublicUrl;
use foxden_model::UserId;

use super::order::{Answer, Order, Standing, User, WaitingCode};
use crate::chores;
use crate::house::House;

/// Accounts fetched at once.
const PAGE: u32 = 200;

/// Does it, and tells what came of it.
pub async fn carry_out(house: &House, order: Order) -> Answer {
    match attempt(house, order).await {
        Ok(answer) => answer,
        Err(error) => Answer::Failed {
            text: format!("{error:#}"),
        },
    }
}

async fn attempt(house: &House, order: Order) -> anyhow::Result<Answer> {
    match order {
        Order::ListChores => {
            let chores = chores::list(&house.ledger);
            Ok(Answer::Chores { chores })
        }
        Order::RunChore { name } => {
            let chore = chores::find(&name).with_context(|| format!("there is no chore {name}"))?;
            let done = chores::run_to_the_end(chore, house).await?;
            let text = format!("{name}: {done}");
            Ok(Answer::Done { text })
        }
        Order::Probe => Ok(Answer::Probe {
            public_url: house.site.public_url.base(),
            word: house.probe.announce(&*house.chance),
        }),
        order => with_accounts(house, order).await,
    }
}

async fn with_accounts(house: &House, order: Order) -> anyhow::Result<Answer> {
    let accounts = house
        .accounts
        .as_ref()
        .context("this process keeps no accounts")?;
    let url = &house.site.public_url;
    Ok(match order {
        Order::ListUsers => Answer::Users {
            users: list(accounts).await?,
        },
        Order::AddUser { address, standing } => {
            let code = accounts.add_account(&address, standing.into()).await?;
            password_link(
                url,
                &code,
                format!("{address} sets a password here, once, within a day"),
            )
        }
        Order::ShowUser { name } => match accounts.show_account(&name).await? {
            Some(account) => Answer::User { user: account.into() },
            None => return Err(nobody(&name)),
        },
        Order::RemoveUser { name } => {
            let removed = accounts
                .remove_account(&name)
                .await
                .map_err(|error| named(error, &name))?;
            let text = removal(house, &name, &removed.stores).await;
            accounts.wipe_deleted().await;
            done(text)
        }
        Order::ResetPassword { name } => {
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
        Order::SetStanding { name, standing } => {
            accounts
                .set_role(&name, standing.into())
                .await
                .map_err(|error| named(error, &name))?;
            done(match standing {
                Standing::Admin => format!("{name} is an administrator now"),
                Standing::Member => format!("{name} is no administrator now"),
            })
        }
        Order::ShowCodes { name } => {
            let codes = accounts
                .waiting_codes(&name)
                .await
                .map_err(|error| named(error, &name))?;
            Answer::Codes {
                codes: codes.into_iter().map(WaitingCode::from).collect(),
            }
        }
        Order::Invite {
            standing,
            note,
            seconds,
        } => {
            let code = accounts.invite(standing.into(), &note, seconds).await?;
            invitation(url, &code, "makes one account, once".to_owned())
        }
        Order::InviteFirst => {
            let code = accounts.first_invitation().await?;
            let code = code.context("there is an account already; invite others with: foxden invite")?;
            invitation(
                url,
                &code,
                "makes the first account, an administrator's, within an hour".to_owned(),
            )
        }
        Order::ListChores | Order::RunChore { .. } | Order::Probe => {
            return Err(anyhow!("not about accounts"));
        }
    })
}

/// Empties what a removed account leaves, and says how far that went. The account is gone either way.
async fn removal(house: &House, name: &str, stores: &[UserId]) -> String {
    let mut text = format!("{name} and everything that hung on it is gone");
    for store in stores {
        if let Err(error) = house.empty_store(*store).await {
            text = format!(
                "{name} is gone; its store could not be emptied yet and will be tried again: {error:#}"
            );
        }
    }
    text
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

fn done(text: String) -> Answer {
    Answer::Done { text }
}

/// The code stands behind the `#`, which no log sees.
fn invitation(url: &PublicUrl, code: &str, about: String) -> Answer {
    let url = format!("{}/invite#{code}", url.origin());
    Answer::Link { url, about }
}

fn password_link(url: &PublicUrl, code: &str, about: String) -> Answer {
    let url = format!("{}/reset_password#{code}", url.origin());
    Answer::Link { url, about }
}

fn nobody(name: &str) -> anyhow::Error {
    anyhow!("nobody is called {name}; foxden user list tells who there is")
}

fn named(error: AccountError, name: &str) -> anyhow::Error {
    match error {
        AccountError::UnknownAccount { .. } => nobody(name),
        other => other.into(),
    }
}

impl From<foxden_accounts::WaitingCode> for WaitingCode {
    fn from(waiting: foxden_accounts::WaitingCode) -> Self {
        let purpose = match waiting.purpose {
            CodePurpose::ConfirmAddress => "confirms the address",
            CodePurpose::ResetPassword => "resets the password",
        };
        Self {
            purpose: purpose.to_owned(),
            code: waiting.code,
            expires: waiting.expires,
        }
    }
}
