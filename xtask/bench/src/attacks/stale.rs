//! Fifty people behind one address, each with a device that repeats an old password (9).

use anyhow::Result;
use tokio::task::JoinSet;

use super::Field;
use crate::request::Basic;
use crate::soak::client::Client;
use crate::soak::ordinary;

pub async fn run(field: Field) -> Result<()> {
    let mut all = JoinSet::new();
    for number in 0..50 {
        let own = field.clone();
        all.spawn(async move {
            let field = own;
            // Some of the ordinary people live there, too.
            let mut client = Client::new(field.port, ordinary::SHARED_ADDRESS.to_owned());
            let old = format!("the password of last year, {number}");
            let device = Basic::with_password(ordinary::stale(number), &old, field.port);
            loop {
                field
                    .send(&mut client, &device.request("GET", "/info/collections", ""))
                    .await;
                field.pause(2000).await;
            }
        });
        field.pause(40).await;
    }
    all.join_all().await;
    Ok(())
}
