//! One account fills the disk: by batches, by repeated writes and deletions, by repeated key changes (4).

use anyhow::{Context, Result, ensure};

use super::{Field, Member};
use crate::request::{Basic, Signer, bearer, objects};
use crate::soak::client::Client;
use crate::soak::mailbox;

pub async fn run(field: Field) -> Result<()> {
    let mut all = tokio::task::JoinSet::new();
    let [batches, loops, keys] = [field.clone(), field.clone(), field.clone()];
    all.spawn(async move { open_batches(&batches).await });
    all.spawn(async move { write_and_delete(&loops).await });
    all.spawn(async move { change_keys(&keys).await });
    while let Some(done) = all.join_next().await {
        if let Err(error) = done? {
            println!("disk 0 a part ended: {error:#}");
        }
    }
    Ok(())
}

/// Batches of many parts, some committed, some left open.
async fn open_batches(field: &Field) -> Result<()> {
    let signer = Signer::new(2_000_001, field.port);
    let mut client = field.client(1);
    for round in 0..u64::MAX {
        let first = signer.request(
            "POST",
            "/storage/history?batch=true",
            &objects(round * 10_000, 100),
        );
        let answer = field.send(&mut client, &first).await;
        let batch = answer.as_ref().and_then(|answer| answer.member("batch"));
        let batch = batch.unwrap_or("none").to_owned();
        for part in 1..50 {
            let path = format!("/storage/history?batch={}", batch.replace('=', "%3D"));
            let request = signer.request("POST", &path, &objects(round * 10_000 + part * 100, 100));
            field.send(&mut client, &request).await;
            field.pause(20).await;
        }
        if round % 2 == 0 {
            let path = format!("/storage/history?batch={}&commit=true", batch.replace('=', "%3D"));
            field
                .send(&mut client, &signer.request("POST", &path, "[]"))
                .await;
        }
    }
    Ok(())
}

async fn write_and_delete(field: &Field) -> Result<()> {
    let signer = Signer::new(2_000_002, field.port);
    let mut client = field.client(2);
    loop {
        for first in (0..2000).step_by(100) {
            let request = signer.request("POST", "/storage/forms", &objects(first, 100));
            field.send(&mut client, &request).await;
            field.pause(10).await;
        }
        let request = signer.request("DELETE", "/storage/forms", "");
        field.send(&mut client, &request).await;
    }
}

/// Each password reset leaves an old store, which is filled first.
async fn change_keys(field: &Field) -> Result<()> {
    let mut client = field.client(3);
    for round in 0..u64::MAX {
        let member = field.sign_in(field.own(3), 3).await?;
        if let Err(error) = fill_store(field, &mut client, &member, round).await {
            field.count(format!("no store ({error})"));
        }
        // Mails are limited; without one the keys stay.
        while let Err(error) = reset(field, &mut client, &member).await {
            field.count(format!("no reset ({error})"));
            field.pause(5000).await;
        }
    }
    Ok(())
}

async fn reset(field: &Field, client: &mut Client, member: &Member) -> Result<()> {
    let (email, auth_pw) = (Basic::email(member.number), Basic::auth_pw(member.number));
    let before = mailbox::code(field.mail, &email).await?;
    let body = format!(r#"{{"email":"{email}"}}"#);
    let wish = field.send_request("POST", "/v1/password/forgot/send_code", "", &body);
    let begun = field.send(client, &wish).await.context("cut")?;
    let token = begun.member("passwordForgotToken").context("not begun")?;
    let token = bearer(token, "passwordForgotToken");
    let mut code = before.clone();
    for _ in 0..50 {
        if code != before {
            break;
        }
        field.pause(100).await;
        code = mailbox::code(field.mail, &email).await?;
    }
    let code = code.context("no mail")?;
    let body = format!(r#"{{"code":"{code}"}}"#);
    let verify = field.send_request("POST", "/v1/password/forgot/verify_code", &token, &body);
    let verified = field.send(client, &verify).await.context("cut")?;
    let token = verified.member("accountResetToken").context("wrong code")?;
    let body = format!(r#"{{"authPW":"{auth_pw}"}}"#);
    let finish = field.send_request(
        "POST",
        "/v1/account/reset",
        &bearer(token, "accountResetToken"),
        &body,
    );
    let finished = field.send(client, &finish).await.context("cut")?;
    ensure!(finished.status == 200, "refused: {}", finished.status);
    Ok(())
}

async fn fill_store(field: &Field, client: &mut Client, member: &Member, round: u64) -> Result<()> {
    const APPLICATION: &str =
        r#""client_id":"5882386c6d801776","scope":"https://identity.mozilla.com/apps/oldsync""#;
    let keys = format!("{{{APPLICATION}}}");
    let keys = field.send_request(
        "POST",
        "/v1/account/scoped-key-data",
        &member.authorization,
        &keys,
    );
    let keys = field.send(client, &keys).await.context("cut")?;
    let rotation = keys.number("keyRotationTimestamp").context("keys")?;
    let grant = format!(r#"{{"grant_type":"fxa-credentials",{APPLICATION}}}"#);
    let grant = field.send_request("POST", "/v1/oauth/token", &member.authorization, &grant);
    let grant = field.send(client, &grant).await.context("cut")?;
    let access = grant.member("access_token").context("grant")?;
    let state = data_encoding::BASE64URL_NOPAD.encode(&u128::from(round + 1).to_be_bytes());
    let head = format!(
        "GET /1.0/sync/1.5 HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Bearer {access}\r\n\
         x-keyid: {rotation}-{state}\r\n\r\n",
        field.port
    );
    let token = field.send(client, head.as_bytes()).await.context("cut")?;
    let [id, key] = ["id", "key"].map(|name| token.member(name));
    let user = token.number("uid").context("token")?.parse()?;
    let signer = Signer::issued(user, field.port, id.context("token")?, key.context("token")?);
    for first in (0..1000).step_by(100) {
        let request = signer.request("POST", "/storage/history", &objects(first, 100));
        field.send(client, &request).await;
        field.pause(10).await;
    }
    Ok(())
}
