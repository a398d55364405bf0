//! The paths of Sync 1.5.

use foxden_model::{CollectionName, ObjectId, UserId};

use super::refusal::Refusal;
use crate::sync::reply::ResponseCode;
use crate::wire::percent::{self, Plus};

/// Maximum number of digits of a uid.
const UID_DIGITS: usize = 10;

/// A parsed path below `/1.5/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sync) struct Target {
    /// The store in the path. Whether the caller may open it is checked later.
    pub(in crate::sync) user: UserId,
    pub(in crate::sync) resource: Resource,
}

/// The templates of all paths.
pub(in crate::sync) const TEMPLATES: [&str; 8] = [
    "/1.5/{uid}/storage",
    "/1.5/{uid}/info/collections",
    "/1.5/{uid}/info/collection_counts",
    "/1.5/{uid}/info/collection_usage",
    "/1.5/{uid}/info/quota",
    "/1.5/{uid}/info/configuration",
    "/1.5/{uid}/storage/{collection}",
    "/1.5/{uid}/storage/{collection}/{id}",
];

/// The resource of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sync) enum Resource {
    /// The whole store.
    Store,
    InfoCollections {
        /// Whether the path is spelled exactly so; one with a slash at the end does not get the special case for
        /// expired tokens.
        is_exact: bool,
    },
    InfoCounts,
    InfoUsage,
    InfoQuota,
    InfoConfiguration,
    Collection(CollectionName),
    Object(CollectionName, ObjectId),
}

impl Target {
    /// Parses a path such as `/1.5/42/storage/tabs/a` or `/storage/1.5/42/info/quota`.
    pub(in crate::sync) fn parse(path: &str) -> Result<Self, Refusal> {
        let below = path.strip_prefix("/storage").unwrap_or(path);
        let below = below.strip_prefix("/1.5/").ok_or(Refusal::NotFound)?;
        let (uid, resource) = below.split_once('/').unwrap_or((below, ""));
        Ok(Self {
            user: user(uid).ok_or(Refusal::NotFound)?,
            resource: Resource::parse(resource)?,
        })
    }
}

impl Resource {
    /// Returns the template of the path.
    pub(in crate::sync) const fn template(&self) -> &'static str {
        let [
            store,
            collections,
            counts,
            usage,
            quota,
            configuration,
            collection,
            object,
        ] = TEMPLATES;
        match self {
            Self::Store => store,
            Self::InfoCollections { .. } => collections,
            Self::InfoCounts => counts,
            Self::InfoUsage => usage,
            Self::InfoQuota => quota,
            Self::InfoConfiguration => configuration,
            Self::Collection(_) => collection,
            Self::Object(..) => object,
        }
    }

    fn parse(path: &str) -> Result<Self, Refusal> {
        let bare = match path.strip_suffix('/') {
            Some("") => return Err(Refusal::NotFound),
            Some(bare) => bare,
            None => path,
        };
        match bare {
            "" | "storage" => return Ok(Self::Store),
            "info/collections" => {
                let is_exact = bare.len() == path.len();
                return Ok(Self::InfoCollections { is_exact });
            }
            "info/collection_counts" => return Ok(Self::InfoCounts),
            "info/collection_usage" => return Ok(Self::InfoUsage),
            "info/quota" => return Ok(Self::InfoQuota),
            "info/configuration" => return Ok(Self::InfoConfiguration),
            _ => {}
        }
        let names = path.strip_prefix("storage/").ok_or(Refusal::NotFound)?;
        match names.split_once('/') {
            None | Some((_, "")) => collection(names.trim_end_matches('/')).map(Self::Collection),
            Some((name, id)) => Ok(Self::Object(collection(name)?, object(id)?)),
        }
    }
}

fn user(uid: &str) -> Option<UserId> {
    let is_uid = (1..=UID_DIGITS).contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_digit());
    is_uid.then(|| uid.parse().ok().map(UserId)).flatten()
}

fn collection(name: &str) -> Result<CollectionName, Refusal> {
    let name = percent::decode(name, Plus::Plus).ok_or(Refusal::NotFound)?;
    CollectionName::new(&name).map_err(|_| Refusal::NotFound)
}

fn object(id: &str) -> Result<ObjectId, Refusal> {
    if id.contains('/') {
        return Err(Refusal::NotFound);
    }
    let id = percent::decode(id, Plus::Plus).ok_or(Refusal::NotFound)?;
    if !is_printable(&id) {
        return Err(Refusal::NotFound);
    }
    ObjectId::new(id).map_err(|_| Refusal::BadRequest(ResponseCode::BadObject))
}

/// Returns whether a text has only characters that a 1.5 id may have.
pub(super) fn is_printable(id: &str) -> bool {
    id.bytes().all(|b| (b' '..=b'~').contains(&b))
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
        assert_eq!(target.user, UserId(42));
        Some(target.resource)
    }

    #[test]
    fn every_path_of_the_protocol_is_known() {
        let exact = Resource::InfoCollections { is_exact: true };
        let object = |id: &str| Resource::Object(name("c"), ObjectId::new(id).unwrap());
        for (path, meant) in [
            ("/1.5/42", Resource::Store),
            ("/1.5/42/", Resource::Store),
            ("/1.5/42/storage", Resource::Store),
            ("/1.5/42/storage/", Resource::Store),
            ("/storage/1.5/42/storage", Resource::Store),
            ("/1.5/42/info/collections", exact.clone()),
            ("/storage/1.5/42/info/collections", exact),
            (
                "/1.5/42/info/collections/",
                Resource::InfoCollections { is_exact: false },
            ),
            ("/1.5/42/info/collection_counts", Resource::InfoCounts),
            ("/1.5/42/info/collection_usage/", Resource::InfoUsage),
            ("/1.5/42/info/quota", Resource::InfoQuota),
            ("/1.5/42/info/configuration", Resource::InfoConfiguration),
            ("/1.5/42/storage/c", Resource::Collection(name("c"))),
            ("/1.5/42/storage/c/", Resource::Collection(name("c"))),
            ("/1.5/42/storage/storage", Resource::Collection(name("storage"))),
            ("/1.5/42/storage/c/a", object("a")),
            ("/1.5/42/storage/c/%22%20{x}", object("\" {x}")),
            ("/1.5/42/storage/c/a%2Fb", object("a/b")),
        ] {
            assert_eq!(resource(path), Some(meant), "{path}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for path in [
            "/",
            "/1.5",
            "/1.5/",
            "/1.5/x",
            "/1.5/12345678901",
            "/1.5/-1/storage",
            "/1.1/42/storage",
            "/1.5/42/info",
            "/1.5/42/info/foo",
            "/1.5/42//",
            "/1.5/42/storage//",
            "/1.5/42/storage//a",
            "/1.5/42/storage/c/a/",
            "/1.5/42/storage/c/a/b",
            "/1.5/42/storage/c%20d",
            "/1.5/42/storage/c/%0A",
            "/1.5/42/storage/c/%C3%A9",
            "/1.5/42/storage/c/%zz",
        ] {
            assert!(matches!(Target::parse(path), Err(Refusal::NotFound)), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "(/storage)?/1.5/42/(storage/)?[%/a-z0-9\\PC]{0,80}") {
            let _ = Target::parse(&path);
        }
    }
}
