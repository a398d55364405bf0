//! A few dozen addresses take all channels of the key exchange (14).

use anyhow::Result;

use super::Field;

pub async fn run(field: Field) -> Result<()> {
    for number in 0..u64::MAX {
        let mut client = field.client(number / 60);
        let id = format!("{number:0256x}");
        let request = format!(
            "GET /jpake/new_channel HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nx-keyexchange-id: {id}\r\n\r\n",
            field.port
        );
        field.send(&mut client, request.as_bytes()).await;
        field.pause(10).await;
    }
    Ok(())
}
