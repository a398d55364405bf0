//! Mails where accounts and storage are processes of their own.

use super::mail_server::MailServer;
use super::{ANN, PASSWORD};
use crate::cluster::{Cluster, server};
use crate::nodes::eventually;
use crate::program::Folder;
use foxden_test_support::client::legacy::account::{self, basic};
use foxden_test_support::client::wire::{Call, Server};

/// U13.34: the mail leads to where the accounts are, and the new password holds at the node.
#[test]
#[ignore = "needs python3-aiosmtpd; cargo xtask test installs it"]
fn the_link_that_was_mailed_opens_where_the_accounts_are() {
    let (folder, mut mail_server) = (Folder::new(), MailServer::plain());
    let cluster = Cluster::new(&folder, 1);
    let registration = mail_server.used_by(cluster.registration.clone()).serve();
    let node = cluster.nodes[0].serve();
    let accounts = server(&registration);
    let name = account::register(&accounts, ANN, PASSWORD);
    let status = |password| {
        let call = Call::get(format!("/1.1/{name}/info/collections"));
        let call = call.header("Authorization", basic(&name, password));
        Server::at(node.url()).send(&call).status
    };
    assert_eq!(status(PASSWORD), 200);
    accounts
        .send(&Call::get(format!("/user/1.0/{name}/password_reset")))
        .expect(200);

    let mail = mail_server.mail();
    let target = mail.key().strip_prefix(registration.url()).unwrap();
    let page = accounts.send(&Call::get(target)).expect(200).text();
    let (_, code) = target.split_once("&key=").unwrap();
    assert!(page.contains("<form") && page.contains(code), "{page}");
    Server::at(node.url()).send(&Call::get(target)).expect(404);

    let reset = Call::new("POST", format!("/user/1.0/{name}/password"))
        .header("X-Weave-Password-Reset", code)
        .body("text/plain", "another password");
    accounts.send(&reset).expect(200);
    eventually(|| status(PASSWORD) == 401);
    assert_eq!(status("another password"), 200);
    assert!(mail_server.mail().head("Subject").contains("was set anew"));
    mail_server.ends_silent(registration);
}
