//! Codes and tokens for browsers.

use foxden_accounts::{
    AccessType, AuthorizationRequest, CredentialError, DeviceOwner, DevicePatch, Grant, Introspection,
    OAuthError, OLDSYNC, SignUp, TokenRequest, Unverified,
};

use crate::context::{
    ANN, BEA, DESKTOP, PASSWORD, TestContext, VERIFIER, authorization, local_client, new_account,
    public_client, session_id, token_request,
};

const ANDROID: &str = "a2270f727f45f648";

fn by_code(code: &str, verifier: &str) -> TokenRequest {
    token_request(Grant::Code {
        code: code.to_owned(),
        verifier: Some(verifier.to_owned()),
    })
}

fn by_refresh(token: &str, scope: Option<&str>) -> TokenRequest {
    token_request(Grant::Refresh {
        token: token.to_owned(),
        scope: scope.map(str::to_owned),
    })
}

fn by_session(scope: &str) -> TokenRequest {
    token_request(Grant::Credentials {
        scope: scope.to_owned(),
        access_type: AccessType::Online,
    })
}

#[tokio::test]
async fn a_code_gives_the_requested_scopes_and_the_keys_unchanged() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let code = ctx.code(&session).await;

    let granted = ctx.redeem(Some(&session), &code).await.unwrap();

    assert_eq!(granted.scope, format!("{OLDSYNC} profile"));
    assert_eq!(granted.keys_jwe.as_deref(), Some("header..iv.text.tag"));
    assert_eq!(granted.expires_in, 3600);
    assert_eq!(granted.auth_at, Some(session.auth_at));
    assert!(granted.refresh_token.is_some() && granted.session_token.is_none());
    let access = ctx.accounts.access(&granted.access_token.to_hex()).await.unwrap();
    assert_eq!(access.account, session.account);
    assert!(access.covers("profile:email") && !access.covers("profile:write"));
}

#[tokio::test]
async fn a_code_needs_no_session() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let code = ctx.code(&session).await;
    ctx.redeem(None, &code).await.unwrap();
}

#[tokio::test]
async fn a_reused_code_is_refused_and_revokes_its_tokens() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let code = ctx.code(&session).await;
    let granted = ctx.redeem(Some(&session), &code).await.unwrap();

    assert!(matches!(
        ctx.redeem(Some(&session), &code).await,
        Err(OAuthError::UnknownGrant)
    ));

    let access = ctx.accounts.access(&granted.access_token.to_hex()).await;
    assert!(matches!(access, Err(CredentialError::Unknown)));
    let refresh = ctx
        .accounts
        .refresh_access(&granted.refresh_token.unwrap().to_hex())
        .await;
    assert!(matches!(refresh, Err(CredentialError::Unknown)));
}

#[tokio::test]
async fn a_code_is_bound_to_client_verifier_account_and_time() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let other = ctx.session(&ctx.create(BEA).await).await;
    let code = ctx.code(&session).await.to_hex();

    let other_client = TokenRequest {
        client: Some(ANDROID.to_owned()),
        ..by_code(&code, VERIFIER)
    };
    assert!(matches!(
        request_grant(&ctx.accounts, None, other_client).await,
        Err(OAuthError::OtherClientsGrant)
    ));
    let wrong = by_code(&code, &"b".repeat(48));
    assert!(matches!(
        request_grant(&ctx.accounts, None, wrong).await,
        Err(OAuthError::WrongVerifier)
    ));
    let without = token_request(Grant::Code {
        code: code.clone(),
        verifier: None,
    });
    assert!(matches!(
        request_grant(&ctx.accounts, None, without).await,
        Err(OAuthError::ChallengeMissing)
    ));
    assert!(matches!(
        request_grant(&ctx.accounts, Some(&other), by_code(&code, VERIFIER)).await,
        Err(OAuthError::UnknownGrant)
    ));
    for unknown in ["", "x", &"0".repeat(64)] {
        assert!(matches!(
            request_grant(&ctx.accounts, None, by_code(unknown, VERIFIER)).await,
            Err(OAuthError::UnknownGrant)
        ));
    }
    ctx.clock.advance_millis(15 * 60_000);
    assert!(matches!(
        request_grant(&ctx.accounts, None, by_code(&code, VERIFIER)).await,
        Err(OAuthError::ExpiredGrant)
    ));
}

async fn request_grant(
    accounts: &foxden_accounts::Accounts,
    session: Option<&foxden_accounts::Session>,
    request: TokenRequest,
) -> Result<foxden_accounts::Granted, OAuthError> {
    accounts.grant(session, request, &local_client()).await
}

#[tokio::test]
async fn codes_are_made_only_for_known_clients_allowed_scopes_and_challenges() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let relay = "https://identity.mozilla.com/apps/relay";
    let refusal = async |request: AuthorizationRequest| {
        ctx.accounts
            .authorize(&session, request)
            .await
            .expect_err("refused")
            .to_string()
    };
    for (request, expected) in [
        (
            AuthorizationRequest {
                client: "0".into(),
                ..authorization()
            },
            "no such client",
        ),
        (
            AuthorizationRequest {
                scope: relay.into(),
                ..authorization()
            },
            "scopes not allowed",
        ),
        (
            AuthorizationRequest {
                scope: format!("profile {relay}"),
                ..authorization()
            },
            "scopes not allowed",
        ),
        (
            AuthorizationRequest {
                scope: String::new(),
                ..authorization()
            },
            "invalid scope",
        ),
        (
            AuthorizationRequest {
                code_challenge: None,
                ..authorization()
            },
            "the code challenge is missing or not S256",
        ),
        (
            AuthorizationRequest {
                code_challenge_method: Some("plain".into()),
                ..authorization()
            },
            "the code challenge is missing or not S256",
        ),
        (
            AuthorizationRequest {
                redirect_uri: Some("https://elsewhere.example".into()),
                ..authorization()
            },
            "wrong redirect",
        ),
        (
            AuthorizationRequest {
                keys_jwe: Some("x".repeat(4097)),
                ..authorization()
            },
            "the encrypted keys are too long",
        ),
    ] {
        assert_eq!(refusal(request).await, expected);
    }
    ctx.accounts.authorize(&session, authorization()).await.unwrap();
}

#[tokio::test]
async fn unconfirmed_sessions_get_no_codes_and_no_keys() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let created = ctx
        .accounts
        .create(new_account(ANN), &public_client("192.0.2.1"))
        .await
        .unwrap();
    let session = ctx.session(&created).await;
    assert!(matches!(
        ctx.accounts.authorize(&session, authorization()).await,
        Err(OAuthError::Unverified(Unverified::Address))
    ));
    assert!(
        ctx.accounts
            .scoped_key_data(&session, DESKTOP, OLDSYNC)
            .await
            .is_err()
    );
    assert!(
        request_grant(&ctx.accounts, Some(&session), by_session(OLDSYNC))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn only_scopes_with_keys_have_key_data() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let both = ctx
        .accounts
        .scoped_key_data(&session, DESKTOP, &format!("profile {OLDSYNC}"))
        .await
        .unwrap();
    assert_eq!(both.len(), 1);
    assert_eq!(
        (both[0].identifier, both[0].key_rotation_timestamp),
        (OLDSYNC, crate::context::START)
    );
    assert!(
        ctx.accounts
            .scoped_key_data(&session, DESKTOP, "profile")
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_session_gets_tokens_for_itself_and_they_end_with_it() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    assert!(matches!(
        request_grant(&ctx.accounts, None, by_session("profile")).await,
        Err(OAuthError::UnknownToken)
    ));
    let token = ctx.access_token(&session).await;
    ctx.accounts.access(&token).await.unwrap();
    ctx.accounts.end_session(&session).await.unwrap();
    assert!(matches!(
        ctx.accounts.access(&token).await,
        Err(CredentialError::Unknown)
    ));
}

#[tokio::test]
async fn the_life_of_a_token_is_as_requested_up_to_a_day() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    for (asked, given) in [
        (Some(21_600), 21_600),
        (Some(1_000_000_000), 86_400),
        (None, 3600),
        (Some(0), 1),
    ] {
        let request = TokenRequest {
            ttl: asked,
            ..by_session("profile")
        };
        let granted = request_grant(&ctx.accounts, Some(&session), request)
            .await
            .unwrap();
        assert_eq!(granted.expires_in, given);
    }
    let token = ctx.access_token(&session).await;
    ctx.clock.advance_millis(3_600_000);
    assert!(matches!(
        ctx.accounts.access(&token).await,
        Err(CredentialError::Unknown)
    ));
}

#[tokio::test]
async fn a_refresh_token_gives_access_within_its_scopes_to_its_client() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let code = ctx.code(&session).await;
    let refresh = ctx
        .redeem(None, &code)
        .await
        .unwrap()
        .refresh_token
        .unwrap()
        .to_hex();

    let narrower = request_grant(&ctx.accounts, None, by_refresh(&refresh, Some("profile")))
        .await
        .unwrap();
    assert_eq!(
        (narrower.scope.as_str(), narrower.refresh_token, narrower.auth_at),
        ("profile", None, None)
    );
    let wider = request_grant(&ctx.accounts, None, by_refresh(&refresh, Some("profile:write"))).await;
    assert!(matches!(wider, Err(OAuthError::ScopesRefused { scopes }) if scopes == "profile:write"));
    let other = TokenRequest {
        client: Some(ANDROID.to_owned()),
        ..by_refresh(&refresh, None)
    };
    assert!(matches!(
        request_grant(&ctx.accounts, None, other).await,
        Err(OAuthError::UnknownToken)
    ));

    assert!(ctx.accounts.revoke(&refresh).await.unwrap());
    assert!(
        ctx.accounts
            .access(&narrower.access_token.to_hex())
            .await
            .is_err(),
        "its access ends with it"
    );
    assert!(!ctx.accounts.revoke(&refresh).await.unwrap());
    assert!(!ctx.accounts.revoke("nonsense").await.unwrap());
}

#[tokio::test]
async fn an_exchange_keeps_the_scopes_and_the_device() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let code = ctx.code(&session).await;
    let old = ctx
        .redeem(None, &code)
        .await
        .unwrap()
        .refresh_token
        .unwrap()
        .to_hex();
    let phone = ctx.accounts.refresh_access(&old).await.unwrap();
    let device = ctx
        .accounts
        .register_device(DeviceOwner::Refresh(&phone), DevicePatch::default())
        .await
        .unwrap();
    assert_eq!(device.kind, "mobile");

    let exchange = Grant::Exchange {
        token: old.clone(),
        scope: "profile:email".to_owned(),
    };
    let granted = request_grant(&ctx.accounts, None, token_request(exchange))
        .await
        .unwrap();

    assert_eq!(granted.scope, format!("{OLDSYNC} profile"));
    assert!(ctx.accounts.refresh_access(&old).await.is_err());
    let phone = ctx
        .accounts
        .refresh_access(&granted.refresh_token.unwrap().to_hex())
        .await
        .unwrap();
    let devices = ctx
        .accounts
        .devices(DeviceOwner::Refresh(&phone), None)
        .await
        .unwrap();
    assert_eq!(
        (devices.len(), devices[0].id, devices[0].is_current),
        (1, device.id, true)
    );
}

#[tokio::test]
async fn introspection_describes_live_tokens_only() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let code = ctx.code(&session).await;
    let granted = ctx.redeem(None, &code).await.unwrap();
    let access = ctx
        .accounts
        .introspect(&granted.access_token.to_hex())
        .await
        .unwrap();
    assert!(matches!(access, Introspection::Access(access) if access.account == session.account));
    let refresh = ctx
        .accounts
        .introspect(&granted.refresh_token.unwrap().to_hex())
        .await
        .unwrap();
    assert!(matches!(refresh, Introspection::Refresh(refresh) if refresh.client == DESKTOP));
    assert!(matches!(
        ctx.accounts.introspect("nonsense").await.unwrap(),
        Introspection::Inactive
    ));
}

#[tokio::test]
async fn a_phone_may_ask_for_a_session_and_a_desktop_may_not() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let session = ctx.session(&created).await;
    let scope = format!("{OLDSYNC} https://identity.mozilla.com/tokens/session");
    let refused = ctx.accounts.authorize(
        &session,
        AuthorizationRequest {
            scope: scope.clone(),
            ..authorization()
        },
    );
    assert!(matches!(refused.await, Err(OAuthError::ScopesRefused { .. })));
    let request = AuthorizationRequest {
        client: ANDROID.to_owned(),
        scope,
        ..authorization()
    };
    let code = ctx
        .accounts
        .authorize(&session, request)
        .await
        .unwrap()
        .code
        .to_hex();
    let request = TokenRequest {
        client: Some(ANDROID.to_owned()),
        ..by_code(&code, VERIFIER)
    };
    let granted = request_grant(&ctx.accounts, None, request).await.unwrap();
    let signed_in = foxden_accounts::SignedIn {
        session_token: granted.session_token,
        ..created.clone()
    };
    assert_ne!(session_id(&signed_in), session_id(&created));
    assert_eq!(ctx.session(&signed_in).await.account, session.account);
}

/// A token that was stolen must not become one that does more: not for storage, nor for writing, nor a session, which
/// would outlive it. Each way from a token or a code to another is tried with each scope that its client might have.
#[tokio::test]
async fn no_credential_gives_a_scope_that_it_was_not_given() {
    const SESSION: &str = "https://identity.mozilla.com/tokens/session";
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    for given in ["profile", "profile:email", "profile:write", OLDSYNC, SESSION] {
        let request = AuthorizationRequest {
            client: ANDROID.to_owned(),
            scope: given.to_owned(),
            ..authorization()
        };
        let code = ctx.accounts.authorize(&session, request).await.unwrap().code;
        let request = TokenRequest {
            client: Some(ANDROID.to_owned()),
            ..by_code(&code.to_hex(), VERIFIER)
        };
        let granted = request_grant(&ctx.accounts, None, request).await.unwrap();
        assert_eq!(granted.scope, given);
        assert_eq!(granted.session_token.is_some(), given == SESSION, "{given}");
        let access = granted.access_token.to_hex();
        assert_eq!(
            ctx.accounts.verify_bearer(&access).await.is_ok(),
            given == OLDSYNC,
            "{given}"
        );
        let refresh = granted.refresh_token.unwrap().to_hex();
        assert_eq!(
            ctx.accounts.refresh_access(&refresh).await.is_ok(),
            given == OLDSYNC,
            "{given}"
        );
        let sessions = ctx.count("SELECT COUNT(*) FROM session").await;
        for wanted in [OLDSYNC, "profile", "profile:write", "profile:uid", SESSION] {
            let is_part = given == "profile" && wanted == "profile:uid"
                || given == "profile:write" && wanted.starts_with("profile");
            if wanted == given || is_part {
                continue;
            }
            for wanted in [wanted.to_owned(), format!("{given} {wanted}")] {
                for client in [None, Some(ANDROID.to_owned())] {
                    let (token, scope) = (refresh.clone(), wanted.clone());
                    let grants = [
                        Grant::Exchange {
                            token: token.clone(),
                            scope: scope.clone(),
                        },
                        Grant::Refresh {
                            token,
                            scope: Some(scope),
                        },
                    ];
                    for grant in grants {
                        let request = TokenRequest {
                            client: client.clone(),
                            grant,
                            ttl: None,
                        };
                        let refused = request_grant(&ctx.accounts, None, request).await;
                        assert!(
                            matches!(refused, Err(OAuthError::ScopesRefused { .. })),
                            "{given} became {wanted}"
                        );
                    }
                }
            }
        }
        assert_eq!(ctx.count("SELECT COUNT(*) FROM session").await, sessions);
    }
}

#[tokio::test]
async fn tokens_stand_in_the_register_as_hashes() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let session = ctx.session(&created).await;
    let token = ctx.access_token(&session).await;
    let id = session_id(&created).to_hex();
    let found = ctx
        .number(
            "SELECT (SELECT COUNT(*) FROM access_token WHERE id_hash = ?)
             + (SELECT COUNT(*) FROM session WHERE id_hash IN (?, ?))",
            foxden_sql::values![token, id, created.session_token.unwrap().to_hex()],
        )
        .await;
    assert_eq!(found, 0);
    assert!(ctx.login(ANN, PASSWORD).await.is_ok());
}
