//! What a user does in its life: it is prepared, takes the steps of a scenario, and everything is read again at the end.

use super::accounts::{Accounts, Owner};
use super::{MARK, User};
use crate::fault::{Fault, FaultKind};
use crate::scenario::Scenario;
use crate::scenario::step::{Step, Writing};

/// The bytes of the objects that say which collections and keys there are.
const META_SIZE: u64 = 600;

impl User {
    /// Makes the account where there is none, empties the store of an earlier run, and fills it as the scenario says.
    pub async fn prepare(&mut self, accounts: &Accounts, scenario: &Scenario) -> Result<(), Fault> {
        accounts.register(self).await?;
        match self.owner().await? {
            Owner::Empty => {}
            Owner::Made => self.wipe().await?,
            Owner::Other => {
                let what = format!(
                    "user {} has data without the mark {MARK}: perhaps a person's",
                    self.number
                );
                return Err(Fault {
                    kind: FaultKind::Surplus,
                    what,
                    request: "GET info/collections".to_owned(),
                    answer: "collections".to_owned(),
                });
            }
        }
        self.begin_store(scenario).await?;
        for (collection, count) in &scenario.setup {
            let count = count.sample_whole(&self.random);
            let planned = self.sized(scenario, collection, count, 1.0);
            self.post(collection, &planned).await?;
        }
        Ok(())
    }

    /// What a browser writes first into an empty store.
    async fn begin_store(&mut self, scenario: &Scenario) -> Result<(), Fault> {
        self.mark().await?;
        for collection in ["meta", "crypto"] {
            if scenario.setup.iter().all(|(name, _)| name != collection) {
                let planned = self.plan(collection, std::iter::once(META_SIZE), 1.0);
                for planned in planned {
                    self.put(collection, planned).await?;
                }
            }
        }
        Ok(())
    }

    /// Plans objects with sizes as the scenario says.
    fn sized(
        &self,
        scenario: &Scenario,
        collection: &str,
        count: u64,
        new: f64,
    ) -> Vec<crate::expected::Planned> {
        let sizes = scenario.sizes(collection);
        self.plan(
            collection,
            (0..count).map(|_| sizes.sample_whole(&self.random)),
            new,
        )
    }

    fn planned(&self, scenario: &Scenario, writing: &Writing) -> Vec<crate::expected::Planned> {
        let count = writing.objects.sample_whole(&self.random).max(1);
        self.sized(scenario, &writing.collection, count, writing.new)
    }

    /// Takes a step.
    pub async fn take(&mut self, step: &Step, scenario: &Scenario) -> Result<(), Fault> {
        match step {
            Step::Check => self.collections().await.map(|_| ()),
            Step::Info(page) => self.info(page).await,
            Step::NothingNew(collection) => self.nothing_new(collection).await,
            Step::Read(collection) => {
                self.settle(collection).await?;
                let stored = self.expected.get(collection);
                match stored.and_then(|stored| stored.any(&self.random)) {
                    Some(number) => self.read_object(collection, number).await,
                    None => Ok(()),
                }
            }
            Step::Newest(collection, limit) => self.newest(collection, *limit).await,
            Step::Ids(collection) => self.ids(collection).await,
            Step::Download(collection) => self.download(collection).await,
            Step::CatchUp => self.second_device().await,
            Step::NewDevice => self.new_device().await,
            Step::Put(writing) => {
                for planned in self.planned(scenario, writing) {
                    self.put(&writing.collection, planned).await?;
                }
                Ok(())
            }
            Step::Post(writing) => {
                let planned = self.planned(scenario, writing);
                self.post(&writing.collection, &planned).await
            }
            Step::Batch(writing) => {
                let planned = self.planned(scenario, writing);
                self.batch(&writing.collection, &planned).await
            }
            Step::Delete(collection, count) => {
                let count = count.sample_whole(&self.random);
                self.delete(collection, count).await
            }
            Step::Clear(collection) => self.delete_collection(collection).await,
            Step::Wipe => {
                self.wipe().await?;
                self.begin_store(scenario).await
            }
        }
    }

    /// Reads everything again and compares it with what was stored. Returns whether it could be known what that is: after a
    /// wipe without a clear answer it is not.
    pub async fn audit(&mut self) -> Result<bool, Fault> {
        self.renew().await?;
        if self.expected.is_unsure {
            return Ok(false);
        }
        self.collections().await?;
        let sure = self
            .expected
            .collections
            .iter()
            .filter(|(_, stored)| !stored.is_unsure);
        let names: Vec<String> = sure.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.download(&name).await?;
        }
        Ok(true)
    }
}
