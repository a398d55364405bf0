//! The labels of all routes: what a request can be counted under.

use crate::{fxa, ops, pages, sync, token, user};

/// The labels of all routes of all surfaces, each once. The method is no part of a label.
pub fn all() -> Vec<&'static str> {
    let user = user::Route::ALL.map(user::Route::template);
    let mut labels = [
        sync::route_labels(),
        token::routes().labels(),
        user.to_vec(),
        user::exchange::TEMPLATES.to_vec(),
        fxa::routes().labels(),
        pages::route_labels(),
        ops::routes().labels(),
        vec![ops::ROBOTS],
    ]
    .concat();
    labels.sort_unstable();
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::UNKNOWN_ROUTE;

    #[test]
    fn no_two_routes_have_one_label() {
        let labels = all();
        let mut unique = labels.clone();
        unique.dedup();
        assert_eq!(labels, unique);
        assert!(labels.len() > 115, "{}", labels.len());
        assert!(!labels.contains(&UNKNOWN_ROUTE));
    }
}
