//! A client without an account probes for existing accounts, in every possible way (7).

use anyhow::Result;

use super::Field;
use crate::request::Basic;
use crate::soak::ordinary;

pub async fn run(field: Field) -> Result<()> {
    let mut client = field.client(0);
    for number in 0..u64::MAX {
        let email = if number % 2 == 0 {
            Basic::email(ordinary::person(number / 2))
        } else {
            format!("unknown{number}@example.org")
        };
        let auth_pw = Basic::auth_pw(88_888);
        for path in ["status", "login", "create"] {
            let body = match path {
                "status" => format!(r#"{{"email":"{email}"}}"#),
                _ => format!(r#"{{"email":"{email}","authPW":"{auth_pw}"}}"#),
            };
            let request = field.send_request("POST", &format!("/v1/account/{path}"), "", &body);
            field.send(&mut client, &request).await;
        }
        let name = email.split('@').next().unwrap_or_default();
        let old = format!(
            "GET /user/1.0/{name} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n",
            field.port
        );
        field.send(&mut client, old.as_bytes()).await;
        field.pause(10).await;
    }
    Ok(())
}
