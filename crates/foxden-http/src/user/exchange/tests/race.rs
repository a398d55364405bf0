//! Concurrent requests.

use std::sync::Barrier;
use std::thread;

use super::*;

/// Lets two clients do the same concurrently, again and again.
fn race(
    rounds: u32,
    check: impl Fn(&TestContext, &str, [u16; 2]),
    method: &str,
    header: (&str, &str),
    who: [char; 2],
) {
    let ctx = TestContext::new(Settings {
        abuse_control: AbuseControl::Off,
        ..Settings::default()
    });
    for _ in 0..rounds {
        let k = block_on(ctx.channel());
        let start = Barrier::new(2);
        let statuses = thread::scope(|scope| {
            let (ctx, k, start) = (&ctx, &k, &start);
            let racers = who.map(|who| {
                scope.spawn(move || {
                    start.wait();
                    block_on(ctx.send_as(who, method, k, &[header], "x")).status
                })
            });
            racers.map(|racer| racer.join().unwrap())
        });
        check(&ctx, &k, statuses);
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(work)
}

/// K10.30: of two that would be the second, one is served; the other is a third and ends the channel.
#[test]
fn only_one_becomes_the_second_client() {
    let check = |ctx: &TestContext, k: &str, mut statuses: [u16; 2]| {
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
        assert_eq!(block_on(ctx.get('a', k)).status, 404);
    };
    race(300, check, "GET", ("accept", "*/*"), ['b', 'c']);
}

/// Of two concurrent first writes, one succeeds.
#[test]
fn only_one_writes_first() {
    let check = |ctx: &TestContext, k: &str, mut statuses: [u16; 2]| {
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
        block_on(ctx.send_as('a', "DELETE", k, &[], ""));
    };
    race(300, check, "PUT", ("if-none-match", "*"), ['a', 'b']);
}
