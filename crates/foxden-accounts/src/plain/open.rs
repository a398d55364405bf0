//! Proving a plain password, and the store of old clients.

use std::future::Future;
use std::sync::Arc;

use foxden_model::UserId;
use foxden_sql::{Asker, Fetch, SqlError, Tx};

use super::{LegacyStore, NodeOf};
use crate::address::normal;
use crate::attempt::Tries;
use crate::error::FirstStoreError;
use crate::limits::Counted;
use crate::login::VerifiedPassword;
use crate::memo::{Key, Known, LoginFailure, Moment, Reading, Remembered};
use crate::nodes::{choose, insert_store};
use crate::register::account::{self, AccountRow};
use crate::register::node::NodeRow;
use crate::register::store::{self, Beside, StoreRow};
use crate::register::{change, node};
use crate::security::{Event, What};
use crate::stretch::Stretched;
use crate::wrong::Told;
use crate::{
    AccountId, Accounts, LegacyLoginError, LimitError, NewUsers, OpenStoreError, SignUp, Unavailable,
    Visitor, setting,
};

/// A plain password that was proven just now, and what a client keeps of it.
pub(super) struct PlainProven {
    pub(super) proven: VerifiedPassword,
    pub(super) stretched: Stretched,
}

impl Accounts {
    /// The store, if name and password were proven a while ago. It asks nobody and hashes nothing slowly; `None` says
    /// that [`Accounts::open_store`] knows more.
    pub fn recall(&self, name: &str, password: &str) -> Option<Arc<LegacyStore>> {
        let key = self.memo_key(name, password);
        match self.0.memo.recall(&key, self.steady())? {
            Remembered::Good(known) => known.store.clone(),
            Remembered::Bad(_) => None,
        }
    }

    /// Proves the password and gives the store of old clients, made if there is none.
    pub async fn open_store(
        &self,
        name: &str,
        password: &str,
        visitor: &Visitor,
    ) -> Result<Arc<LegacyStore>, OpenStoreError> {
        let (known, since) = self.known(name, password, visitor).await?;
        if let Some(store) = &known.store {
            return Ok(Arc::clone(store));
        }
        let store = self
            .legacy_store(known.account)
            .await
            .map_err(|error| error.of(name))?;
        let known = Arc::new(Known {
            account: known.account,
            store: Some(Arc::clone(&store)),
        });
        let key = self.memo_key(name, password);
        self.0
            .memo
            .remember(key, since, Remembered::Good(known), self.steady());
        Ok(store)
    }

    /// Proves the password and says whose it is.
    pub async fn prove_plain(
        &self,
        name: &str,
        password: &str,
        visitor: &Visitor,
    ) -> Result<AccountId, LegacyLoginError> {
        let (known, _) = self.known(name, password, visitor).await?;
        Ok(known.account)
    }

    /// Whether an account keeps others from that name; who is switched off counts.
    pub async fn name_exists(&self, name: &str) -> Result<bool, Unavailable> {
        Ok(self.keeper(&self.0.database, name).await?.is_some())
    }

    /// Whether the name is taken, for strangers: while sign-up is not open every name is, to tell them nothing.
    pub async fn is_name_taken(&self, name: &str, visitor: &Visitor) -> Result<bool, LimitError> {
        if self.sign_up_policy(visitor) != SignUp::Open {
            return Ok(true);
        }
        self.spend_visitor(Counted::Answer, visitor)?;
        Ok(self.name_exists(name).await?)
    }

    /// Where the store of old clients is that belongs to whoever is called that, made if there is none. Anyone may ask, so
    /// nothing is made for an account whose claim may still end: a stranger's question would keep it for good.
    pub async fn node_of(&self, name: &str, visitor: &Visitor) -> Result<NodeOf, LimitError> {
        let row = match self.named_plain(name, visitor).await {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(NodeOf::Unknown),
            Err(refused @ LimitError::TooMany(_)) => {
                // Where there is but one node, it is told of every name: that tells nothing, and old clients go on.
                let only = node::only(&self.0.database, self.0.settings.legacy).await?;
                return only.map_or(Err(refused), |only| Ok(NodeOf::At(only.node.into())));
            }
            Err(error) => return Err(error),
        };
        if row.disabled {
            let found = self.find_legacy(&self.0.database, row.uid).await?;
            return Ok(found.map_or(NodeOf::NoRoom, |store| NodeOf::At(store.node)));
        }
        if !row.address_verified && self.0.options.sends_mail {
            return Ok(self.node_of_claim(row.uid).await?);
        }
        match self.legacy_store(row.uid).await {
            Ok(store) => Ok(NodeOf::At(Arc::clone(&store.node))),
            Err(FirstStoreError::NoRoom) => Ok(NodeOf::NoRoom),
            // Removed since it was looked up.
            Err(FirstStoreError::AccountGone) => Ok(NodeOf::Unknown),
            Err(FirstStoreError::Unavailable(error)) => Err(error.into()),
        }
    }

    /// Where the store is, or would be made by now. It is made by the first request whose password is right.
    async fn node_of_claim(&self, uid: AccountId) -> Result<NodeOf, Unavailable> {
        let (from, service) = (&self.0.database, self.0.settings.legacy);
        if let Some(store) = self.find_legacy(from, uid).await? {
            return Ok(NodeOf::At(store.node));
        }
        let has_store = !store::of(from, service, &self.store_name(uid)).await?.is_empty();
        if !has_store && setting::new_users(from).await? == NewUsers::Refused {
            return Ok(NodeOf::NoRoom);
        }
        let best = node::best(from, service, None).await?;
        Ok(best.map_or(NodeOf::NoRoom, |node| NodeOf::At(node.node.into())))
    }

    /// Whoever is called that. What is answered tells who is here, so names that nobody has are few, and questions that
    /// find one are not without end: devices of many people may ask from one address.
    pub(super) async fn named_plain(
        &self,
        name: &str,
        visitor: &Visitor,
    ) -> Result<Option<AccountRow>, LimitError> {
        self.spend_visitor(Counted::Lookup, visitor)?;
        let (network, asked_at) = (visitor.network(), self.steady());
        self.spend_visitor(Counted::Answer, visitor)?;
        let row = account::by_name(&self.0.database, &normal(name)).await?;
        if row.is_some() {
            self.0
                .limits
                .refund(Counted::Answer(network), asked_at, self.steady());
        }
        Ok(row)
    }

    /// Proves the password with all that follows from it, whatever is remembered. A password that was proven a while
    /// ago passes although failures are counted.
    pub(super) async fn prove_whole(
        &self,
        name: &str,
        password: &str,
        visitor: &Visitor,
    ) -> Result<PlainProven, LegacyLoginError> {
        let key = self.memo_key(name, password);
        if let Some(Remembered::Bad(wrong)) = self.remembered(&key, name).await?.0 {
            return Err(self.refuse(wrong, name, visitor));
        }
        let flight = self.0.memo.board(key)?;
        let _turn = flight.turn().await;
        if let Some(Remembered::Bad(wrong)) = self.remembered(&key, name).await?.0 {
            return Err(self.refuse(wrong, name, visitor));
        }
        self.check_plain(key, name, password, visitor).await
    }

    /// Runs work that changes credentials or stores, and writes down that it does: see [`Accounts::transact`]. After the
    /// transaction this process reads what changed before it answers out of memory again.
    pub(crate) async fn transact_change<T, E, F, W>(&self, work: F) -> Result<T, E>
    where
        E: From<SqlError>,
        F: Fn(Tx) -> W,
        W: Future<Output = Result<T, E>>,
    {
        let _changed = self.mark_changed_later();
        self.transact(work).await
    }

    /// What is to be kept while a transaction runs that changes credentials or stores.
    pub(crate) const fn mark_changed_later(&self) -> Changed<'_> {
        Changed(self)
    }

    /// Writes down, in the transaction that does it, that credentials or stores of the account change.
    pub(crate) async fn write_change(&self, tx: &Tx, uid: AccountId) -> Result<(), Unavailable> {
        Ok(change::insert(tx, uid, self.millis()).await?)
    }

    /// Whose name and password these are, out of memory where that is possible, and since when nothing may have been
    /// forgotten for that to hold. Those who bring the same at once wait for the first.
    async fn known(
        &self,
        name: &str,
        password: &str,
        visitor: &Visitor,
    ) -> Result<(Arc<Known>, Moment), LegacyLoginError> {
        let key = self.memo_key(name, password);
        if let (Some(remembered), since) = self.remembered(&key, name).await? {
            return Ok((self.outcome(remembered, name, visitor)?, since));
        }
        let flight = self.0.memo.board(key)?;
        let _turn = flight.turn().await;
        let (remembered, since) = self.remembered(&key, name).await?;
        if let Some(remembered) = remembered {
            return Ok((self.outcome(remembered, name, visitor)?, since));
        }
        let PlainProven { proven, stretched } = self.check_plain(key, name, password, visitor).await?;
        self.store_rehashed(&proven, &stretched.auth_pw).await?;
        let known = Arc::new(Known {
            account: proven.row.uid,
            store: None,
        });
        Ok((known, since))
    }

    /// What is remembered, and the moment before it was recalled. A refusal rests on the register as it is now: what was
    /// wrong a moment ago may be the name or the password that another process has given somebody since, and a client that
    /// is refused asks its person. So all changes are read, and the name must still be whose it was, or nobody's.
    async fn remembered(&self, key: &Key, name: &str) -> Result<(Option<Remembered>, Moment), Unavailable> {
        self.read_changes().await?;
        let (since, remembered) = (self.0.memo.moment(), self.0.memo.recall(key, self.steady()));
        if !matches!(remembered, Some(Remembered::Bad(_))) {
            return Ok((remembered, since));
        }
        let reading = self.0.memo.reading.lock().await;
        // Others wait for this to end, so it waits in no line of the one who asks.
        while Asker::for_all(self.read_some_changes()).await? {}
        drop(reading);
        let (since, remembered) = (self.0.memo.moment(), self.0.memo.recall(key, self.steady()));
        let Some(Remembered::Bad(wrong)) = remembered else {
            return Ok((remembered, since));
        };
        let owner = account::by_name(&self.0.database, &normal(name)).await?;
        let is_theirs = owner.map(|row| row.uid) == wrong.account();
        Ok((is_theirs.then_some(Remembered::Bad(wrong)), since))
    }

    /// Reads what changed in the register, unless that was done a moment ago.
    async fn read_changes(&self) -> Result<(), Unavailable> {
        let memo = &self.0.memo;
        if memo.is_fresh(self.steady()) {
            return Ok(());
        }
        let _reading = memo.reading.lock().await;
        while !memo.is_fresh(self.steady()) && Asker::for_all(self.read_some_changes()).await? {}
        Ok(())
    }

    /// Reads a page of changes. Whether there may be more.
    async fn read_some_changes(&self) -> Result<bool, Unavailable> {
        let memo = &self.0.memo;
        // Taken before the question, so that what changes meanwhile counts as unread.
        let (position, now) = (memo.position(), self.steady());
        let Some(seq) = position.seq else {
            let last = change::last(&self.0.database).await?;
            let none = Reading {
                seq: last,
                changes: &[],
                is_last: true,
            };
            memo.take_in(position, none, now);
            return Ok(false);
        };
        let changes = change::after(&self.0.database, seq).await?;
        let is_last = changes.len() < change::PAGE;
        let read = Reading {
            seq: changes.last().map_or(seq, |(last, _)| *last),
            changes: &changes,
            is_last,
        };
        memo.take_in(position, read, now);
        Ok(!is_last)
    }

    /// Checks a plain password: limits, then the account, then the password. What comes of it is remembered. A password
    /// that was proven lately is no guess: it passes by the limits, else whoever guesses would lock the owner's devices out.
    async fn check_plain(
        &self,
        key: Key,
        name: &str,
        password: &str,
        visitor: &Visitor,
    ) -> Result<PlainProven, LegacyLoginError> {
        let since = self.0.memo.moment();
        let row = account::by_name(&self.0.database, &normal(name)).await?;
        let salt = row.as_ref().map_or(name, |row| &row.stretched_address);
        let tries = Tries::new(name, row.as_ref().map(|row| row.uid), visitor);
        let attempt = if self.0.memo.was_proven(&key, self.steady()) {
            self.free_attempt(tries)
        } else {
            let locked = Event::by(visitor, What::LoginLocked).about(name);
            self.attempt(tries).inspect_err(|_| self.tell(&locked))?
        };
        let stretched = self
            .0
            .verifiers
            .stretch(salt, password, Some(tries.applicant()))
            .await?;
        let who = row.as_ref().map(|row| (row.uid, row.disabled));
        let uid = who.map(|(uid, _)| uid);
        let (by, from) = (normal(name), visitor.network());
        let proof = self.0.wrong.key(row.as_ref(), &by, &stretched.auth_pw, from);
        let accounts = self.clone();
        // Remembered where it is found out: a client that hung up asks again.
        let remember = move |is_right: bool| {
            let outcome = Remembered::from_attempt(who, is_right);
            accounts.0.memo.remember(key, since, outcome, accounts.steady());
            if !is_right {
                accounts.0.wrong.keep(proof, Told::Nothing);
            }
        };
        if self.0.wrong.is_known(proof) {
            remember(false);
            let wrong = uid.map_or(LoginFailure::UnknownAccount, LoginFailure::WrongPassword);
            return Err(self.refuse(wrong, name, visitor));
        }
        let verified = self.verify_password(attempt, row, &stretched.auth_pw, remember);
        match verified.await? {
            Ok(proven) => Ok(PlainProven { proven, stretched }),
            Err(wrong) => Err(self.refuse(wrong, name, visitor)),
        }
    }

    fn outcome(
        &self,
        remembered: Remembered,
        name: &str,
        visitor: &Visitor,
    ) -> Result<Arc<Known>, LegacyLoginError> {
        match remembered {
            Remembered::Good(known) => Ok(known),
            Remembered::Bad(wrong) => Err(self.refuse(wrong, name, visitor)),
        }
    }

    /// Says no, to the security log as well.
    fn refuse(&self, wrong: LoginFailure, name: &str, visitor: &Visitor) -> LegacyLoginError {
        self.tell(&wrong.event(visitor, name));
        wrong.refusal(name)
    }

    /// The account's store for old clients, made if there is none.
    async fn legacy_store(&self, uid: AccountId) -> Result<Arc<LegacyStore>, FirstStoreError> {
        if let Some(store) = self.find_legacy(&self.0.database, uid).await? {
            return Ok(Arc::new(store));
        }
        let store = self.transact(|tx| async move { self.first_legacy(&tx, uid).await });
        Ok(Arc::new(store.await?))
    }

    /// The same, within the transaction that makes it.
    async fn first_legacy(&self, tx: &Tx, uid: AccountId) -> Result<LegacyStore, FirstStoreError> {
        if let Some(store) = self.find_legacy(tx, uid).await? {
            return Ok(store);
        }
        if account::by_id(tx, uid).await?.is_none() {
            return Err(FirstStoreError::AccountGone);
        }
        let service = self.0.settings.legacy;
        let rows = store::of(tx, service, &self.store_name(uid)).await?;
        if rows.is_empty() && setting::new_users(tx).await? == NewUsers::Refused {
            return Err(FirstStoreError::NoRoom);
        }
        let node = choose(tx, service, None).await?.ok_or(FirstStoreError::NoRoom)?;
        let row = StoreRow {
            uid: UserId(0),
            service,
            email: self.store_name(uid),
            generation: 0,
            client_state: String::new(),
            // The latest row is the one in use, also where the clock was set back.
            created_at: rows
                .iter()
                .map(|row| row.created_at)
                .fold(self.millis(), i64::max),
            replaced_at: None,
            nodeid: node.id,
            keys_changed_at: None,
        };
        let row = insert_store(tx, row, &node).await?;
        store::replace_others(tx, &row, row.created_at).await?;
        Ok(self.legacy_store_at(tx, uid, &row, &node).await?)
    }

    /// The store in use, on a node that is still there.
    async fn find_legacy(
        &self,
        from: &impl Fetch,
        uid: AccountId,
    ) -> Result<Option<LegacyStore>, Unavailable> {
        let rows = store::of(from, self.0.settings.legacy, &self.store_name(uid)).await?;
        let Some(row) = rows.into_iter().find(|row| row.replaced_at.is_none()) else {
            return Ok(None);
        };
        match node::by_id(from, row.nodeid).await? {
            Some(node) => Ok(Some(self.legacy_store_at(from, uid, &row, &node).await?)),
            None => Ok(None),
        }
    }

    async fn legacy_store_at(
        &self,
        from: &impl Fetch,
        account: AccountId,
        row: &StoreRow,
        node: &NodeRow,
    ) -> Result<LegacyStore, Unavailable> {
        let store = Beside {
            uid: row.uid,
            email: &row.email,
            node: &node.node,
        };
        let beside = store::beside(from, &store).await?;
        Ok(LegacyStore {
            account,
            user: row.uid,
            node: node.node.as_str().into(),
            beside: beside.into(),
        })
    }

    fn memo_key(&self, name: &str, password: &str) -> Key {
        self.0.memo.key(&*self.0.rng, name, password)
    }
}

/// A transaction that changes credentials. When this is dropped the transaction has ended, and may have been committed even
/// if the one who waited for it has given up.
#[must_use = "what is remembered must be told once the transaction has ended"]
pub(crate) struct Changed<'a>(&'a Accounts);

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        self.0.0.memo.mark_changed();
    }
}

impl Remembered {
    /// What becomes of a proof for whoever has that name; they may be switched off.
    fn from_attempt(who: Option<(AccountId, bool)>, is_right: bool) -> Self {
        match who {
            None => Self::Bad(LoginFailure::UnknownAccount),
            Some((account, _)) if !is_right => Self::Bad(LoginFailure::WrongPassword(account)),
            Some((account, true)) => Self::Bad(LoginFailure::Disabled(account)),
            Some((account, false)) => Self::Good(Arc::new(Known { account, store: None })),
        }
    }
}

impl LoginFailure {
    const fn event<'a>(self, visitor: &Visitor, name: &'a str) -> Event<'a> {
        let event = Event::by(visitor, What::LoginFailed).about(name);
        match self {
            Self::UnknownAccount => event.because("unknown name"),
            Self::WrongPassword(account) => event.of(account).because("wrong password"),
            Self::Disabled(account) => event.of(account).because("switched off"),
        }
    }
}
