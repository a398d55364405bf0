//! Checks of the requests in the server's log: their number and their order.

use anyhow::{Result, bail};

use crate::server::Request;

/// Fails unless these requests were made in this order, with any others between them. A `*` stands for one segment
/// of a path.
pub(crate) fn in_order(requests: &[Request], wanted: &[(&str, &str, u16)]) -> Result<()> {
    let mut rest = requests.iter();
    for (method, path, status) in wanted {
        let found = rest.any(|request| fits(request, method, path) && request.status == *status);
        if !found {
            let all: Vec<String> = requests.iter().map(line).collect();
            bail!(
                "{method} {path} {status} is missing or out of order in:\n{}",
                all.join("\n")
            );
        }
    }
    Ok(())
}

/// How often such a request was made, whatever came of it.
pub(crate) fn count(requests: &[Request], method: &str, path: &str) -> usize {
    requests
        .iter()
        .filter(|request| fits(request, method, path))
        .count()
}

/// How often such a request was answered with this status.
pub(crate) fn count_status(requests: &[Request], method: &str, path: &str, status: u16) -> usize {
    requests
        .iter()
        .filter(|request| fits(request, method, path) && request.status == status)
        .count()
}

/// The same, as one line.
pub(crate) fn line(request: &Request) -> String {
    format!("{} {} {}", request.method, request.path, request.status)
}

fn fits(request: &Request, method: &str, path: &str) -> bool {
    let parts = request.path.split('/');
    request.method == method
        && parts.clone().count() == path.split('/').count()
        && parts
            .zip(path.split('/'))
            .all(|(part, wanted)| wanted == "*" || part == wanted)
}
