//! A device joins another: J-PAKE through the server's channels, message by message.
//!
//! Each step is one request, so that a test decides the order of the steps of both devices, and no step waits.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::device::Credentials;
use super::envelope;
use super::jpake::{Party, Waiting};
use super::key::{KeyPair, SyncKey};
use crate::client::wire::{Call, Reply, Server};
use crate::client::{hex, random_bytes};

/// The letters of a PIN.
const LETTERS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
/// How many letters of a PIN are secret; the others name the channel.
const SECRET: usize = 8;
/// The text whose ciphertext proves that both sides have the same key.
const KNOWN: &str = "0123456789ABCDEF";

/// One end of a channel.
#[derive(Debug)]
pub struct End {
    server: Server,
    root: String,
    id: String,
    channel: String,
    my_tag: Option<String>,
    their_tag: Option<String>,
}

/// The result of a poll.
#[derive(Debug, PartialEq)]
pub enum Poll {
    /// The other side has not written yet.
    NothingNew,
    /// Its message.
    Message(Value),
    /// The channel is gone.
    Gone,
}

impl End {
    /// An end of a channel below this path of the server; without a name it opens one later.
    pub fn new(server: &Server, root: &str, channel: &str) -> Self {
        Self {
            server: server.clone(),
            root: root.to_owned(),
            id: hex(&random_bytes(128)),
            channel: channel.to_owned(),
            my_tag: None,
            their_tag: None,
        }
    }

    fn send(&self, method: &str, path: &str, change: impl FnOnce(Call) -> Call) -> Reply {
        let call = Call::new(method, format!("{}/{path}", self.root));
        self.server
            .send(&change(call.header("X-KeyExchange-Id", self.id.clone())))
    }

    /// Opens a new channel.
    fn open(&mut self) {
        let reply = self.send("GET", "new_channel", |call| call).expect(200);
        self.channel = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply.header("x-keyexchange-channel"), Some(self.channel.as_str()));
        assert!(self.channel.len() == 4 && self.channel.bytes().all(|byte| LETTERS.contains(&byte)));
    }

    /// Writes a message; any answer but 200 ends the pairing.
    pub fn write(&mut self, kind: &str, payload: &Value) {
        let message = json!({ "type": kind, "version": 3, "payload": payload }).to_string();
        let tag = self.their_tag.clone();
        let reply = self.send("PUT", &self.channel, |call| {
            let call = call.body("application/json; charset=utf-8", message);
            match tag {
                Some(tag) => call.header("If-Match", tag),
                None => call.header("If-None-Match", "*"),
            }
        });
        let reply = reply.expect(200);
        self.my_tag = Some(
            reply
                .header("etag")
                .expect("a tag of what was written")
                .to_owned(),
        );
    }

    /// Polls for a message of the other side.
    pub fn poll(&mut self) -> Poll {
        let tag = self.my_tag.clone();
        let reply = self.send("GET", &self.channel, |call| match tag {
            Some(tag) => call.header("If-None-Match", tag),
            None => call,
        });
        match reply.status {
            304 => Poll::NothingNew,
            404 => Poll::Gone,
            _ => {
                let reply = reply.expect(200);
                self.their_tag = Some(reply.header("etag").expect("a tag of the message").to_owned());
                Poll::Message(reply.json())
            }
        }
    }

    /// The payload of the message that must be there now, and must be of this kind.
    #[track_caller]
    fn read(&mut self, kind: &str) -> Value {
        match self.poll() {
            Poll::Message(message) if message["type"] == kind && message["version"] == 3 => {
                message["payload"].clone()
            }
            other => panic!("{kind} should be there: {other:?}"),
        }
    }

    /// Reports the reason of a failure to the server, which closes the channel.
    pub fn report(&self, error: &str) {
        let reply = self.send("POST", "report", |call| {
            call.header("X-KeyExchange-Cid", self.channel.clone())
                .header("X-KeyExchange-Log", error)
        });
        reply.expect(200);
    }
}

/// The device that joins and shows the PIN.
pub struct Receiver {
    /// Its end of the channel.
    pub end: End,
    secret: String,
    party: Option<Party>,
    waiting: Option<Waiting>,
    keys: Option<KeyPair>,
}

/// The device that has the account, where the person types the PIN.
pub struct Sender {
    /// Its end of the channel.
    pub end: End,
    second: Value,
    waiting: Option<Waiting>,
    keys: Option<KeyPair>,
}

impl Receiver {
    /// Opens a channel and writes the first message.
    pub fn begin(server: &Server, root: &str) -> Self {
        let mut end = End::new(server, root, "");
        end.open();
        let letters = random_bytes(SECRET).into_iter();
        let secret = letters
            .map(|byte| char::from(LETTERS[usize::from(byte) / 8]))
            .collect();
        let (party, first) = Party::begin("receiver");
        end.write("receiver1", &first);
        Self {
            end,
            secret,
            party: Some(party),
            waiting: None,
            keys: None,
        }
    }

    /// The PIN that the user reads on it.
    pub fn pin(&self) -> String {
        format!("{}{}", self.secret, self.end.channel)
    }

    /// Answers the sender's first message.
    pub fn second(&mut self) {
        let theirs = self.end.read("sender1");
        let party = self.party.take().unwrap();
        let (waiting, second) = party.meet(&theirs, "sender", &self.secret).expect("valid proofs");
        self.waiting = Some(waiting);
        self.end.write("receiver2", &second);
    }

    /// Calculates the key and shows that it has it.
    pub fn third(&mut self) {
        let theirs = self.end.read("sender2");
        let keys = self
            .waiting
            .take()
            .unwrap()
            .finish(&theirs)
            .expect("a valid proof");
        let iv = random_bytes(16);
        let ciphertext = envelope::encrypt(&keys.encryption, &iv, KNOWN.as_bytes());
        let third = json!({ "ciphertext": ciphertext, "IV": BASE64.encode(&iv) });
        self.keys = Some(keys);
        self.end.write("receiver3", &third);
    }

    /// Receives the credentials.
    pub fn finish(mut self) -> Option<Credentials> {
        let sealed = self.end.read("sender3");
        let clear = envelope::open(&self.keys.unwrap(), &sealed)?;
        let clear: Value = serde_json::from_str(&clear).unwrap();
        let text = |member: &str| clear[member].as_str().unwrap().to_owned();
        Some(Credentials {
            account: text("account"),
            password: text("password"),
            sync_key: SyncKey::parse(&text("synckey")),
            server: text("serverURL"),
        })
    }
}

impl Sender {
    /// Reads the receiver's first message, answers with its own.
    pub fn begin(server: &Server, root: &str, pin: &str) -> Self {
        let (secret, channel) = pin.split_at(SECRET);
        let mut end = End::new(server, root, channel);
        let (party, first) = Party::begin("sender");
        let theirs = end.read("receiver1");
        end.write("sender1", &first);
        let (waiting, second) = party.meet(&theirs, "receiver", secret).expect("valid proofs");
        Self {
            end,
            second,
            waiting: Some(waiting),
            keys: None,
        }
    }

    /// Answers the receiver's second message and calculates the key.
    pub fn second(&mut self) {
        let theirs = self.end.read("receiver2");
        self.end.write("sender2", &self.second);
        self.keys = self.waiting.take().unwrap().finish(&theirs);
    }

    /// Whether the receiver has the same key: if not, the PIN was mistyped, and the channel is closed.
    pub fn is_paired(&mut self) -> bool {
        let theirs = self.end.read("receiver3");
        let iv = BASE64.decode(theirs["IV"].as_str().unwrap().as_bytes()).unwrap();
        let keys = self.keys.as_ref().expect("a valid proof");
        let is_same = envelope::encrypt(&keys.encryption, &iv, KNOWN.as_bytes()) == theirs["ciphertext"];
        if !is_same {
            self.end.report("jpake.error.keymismatch");
        }
        is_same
    }

    /// Sends the credentials.
    pub fn finish(mut self, credentials: &Credentials) {
        let clear = json!({
            "account": credentials.account, "password": credentials.password,
            "synckey": credentials.sync_key.text(), "serverURL": credentials.server,
        });
        let sealed = envelope::seal(&self.keys.unwrap(), &clear.to_string());
        self.end.write("sender3", &sealed);
    }
}
