//! One member fills the disk: by batches, by writing and deleting in a loop, by new keys again and again (4).

use anyhow::{Context, Result};

use super::{Field, Member};
use crate::request::{Basic, Signer, bearer, objects};
use crate::soak::client::Client;

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

/// Each change of the keys leaves a store behind, which is filled.
async fn change_keys(field: &Field) -> Result<()> {
    let mut member = field.sign_in(field.own(3), 3).await?;
    let mut client = field.client(3);
    for round in 0..u64::MAX {
        if let Err(error) = fill_store(field, &mut client, &member, round).await {
            field.count(format!("no store ({error})"));
        }
        member = change(field, &mut client, &member, round).await?;
        field.pause(100).await;
    }
    Ok(())
}

async fn change(field: &Field, client: &mut Client, member: &Member, round: u64) -> Result<Member> {
    let (email, proof) = (Basic::email(member.number), Basic::proof(member.number));
    let body = format!(r#"{{"email":"{email}","oldAuthPW":"{proof}"}}"#);
    let started = field
        .send(client, &field.ask("POST", "/v1/password/change/start", "", &body))
        .await;
    let started = started.context("cut")?;
    let token = started
        .member("passwordChangeToken")
        .context(started.body.clone())?;
    let body = format!(r#"{{"authPW":"{proof}","wrapKb":"{round:064x}"}}"#);
    let request = field.ask(
        "POST",
        "/v1/password/change/finish",
        &bearer(token, "passwordChangeToken"),
        &body,
    );
    field.send(client, &request).await;
    field.sign_in(member.number, 3).await
}

async fn fill_store(field: &Field, client: &mut Client, member: &Member, round: u64) -> Result<()> {
    const APPLICATION: &str =
        r#""client_id":"5882386c6d801776","scope":"https://identity.mozilla.com/apps/oldsync""#;
    let keys = format!("{{{APPLICATION}}}");
    let keys = field.ask(
        "POST",
        "/v1/account/scoped-key-data",
        &member.authorization,
        &keys,
    );
    let keys = field.send(client, &keys).await.context("cut")?;
    let rotation = keys.number("keyRotationTimestamp").context("keys")?;
    let grant = format!(r#"{{"grant_type":"fxa-credentials",{APPLICATION}}}"#);
    let grant = field.ask("POST", "/v1/oauth/token", &member.authorization, &grant);
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
