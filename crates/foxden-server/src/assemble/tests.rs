//! Tests of the routes of each surface and listener.

use std::fs;
use std::path::PathBuf;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use foxden_http::route_labels;
use foxden_http::wire::{AccessLogFields, Peer, Site};
use foxden_model::SeededRng;

use super::*;
use crate::app::{Components, Environment};
use crate::config::Config;
use crate::data::DataFolder;

const ALL: [Surface; 6] = [
    Surface::Sync,
    Surface::Token,
    Surface::User,
    Surface::Fxa,
    Surface::Pages,
    Surface::Ops,
];

/// A server in a folder of its own, which is removed with it.
pub struct TestApp {
    services: Arc<App>,
    folder: PathBuf,
}

impl TestApp {
    pub async fn open(name: &str, public_url: &str) -> Self {
        Self::set_up(name, public_url, &[]).await
    }

    /// Its services.
    pub fn services(&self) -> Arc<App> {
        Arc::clone(&self.services)
    }

    /// With further settings.
    async fn set_up(name: &str, public_url: &str, settings: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("foxden-{name}-{}", std::process::id()));
        let always = [("public_url", public_url), ("storage.url", "memory:")];
        let config = Config::of(&[&always, settings].concat()).unwrap();
        let data = DataFolder::open(&folder).unwrap();
        let environment = Environment {
            rng: Arc::new(SeededRng::new(1)),
            ..Environment::of_this_machine()
        };
        let site = Arc::new(Site {
            public_url: public_url.parse().unwrap(),
            is_loopback: true,
            other_hosts: Vec::new(),
        });
        let services = App::open(&config, &data, site, environment, Components::of(&config))
            .await
            .unwrap();
        Self {
            services: Arc::new(services),
            folder,
        }
    }

    /// The status and type of the answer where these surfaces are served.
    async fn request(&self, surfaces: &[Surface], method: &str, path: &str, accept: &str) -> (u16, String) {
        let surfaces = surfaces.iter().copied().collect();
        let answer = self.answer(&surfaces, method, path, accept).await;
        let kind = answer.headers().get("content-type");
        let kind = kind.map_or("", |kind| kind.to_str().unwrap());
        (
            answer.status().as_u16(),
            kind.split(';').next().unwrap_or_default().to_owned(),
        )
    }

    /// The page that a browser is shown by the listeners as they were set.
    async fn page(&self, path: &str) -> (u16, String) {
        let surfaces = self.services.config.surfaces();
        let answer = self.answer(&surfaces, "GET", path, "text/html").await;
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn answer(&self, surfaces: &BTreeSet<Surface>, method: &str, path: &str, accept: &str) -> Response {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("accept", accept).header("host", "127.0.0.1:5000");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let service = listener_service(&self.services, surfaces, &Tasks::new().0);
        let (mut response, fields) = service.answer(&mut parts, Body::empty(), LOCAL).await;
        response.extensions_mut().insert(fields);
        response
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A client on this machine.
const LOCAL: Peer = Peer {
    address: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    is_direct: true,
};

/// A router that is merged with another one panics where both have the same method and path.
#[tokio::test]
async fn no_method_and_path_have_two_owners() {
    for url in ["http://127.0.0.1:5000", "http://127.0.0.1:5000/sync"] {
        let app = TestApp::open("owners", url).await;
        for choice in 1_u32..1 << ALL.len() {
            let is_chosen = |(at, _): &(usize, Surface)| choice & (1 << at) != 0;
            let surfaces = ALL
                .into_iter()
                .enumerate()
                .filter(is_chosen)
                .map(|(_, surface)| surface);
            let _ = router(&app.services, &surfaces.collect(), &Tasks::new().0);
        }
    }
}

#[tokio::test]
async fn each_surface_answers_where_it_is_served_and_nowhere_else() {
    let app = TestApp::open("surfaces", "http://127.0.0.1:5000").await;
    for (surface, method, path, status) in [
        (Surface::Sync, "GET", "/1.5/42/info/collections", 401),
        (Surface::Sync, "GET", "/storage/1.5/42/info/collections", 401),
        (Surface::Sync, "GET", "/1.1/ann/info/collections", 401),
        (Surface::Sync, "GET", "/1/ann/info/collections", 401),
        (Surface::Sync, "GET", "/1.0/ann/info/collections", 401),
        (Surface::Sync, "DELETE", "/1/ann/storage/c", 401),
        (Surface::Sync, "GET", "/1.0/ann/storage", 401),
        (Surface::Sync, "PUT", "/1.0/ann/storage/c/a", 401),
        (Surface::Token, "GET", "/1.0/sync/1.5", 401),
        (Surface::Token, "GET", "/token/1.0/sync/1.5", 401),
        (Surface::User, "GET", "/jpake", 200),
        (Surface::User, "GET", "/user/1.0/ann/node/weave", 404),
        (Surface::User, "GET", "/user/1.0/ann", 200),
        (Surface::User, "GET", "/user/1/ann", 200),
        (Surface::Fxa, "GET", "/.well-known/fxa-client-configuration", 200),
        (Surface::Pages, "GET", "/settings", 200),
        (Surface::Pages, "GET", "/favicon.ico", 200),
        (Surface::Pages, "GET", "/.well-known/change-password", 303),
        (Surface::Ops, "GET", "/__heartbeat__", 200),
        (Surface::Ops, "GET", "/__version__", 200),
    ] {
        assert_eq!(app.request(&ALL, method, path, "*/*").await.0, status, "{path}");
        assert_eq!(
            app.request(&[surface], method, path, "*/*").await.0,
            status,
            "{path}"
        );
        let others: Vec<Surface> = ALL.into_iter().filter(|other| *other != surface).collect();
        assert_eq!(app.request(&others, method, path, "*/*").await.0, 404, "{path}");
    }
}

/// Storage and tokenserver both begin with `/1.0/`. The shorter way and the router send everything to the same one.
#[tokio::test]
async fn every_path_below_1_0_has_one_owner() {
    const STORAGE: &str = "x-weave-timestamp";
    const TOKEN: &str = "x-timestamp";
    let app = TestApp::open("old-and-new", "http://127.0.0.1:5000").await;
    let surfaces: BTreeSet<Surface> = ALL.into_iter().collect();
    let (shorter, longer) = (
        listener_service(&app.services, &surfaces, &Tasks::new().0),
        ListenerService::from(router(&app.services, &surfaces, &Tasks::new().0)),
    );
    for (path, owner) in [
        ("/1.0/sync/1.5", Some(TOKEN)),
        ("/1.0/sync/1.1", Some(TOKEN)),
        ("/1.0/ann/info", Some(TOKEN)),
        ("/1.0/ann/storage", Some(STORAGE)),
        ("/1.0/ann/storage/", Some(STORAGE)),
        ("/1.0/sync/storage", Some(STORAGE)),
        ("/1.0/ann", Some(STORAGE)),
        ("/1.0/ann/", Some(STORAGE)),
        ("/1.0/ann/info/collections", Some(STORAGE)),
        ("/1.0/ann/storage/c/a", Some(STORAGE)),
        ("/1.0/sync/1.5/more", Some(STORAGE)),
        ("/1.1/ann", Some(STORAGE)),
        ("/1.1/sync/1.5", Some(STORAGE)),
        ("/1/ann/info/quota/", Some(STORAGE)),
        ("/1.0/", None),
        ("/1.2/ann/info/collections", None),
    ] {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            for way in [&shorter, &longer] {
                let request = Request::builder().method(method).uri(path).body(());
                let (mut parts, ()) = request.unwrap().into_parts();
                let (answer, _) = way.answer(&mut parts, Body::empty(), LOCAL).await;
                let marks = [STORAGE, TOKEN].into_iter();
                let marks: Vec<&str> = marks
                    .filter(|mark| answer.headers().contains_key(*mark))
                    .collect();
                assert_eq!(marks, Vec::from_iter(owner), "{method} {path}");
            }
        }
    }
}

/// Every route of every surface tells the access log its label, below the public address's path and without it.
#[tokio::test]
async fn every_route_has_its_label() {
    let label = |answer: Response| {
        answer
            .extensions()
            .get::<AccessLogFields>()
            .and_then(|fields| fields.route)
    };
    let surfaces: BTreeSet<Surface> = ALL.into_iter().collect();
    for (url, prefix) in [
        ("http://127.0.0.1:5000", ""),
        ("http://127.0.0.1:5000/sync", "/sync"),
    ] {
        let app = TestApp::open("labels", url).await;
        for route in route_labels::all() {
            let path = route
                .replace("{uid}", "42")
                .replace("{collection}", "tabs")
                .replace("{channel}", "k7mq")
                .replace("{application}/{version}", "sync/1.5");
            let path = path.replace(['{', '}', '*'], "");
            let answer = app.answer(&surfaces, "GET", &path, "*/*").await;
            assert_eq!(label(answer), Some(route), "{path}");
            let answer = app
                .answer(&surfaces, "GET", &format!("{prefix}{path}"), "*/*")
                .await;
            let label = label(answer);
            assert!(
                label.is_none_or(|label| label == route),
                "{prefix}{path} {label:?}"
            );
            let is_for_programs = ["/1.", "/token", "/user", "/misc", "/jpake"];
            let is_for_programs = is_for_programs.iter().any(|start| route.starts_with(start));
            assert!(label.is_some() || !is_for_programs, "{prefix}{path}");
        }
        for path in ["/nothing", "/v1/nothing", "/1.0/", "/user/2.0/ann"] {
            let answer = app.answer(&surfaces, "GET", path, "*/*").await;
            assert_eq!(label(answer), None, "{path}");
        }
    }
}

#[tokio::test]
async fn the_root_is_a_page_for_people_and_a_document_for_tools() {
    let app = TestApp::open("root", "http://127.0.0.1:5000").await;
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    for (surfaces, accept, kind) in [
        (&ALL[..], html, "text/html"),
        (&ALL, "*/*", "text/html"),
        (&ALL, "application/json", "application/json"),
        (&[Surface::Sync, Surface::Ops], html, "text/plain"),
        (&[Surface::Token], "application/json", "application/json"),
        (&[Surface::Token], html, "text/plain"),
    ] {
        let answer = app.request(surfaces, "GET", "/", accept).await;
        assert_eq!(answer, (200, kind.to_owned()), "{surfaces:?} {accept}");
    }
}

/// Password managers follow the way to the page that changes a password, if a page that cannot exist is not found here:
/// else they take the server for one that answers 200 to everything.
#[tokio::test]
async fn password_managers_find_the_settings() {
    for (url, paths) in [
        (
            "http://127.0.0.1:5000",
            &[
                "/.well-known/change-password",
                "/.well-known/change-password?from=manager",
            ][..],
        ),
        (
            "http://127.0.0.1:5000/sync",
            &[
                "/.well-known/change-password",
                "/sync/.well-known/change-password",
            ],
        ),
    ] {
        let app = TestApp::open("passwords", url).await;
        let surfaces = ALL.into_iter().collect();
        for path in paths {
            let answer = app.answer(&surfaces, "GET", path, "*/*").await;
            let header = |name: &str| answer.headers()[name].to_str().unwrap();
            assert_eq!(
                (answer.status(), header("location")),
                (StatusCode::SEE_OTHER, "/settings"),
                "{url} {path}"
            );
            assert_eq!(header("cache-control"), "no-store");
        }
        for path in [
            "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200",
            "/.well-known/security.txt",
            "/apple-touch-icon.png",
        ] {
            assert_eq!(app.request(&ALL, "GET", path, "*/*").await.0, 404, "{path}");
        }
    }
}

/// Each listener turns crawlers away, whatever it serves.
#[tokio::test]
async fn crawlers_are_turned_away_everywhere() {
    for url in ["http://127.0.0.1:5000", "http://127.0.0.1:5000/sync"] {
        let app = TestApp::open("robots", url).await;
        for surfaces in ALL.iter().map(std::slice::from_ref).chain([&ALL[..]]) {
            let surfaces = surfaces.iter().copied().collect();
            let answer = app.answer(&surfaces, "GET", "/robots.txt", "*/*").await;
            assert_eq!(answer.status(), StatusCode::OK, "{surfaces:?}");
            assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
            assert_eq!(answer.headers()["cache-control"], "public, max-age=86400");
            let body = axum::body::to_bytes(answer.into_body(), 99).await.unwrap();
            assert_eq!(body, "User-agent: *\nDisallow: /\n");
        }
    }
}

#[tokio::test]
async fn only_what_clients_sync_with_lives_below_the_public_path() {
    let app = TestApp::open("path", "http://127.0.0.1:5000/sync").await;
    for (path, status) in [
        ("/sync/1.5/42/info/collections", 401),
        ("/1.5/42/info/collections", 401),
        ("/sync/1.0/sync/1.5", 401),
        ("/1.0/sync/1.5", 401),
        ("/sync/1.1/ann/info/collections", 401),
        ("/1.1/ann/info/collections", 401),
        ("/sync/jpake", 200),
        ("/sync/user/1.0/ann", 200),
        ("/user/1.0/ann", 200),
        ("/jpake", 200),
        ("/settings", 200),
        ("/sync/settings", 404),
        ("/.well-known/change-password", 303),
        ("/sync/.well-known/change-password", 303),
        ("/sync/__heartbeat__", 404),
    ] {
        assert_eq!(app.request(&ALL, "GET", path, "*/*").await.0, status, "{path}");
    }
}

/// Old clients are spoken of where their accounts are made and removed, and nowhere else.
#[tokio::test]
async fn pages_welcome_old_clients_only_where_their_accounts_are() {
    for (name, surfaces, legacy, is_welcome) in [
        ("all", "sync,token,user,fxa,pages,ops", "", true),
        ("registration", "token,user,fxa,pages,ops", "", true),
        // As files said before there was a surface `user`.
        ("old-all", "sync,token,fxa,pages,ops", "", false),
        ("old-registration", "token,fxa,pages,ops", "", false),
        ("switched-off", "sync,token,user,fxa,pages,ops", "false", false),
    ] {
        let mut settings = vec![("listener.0.surfaces", surfaces)];
        settings.extend((!legacy.is_empty()).then_some(("storage.legacy", legacy)));
        let app = TestApp::set_up(name, "http://127.0.0.1:5000", &settings).await;
        for path in ["/", "/docs/errors", "/legal/privacy", "/settings"] {
            let (status, page) = app.page(path).await;
            let speaks = page.contains("Pale Moon") || page.contains("jpake");
            assert_eq!((status, speaks), (200, is_welcome), "{name} {path}");
        }
        for path in [
            "/weave-password-reset",
            "/weave-delete-account",
            "/media/mark.svg",
        ] {
            assert_eq!(app.page(path).await.0 == 200, is_welcome, "{name} {path}");
        }
        let asked = app.page("/user/1.0/ann/password_reset").await.0;
        let status = match (surfaces.contains("user"), is_welcome) {
            (false, _) => 404,
            // No code is mailed that no page would take.
            (true, false) => 503,
            (true, true) => 400,
        };
        assert_eq!(asked, status, "{name}");
        let meets = app.page("/jpake").await.0 == 200;
        assert_eq!(meets, surfaces.contains("user"), "{name}");
        assert_eq!(app.services.exchange.is_some(), meets, "{name}");
    }
}

/// Work that outlives its client is still done on that client's behalf, whichever surface began it.
#[tokio::test]
async fn work_after_a_disconnect_counts_for_its_client() {
    let app = TestApp::open("behalf", "http://localhost:8000/").await;
    let (tasks, _stop) = Tasks::new();
    let forms = legacy_pages(&app.services(), &tasks).unwrap().task_spawner;
    let asker = QueryOrigin {
        groups: [Some(1), None, None],
        times: 1,
    };
    for task_spawner in [forms, task_spawner(&tasks)] {
        let (sender, done) = tokio::sync::oneshot::channel();
        asker.within(|| {
            task_spawner(Box::pin(async {
                sender.send(QueryOrigin::current()).unwrap();
            }));
        });
        assert_eq!(done.await.unwrap(), Some(asker));
    }
}
