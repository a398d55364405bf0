//! The commands on records: each function is a command, or a part that several commands share.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Client;
use super::http::{Answer, json_text, path_segment};

/// The parts of a record that the program reads.
#[derive(Debug, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// In seconds.
    pub modified: f64,
    /// Encrypted.
    pub payload: String,
    /// Zero for none.
    #[serde(default)]
    pub sortindex: i64,
}

/// The parameters of a list.
#[derive(Clone, Copy, Default)]
pub struct Listing<'a> {
    /// Whole seconds.
    pub after: Option<i64>,
    /// `newest`, `oldest` or `index`.
    pub sort: Option<&'a str>,
    /// Whether only ids are listed.
    pub ids_alone: bool,
    /// The maximum number of records.
    pub limit: Option<i64>,
    /// The number of records to skip.
    pub offset: Option<i64>,
}

impl Client {
    /// `ffsclient collections --usage`: names with their times, counts and bytes. A count or a size of a collection that
    /// was not among the times is an error.
    pub fn collections(&mut self) -> Result<BTreeMap<String, (f64, i64, i64)>, Answer> {
        let times: BTreeMap<String, f64> = self.request("GET", "/info/collections", None)?.read();
        let counts: BTreeMap<String, i64> = self.request("GET", "/info/collection_counts", None)?.read();
        let usage: BTreeMap<String, f64> = self.request("GET", "/info/collection_usage", None)?.read();
        let mut all: BTreeMap<_, _> = times
            .into_iter()
            .map(|(name, time)| (name, (time, 0, 0)))
            .collect();
        for (name, count) in counts {
            all.get_mut(&name).expect("a collection with a time").1 = count;
        }
        for (name, kilobytes) in usage {
            #[expect(clippy::cast_possible_truncation, reason = "as the program does")]
            let bytes = (kilobytes * 1024.0) as i64;
            all.get_mut(&name).expect("a collection with a time").2 = bytes;
        }
        Ok(all)
    }

    /// `ffsclient quota`: a list of two, kilobytes or null.
    pub fn quota(&mut self) -> Result<(f64, Option<f64>), Answer> {
        Ok(self.request("GET", "/info/quota", None)?.read())
    }

    /// Requests a list. The parameters have this order.
    fn list(&mut self, collection: &str, listing: &Listing<'_>) -> Result<Answer, Answer> {
        let parameters = [
            listing.after.map(|after| format!("newer={after}")),
            listing.sort.map(|sort| format!("sort={sort}")),
            (!listing.ids_alone).then(|| "full=true".to_owned()),
            listing.limit.map(|limit| format!("limit={limit}")),
            listing.offset.map(|offset| format!("offset={offset}")),
        ];
        let parameters: Vec<String> = parameters.into_iter().flatten().collect();
        let mut path = format!("/storage/{}", path_segment(collection));
        if !parameters.is_empty() {
            path = format!("{path}?{}", parameters.join("&"));
        }
        self.request("GET", &path, None)
    }

    /// `ffsclient list <collection> --ids`
    pub fn list_ids(&mut self, collection: &str, listing: &Listing<'_>) -> Result<Vec<String>, Answer> {
        let listing = Listing {
            ids_alone: true,
            ..*listing
        };
        Ok(self.list(collection, &listing)?.read())
    }

    /// `ffsclient list <collection> --decoded`, and the first request of `bookmarks list`, `tabs list` and similar commands.
    pub fn list_decoded(&mut self, collection: &str, listing: &Listing<'_>) -> Result<Vec<Value>, Answer> {
        let records: Vec<Record> = self.list(collection, listing)?.read();
        let texts = records
            .iter()
            .map(|record| self.open(collection, &record.payload));
        Ok(texts.map(|text| serde_json::from_str(&text).unwrap()).collect())
    }

    /// `ffsclient get <collection> <id> --raw`
    pub fn record(&mut self, collection: &str, id: &str) -> Result<Record, Answer> {
        Ok(self.request("GET", &path_of(collection, id), None)?.read())
    }

    /// `ffsclient get <collection> <id> --decoded`
    pub fn decoded(&mut self, collection: &str, id: &str) -> Result<Value, Answer> {
        let record = self.record(collection, id)?;
        Ok(serde_json::from_str(&self.open(collection, &record.payload)).unwrap())
    }

    fn exists(&mut self, collection: &str, id: &str) -> Result<bool, Answer> {
        match self.request("GET", &path_of(collection, id), None) {
            Ok(_) => Ok(true),
            Err(answer) if answer.status == 404 => Ok(false),
            Err(answer) => Err(answer),
        }
    }

    /// Writes a record: id and payload, nothing else.
    pub fn put(&mut self, collection: &str, id: &str, content: &Value) -> Result<(), Answer> {
        let payload = self.seal(collection, &content.to_string());
        let body = format!(r#"{{"id":{},"payload":{}}}"#, json_text(id), json_text(&payload));
        self.request("PUT", &path_of(collection, id), Some(&body))
            .map(drop)
    }

    /// `ffsclient create <collection> <id> --data`: checks first that the record does not exist.
    pub fn create(&mut self, collection: &str, id: &str, content: &Value) -> Result<(), Answer> {
        assert!(!self.exists(collection, id)?, "{collection}/{id}");
        self.put(collection, id, content)
    }

    /// `ffsclient update <collection> <id> --data`: checks first that the record exists.
    pub fn update(&mut self, collection: &str, id: &str, content: &Value) -> Result<(), Answer> {
        assert!(self.exists(collection, id)?, "{collection}/{id}");
        self.put(collection, id, content)
    }

    /// `ffsclient delete <collection> <id>`: replaces the payload by a tombstone; the id in the body is null.
    pub fn delete(&mut self, collection: &str, id: &str) -> Result<(), Answer> {
        let tombstone = format!(r#"{{"id":{},"deleted":true}}"#, json_text(id));
        let payload = self.seal(collection, &tombstone);
        let body = format!(r#"{{"id":null,"payload":{}}}"#, json_text(&payload));
        self.request("PUT", &path_of(collection, id), Some(&body))
            .map(drop)
    }

    /// `ffsclient delete <collection> <id> --hard`
    pub fn delete_hard(&mut self, collection: &str, id: &str) -> Result<(), Answer> {
        self.request("DELETE", &path_of(collection, id), None).map(drop)
    }

    /// `ffsclient delete <collection>`
    pub fn delete_collection(&mut self, collection: &str) -> Result<(), Answer> {
        let path = format!("/storage/{}", path_segment(collection));
        self.request("DELETE", &path, None).map(drop)
    }

    /// `ffsclient delete-all --force`: the address of the store itself.
    pub fn delete_all(&mut self) -> Result<(), Answer> {
        self.request("DELETE", "", None).map(drop)
    }

    /// `ffsclient bookmarks create bookmark <title> <url>`: the bookmark first, then its parent's children.
    pub fn create_bookmark(&mut self, id: &str, title: &str, url: &str) -> Result<(), Answer> {
        let mut parent = self.decoded("bookmarks", "unfiled")?;
        let bookmark = json!({
            "id": id, "type": "bookmark", "dateAdded": 1_763_690_000_000_i64,
            "parentid": parent["id"], "parentName": parent["title"], "title": title, "bmkUri": url,
            "description": "", "loadInSidebar": false, "tags": [], "keyword": "",
        });
        self.create("bookmarks", id, &bookmark)?;
        parent["children"]
            .as_array_mut()
            .expect("a folder")
            .push(json!(id));
        self.put("bookmarks", "unfiled", &parent)
    }

    /// `ffsclient bookmarks delete <id>`: a tombstone, and one child less.
    pub fn delete_bookmark(&mut self, id: &str) -> Result<(), Answer> {
        let bookmark = self.decoded("bookmarks", id)?;
        let parent = bookmark["parentid"].as_str().expect("a parent").to_owned();
        let mut folder = self.decoded("bookmarks", &parent)?;
        self.delete("bookmarks", id)?;
        let children = folder["children"].as_array_mut().expect("a folder");
        children.retain(|child| child != id);
        self.put("bookmarks", &parent, &folder)
    }
}

fn path_of(collection: &str, id: &str) -> String {
    format!("/storage/{}/{}", path_segment(collection), path_segment(id))
}
