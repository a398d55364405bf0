//! What holds whatever the server's clock does. The decision record 0018 has the table; each test here is a row of it.

use foxden_accounts::OLDSYNC;

use crate::lab::{ANN, DESKTOP, Lab, PASSWORD, START, at_home, login, proof};
use crate::password::{change, reset};

const NEW: &str = "another one";

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// How far ahead the clock was while something was made.
const AHEAD: [i64; 3] = [10 * MINUTE, 2 * HOUR, 400 * DAY];

/// A clock that was ahead while an account was made keeps nobody from its keys once it is put right.
#[tokio::test]
async fn an_account_made_ahead_of_the_clock_opens_its_store() {
    for ahead in AHEAD {
        let lab = Lab::new().await;
        lab.clock.set_millis(START + ahead);
        let created = lab.create(ANN).await;
        let before = lab.firefox(ANN, PASSWORD).await;
        lab.clock.set_millis(START);

        let found = lab.firefox(ANN, PASSWORD).await;
        assert_eq!(found, before, "{ahead} ms ahead");
        // The session of then is as good as before.
        let session = lab.session(&created).await;
        let keys = lab.accounts.scoped_key_data(&session, DESKTOP, OLDSYNC).await;
        assert!(keys.is_ok(), "{ahead} ms ahead: {keys:?}");
        let again = lab
            .accounts
            .reauth(&session, login(ANN, PASSWORD), &at_home())
            .await;
        assert!(again.unwrap().auth_at * 1000 >= START);
        let session = lab.session(&created).await;
        let keys = lab.accounts.scoped_key_data(&session, DESKTOP, OLDSYNC).await;
        assert!(keys.is_ok(), "{ahead} ms ahead, proven again: {keys:?}");
    }
}

/// Another password, or one that is reset, opens the store after the clock was put right: made ahead, or afterwards.
#[tokio::test]
async fn a_password_set_ahead_of_the_clock_opens_its_store() {
    for ahead in AHEAD {
        for set_ahead in [true, false] {
            let lab = Lab::new().await;
            lab.clock.set_millis(START + ahead);
            lab.create(ANN).await;
            let before = lab.firefox(ANN, PASSWORD).await;
            lab.clock
                .set_millis(if set_ahead { START + ahead } else { START });
            change(&lab, ANN, PASSWORD, NEW).await;
            lab.clock.set_millis(START);
            let changed = lab.firefox(ANN, NEW).await;
            assert_eq!(changed, before, "{ahead} ms ahead, set ahead: {set_ahead}");

            lab.clock
                .set_millis(if set_ahead { START + ahead } else { START });
            reset(&lab, ANN, proof(ANN, PASSWORD)).await;
            lab.clock.set_millis(START);
            let reset = lab.firefox(ANN, PASSWORD).await;
            assert_ne!(reset.store, before.store, "a new key means a fresh store");
            assert_eq!(lab.firefox(ANN, PASSWORD).await, reset);
        }
    }
}

/// A clock that is behind at the start, as on a machine without a battery, and is put right later.
#[tokio::test]
async fn an_account_made_behind_the_clock_opens_its_store() {
    for behind in [START - DAY, 365 * DAY] {
        let lab = Lab::new().await;
        lab.clock.set_millis(START - behind);
        lab.create(ANN).await;
        let before = lab.firefox(ANN, PASSWORD).await;
        change(&lab, ANN, PASSWORD, NEW).await;
        lab.clock.set_millis(START);
        assert_eq!(lab.firefox(ANN, NEW).await, before);
        change(&lab, ANN, NEW, PASSWORD).await;
        // It is behind again at the next start.
        lab.clock.set_millis(START - behind);
        assert_eq!(lab.firefox(ANN, PASSWORD).await, before);
        change(&lab, ANN, PASSWORD, NEW).await;
        assert_eq!(lab.firefox(ANN, NEW).await, before);
    }
}
