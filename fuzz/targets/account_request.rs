//! A whole request for the account API or the tokenserver, from a signed-in browser. The input gives the end of its path,
//! a header and its body: see `RequestInput::parse`.

use std::cell::RefCell;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use data_encoding::HEXLOWER;
use foxden_accounts::{CredentialKind, SecretToken, Secrets};
use foxden_fuzz::{BlockingServer, Recreated, RequestInput, request};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A server with one account.
struct SignedIn {
    server: BlockingServer,
    bearer: HeaderValue,
}

thread_local! {
    static SIGNED_IN: RefCell<Recreated<SignedIn>> = const { RefCell::new(Recreated::every(2000, SignedIn::new)) };
}

/// Sends the request of one input.
pub fn fuzz(bytes: &[u8]) {
    SIGNED_IN.with_borrow_mut(|signed_in| {
        let SignedIn { server, bearer } = signed_in.next();
        let input = RequestInput::parse(bytes, &ROUTES, &HEADERS);
        let headers = [(AUTHORIZATION, bearer.clone()), (CONTENT_TYPE, JSON)];
        let Some(request) =
            input.and_then(|input| input.into_request(BlockingServer::PRIVATE_HOST, &headers))
        else {
            return;
        };
        let answer = server.send(request);
        answer.check_status();
        answer.check_json();
    });
}

const ROUTES: [(&str, &str); 30] = [
    ("POST", "/v1/account/create"),
    ("POST", "/v1/account/login"),
    ("POST", "/v1/account/status"),
    ("GET", "/v1/account/status?uid="),
    ("POST", "/v1/account/credentials/status"),
    ("GET", "/v1/account/keys"),
    ("POST", "/v1/session/reauth"),
    ("POST", "/v1/session/verify_code"),
    ("POST", "/v1/recovery_email/verify_code"),
    ("POST", "/v1/password/change/start"),
    ("POST", "/v1/password/change/finish"),
    ("POST", "/v1/password/forgot/send_code"),
    ("POST", "/v1/password/forgot/verify_code"),
    ("POST", "/v1/password/link"),
    ("POST", "/v1/account/reset"),
    ("POST", "/v1/account/device"),
    ("GET", "/v1/account/devices?"),
    ("POST", "/v1/account/devices/notify"),
    ("POST", "/v1/account/devices/invoke_command"),
    ("GET", "/v1/account/device/commands?"),
    ("POST", "/v1/account/attached_client/destroy"),
    ("POST", "/v1/account/scoped-key-data"),
    ("POST", "/v1/oauth/authorization"),
    ("POST", "/v1/oauth/token"),
    ("POST", "/v1/oauth/destroy"),
    ("POST", "/v1/introspect"),
    ("POST", "/v1/display_name"),
    ("POST", "/v1/avatar/upload"),
    ("GET", "/v1/"),
    ("GET", "/1.0/"),
];
const HEADERS: [&str; 8] = [
    "authorization",
    "content-type",
    "x-keyid",
    "x-client-state",
    "if-none-match",
    "user-agent",
    "accept-language",
    "x-forwarded-for",
];

impl SignedIn {
    fn new() -> Self {
        let server = BlockingServer::open_private();
        let bearer = sign_up(&server);
        Self { server, bearer }
    }
}

/// Creates the account. Returns the `Authorization` header of its session.
fn sign_up(server: &BlockingServer) -> HeaderValue {
    let proof = "0".repeat(64);
    let body = format!(r#"{{"email":"ann@example.org","authPW":"{proof}"}}"#);
    let request = request(
        BlockingServer::PRIVATE_HOST,
        "POST",
        "/v1/account/create",
        body.into_bytes(),
    );
    let mut request = request.expect("a request");
    request.headers_mut().insert(CONTENT_TYPE, JSON);
    let answer = server.send(request);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).expect("an answer");
    let token = HEXLOWER
        .decode(answer["sessionToken"].as_str().expect("a token").as_bytes())
        .expect("hex");
    let token = SecretToken(token.try_into().expect("32 bytes"));
    let id = HEXLOWER.encode(&Secrets::derive(CredentialKind::Session, &token).id.0);
    HeaderValue::try_from(format!("Bearer fxs_{id}")).expect("letters and digits")
}
