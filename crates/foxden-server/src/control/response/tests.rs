//! Responses survive the socket.

use super::*;

#[test]
fn every_outcome_and_failure_is_read_as_it_was_written() {
    let name = || "ann@example.org".to_owned();
    let mark = Mark {
        since: 1,
        why: "a proxy".to_owned(),
    };
    let outcomes = [
        Outcome::UserRemoved {
            name: name(),
            not_emptied: Some("the node is away".to_owned()),
        },
        Outcome::RoleSet {
            name: name(),
            role: Role::Admin,
        },
        Outcome::UserStateSet {
            name: name(),
            state: UserState::Disabled,
        },
        Outcome::UserConfirmed { name: name() },
        Outcome::UserMoved {
            name: name(),
            stores: 2,
        },
        Outcome::InvitationRevoked { id: 7 },
        Outcome::NodeStateSet {
            url: "http://node".to_owned(),
            state: NodeState::Draining,
            has_room: false,
        },
        Outcome::NodeReset {
            url: "http://node".to_owned(),
            stores: 1,
            has_room: true,
        },
        Outcome::NodeRemoved {
            url: "http://node".to_owned(),
            stores: 3,
            has_room: true,
        },
        Outcome::MadePrivate { mark: Some(mark) },
        Outcome::ChoreRan {
            name: "sweep".to_owned(),
            count: 4,
        },
    ];
    let failures = [
        Failure::NoAccounts,
        Failure::UnknownAccount { name: name() },
        Failure::UnknownInvitation { id: 7 },
        Failure::Other {
            cause: "the disk is full".to_owned(),
        },
    ];
    let links = [
        LinkPurpose::SetPassword { name: name() },
        LinkPurpose::FirstInvitation,
    ];
    let done = outcomes.map(|outcome| Response::Done { outcome });
    let failed = failures.map(|failure| Response::Failed { failure });
    let link = links.map(|purpose| Response::Link {
        url: "http://127.0.0.1/".to_owned(),
        purpose,
    });
    for response in done.into_iter().chain(failed).chain(link) {
        let text = serde_json::to_string(&response).unwrap();
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(serde_json::from_str::<Response>(&text).unwrap(), response);
    }
}
