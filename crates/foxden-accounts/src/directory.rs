//! Who somebody is, and whether the secret is right.

use async_trait::async_trait;
use foxden_sql::Database;

use crate::address::normal;
use crate::register::account::{self, Verifier};
use crate::verifier::{Proof, Recipe, Verifiers};
use crate::{AccountError, AccountId, Attempt, AuthPw, Cost};

/// Where people and their passwords are kept.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// What this directory lets us do.
    fn abilities(&self) -> Abilities;

    /// The person with that name.
    async fn find(&self, name: &str) -> Result<Option<Person>, AccountError>;

    /// Whether the proof is that person's. It takes as long for nobody as for somebody. The attempt is settled with the
    /// outcome, whether or not the caller waits for it.
    async fn check(
        &self,
        person: Option<&Person>,
        auth_pw: &AuthPw,
        attempt: Attempt,
    ) -> Result<Checked, AccountError>;
}

/// What a directory lets us do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Create people and remove them.
    pub creates_people: bool,
    /// Set passwords.
    pub sets_passwords: bool,
}

/// A person, as the directory knows them.
#[derive(Clone)]
pub struct Person {
    /// The account.
    pub account: AccountId,
    pub(crate) verifier: Option<Verifier>,
}

/// What became of a proof.
#[derive(Clone)]
pub enum Checked {
    /// It is right; this unwraps the keys.
    Right(Unlocked),
    /// It is wrong.
    Wrong,
}

/// What a right password unlocks.
#[derive(Clone)]
pub struct Unlocked(pub(crate) Proof);

/// The directory in our own register.
pub struct SqlDirectory {
    database: Database,
    verifiers: Verifiers,
    cost: Cost,
}

impl SqlDirectory {
    pub(crate) const fn new(database: Database, verifiers: Verifiers, cost: Cost) -> Self {
        Self {
            database,
            verifiers,
            cost,
        }
    }
}

#[async_trait]
impl Directory for SqlDirectory {
    fn abilities(&self) -> Abilities {
        Abilities {
            creates_people: true,
            sets_passwords: true,
        }
    }

    async fn find(&self, name: &str) -> Result<Option<Person>, AccountError> {
        let row = account::by_name(&self.database, &normal(name)).await?;
        Ok(row.map(|row| Person {
            account: row.uid,
            verifier: row.verifier,
        }))
    }

    async fn check(
        &self,
        person: Option<&Person>,
        auth_pw: &AuthPw,
        attempt: Attempt,
    ) -> Result<Checked, AccountError> {
        let verifier = person.and_then(|person| person.verifier.as_ref());
        let decoy = Recipe {
            salt: [0; 16],
            cost: self.cost,
        };
        let recipe = verifier.map_or(decoy, |verifier| verifier.recipe);
        let stored = verifier.map(|verifier| verifier.verify_hash);
        let applicant = attempt.tries().applicant();
        let compare = move |proof: Proof| {
            let is_right = stored.is_some_and(|stored| proof.matches(&stored));
            attempt.settle(is_right);
            if is_right {
                Checked::Right(Unlocked(proof))
            } else {
                Checked::Wrong
            }
        };
        self.verifiers
            .hash_then(auth_pw, recipe, Some(applicant), compare)
            .await
    }
}
