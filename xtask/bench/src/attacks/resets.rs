//! An attacker begins resets of another account's password and tries codes, by token and by digits (5).

use anyhow::Result;

use super::Field;
use crate::request::{Basic, bearer};
use crate::soak::ordinary;

pub async fn run(field: Field) -> Result<()> {
    for number in 0..u64::MAX {
        let mut client = field.client(number);
        let email = Basic::email(ordinary::person(number));
        let wish = format!(r#"{{"email":"{email}"}}"#);
        let begun = field
            .send(
                &mut client,
                &field.send_request("POST", "/v1/password/forgot/send_code", "", &wish),
            )
            .await;
        let token = begun
            .as_ref()
            .and_then(|begun| begun.member("passwordForgotToken"));
        let authorization = token.map_or(String::new(), |token| bearer(token, "passwordForgotToken"));
        field
            .send(
                &mut client,
                &field.send_request("POST", "/v1/password/forgot/send_otp", "", &wish),
            )
            .await;
        for code in 0..6 {
            let wrong = format!(r#"{{"code":"{code:032x}"}}"#);
            let request =
                field.send_request("POST", "/v1/password/forgot/verify_code", &authorization, &wrong);
            field.send(&mut client, &request).await;
            let digits = format!(r#"{{"email":"{email}","code":"{:08}"}}"#, number * 6 + code);
            let request = field.send_request("POST", "/v1/password/forgot/verify_otp", "", &digits);
            field.send(&mut client, &request).await;
            field.pause(30).await;
        }
    }
    Ok(())
}
