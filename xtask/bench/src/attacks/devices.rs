//! One member has many sessions with a device each, full of commands, and lists them without reading (1).

use anyhow::Result;

use super::Field;

/// Sessions, each with a device.
const SESSIONS: u64 = 250;

pub async fn run(field: Field) -> Result<()> {
    let member = field.sign_in(field.own(0), 0).await?;
    // The largest accepted device: 16 KiB, with commands of 2 KiB each.
    let sealed = "s".repeat(2000);
    let commands: Vec<String> = (0..7)
        .map(|number| format!(r#""https://identity.mozilla.com/cmd/{number}":"{sealed}""#))
        .collect();
    let commands = commands.join(",");
    let mut client = field.client(0);
    for number in 0..SESSIONS {
        if let Ok(session) = field.sign_in(member.number, 0).await {
            let body = format!(
                r#"{{"name":"device {number}","type":"desktop","availableCommands":{{{commands}}}}}"#
            );
            let request = field.send_request("POST", "/v1/account/device", &session.authorization, &body);
            field.send(&mut client, &request).await;
        }
        field.pause(20).await;
    }
    let list = field.send_request("GET", "/v1/account/devices", &member.authorization, "");
    field.never_read_at(80, |_| list.clone()).await
}
