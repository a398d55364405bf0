//! What people do in old and in current browsers, with two processes on one database server behind the balancer of the manual,
//! which sends each request to the other process in turn.

use foxden_sql::testing::TestServer;

use crate::account_flow;
use crate::legacy_flow::{self, TestServers, Topology};
use crate::program::Folder;
use crate::several::Several;
use foxden_test_support::client::wire::Server;

/// Runs each scenario on each database server.
macro_rules! on_each_server {
    (current: $($current:ident),*; old: $($place:ident::$old:ident),*) => {
        mod postgres {
            on_each_server!(@in Postgres, $($current),*; $($place::$old),*);
        }
        mod mariadb {
            on_each_server!(@in Mariadb, $($current),*; $($place::$old),*);
        }
    };
    (@in $server:ident, $($current:ident),*; $($place:ident::$old:ident),*) => {
        use super::*;

        mod current {
            use super::*;

            $(#[test]
            #[ignore = "needs a server and proxies: run by cargo xtask test"]
            fn $current() {
                of_current_browsers(TestServer::$server, account_flow::$current);
            })*
        }
        mod old {
            use super::*;

            $(#[test]
            #[ignore = "needs a server and proxies: run by cargo xtask test"]
            fn $old() {
                of_old_browsers(TestServer::$server, legacy_flow::$place::$old);
            })*
        }
    };
}

on_each_server!(
    current:
        two_devices_share_one_store,
        a_new_password_keeps_the_store_and_ends_other_sessions,
        a_forgotten_password_ends_in_an_empty_store,
        a_closed_account_leaves_nothing,
        a_browser_signs_out;
    old:
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
        together::devices_that_write_at_once_lose_nothing
);

fn of_current_browsers(server: TestServer, scenario: impl Fn(&Server, account_flow::Operator)) {
    let folder = Folder::new();
    let several = Several::start(&folder, server).behind_a_balancer();
    scenario(&several.server(), &|command| several.operator(&folder, command));
    for part in ["/v1/account/", "/v1/oauth/"] {
        assert!(
            several.have_both_answered(part),
            "{part} is answered by one process alone"
        );
    }
    several.stop();
}

fn of_old_browsers(server: TestServer, scenario: impl Fn(&TestServers)) {
    let servers = TestServers::start(Topology::Several(server), &[]);
    scenario(&servers);
    let parts = ["/1.1/", "/jpake/"];
    assert!(
        parts.iter().any(|part| servers.have_all_answered(part)),
        "one process has answered everything"
    );
}
