//! Wrong passwords from many networks of one /48, which a proxy names (8).

use anyhow::Result;

use super::{Field, wide_network};
use crate::request::Basic;
use crate::soak::client::Client;
use crate::soak::ordinary;

pub async fn run(field: Field) -> Result<()> {
    for number in 0..u64::MAX {
        let address = format!("{}{:x}::1", wide_network(field.number), number % 65_536);
        let mut client = Client::new(field.port, address);
        // One account is under attack, and the addresses of unknown accounts.
        let email = Basic::email(ordinary::VICTIM);
        let body = format!(r#"{{"email":"{email}","authPW":"{number:064x}"}}"#);
        field
            .send(
                &mut client,
                &field.send_request("POST", "/v1/account/login", "", &body),
            )
            .await;
        let stranger = Basic::with_password(900_000 + number, "wrong", field.port);
        field
            .send(&mut client, &stranger.request("GET", "/info/collections", ""))
            .await;
        field.pause(15).await;
    }
    Ok(())
}
