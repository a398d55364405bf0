//! The promises of [`crate::engine`] as tests that any engine can run.
//!
//! A test is an `async fn(&TestContext)` in the file of its theme, listed in [`TESTS`]. [`run`] runs all tests for each
//! engine, given the function that opens it; `tests/conformance.rs` does so for every engine of this crate. A test checks
//! promises only: not how ties are broken, and not where exactly a page ends.

#![expect(
    clippy::missing_panics_doc,
    reason = "what does not hold panics, as in any test"
)]

pub mod batches;
pub mod closing;
mod context;
pub mod counts;
pub mod deletion;
pub mod expiry;
pub mod guards;
pub mod history;
pub mod order;
pub mod pages;
pub mod patches;
pub mod purge;
pub mod quota;
mod runner;
pub mod selection;
pub mod times;
pub mod users;
pub mod writers;

use std::pin::Pin;

pub use context::{EngineFixture, Opener, Stored, TestContext, collection, id, payload, sorted};
pub use runner::{TestedEngine, Unreachable, run};

/// A promise as a test.
pub struct Test {
    /// The theme and the promise: `times::a_write_takes_the_clocks_time`.
    pub name: &'static str,
    /// Panics if the engine does not keep the promise.
    pub run: fn(TestContext) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// Lists the tests of every theme.
macro_rules! tests {
    ($($theme:ident: [$($test:ident),* $(,)?]),* $(,)?) => {
        &[$($(Test {
            name: concat!(stringify!($theme), "::", stringify!($test)),
            run: |ctx| Box::pin(async move { $theme::$test(&ctx).await }),
        }),*),*]
    };
}

/// Every test.
pub const TESTS: &[Test] = tests! {
    batches: [
        a_batch_is_unseen_until_committed,
        all_objects_of_a_batch_get_one_time,
        objects_that_come_again_count_once,
        parts_count_in_the_order_they_came,
        the_commits_own_patches_count_last,
        a_patch_in_a_batch_keeps_what_is_stored,
        ttls_count_from_the_commit,
        a_batch_ends_with_its_commit,
        a_refused_commit_leaves_the_batch_open,
        a_commit_of_one_collection_too_many_leaves_the_batch_open,
        a_batch_lives_two_hours_from_its_opening,
        a_batch_belongs_to_its_user_and_collection,
        a_part_too_large_is_refused_as_a_whole,
        a_full_batch_can_be_committed,
        a_commit_too_large_is_refused_and_leaves_the_batch_open,
        one_batch_too_many_ends_the_one_opened_first,
        a_guard_holds_for_a_part,
        committing_an_empty_batch_moves_the_collections_time,
        emptying_the_store_ends_its_batches,
        deleting_the_collection_leaves_its_batches,
        open_batches_do_not_mix,
        ten_thousand_objects_are_committed_at_once,
        a_batch_opened_ahead_of_the_clock_has_ended,
    ],
    closing: [
        a_closed_user_is_refused,
        closing_leaves_other_users_alone,
        an_unknown_user_can_be_closed,
        a_closed_store_can_be_closed_and_emptied_again,
        objects_of_a_closed_store_are_purged,
        closed_is_reported_before_any_other_refusal,
        writes_during_a_closing_leave_no_objects,
        a_closing_holds_for_every_handle_on_the_store,
    ],
    counts: [
        a_summary_names_each_collection_in_order,
        counts_and_bytes_follow_every_write,
        bytes_are_those_of_utf_8,
        a_write_returns_the_bytes_before_and_after,
        an_empty_collection_is_listed,
        an_unknown_user_has_nothing,
        users_are_isolated,
        at_most_a_hundred_collections,
    ],
    deletion: [
        a_deleted_object_is_gone_and_the_collections_time_moves,
        deleting_a_missing_object_can_be_refused,
        deleting_a_missing_object_can_move_the_time,
        deleting_from_a_missing_collection_changes_nothing,
        a_selection_chooses_what_is_deleted,
        an_order_and_a_limit_choose_what_is_deleted,
        a_deleted_collection_vanishes,
        a_deleted_collection_can_keep_its_name,
        deleting_a_missing_collection_changes_nothing,
        a_recreated_collection_has_no_old_objects,
        an_emptied_store_holds_nothing,
        deleting_the_last_object_keeps_the_collection,
    ],
    expiry: [
        an_object_without_a_ttl_stays,
        an_object_expires_after_its_ttl,
        a_read_of_one_object_tells_its_expiry,
        a_ttl_of_zero_expires_at_once,
        an_expired_object_is_absent_for_every_reader,
        an_expired_object_is_not_revived,
        an_expired_object_matches_no_guard,
        an_expired_object_cannot_be_deleted,
        a_new_ttl_replaces_the_old,
        a_ttl_can_be_removed,
        a_patch_without_a_ttl_keeps_the_old,
        expiry_moves_no_time,
        ttls_count_from_the_clock_and_not_from_the_time_of_the_write,
        objects_expire_one_by_one,
        a_ttl_set_while_the_clock_is_far_behind_lasts,
        a_clock_set_ahead_and_back_ends_no_ttl,
    ],
    guards: [
        a_stale_write_changes_nothing,
        a_guard_of_the_same_time_holds,
        a_missing_target_has_time_zero,
        a_guard_on_an_object_ignores_others,
        a_guard_on_the_store_sees_every_collection,
        a_guard_on_a_deleted_object_holds,
        guards_hold_for_deletions,
        of_several_refusals_the_guard_comes_first,
    ],
    order: [
        newest_first,
        oldest_first,
        greatest_index_first_and_none_last,
        an_order_holds_while_nothing_is_written,
    ],
    pages: [
        pages_return_every_object_once,
        a_page_token_continues_after_the_last_object,
        the_last_page_has_no_next,
        a_limit_of_zero_reads_nothing,
        skipping_counts_from_the_same_order,
        a_long_read_skips_once,
        a_long_read_comes_in_bounded_pages,
        a_page_ends_by_its_bytes_but_holds_an_object,
        a_page_has_the_collections_time,
        a_read_in_pages_can_be_fixed_at_a_time,
        a_foreign_token_is_refused,
        pages_in_a_selection_stay_in_it,
        ids_alone_are_the_ids_of_the_objects,
    ],
    patches: [
        written_objects_are_read_back,
        fields_not_given_keep_their_value,
        fields_can_be_cleared,
        an_empty_patch_creates_an_empty_object,
        modified_moves_only_if_the_patch_renews,
        a_patch_of_the_parent_alone_can_renew_modified,
        a_later_patch_is_merged_over_an_earlier,
        a_later_patch_keeps_the_ttl_of_an_earlier,
        objects_of_one_write_have_one_time,
        ids_differ_by_case_and_by_any_byte,
        payloads_are_returned_unchanged,
        a_write_without_patches_makes_the_collection,
        names_of_collections_differ_by_case,
    ],
    purge: [
        purging_changes_nothing_that_is_seen,
        purging_keeps_to_its_budget_and_ends,
        purging_an_empty_engine_removes_nothing,
        purging_spares_open_batches,
        purging_keeps_objects_that_expire_after_the_given_time,
        the_check_of_a_working_engine_succeeds,
    ],
    quota: [
        a_write_may_cross_the_quota_but_not_begin_beyond_it,
        deletions_pass_beyond_the_quota,
        expired_objects_do_not_count,
        other_users_do_not_count,
        a_batch_cannot_hold_more_than_the_quota,
        expired_objects_make_room_for_a_part,
        batches_opened_first_make_room,
        a_refused_write_ends_no_batch,
        the_open_batches_of_a_store_are_limited,
        objects_without_payload_count,
        a_refused_write_leaves_no_trace,
    ],
    selection: [
        newer_and_older_exclude_the_time_itself,
        newer_and_older_both_hold,
        until_includes_the_time_itself,
        ids_select_each_object_once,
        thousands_of_ids_select_like_any_selection,
        no_ids_select_nothing,
        indexes_above_and_below_exclude_the_index_itself,
        parents_and_predecessors_select,
        all_conditions_hold_together,
        a_missing_collection_reads_as_empty,
    ],
    times: [
        a_write_takes_the_clocks_time,
        writes_within_a_hundredth_have_rising_times,
        a_write_takes_no_time_before_the_earliest_allowed,
        times_rise_across_collections,
        times_rise_when_the_clock_slips_back,
        times_rise_over_deletions,
        times_rise_over_an_emptied_store,
        the_stores_time_is_the_highest_given,
        a_write_changes_only_its_collections_time,
        unseen_writes_are_later_than_the_as_of_of_a_read,
        as_of_is_not_before_a_seen_write,
        as_of_keeps_near_the_clock,
        a_clock_that_slips_back_hides_no_write,
        staging_moves_no_time,
    ],
    users: [
        a_new_store_has_no_users,
        pages_list_every_user_once,
        emptied_and_closed_stores_are_listed,
        reading_and_staging_make_no_user,
    ],
    writers: [
        writers_at_once_all_succeed_at_different_times,
        of_guarded_writers_at_once_one_succeeds,
        readers_never_see_half_a_write,
        times_of_consecutive_reads_never_decrease,
        one_commit_wins,
        parts_appended_at_once_are_all_kept,
        concurrent_users_are_isolated,
    ],
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::TESTS;

    /// A test that is not listed would never run.
    #[test]
    fn every_test_is_run() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
        let mut written = Vec::new();
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            // A theme is a file; a folder has what tests of other programs use, too.
            if path.is_dir() {
                continue;
            }
            let theme = path.file_stem().unwrap().to_str().unwrap().to_owned();
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                if let Some((name, "ctx: &TestContext) {")) = line
                    .strip_prefix("pub async fn ")
                    .and_then(|rest| rest.split_once('('))
                {
                    written.push(format!("{theme}::{name}"));
                }
            }
        }
        written.sort();
        let mut run: Vec<_> = TESTS.iter().map(|test| test.name).collect();
        run.sort_unstable();
        assert_eq!(written, run);
        assert!(run.len() > 100);
    }
}
