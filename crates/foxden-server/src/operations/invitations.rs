//! Operations on invitations.

use foxden_accounts::security::{Event, OperatorAction};
use foxden_accounts::{Invitation, Role};
use foxden_http::pages::links;

use super::{OperationError, accounts_of, report_details, role_name};
use crate::app::App;

/// A new invitation.
#[derive(Clone, Copy, Debug)]
pub struct NewInvitation<'a> {
    /// The role.
    pub role: Role,
    /// For whom the invitation is meant.
    pub note: &'a str,
    /// How long it is valid; `None` is the usual time.
    pub seconds: Option<u64>,
}

/// Makes an invitation. Returns its link.
pub async fn invite(app: &App, new: NewInvitation<'_>) -> Result<String, OperationError> {
    let code = accounts_of(app)?.invite(new.role, new.note, new.seconds).await?;
    report_details(app, OperatorAction::InvitationMade, &new.details());
    Ok(links::invitation(&app.site.public_url.origin(), &code))
}

/// Makes an invitation and sends it to `address`. Returns its link as well: mail may be slow.
pub async fn invite_by_mail(
    app: &App,
    new: NewInvitation<'_>,
    address: &str,
) -> Result<String, OperationError> {
    let note = if new.note.is_empty() { address } else { new.note };
    let code = accounts_of(app)?
        .invite_by_mail(new.role, note, new.seconds, address)
        .await
        .map_err(|error| OperationError::on_account(error, address))?;
    let details = new.details();
    let event = Event::by_operator(OperatorAction::InvitationMade)
        .with_subject(address)
        .with_reason(&details);
    app.security_log.emit(&event);
    Ok(links::invitation(&app.site.public_url.origin(), &code))
}

/// Makes the invitation for the first account. Returns its link.
pub async fn invite_first(app: &App) -> Result<String, OperationError> {
    let code = accounts_of(app)?.first_invitation().await?;
    let code = code.ok_or(OperationError::NotFirst)?;
    report_details(app, OperatorAction::InvitationMade, "the first account's");
    Ok(links::invitation(&app.site.public_url.origin(), &code))
}

/// Lists the invitations, newest first.
pub async fn list(app: &App) -> Result<Vec<Invitation>, OperationError> {
    Ok(accounts_of(app)?.invitations().await?)
}

/// Revokes an invitation.
pub async fn revoke(app: &App, id: i64) -> Result<(), OperationError> {
    if !accounts_of(app)?.revoke_invitation(id).await? {
        return Err(OperationError::UnknownInvitation { id });
    }
    report_details(
        app,
        OperatorAction::InvitationRevoked,
        &format!("invitation {id}"),
    );
    Ok(())
}

impl NewInvitation<'_> {
    /// The details that the security log records.
    fn details(&self) -> String {
        let role = role_name(self.role);
        if self.note.is_empty() {
            role.to_owned()
        } else {
            format!("{role}, for: {}", self.note)
        }
    }
}
