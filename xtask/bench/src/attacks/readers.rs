//! One user requests large answers on many connections and does not read them (3).

use anyhow::Result;

use super::Field;
use crate::request::{Signer, objects};

pub async fn run(field: Field) -> Result<()> {
    let signer = Signer::new(2_000_000, field.port);
    let mut client = field.client(0);
    for first in (0..6000).step_by(100) {
        let request = signer.request("POST", "/storage/history", &objects(first, 100));
        field.send(&mut client, &request).await;
    }
    let request = signer.request("GET", "/storage/history?full=1", "");
    field.never_read_at(400, |_| request.clone()).await
}
