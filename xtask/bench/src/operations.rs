//! The operations whose instructions and allocations are counted, and the requests that they consist of.

use anyhow::{Context, Result, ensure};

use crate::load::{self, Script};
use crate::request::{Basic, COLLECTIONS, Signer, id, objects};
use crate::soak::client::{Answer, Client, accounts};

/// The user of Sync 1.5 whose store is asked for.
const USER: u64 = 42;
/// The first of other users.
const OTHERS: u64 = 1000;
/// The person of Sync 1.1, and of accounts.
const PERSON: u64 = 7;
/// Objects of the history.
const OBJECTS: u64 = 1000;
/// Objects in a large request.
const MANY: u64 = 100;
/// The application that trades its access token for a storage token.
const APPLICATION: &str =
    r#""client_id":"5882386c6d801776","scope":"https://identity.mozilla.com/apps/oldsync""#;

/// What is read.
const PAGE: &str = "/storage/history?full=1&limit=1000";
const COLLECTION_TIMES: &str = "/info/collections";
const NOTHING_NEW: &str = "/storage/history?full=1&newer=4102444800.00&limit=1000";
const ONE_OBJECT: &str = "/storage/bookmarks/aaaaaaaaaaaa";
const NEWEST: &str = "/storage/history?full=1&sort=newest&limit=100";

/// How a client says who it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Hawk,
    Basic,
}

/// What is asked.
#[derive(Clone, Copy)]
enum Kind {
    /// One path, again and again: a cache answers what it can.
    Get(Dialect, &'static str),
    /// A path whose answer no cache holds.
    Uncached(&'static str),
    /// An object by its id, another one each time, not read before.
    Unread,
    /// A `PUT` of an object that exists, and then a poll, which both count.
    PutAndPoll,
    /// A `POST` of so many objects that exist.
    Post(u64),
    /// A `PUT` of an object that exists.
    Put,
    /// A `DELETE` of an object, another one each time.
    Delete,
    /// Another part of a batch.
    Part,
    /// The commit of a batch with many objects that exist.
    Commit,
    /// The tokenserver's answer.
    Token,
    /// A log-in of today's browsers.
    LogIn,
}

/// A kind of request that is counted by itself.
pub struct Operation {
    /// How it is called in the record.
    pub name: &'static str,
    kind: Kind,
    /// How many requests are counted, or pairs of requests. A tenth of them go before.
    pub counted: usize,
}

impl Operation {
    /// Whether the database answers each of the requests.
    pub fn is_uncached(&self) -> bool {
        matches!(self.kind, Kind::Uncached(_) | Kind::Unread)
    }
}

/// All operations. The order is part of what is counted: what one leaves behind the next one finds.
pub const OPERATIONS: [Operation; 18] = [
    get("1,000 full objects, Hawk", 100, Dialect::Hawk, PAGE),
    get("1,000 full objects, Basic", 100, Dialect::Basic, PAGE),
    get("info/collections, Hawk", 3000, Dialect::Hawk, COLLECTION_TIMES),
    get("info/collections, Basic", 3000, Dialect::Basic, COLLECTION_TIMES),
    get("nothing new, Hawk", 3000, Dialect::Hawk, NOTHING_NEW),
    get("one object, Hawk", 3000, Dialect::Hawk, ONE_OBJECT),
    get("one object, Basic", 3000, Dialect::Basic, ONE_OBJECT),
    operation("one object that no cache has, Hawk", 300, Kind::Unread),
    operation("newest 100 objects, Hawk", 300, Kind::Uncached(NEWEST)),
    operation("PUT, Hawk", 1500, Kind::Put),
    operation("PUT and info/collections, Hawk", 750, Kind::PutAndPoll),
    operation("POST of 1, Hawk", 1500, Kind::Post(1)),
    operation("POST of 100, Hawk", 80, Kind::Post(MANY)),
    operation("DELETE, Hawk", 1500, Kind::Delete),
    operation("staged part of 100, Hawk", 80, Kind::Part),
    operation("commit of 100, Hawk", 80, Kind::Commit),
    operation("tokenserver", 200, Kind::Token),
    operation("log-in", 4, Kind::LogIn),
];

const fn operation(name: &'static str, counted: usize, kind: Kind) -> Operation {
    Operation { name, kind, counted }
}

const fn get(name: &'static str, counted: usize, dialect: Dialect, path: &'static str) -> Operation {
    operation(name, counted, Kind::Get(dialect, path))
}

/// The users of one server.
pub struct Users {
    port: u16,
    signer: Signer,
    person: Basic,
    client: Client,
}

impl Users {
    /// Fills the stores, and makes the account.
    pub async fn prepare(port: u16) -> Result<Self> {
        let users = Self {
            port,
            signer: Signer::new(USER, port),
            person: Basic::new(PERSON, port),
            client: Client::new(port, "127.0.0.1".to_owned()),
        };
        load::once(port, &vec![Basic::registration(PERSON, port)]).await?;
        for dialect in [Dialect::Hawk, Dialect::Basic] {
            let mut script = Vec::new();
            for collection in COLLECTIONS {
                let path = format!("/storage/{collection}/aaaaaaaaaaaa");
                script.push(users.request(dialect, "PUT", &path, &object("aaaaaaaaaaaa")));
            }
            for first in (0..OBJECTS).step_by(100) {
                let body = objects(first, 100);
                script.push(users.request(dialect, "POST", "/storage/history", &body));
            }
            load::once(port, &script).await?;
        }
        Ok(users)
    }

    /// The requests before those that are counted, and those that are.
    pub async fn scripts(&mut self, operation: &Operation) -> Result<[Script; 2]> {
        let before = operation.counted.div_ceil(10);
        let count = operation.counted + before;
        let mut script = match operation.kind {
            Kind::Get(dialect, path) => vec![self.request(dialect, "GET", path, ""); count],
            Kind::Uncached(path) => vec![self.hawk("GET", path, ""); count],
            Kind::Unread => {
                let read = |number| self.hawk("GET", &format!("/storage/history/{}", id(number)), "");
                (0..OBJECTS).map(read).take(count).collect()
            }
            Kind::PutAndPoll => {
                let pair = [self.put(), self.hawk("GET", COLLECTION_TIMES, "")];
                pair.iter().cycle().take(2 * count).cloned().collect()
            }
            Kind::Post(number) => {
                let body = objects(0, number);
                vec![self.hawk("POST", "/storage/history", &body); count]
            }
            Kind::Put => vec![self.put(); count],
            Kind::Delete => self.deletions(count).await?,
            Kind::Part => self.parts(count).await?,
            Kind::Commit => self.commits(count).await?,
            Kind::Token => vec![self.token().await?; count],
            Kind::LogIn => vec![Basic::sign_in(PERSON, self.port); count],
        };
        // Of pairs both requests.
        let counted = script.split_off(before * script.len() / count);
        Ok([script, counted])
    }

    /// Stores an object that exists.
    fn put(&self) -> Vec<u8> {
        self.hawk("PUT", &format!("/storage/history/{}", id(0)), &object(&id(0)))
    }

    fn hawk(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        self.request(Dialect::Hawk, method, path, body)
    }

    fn request(&self, dialect: Dialect, method: &str, path: &str, body: &str) -> Vec<u8> {
        match dialect {
            Dialect::Hawk => self.signer.request(method, path, body),
            Dialect::Basic => self.person.request(method, path, body),
        }
    }

    /// Deletes objects that are stored before.
    async fn deletions(&self, count: usize) -> Result<Script> {
        let numbers = OBJECTS..OBJECTS + count as u64;
        let body = |first: u64| objects(first, MANY.min(numbers.end - first));
        let starts = numbers.clone().step_by(100);
        let stored = starts.map(|first| self.hawk("POST", "/storage/forms", &body(first)));
        load::once(self.port, &stored.collect()).await?;
        let delete = |number| self.hawk("DELETE", &format!("/storage/forms/{}", id(number)), "");
        Ok(numbers.map(delete).collect())
    }

    /// Adds parts to one batch.
    async fn parts(&mut self, count: usize) -> Result<Script> {
        let first = self.hawk("POST", "/storage/history?batch=true", &objects(0, MANY));
        let path = format!("/storage/history?batch={}", self.opened(&first).await?);
        Ok(vec![self.hawk("POST", &path, &objects(0, MANY)); count])
    }

    /// Commits batches of other users, of whom each has one: a user may have few at once.
    async fn commits(&mut self, count: usize) -> Result<Script> {
        let mut script = Vec::new();
        for user in (OTHERS..).take(count) {
            let signer = Signer::new(user, self.port);
            let upload = |path| signer.request("POST", path, &objects(0, MANY));
            self.ask(&upload("/storage/history")).await?;
            let batch = self.opened(&upload("/storage/history?batch=true")).await?;
            let path = format!("/storage/history?batch={batch}&commit=true");
            script.push(signer.request("POST", &path, "[]"));
        }
        Ok(script)
    }

    /// Opens a batch, and returns its id.
    async fn opened(&mut self, request: &[u8]) -> Result<String> {
        let staged = self.ask(request).await?;
        let batch = staged.member("batch").context("a batch has an id")?;
        Ok(batch.to_owned())
    }

    /// Signs in, gets an access token, and asks the tokenserver with it.
    async fn token(&mut self) -> Result<Vec<u8>> {
        let port = self.port;
        let signed_in = self.ask(&Basic::sign_in(PERSON, port)).await?;
        let session = signed_in.member("sessionToken").context("a session")?;
        let session = crate::request::bearer(session, "sessionToken");
        let keys = format!("{{{APPLICATION}}}");
        let keys = self
            .ask(&accounts(
                port,
                "POST",
                "/v1/account/scoped-key-data",
                &session,
                &keys,
            ))
            .await?;
        let rotation = keys.number("keyRotationTimestamp").context("the time of a key")?;
        let grant = format!(r#"{{"grant_type":"fxa-credentials",{APPLICATION}}}"#);
        let grant = self
            .ask(&accounts(port, "POST", "/v1/oauth/token", &session, &grant))
            .await?;
        let access = grant.member("access_token").context("an access token")?;
        Ok(format!(
            "GET /1.0/sync/1.5 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: Firefox/153.0\r\n\
             authorization: Bearer {access}\r\nx-keyid: {rotation}-AAAAAAAAAAAAAAAAAAAAAQ\r\n\r\n"
        )
        .into_bytes())
    }

    async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        let answer = self.client.send(request).await?;
        ensure!(
            (200..300).contains(&answer.status),
            "answered {}: {}",
            answer.status,
            answer.body
        );
        Ok(answer)
    }
}

fn object(id: &str) -> String {
    format!(r#"{{"id":"{id}","payload":"{}"}}"#, "x".repeat(300))
}
