//! Route labels: the template of a request's path, such as `/v1/oauth/client/{id}`, under which requests are counted.
//!
//! A label contains neither the method, nor a slash at the end, nor the path of the public address.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::MethodRouter;

use super::AccessLogFields;

/// The label of requests that match no route.
pub const UNKNOWN_ROUTE: &str = "unknown";

/// A router with the templates of its routes.
pub(crate) struct Routes<S> {
    router: Router<S>,
    labels: Vec<&'static str>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    pub(crate) fn new() -> Self {
        Self {
            router: Router::new(),
            labels: Vec::new(),
        }
    }

    /// Adds a route; its template is its label.
    pub(crate) fn route(mut self, template: &'static str, methods: MethodRouter<S>) -> Self {
        self.labels.push(label_of(template));
        self.router = self.router.route(template, methods);
        self
    }

    /// Adds a route for each of these templates, with the same methods.
    pub(crate) fn routes(self, templates: &[&'static str], methods: &MethodRouter<S>) -> Self {
        let add = |routes: Self, template: &&'static str| routes.route(template, methods.clone());
        templates.iter().fold(self, add)
    }

    /// Adds all routes of another table.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.labels.extend(other.labels);
        self.router = self.router.merge(other.router);
        self
    }

    /// Changes the router, for instance by a layer.
    pub(crate) fn map(self, change: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        Self {
            router: change(self.router),
            labels: self.labels,
        }
    }

    /// Adds labels of routes that are added elsewhere.
    pub(crate) fn with_labels(mut self, labels: &[&'static str]) -> Self {
        self.labels.extend(labels);
        self
    }

    /// Returns the labels of all routes, each once.
    pub(crate) fn labels(mut self) -> Vec<&'static str> {
        self.labels.sort_unstable();
        self.labels.dedup();
        self.labels
    }

    /// Returns the router and the labels of its routes. The routes may also be below `prefix`.
    pub(crate) fn build(mut self, prefix: &str) -> (Router<S>, RouteLabels) {
        let router = std::mem::take(&mut self.router);
        let labels = RouteLabels {
            prefix: prefix.into(),
            labels: self.labels().into(),
        };
        (router, labels)
    }
}

/// The labels of a router's routes.
#[derive(Clone)]
pub(crate) struct RouteLabels {
    prefix: Arc<str>,
    /// Sorted, for a binary search.
    labels: Arc<[&'static str]>,
}

impl RouteLabels {
    /// Returns the label of the route that the request matched, if there is one.
    pub(crate) fn find(&self, request: &Request) -> Option<&'static str> {
        let matched = request.extensions().get::<MatchedPath>()?.as_str();
        let find = |template: &str| {
            let at = self.labels.binary_search(&label_of(template)).ok()?;
            Some(self.labels[at])
        };
        find(matched).or_else(|| find(matched.strip_prefix(&*self.prefix)?))
    }
}

fn label_of(template: &str) -> &str {
    match template.trim_end_matches('/') {
        "" => "/",
        bare => bare,
    }
}

/// Sets the route of a response, for the access log.
pub(crate) fn set_route(response: &mut Response, route: Option<&'static str>) {
    if route.is_some() {
        let fields = response
            .extensions_mut()
            .get_or_insert_default::<AccessLogFields>();
        fields.route = route;
    }
}

/// Middleware that labels routes without other middleware.
pub(crate) async fn label_route(State(labels): State<RouteLabels>, request: Request, next: Next) -> Response {
    let route = labels.find(&request);
    let mut response = next.run(request).await;
    set_route(&mut response, route);
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::{any, get};
    use tower::ServiceExt as _;

    use super::*;

    async fn label(router: &Router, path: &str) -> Option<&'static str> {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        response
            .extensions()
            .get::<AccessLogFields>()
            .and_then(|fields| fields.route)
    }

    #[tokio::test]
    async fn a_label_is_the_template_that_matched() {
        let table = Routes::<()>::new()
            .route("/", get(async || ""))
            .route("/v1/client/{id}", get(async || ""))
            .routes(
                &["/settings", "/settings/", "/settings/{*rest}"],
                &get(async || ""),
            )
            .map(|router| router.route("/v1/{*path}", any(async || "")));
        let (router, labels) = table.build("/sync");
        let router = router.layer(from_fn_with_state(labels, label_route));
        let router = Router::new().nest("/sync", router.clone()).merge(router);
        for (path, expected) in [
            ("/", Some("/")),
            ("/v1/client/7", Some("/v1/client/{id}")),
            ("/sync/v1/client/7", Some("/v1/client/{id}")),
            ("/settings/", Some("/settings")),
            ("/settings/a/b", Some("/settings/{*rest}")),
            ("/v1/nothing", None),
            ("/nothing", None),
        ] {
            assert_eq!(label(&router, path).await, expected, "{path}");
        }
    }
}
