//! Requests for mails of every kind to the same addresses, repeated from several networks (6).

use anyhow::Result;

use super::Field;
use crate::request::Basic;
use crate::soak::ordinary;

pub async fn run(field: Field) -> Result<()> {
    for number in 0..u64::MAX {
        let mut client = field.client(number / 8);
        let email = Basic::email(ordinary::person(number % 4));
        let name = email.split('@').next().unwrap_or_default().to_owned();
        let body = format!(r#"{{"email":"{email}"}}"#);
        for path in ["forgot/send_code", "forgot/send_otp"] {
            let request = field.send_request("POST", &format!("/v1/password/{path}"), "", &body);
            field.send(&mut client, &request).await;
        }
        let old = format!(
            "GET /user/1.0/{name}/password_reset HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n",
            field.port
        );
        field.send(&mut client, old.as_bytes()).await;
        let auth_pw = Basic::auth_pw(77_777);
        let create = format!(
            r#"{{"email":"fresh{}@example.org","authPW":"{auth_pw}"}}"#,
            number % 4
        );
        field
            .send(
                &mut client,
                &field.send_request("POST", "/v1/account/create", "", &create),
            )
            .await;
        field.pause(50).await;
    }
    Ok(())
}
