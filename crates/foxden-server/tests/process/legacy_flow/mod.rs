//! A person's life with a 1.1 browser: sign up, sync, pair a second device, change the password, lose the key,
//! move to another node, leave.
//!
//! The other end is the scripted client in `foxden_test_support::client::legacy`. What one process serves, split processes with two
//! nodes must serve alike: every scenario below runs against both. `proxies::several` runs them against two processes on one
//! database server.

mod servers;

pub mod both_browsers;
pub mod changes;
pub mod first;
mod nodes;
pub mod pairing;
pub mod together;
mod trouble;

pub use servers::{TestServers, Topology};

/// Runs each scenario against one process, and against split ones.
macro_rules! in_both_shapes {
    ($($place:ident::$scenario:ident),* $(,)?) => {
        mod all_in_one {
            $(#[test]
            fn $scenario() {
                crate::legacy_flow::$place::$scenario(&crate::legacy_flow::TestServers::start(crate::legacy_flow::Topology::AllInOne, &[]));
            })*
        }
        mod split {
            $(#[test]
            fn $scenario() {
                crate::legacy_flow::$place::$scenario(&crate::legacy_flow::TestServers::start(crate::legacy_flow::Topology::Split, &[]));
            })*
        }
    };
}

in_both_shapes!(
    first::a_person_starts_to_sync,
    first::changes_travel_between_devices,
    first::small_devices_fetch_in_parts,
    first::any_password_works,
    pairing::a_second_device_joins_and_reads_everything,
    pairing::a_mistyped_pin_joins_no_device,
    changes::a_new_password_is_asked_for_everywhere,
    changes::a_new_key_creates_a_new_store,
    changes::a_wiped_store_is_filled_again,
    changes::a_device_is_removed_from_the_list,
    changes::a_closed_account_leaves_nothing,
    both_browsers::an_account_of_firefox_works_in_pale_moon,
    both_browsers::an_account_of_pale_moon_works_in_firefox,
    both_browsers::a_new_password_keeps_what_firefox_has,
    both_browsers::a_new_address_leads_to_the_same_account,
    together::devices_that_take_turns_end_up_alike,
    together::devices_that_write_at_once_lose_nothing,
);
