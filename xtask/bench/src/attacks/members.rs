//! One user sends compressed bodies that cost the most work to inflate to nothing (14).

use anyhow::Result;

use super::Field;
use crate::request::Signer;

/// An empty gzip member.
const EMPTY: [u8; 20] = [
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

pub async fn run(field: Field) -> Result<()> {
    let signer = Signer::new(2_000_010, field.port);
    let mut client = field.client(0);
    let body = EMPTY.repeat(100_000);
    let request = signer.packed("POST", "/storage/history", &body);
    loop {
        field.send(&mut client, &request).await;
        field.pause(100).await;
    }
}
