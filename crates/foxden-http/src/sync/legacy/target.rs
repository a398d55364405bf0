//! The paths of Sync 1.x, and which paths belong to this dialect.

use std::borrow::Cow;

use foxden_model::{CollectionName, ObjectId};

use super::refusal::Refusal;
use crate::sync::reply::ResponseCode;
use crate::wire::percent::{self, Plus};

/// The names of the API.
const VERSIONS: [&str; 3] = ["/1.1/", "/1.0/", "/1/"];

/// A parsed path below `/1.0/`, `/1/` or `/1.1/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sync) struct Target<'p> {
    /// The name of the account in lower case. Whether the caller may open its store is checked later.
    pub(in crate::sync) name: Cow<'p, str>,
    pub(in crate::sync) resource: Resource,
}

/// The templates of all paths. The other names of the API have the same ones.
pub(in crate::sync) const TEMPLATES: [&str; 7] = [
    "/1.1/{name}/storage",
    "/1.1/{name}/info/collections",
    "/1.1/{name}/info/collection_counts",
    "/1.1/{name}/info/collection_usage",
    "/1.1/{name}/info/quota",
    "/1.1/{name}/storage/{collection}",
    "/1.1/{name}/storage/{collection}/{id}",
];

/// The resource of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sync) enum Resource {
    /// The whole store.
    Store {
        /// Whether the path ends where the name of a collection could begin.
        is_open_ended: bool,
    },
    InfoCollections,
    InfoCounts,
    InfoUsage,
    InfoQuota,
    Collection(CollectionName),
    Object(CollectionName, ObjectId),
}

/// Returns whether a path belongs to this dialect. Below `/1.0/`, paths of two segments are the tokenserver's,
/// except the storage of a user; so is the path of its webhook.
pub(in crate::sync) fn owns(path: &str) -> bool {
    if path.starts_with("/1.1/") || path.starts_with("/1/") {
        return true;
    }
    let Some(below) = path.strip_prefix("/1.0/") else {
        return false;
    };
    let below = below.trim_end_matches('/');
    match below.split_once('/') {
        None => !below.is_empty(),
        Some((_, resource)) => {
            resource == "storage" || (resource.contains('/') && below != "webhooks/fxa/events")
        }
    }
}

impl<'p> Target<'p> {
    /// Parses a path such as `/1.1/ann/storage/tabs/a`. Slashes at its end are ignored.
    pub(in crate::sync) fn parse(path: &'p str) -> Result<Self, Refusal> {
        let below = VERSIONS.iter().find_map(|version| path.strip_prefix(version));
        let below = below.ok_or(Refusal::NotFound)?;
        let bare = below.trim_end_matches('/');
        let (name, resource) = bare.split_once('/').unwrap_or((bare, ""));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(Refusal::NotFound);
        }
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        let is_open_ended = bare.len() < below.len() && resource == "storage";
        let resource = Resource::parse(resource, is_open_ended)?;
        Ok(Self { name, resource })
    }
}

impl Resource {
    /// Returns the template of the path.
    pub(in crate::sync) const fn template(&self) -> &'static str {
        let [store, collections, counts, usage, quota, collection, object] = TEMPLATES;
        match self {
            Self::Store { .. } => store,
            Self::InfoCollections => collections,
            Self::InfoCounts => counts,
            Self::InfoUsage => usage,
            Self::InfoQuota => quota,
            Self::Collection(_) => collection,
            Self::Object(..) => object,
        }
    }

    fn parse(path: &str, is_open_ended: bool) -> Result<Self, Refusal> {
        match path {
            "" | "storage" => return Ok(Self::Store { is_open_ended }),
            "info/collections" => return Ok(Self::InfoCollections),
            "info/collection_counts" => return Ok(Self::InfoCounts),
            "info/collection_usage" => return Ok(Self::InfoUsage),
            "info/quota" => return Ok(Self::InfoQuota),
            _ => {}
        }
        let names = path.strip_prefix("storage/").ok_or(Refusal::NotFound)?;
        match names.split_once('/') {
            None => collection(names).map(Self::Collection),
            Some((name, id)) => Ok(Self::Object(collection(name)?, object(id)?)),
        }
    }
}

fn collection(name: &str) -> Result<CollectionName, Refusal> {
    let name = percent::decode(name, Plus::Plus).ok_or(Refusal::NotFound)?;
    CollectionName::new(&name).map_err(|_| Refusal::NotFound)
}

/// Parses an id. A slash in it is escaped, or unescaped by a proxy or a client that escapes nothing: below an
/// object no other path exists. But there is exactly one slash between a collection and its object, and slashes at
/// the end are stripped.
fn object(id: &str) -> Result<ObjectId, Refusal> {
    if id.starts_with('/') {
        return Err(Refusal::NotFound);
    }
    let id = percent::decode(id, Plus::Plus).ok_or(Refusal::NotFound)?;
    if id.chars().any(char::is_control) {
        return Err(Refusal::NotFound);
    }
    ObjectId::new(id).map_err(|_| Refusal::Refused(ResponseCode::BadObject))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> CollectionName {
        CollectionName::new(name).unwrap()
    }

    fn resource(path: &str) -> Option<Resource> {
        let target = Target::parse(path).ok()?;
        assert_eq!(target.name, "ann");
        Some(target.resource)
    }

    #[test]
    fn every_path_of_the_protocol_is_known() {
        let store = |is_open_ended| Resource::Store { is_open_ended };
        let object = |id: &str| Resource::Object(name("c"), ObjectId::new(id).unwrap());
        for (below, meant) in [
            ("", store(false)),
            ("/", store(false)),
            ("/storage", store(false)),
            ("/storage/", store(true)),
            ("/storage//", store(true)),
            ("/info/collections", Resource::InfoCollections),
            ("/info/collections/", Resource::InfoCollections),
            ("/info/collection_counts", Resource::InfoCounts),
            ("/info/collection_usage", Resource::InfoUsage),
            ("/info/quota", Resource::InfoQuota),
            ("/storage/c", Resource::Collection(name("c"))),
            ("/storage/c/", Resource::Collection(name("c"))),
            ("/storage/storage", Resource::Collection(name("storage"))),
            ("/storage/c/a", object("a")),
            ("/storage/c/a/", object("a")),
            ("/storage/c/{A-1}", object("{A-1}")),
            ("/storage/c/%7BA-1%7d", object("{A-1}")),
            ("/storage/c/a._%3F%23~%5C-Z9", object("a._?#~\\-Z9")),
            ("/storage/c/Qk3%2FaB7x+Zr9LmWd", object("Qk3/aB7x+Zr9LmWd")),
            ("/storage/c/Qk3/aB7x%2bZr9LmWd", object("Qk3/aB7x+Zr9LmWd")),
            ("/storage/c/a//b==/", object("a//b==")),
            ("/storage/c/%2Fa%2F", object("/a/")),
            ("/storage/c/a,b;c!d", object("a,b;c!d")),
            ("/storage/c/%C3%A9", object("é")),
        ] {
            for version in ["/1.0/", "/1/", "/1.1/"] {
                let path = format!("{version}ann{below}");
                assert_eq!(resource(&path), Some(meant.clone()), "{path}");
                let spelled = format!("{version}ANN{below}");
                assert_eq!(resource(&spelled), Some(meant.clone()), "{spelled}");
            }
        }
    }

    #[test]
    fn nothing_else_is() {
        for path in [
            "/",
            "/1.1",
            "/1.1/",
            "/1.1//",
            "/1.2/ann/info/collections",
            "/1.5/42/info/collections",
            "/1.1/a%6Eb/storage",
            "/1.1/ann@example.org/storage",
            "/1.1/ännchen/storage",
            "/1.1//storage",
            "/1.1/ann/info",
            "/1.1/ann/foo",
            "/1.1/ann/info/configuration",
            "/1.1/ann/info/collections/x",
            "/1.1/ann/storage//a",
            "/1.1/ann/storage/c//a",
            "/1.1/ann/storage/c%20d",
            "/1.1/ann/storage/c%2Fd",
            "/1.1/ann/storage/c/%00",
            "/1.1/ann/storage/c/%zz",
            "/1.1/ann/storage/ccccccccccccccccccccccccccccccccc",
        ] {
            assert!(matches!(Target::parse(path), Err(Refusal::NotFound)), "{path}");
        }
        let id = "a".repeat(65);
        let refused = Target::parse(&format!("/1.1/ann/storage/c/{id}")).map(drop);
        assert!(matches!(refused, Err(Refusal::Refused(ResponseCode::BadObject))));
    }

    #[test]
    fn paths_of_the_tokenserver_are_not_ours() {
        for path in [
            "/1.0/sync/1.5",
            "/1.0/sync/1.5/",
            "/1.0/ann/info",
            "/1.0/webhooks/fxa/events",
            "/1.0/webhooks/fxa/events/",
            "/1.0/",
            "/1.0",
            "/1.5/42/storage",
            "/1.2/ann/info/collections",
            "/user/1.0/ann",
            "/",
            "",
        ] {
            assert!(!owns(path), "{path}");
        }
        for path in [
            "/1.0/ann",
            "/1.0/ann/",
            "/1.0/ann/storage",
            "/1.0/ann/storage/",
            "/1.0/sync/storage",
            "/1.0/ann/info/collections",
            "/1.0/webhooks/fxa",
            "/1.0/webhooks/fxa/events/1",
            "/1/ann/info",
            "/1.1/ann",
        ] {
            assert_eq!(owns(path), path != "/1.0/webhooks/fxa", "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "/1(.1|.0)?/ann/(storage/)?[%/a-z0-9\\PC]{0,80}") {
            let _ = Target::parse(&path);
            let _ = owns(&path);
        }
    }
}
