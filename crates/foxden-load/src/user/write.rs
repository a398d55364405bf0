//! Requests that write. What the server acknowledges is kept, and compared later.

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{MARK, User};
use crate::client::Call;
use crate::client::reply::{PostResult, Reply};
use crate::expected::Planned;
use crate::fault::{Fault, FaultKind};
use crate::instant::SyncInstant;
use crate::protocol::RequestKind;

/// How many objects a browser sends at once.
pub const PART: usize = 100;
/// The most bytes that a browser sends at once.
const PART_BYTES: usize = 1_000_000;
/// The precondition of writes.
const UNMODIFIED: &str = "x-if-unmodified-since";

/// What is in the mark of a made user.
const MARK_TEXT: &str = r#"{"payload":"This user was made by foxden-load. It may be deleted."}"#;

impl User {
    /// Plans objects to write: new ones, and others that are there.
    pub fn plan(&self, collection: &str, sizes: impl Iterator<Item = u64>, new: f64) -> Vec<Planned> {
        let stored = self.expected.get(collection);
        let mut next = stored.map_or(0, crate::expected::Collection::next);
        let mut planned: Vec<Planned> = Vec::new();
        for size in sizes {
            let size = u32::try_from(size).unwrap_or(u32::MAX);
            let old = if self.random.unit() < new {
                None
            } else {
                stored.and_then(|stored| Some((stored.any(&self.random)?, stored)))
            };
            let old = old.filter(|(number, _)| planned.iter().all(|planned| planned.number != *number));
            let (number, version) = if let Some((number, stored)) = old {
                let version = stored.object(number).map_or(0, |object| object.version + 1);
                (number, version)
            } else {
                next += 1;
                (next - 1, 0)
            };
            planned.push(Planned {
                number,
                version,
                size,
            });
        }
        planned
    }

    /// Writes one object.
    pub async fn put(&mut self, collection: &str, planned: Planned) -> Result<(), Fault> {
        self.settle(collection).await?;
        let path = format!("/storage/{collection}/{}", self.id(collection, planned.number));
        let body = serde_json::json!({ "payload": self.payload(collection, &planned) });
        let mut call = Call::new(RequestKind::Put, Method::PUT, path).with_body(body.to_string());
        if self.is_modern() {
            call = call.with(UNMODIFIED, self.modified(collection));
        }
        let sent = self.client.send(call).await;
        let reply = self.sure(collection, sent)?;
        reply.expect(StatusCode::OK)?;
        let text: &RawValue = reply.json()?;
        let time = self.written(&reply, Some(text.get()))?;
        self.expected.entry(collection).store(&[planned], time);
        Ok(())
    }

    /// Writes objects in as many requests as they need, each of them a write of its own.
    pub async fn post(&mut self, collection: &str, planned: &[Planned]) -> Result<(), Fault> {
        for part in parts(planned) {
            self.post_part(collection, part).await?;
        }
        Ok(())
    }

    async fn post_part(&mut self, collection: &str, planned: &[Planned]) -> Result<(), Fault> {
        self.settle(collection).await?;
        let call = self.post_call(RequestKind::Post, collection, "", planned);
        let sent = self.client.send(call).await;
        let reply = self.sure(collection, sent)?;
        reply.expect(StatusCode::OK)?;
        let posted: PostResult<'_> = reply.json()?;
        let Some(modified) = posted.modified else {
            return Err(reply.fault(FaultKind::Form, "the answer lacks modified"));
        };
        let time = self.written(&reply, Some(modified.get()))?;
        let stored = self.accepted(&reply, collection, planned, &posted);
        self.expected.entry(collection).store(&stored, time);
        Ok(())
    }

    /// Writes objects in a batch, which is seen as a whole. In 1.1 there are none, and each part is a write.
    pub async fn batch(&mut self, collection: &str, planned: &[Planned]) -> Result<(), Fault> {
        if !self.is_modern() {
            return self.post(collection, planned).await;
        }
        self.settle(collection).await?;
        let mut stored = Vec::with_capacity(planned.len());
        let mut id: Option<String> = None;
        let mut parts = parts(planned).peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let kind = if is_last {
                RequestKind::BatchCommit
            } else {
                RequestKind::BatchPart
            };
            let query = match (&id, is_last) {
                (None, false) => "?batch=true".to_owned(),
                (None, true) => "?batch=true&commit=true".to_owned(),
                (Some(id), false) => format!("?batch={id}"),
                (Some(id), true) => format!("?batch={id}&commit=true"),
            };
            let call = self.post_call(kind, collection, &query, part);
            let sent = self.client.send(call).await;
            let reply = self.sure(collection, sent)?;
            reply.expect(if is_last {
                StatusCode::OK
            } else {
                StatusCode::ACCEPTED
            })?;
            let posted: PostResult<'_> = reply.json()?;
            stored.extend(self.accepted(&reply, collection, part, &posted));
            if is_last {
                let time = self.written(&reply, posted.modified.map(RawValue::get))?;
                self.expected.entry(collection).store(&stored, time);
                return Ok(());
            }
            self.unchanged(&reply, collection)?;
            let Some(batch) = posted.batch else {
                return Err(reply.fault(FaultKind::Form, "the answer lacks the id of the batch"));
            };
            if id.as_ref().is_some_and(|id| *id != batch) {
                self.report(reply.fault(FaultKind::Form, "the id of the batch is another"));
            }
            id = Some(batch.into_owned());
        }
        Ok(())
    }

    /// A part of a batch changes nothing.
    fn unchanged(&self, reply: &Reply, collection: &str) -> Result<(), Fault> {
        let (time, expected) = (reply.time("x-last-modified")?, self.modified(collection));
        if time != expected {
            let what = format!("{collection} is of {time}, and was written at {expected}");
            self.report(reply.fault(FaultKind::Time, what));
        }
        Ok(())
    }

    fn post_call(&self, kind: RequestKind, collection: &str, query: &str, planned: &[Planned]) -> Call {
        let mut body = String::from("[");
        for one in planned {
            if body.len() > 1 {
                body.push(',');
            }
            let id = self.id(collection, one.number);
            let object = serde_json::json!({ "id": id, "payload": self.payload(collection, one) });
            body.push_str(&object.to_string());
        }
        body.push(']');
        let path = format!("/storage/{collection}{query}");
        let mut call = Call::new(kind, Method::POST, path).with_body(body);
        if self.is_modern() {
            call = call.with(UNMODIFIED, self.modified(collection));
        }
        call
    }

    /// Those that the server took. It must name each of them; a refusal is a fault.
    fn accepted(
        &self,
        reply: &Reply,
        collection: &str,
        planned: &[Planned],
        posted: &PostResult<'_>,
    ) -> Vec<Planned> {
        if let Some((id, reason)) = posted.failed.iter().next() {
            let what = format!("{} objects refused; {id}: {}", posted.failed.len(), reason.get());
            self.report(reply.fault(FaultKind::Status, what));
        }
        let mut named: Vec<u32> = posted
            .success
            .iter()
            .filter_map(|id| self.number(collection, id))
            .collect();
        named.sort_unstable();
        if named.len() + posted.failed.len() != planned.len() {
            let what = format!(
                "{} objects sent, {} named as stored, {} as refused",
                planned.len(),
                posted.success.len(),
                posted.failed.len()
            );
            self.report(reply.fault(FaultKind::Form, what));
        }
        let is_named = |planned: &&Planned| named.binary_search(&planned.number).is_ok();
        planned.iter().filter(is_named).copied().collect()
    }

    /// Deletes objects.
    pub async fn delete(&mut self, collection: &str, count: u64) -> Result<(), Fault> {
        self.settle(collection).await?;
        let Some(stored) = self.expected.get(collection) else {
            return Ok(());
        };
        let mut numbers: Vec<u32> = (0..count.min(100))
            .filter_map(|_| stored.any(&self.random))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = numbers
            .iter()
            .map(|number| self.id(collection, *number))
            .collect();
        let path = format!("/storage/{collection}?ids={}", ids.join(","));
        let sent = self
            .client
            .send(Call::new(RequestKind::Delete, Method::DELETE, path))
            .await;
        let reply = self.sure(collection, sent)?;
        reply.expect(StatusCode::OK)?;
        let time = self.deleted(&reply)?;
        self.expected.entry(collection).remove(&numbers, time);
        Ok(())
    }

    /// Deletes a collection.
    pub async fn delete_collection(&mut self, collection: &str) -> Result<(), Fault> {
        let path = format!("/storage/{collection}");
        let sent = self
            .client
            .send(Call::new(RequestKind::DeleteAll, Method::DELETE, path))
            .await;
        let reply = self.sure(collection, sent)?;
        reply.expect(StatusCode::OK)?;
        if self
            .expected
            .get(collection)
            .is_some_and(|stored| !stored.is_unsure)
        {
            self.deleted(&reply)?;
        }
        self.expected.collections.remove(collection);
        self.seen.remove(collection);
        Ok(())
    }

    /// Deletes everything.
    pub async fn wipe(&mut self) -> Result<(), Fault> {
        let call = Call::new(RequestKind::DeleteAll, Method::DELETE, "/storage").with("x-confirm-delete", 1);
        self.expected.is_unsure = true;
        let reply = self.client.send(call).await?;
        reply.expect(StatusCode::OK)?;
        self.expected.is_unsure = false;
        self.expected.collections.clear();
        self.seen.clear();
        Ok(())
    }

    /// Stores what marks a made user, so that it can be told from a person and removed.
    pub async fn mark(&mut self) -> Result<(), Fault> {
        let path = format!("/storage/{MARK}/mark");
        let call = Call::new(RequestKind::Put, Method::PUT, path).with_body(MARK_TEXT.to_owned());
        let reply = self.client.send(call).await?;
        reply.expect(StatusCode::OK)?;
        self.written(&reply, None).map(|_| ())
    }

    /// The time of a deletion. Servers write it as a number or in an object, and some not at all.
    fn deleted(&mut self, reply: &Reply) -> Result<SyncInstant, Fault> {
        let bare: &RawValue = reply.json()?;
        let text = match serde_json::from_str::<Modified<'_>>(bare.get()) {
            Ok(object) => Some(object.modified.get()),
            Err(_) => SyncInstant::read(bare.get()).map(|_| bare.get()),
        };
        self.written(reply, text)
    }

    /// Passes an answer on. Without a clear one the collection is unsure.
    fn sure(&mut self, collection: &str, sent: Result<Reply, Fault>) -> Result<Reply, Fault> {
        let is_clear = match &sent {
            Ok(reply) => !reply.status.is_server_error(),
            Err(fault) => fault.kind == FaultKind::Connect,
        };
        if !is_clear {
            self.expected.entry(collection).is_unsure = true;
        }
        sent
    }
}

/// The answer to a deletion, in one of its forms.
#[derive(Deserialize)]
struct Modified<'a> {
    #[serde(borrow)]
    modified: &'a RawValue,
}

/// Objects in the portions in which a browser sends them.
fn parts(planned: &[Planned]) -> impl Iterator<Item = &[Planned]> {
    let mut rest = planned;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |one: &&Planned| {
            bytes += usize::try_from(one.size).unwrap_or(usize::MAX);
            bytes <= PART_BYTES
        };
        let count = rest.iter().take(PART).take_while(fits).count().max(1);
        let (part, after) = rest.split_at(count);
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_bounded_in_objects_and_bytes() {
        let of = |size, count: u32| -> Vec<usize> {
            let planned: Vec<Planned> = (0..count)
                .map(|number| Planned {
                    number,
                    version: 0,
                    size,
                })
                .collect();
            parts(&planned).map(<[Planned]>::len).collect()
        };
        assert_eq!(of(300, 250), [100, 100, 50]);
        assert_eq!(of(400_000, 5), [2, 2, 1]);
        assert_eq!(of(2_000_000, 2), [1, 1]);
        assert!(of(1, 0).is_empty());
    }
}
