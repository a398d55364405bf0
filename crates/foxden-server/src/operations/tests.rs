//! Operations return data, and errors that a caller can tell apart.

use super::invitations::NewInvitation;
use super::*;
use crate::assemble::tests::TestApp;

const ANN: &str = "ann@example.org";

#[tokio::test]
async fn a_caller_can_tell_errors_apart() {
    let server = TestApp::open("operations", "http://127.0.0.1:5000").await;
    let app = server.services();
    let unknown = accounts::show(&app, ANN).await.unwrap_err();
    assert!(matches!(unknown, OperationError::UnknownAccount { name } if name == ANN));
    let unknown = accounts::remove(&app, ANN).await.unwrap_err();
    assert!(matches!(unknown, OperationError::UnknownAccount { name } if name == ANN));
    let invalid = accounts::add(&app, "ann", Role::Member).await.unwrap_err();
    assert!(matches!(invalid, OperationError::InvalidAddress { address } if address == "ann"));

    let link = accounts::add(&app, ANN, Role::Admin).await.unwrap();
    assert!(
        link.starts_with("http://127.0.0.1:5000/reset_password#"),
        "{link}"
    );
    let taken = accounts::add(&app, ANN, Role::Member).await.unwrap_err();
    assert!(matches!(taken, OperationError::AccountExists));
    let later = invitations::invite_first(&app).await.unwrap_err();
    assert!(matches!(later, OperationError::NotFirst));
    let elsewhere = accounts::move_stores(&app, ANN, Some("http://nowhere")).await;
    assert_eq!(elsewhere.unwrap(), 0, "there is no store to move");

    let nowhere = nodes::remove(&app, "http://nowhere").await.unwrap_err();
    assert!(matches!(nowhere, OperationError::UnknownNode { url } if url == "http://nowhere"));
    let listed = nodes::remove(&app, "http://127.0.0.1:5000").await.unwrap_err();
    assert!(matches!(listed, OperationError::ListedNode { .. }));
    let revoked = invitations::revoke(&app, 7).await.unwrap_err();
    assert!(matches!(revoked, OperationError::UnknownInvitation { id: 7 }));
    let new = NewInvitation {
        role: Role::Member,
        note: "",
        seconds: None,
    };
    let unsent = invitations::invite_by_mail(&app, new, "bea@example.org").await;
    assert!(matches!(unsent, Err(OperationError::NoMail)));
    let chore = server::run_chore(&app, "sweep").await.unwrap_err();
    assert!(matches!(chore, OperationError::UnknownChore { name } if name == "sweep"));
}

#[tokio::test]
async fn operations_return_data() {
    let server = TestApp::open("operations-data", "http://127.0.0.1:5000").await;
    let app = server.services();
    for number in 0..3 {
        let address = format!("user{number}@example.org");
        accounts::add(&app, &address, Role::Member).await.unwrap();
    }
    accounts::set_disabled(&app, "user1@example.org", true)
        .await
        .unwrap();
    let all = accounts::list(&app).await.unwrap();
    let disabled: Vec<_> = all.iter().filter(|account| account.is_disabled).collect();
    assert_eq!((all.len(), disabled.len()), (3, 1));
    assert_eq!(disabled[0].address, "user1@example.org");

    let details = accounts::show(&app, "user1@example.org").await.unwrap();
    assert_eq!(details.account, *disabled[0]);
    let not_emptied = accounts::remove(&app, "user1@example.org").await.unwrap();
    assert!(not_emptied.is_empty());
    assert_eq!(accounts::list(&app).await.unwrap().len(), 2);
    assert_eq!(nodes::list(&app).await.unwrap().len(), 1);
    assert_eq!(
        server::run_chore(&app, "wipe-deleted-stores").await.unwrap(),
        0,
        "the account had no store"
    );
}
