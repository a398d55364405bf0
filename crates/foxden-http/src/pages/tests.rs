//! Every page, as a browser receives it.

use std::collections::BTreeSet;

use axum::Extension;
use axum::body::Body;
use axum::http::header::{HOST, USER_AGENT};
use axum::http::{Request, StatusCode};
use foxden_accounts::{Accounts, MIGRATIONS, Nodes, Options, Parts, SingleProcess};
use foxden_model::{ManualClock, SeededRng};
use foxden_sql::Database;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tower::ServiceExt;

use super::*;
use crate::wire::Peer;
use crate::wire::captcha::Captcha;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
const FLOW: &str = "/?context=oauth_webchannel_v1&service=sync&client_id=5882386c6d801776&state=abc";
/// One path of every page.
const PAGES: &[&str] = &[
    "/",
    FLOW,
    "/settings",
    "/reset_password",
    "/invite",
    "/connect_another_device",
    "/pair",
    "/legal/terms",
    "/legal/privacy",
    "/docs/errors",
    "/docs/https",
    "/confirm_address",
    "/nothing/here",
];
/// Paths of the forms for old clients, which have no scripts.
const LEGACY_PAGES: &[&str] = &[
    "/weave-password-reset",
    "/weave-password-reset?key=",
    "/weave-password-reset?error=what",
    "/weave-password-reset?username=ann%40example.org&key=ABCD-EFGH-JKLM-NPQR",
    "/weave-delete-account",
];

struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

/// A site with pages.
struct TestSite {
    public_url: &'static str,
    is_direct: bool,
    sign_up: Option<SignUp>,
    server_status: ServerStatus,
    sends_mail: bool,
    serves_old_clients: bool,
    user_agent: &'static str,
    /// Made at the first request: loading the assets takes longer than answering.
    router: OnceCell<Router>,
}

impl Default for TestSite {
    fn default() -> Self {
        Self {
            public_url: "https://sync.example.org",
            is_direct: false,
            sign_up: None,
            server_status: ServerStatus {
                storage_answers: Some(true),
                has_accounts: Some(true),
            },
            sends_mail: false,
            serves_old_clients: true,
            user_agent: FIREFOX,
            router: OnceCell::new(),
        }
    }
}

impl TestSite {
    async fn get(&self, path: &str) -> TestResponse {
        let host = self.public_url.split("//").nth(1).unwrap();
        self.ask(
            Request::get(path)
                .header(HOST, host)
                .header(USER_AGENT, self.user_agent),
        )
        .await
    }

    async fn ask(&self, request: axum::http::request::Builder) -> TestResponse {
        let request = request.body(Body::empty()).unwrap();
        let router = self.router.get_or_init(|| self.open()).await.clone();
        let answer = router.oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        TestResponse {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

impl TestSite {
    async fn open(&self) -> Router {
        let site = Site {
            public_url: self.public_url.parse().unwrap(),
            is_loopback: self.public_url.contains("127.0.0.1"),
            other_hosts: Vec::new(),
        };
        let server_status = self.server_status;
        let state = PagesState {
            site: Arc::new(site),
            clock: clock(),
            sign_up: self.sign_up,
            contact: Some("mailto:ann@example.org".into()),
            sends_mail: self.sends_mail,
            legacy: if self.serves_old_clients {
                Some(legacy_pages().await)
            } else {
                None
            },
            server_status: Arc::new(move || Box::pin(async move { server_status })),
        };
        let peer = Peer {
            address: [127, 0, 0, 1].into(),
            is_direct: self.is_direct,
        };
        router(state).layer(Extension(peer))
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at_millis(1_795_224_914_000))
}

/// The forms of a server without accounts.
async fn legacy_pages() -> LegacyPages {
    let parts = Parts {
        database: Database::in_memory(MIGRATIONS).await.unwrap(),
        clock: clock(),
        rng: Arc::new(SeededRng::new(1)),
        nodes: Nodes::Own("https://sync.example.org".to_owned()),
        options: Options::default(),
    };
    LegacyPages {
        accounts: Accounts::open(parts).await.unwrap(),
        storage: None,
        captcha: Some(Arc::new(Captcha::new(
            b"a key",
            clock(),
            Arc::new(SeededRng::new(2)),
            Arc::new(SingleProcess),
        ))),
        task_spawner: Arc::new(|work| drop(Handle::current().spawn(work))),
        memory: Arc::default(),
        key_exchange_url: Some("https://sync.example.org/jpake/".to_owned()),
    }
}

/// Caddy reads its file by lines.
#[tokio::test]
async fn the_configuration_of_the_proxy_keeps_its_lines() {
    let page = TestSite::default().get("/docs/https").await.text;
    let block = "<code class=\"lines\">sync.example.org {\n    reverse_proxy 127.0.0.1:5000\n}</code>";
    assert!(page.contains(block), "{page}");
}

/// Returns the attributes of this name, in the order of the page.
fn attributes<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    text.split(&start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// Returns the tags of this name in full.
fn tags<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("<{name} ");
    text.split(&start)
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .collect()
}

/// Returns the page without its templates, and each template that becomes a step, as if it were in the page.
fn views(text: &str) -> Vec<String> {
    let mut outside = String::new();
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<template id=\"") {
        let (template, behind) = after.split_once("</template>").expect("templates end");
        let (id, content) = template.split_once("\">").expect("a template has an id alone");
        outside += before;
        if id.starts_with("step-") {
            steps.push(content.to_owned());
        }
        rest = behind;
    }
    outside += rest;
    let (before, after) = match (outside.split_once("<div id=\"stepper\""), steps.is_empty()) {
        (Some((before, after)), false) => (before, after.split_once("</noscript>\n</div>").unwrap().1),
        _ => return vec![outside],
    };
    let mut views: Vec<String> = steps
        .iter()
        .map(|step| format!("{before}{step}{after}"))
        .collect();
    views.push(outside.clone());
    views
}

/// A first password makes no data unreadable, so nothing warns of it and nothing must be ticked.
#[tokio::test]
async fn a_first_password_is_set_without_a_warning() {
    let text = TestSite::default().get("/reset_password").await.text;
    let step = |id: &str| {
        let (_, after) = text.split_once(&format!("<template id=\"step-{id}\">")).unwrap();
        after.split_once("</template>").unwrap().0
    };
    let (first, later) = (step("first-password"), step("new-password"));
    for mark in ["name=\"understood\"", "becomes unreadable"] {
        assert!(!first.contains(mark) && later.contains(mark), "{mark}");
    }
    assert!(first.contains("autocomplete=\"new-password\""));
    assert!(!step("first-done").contains("signed out"));
}

#[tokio::test]
async fn every_page_is_guarded_and_complete() {
    let site = TestSite::default();
    for path in PAGES.iter().chain(LEGACY_PAGES) {
        let page = site.get(path).await;
        let (is_found, is_legacy) = (*path != "/nothing/here", LEGACY_PAGES.contains(path));
        assert_eq!(page.status.is_success(), is_found, "{path}: {}", page.status);
        let (policy, referrer) = if is_legacy {
            (legacy::POLICY, "no-referrer, strict-origin")
        } else {
            (POLICY, "no-referrer")
        };
        for (name, value) in [
            ("content-security-policy", policy),
            ("referrer-policy", referrer),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("strict-transport-security", "max-age=31536000"),
            ("cache-control", "no-store"),
            ("x-robots-tag", "noindex, nofollow"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(page.headers[name], value, "{path}");
        }
        assert!(!page.headers.contains_key("set-cookie"), "{path}");
        assert!(
            page.text.starts_with("<!doctype html>\n<html lang=\"en\">"),
            "{path}"
        );
        assert!(
            page.text.contains("· Foxden</title>") || page.text.contains("<title>Foxden at"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn no_page_carries_inline_script_or_style() {
    let site = TestSite::default();
    for path in PAGES.iter().chain(LEGACY_PAGES) {
        let page = site.get(path).await.text;
        for word in [
            "<style",
            " style=",
            "javascript:",
            " onclick",
            " onload",
            " onsubmit",
            "src=\"http",
        ] {
            assert!(!page.contains(word), "{path} has {word}");
        }
        for script in tags(&page, "script") {
            assert!(script.contains("src=\"/assets/"), "{path}: {script}");
        }
    }
    for path in LEGACY_PAGES {
        assert!(!site.get(path).await.text.contains("<script"), "{path}");
    }
}

#[tokio::test]
async fn each_step_has_one_heading_and_names_its_fields() {
    let site = TestSite {
        sign_up: Some(SignUp::Open),
        ..TestSite::default()
    };
    for path in PAGES.iter().chain(LEGACY_PAGES) {
        let page = site.get(path).await.text;
        for view in views(&page) {
            assert_eq!(view.matches("<h1").count(), 1, "{path}: {view}");
            let ids = attributes(&view, "id");
            let known: BTreeSet<&str> = ids.iter().copied().collect();
            assert_eq!(known.len(), ids.len(), "{path} has an id twice: {ids:?}");
            let named = ["aria-describedby", "aria-labelledby", "for"];
            for id in named
                .iter()
                .flat_map(|name| attributes(&view, name))
                .flat_map(str::split_whitespace)
            {
                assert!(known.contains(id), "{path} points at #{id}");
            }
            let labels: BTreeSet<&str> = attributes(&view, "for").into_iter().collect();
            for input in tags(&view, "input") {
                let tag = format!(" {input}");
                let id = attributes(&tag, "id").first().copied().unwrap_or_default();
                let is_labelled = input.contains("type=\"hidden\"")
                    || labels.contains(id)
                    || input.contains("aria-label=")
                    || input.contains("name=\"engine\"");
                assert!(is_labelled, "{path}: {input}");
                let wants_autocomplete =
                    input.contains("type=\"password\"") || input.contains("type=\"email\"");
                assert!(
                    !wants_autocomplete || input.contains("autocomplete="),
                    "{path}: {input}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_step_and_word_that_script_asks_for_is_there() {
    let site = TestSite::default();
    for (path, script) in [
        (FLOW, include_str!("../../assets/signin.js")),
        (FLOW, include_str!("../../assets/identify.js")),
        (FLOW, include_str!("../../assets/handover.js")),
        ("/settings", include_str!("../../assets/settings.js")),
        ("/reset_password", include_str!("../../assets/reset.js")),
        ("/invite", include_str!("../../assets/invite.js")),
        ("/confirm_address", include_str!("../../assets/confirm.js")),
    ] {
        let page = site.get(path).await.text;
        let has = |id: &str| page.contains(&format!("<template id=\"{id}\">"));
        for (call, kind) in [
            ("render(\"", "step"),
            ("form(\"", "step"),
            ("words: \"", "words"),
            ("error: \"", "error"),
        ] {
            for name in script
                .split(call)
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
            {
                assert!(has(&format!("{kind}-{name}")), "{path} has no {kind}-{name}");
            }
        }
        for error in [
            "101", "102", "103", "114", "201", "short", "own-name", "repeat", "address", "insecure",
            "unknown",
        ] {
            assert!(has(&format!("error-{error}")), "{path} has no words for {error}");
        }
    }
}

#[tokio::test]
async fn assets_are_found_by_the_names_that_pages_give() {
    let site = TestSite::default();
    for path in PAGES.iter().chain(LEGACY_PAGES) {
        let page = site.get(path).await.text;
        let links = ["src", "href"].iter().flat_map(|name| attributes(&page, name));
        for link in links.filter(|link| link.starts_with("/assets/")) {
            let asset = site.get(link).await;
            assert_eq!(asset.status, StatusCode::OK, "{path}: {link}");
            assert_eq!(
                asset.headers["cache-control"],
                "public, max-age=31536000, immutable"
            );
        }
    }
    assert_eq!(site.get("/assets/foxden.css").await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        site.get("/favicon.ico").await.headers["content-type"],
        "image/svg+xml"
    );
}

#[tokio::test]
async fn links_within_the_house_lead_somewhere() {
    let site = TestSite::default();
    for path in PAGES.iter().chain(LEGACY_PAGES) {
        let page = site.get(path).await.text;
        for link in attributes(&page, "href")
            .into_iter()
            .filter(|link| link.starts_with('/'))
        {
            assert_eq!(
                site.get(link).await.status,
                StatusCode::OK,
                "{path} links to {link}"
            );
        }
        for part in attributes(&page, "href")
            .into_iter()
            .filter_map(|link| link.strip_prefix('#'))
        {
            let is_detour = page.contains(&format!("href=\"#{part}\" data-go=")) || part == "sign-out";
            assert!(
                is_detour || page.contains(&format!(" id=\"{part}\"")),
                "{path} links to #{part}"
            );
        }
    }
}

#[tokio::test]
async fn whatever_begins_like_a_sign_in_is_one() {
    let site = TestSite::default();
    for path in [
        "/?context=fx_desktop_v3&service=sync",
        "/?client_id=5882386c6d801776",
        "/signin?service=sync",
        "/signup",
        "/force_auth?email=ann%40example.org",
        "/oauth/signin?client_id=5882386c6d801776",
        "/oauth/force_auth",
        "/authorization?action=email",
        "/post_verify/third_party_auth/set_password?context=oauth_webchannel_v1",
        "/post_verify/some/later/thing",
    ] {
        let page = site.get(path).await;
        assert!(
            page.status.is_success() && page.text.contains("step-password"),
            "{path}"
        );
    }
    for path in [
        "/settings/clients",
        "/settings/avatar/change",
        "/settings/not/yet/known",
    ] {
        assert!(site.get(path).await.text.contains("step-settings"), "{path}");
    }
    for path in [
        "/pair",
        "/pair/supp",
        "/oauth?client_id=5882386c6d801776&channel_id=abc",
    ] {
        assert!(
            site.get(path).await.text.contains("Pairing is not offered here"),
            "{path}"
        );
    }
    let flow = site.get("/metrics-flow?entrypoint=x").await;
    assert_eq!((flow.status, flow.text.as_str()), (StatusCode::OK, "{}"));
}

#[tokio::test]
async fn the_front_page_says_how_the_server_fares() {
    let well = TestSite::default().get("/").await.text;
    assert!(well.contains("Working</span>") && !well.contains("Storage does not answer"));
    assert!(well.contains("Firefox 153 on Linux") && !well.contains("There are no accounts yet"));
    assert!(!well.contains("allowHttp"), "https needs no second preference");

    let server_status = ServerStatus {
        storage_answers: Some(false),
        has_accounts: Some(false),
    };
    let ill = TestSite {
        server_status,
        ..TestSite::default()
    }
    .get("/")
    .await
    .text;
    assert!(ill.contains("Not working</span>"));
    assert!(ill.contains("Storage does not answer. Nothing is lost; your browsers try again by themselves."));
    assert!(
        ill.contains("There are no accounts yet. The start-up message has the link for the first account.")
    );

    let plain = TestSite {
        public_url: "http://sync.example.org",
        ..TestSite::default()
    }
    .get("/")
    .await;
    assert!(plain.text.contains("This page came without encryption"));
    assert!(!plain.headers.contains_key("strict-transport-security"));
}

/// A16.66 of the account server, the part of the page: sign-up behind a proxy that is not configured.
#[tokio::test]
async fn sign_up_is_open_while_private_and_by_invitation_else() {
    let private = TestSite {
        public_url: "http://127.0.0.1:5000",
        is_direct: true,
        ..TestSite::default()
    };
    assert!(private.get("/signin").await.text.contains("data-sign-up"));
    let front = private.get("/").await.text;
    assert!(front.contains("identity.<wbr>fxaccounts.<wbr>allowHttp") && !front.contains("class=\"qr\""));
    assert!(!front.contains("public_url"));
    assert!(
        front.contains("http://<wbr>127.0.0.1:5000"),
        "an IP address stays whole"
    );

    let forwarded = TestSite {
        public_url: "http://127.0.0.1:5000",
        ..TestSite::default()
    };
    let sign_in = forwarded.get("/signin").await.text;
    assert!(!sign_in.contains("data-sign-up"));
    assert!(sign_in.contains(
        "until the operator sets <code>public_url</code>, or gives the command <code>foxden private</code>"
    ));
    assert!(
        forwarded
            .get("/")
            .await
            .text
            .contains("the operator sets <code>public_url</code>")
    );

    let public = TestSite::default();
    assert!(
        public
            .get("/signin")
            .await
            .text
            .contains("New accounts need an invitation")
    );
    let closed = TestSite {
        sign_up: Some(SignUp::Closed),
        ..TestSite::default()
    };
    assert!(
        closed
            .get("/")
            .await
            .text
            .contains("The operator makes the accounts here.")
    );
}

#[tokio::test]
async fn another_name_is_refused_and_told_the_right_one() {
    let request = Request::get("/settings").header(HOST, "evil.test");
    let page = TestSite::default().ask(request).await;
    assert_eq!(page.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(page.text.contains("https://sync.example.org") && page.text.contains("public_url"));
    assert_eq!(page.headers["content-security-policy"], POLICY);
}

#[tokio::test]
async fn the_front_page_helps_old_browsers_where_they_are_served() {
    const PALE_MOON: &str =
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Goanna/6.7 Firefox/128.0 PaleMoon/33.3";
    let old = TestSite {
        user_agent: PALE_MOON,
        public_url: "https://sync.example.org/den",
        ..TestSite::default()
    };
    let request = |site: &TestSite| {
        Request::get("/")
            .header(HOST, "sync.example.org")
            .header(USER_AGENT, site.user_agent)
    };
    let front = old.ask(request(&old)).await.text;
    for words in [
        "Pale Moon and Basilisk send their password to this server to sign in. Their data have a key of their own.",
        "data-copy=\"https://sync.example.org/den/\"",
        "data-copy=\"https://sync.example.org/jpake/\"",
        "href=\"#old-browsers\">Connect this browser",
        "using <strong>Pale Moon</strong>",
    ] {
        assert!(front.contains(words), "{words}: {front}");
    }
    let today = TestSite::default().get("/").await.text;
    assert!(
        today.contains("id=\"old-browsers\"") && today.contains("href=\"#connect\">Connect this browser")
    );

    let without = TestSite {
        user_agent: PALE_MOON,
        serves_old_clients: false,
        ..TestSite::default()
    };
    let front = without.get("/").await.text;
    assert!(front.contains("This server does not serve it.") && !front.contains("weave-password-reset"));
    for path in LEGACY_PAGES.iter().chain(&["/media/foxden.css"]) {
        assert_eq!(without.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn pages_say_who_has_the_code() {
    let operator = TestSite::default();
    let mail = TestSite {
        sends_mail: true,
        ..TestSite::default()
    };
    for (path, with_mail, without) in [
        (
            FLOW,
            "We sent you a code. Six digits, to ",
            "<code>foxden user code ",
        ),
        (
            "/reset_password",
            "We send a code to the address of your account.",
            "<code>foxden user code ",
        ),
        (
            "/weave-password-reset",
            "Send me a link",
            "The operator of this server then has a code for you",
        ),
    ] {
        let page = mail.get(path).await.text;
        assert!(page.contains(with_mail) && !page.contains(without), "{path}");
        let page = operator.get(path).await.text;
        assert!(page.contains(without) && !page.contains(with_mail), "{path}");
    }
}
