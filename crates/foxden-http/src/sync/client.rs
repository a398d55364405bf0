//! Requests that a server sends to a storage node, and what the answers mean.
//!
//! There is no private channel between servers: each request is signed with a token of its own, as a client signs it.

use axum::http::{Method, StatusCode};
use data_encoding::HEXLOWER;
use foxden_accounts::token::{Claims, TokenSecrets};
use foxden_model::{Clock, Rng, UserId};

use crate::wire::PublicUrl;
use crate::wire::hawk::{self, Signed};

/// How long a token is valid, in seconds.
const TOKEN_SECONDS: i64 = 300;

/// A store that no account ever has: uids are assigned from one upwards.
const UNUSED_USER: UserId = UserId(9_999_999_999);

/// Signs requests to storage nodes.
#[derive(Clone, Copy)]
pub struct NodeRequests<'a> {
    /// The secrets that the nodes share.
    pub secrets: &'a TokenSecrets,
    /// The time of tokens and signatures.
    pub clock: &'a dyn Clock,
    /// Where random bytes come from.
    pub rng: &'a dyn Rng,
}

/// A request without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRequest {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: String,
    /// The value of its `Authorization` header.
    pub authorization: String,
}

/// The result of [`NodeRequests::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// The node accepts the token and the signature.
    Accepted,
    /// The node refuses the token or the signature.
    Unauthorized,
    /// Nothing is served at that path.
    NotFound,
    /// The node turns all clients away for a while.
    Unavailable,
    /// Something else than a storage node has answered, or the node failed.
    Other,
}

impl NodeRequests<'_> {
    /// Deletes everything in the user's store.
    pub fn delete_store(&self, node: &PublicUrl, user: UserId) -> NodeRequest {
        self.sign(Method::DELETE, node, user, "")
    }

    /// Reads the collections of a user who does not exist.
    pub fn probe(&self, node: &PublicUrl) -> NodeRequest {
        self.sign(Method::GET, node, UNUSED_USER, "/info/collections")
    }

    fn sign(&self, method: Method, node: &PublicUrl, user: UserId, resource: &str) -> NodeRequest {
        let (base, now) = (node.base(), self.clock.seconds());
        let claims = Claims {
            user,
            node: &base,
            expires: now + TOKEN_SECONDS,
            // There is no account: the server itself sends the request.
            fxa_uid: "00000000000000000000000000000000",
            fxa_kid: "0000000000000-AAAAAAAAAAAAAAAAAAAAAA",
            hashed_fxa_uid: None,
            hashed_device_id: None,
            other_uids: &[],
            backoff_seconds: 0,
        };
        let token = self.secrets.mint(&claims, self.rng);
        let path = format!("{}/1.5/{user}{resource}", node.path());
        let signed = Signed {
            method: method.as_str(),
            path: ["", &path],
            host: node.host(),
            port: node.port(),
        };
        let key = token.key.as_str().as_bytes();
        let authorization = hawk::sign(&token.id, key, &signed, now, &self.nonce());
        NodeRequest {
            url: format!("{}{path}", node.origin()),
            method,
            authorization,
        }
    }

    fn nonce(&self) -> String {
        let mut bytes = [0; 6];
        self.rng.fill(&mut bytes);
        HEXLOWER.encode(&bytes)
    }
}

/// Returns whether a store is empty after [`NodeRequests::delete_store`] was answered with this status. A store that does
/// not exist is empty.
pub fn is_deleted(status: u16) -> bool {
    (200..300).contains(&status) || status == StatusCode::NOT_FOUND
}

impl ProbeAnswer {
    /// The meaning of an answer with this status.
    pub fn of(status: u16) -> Self {
        match StatusCode::from_u16(status) {
            Ok(StatusCode::OK) => Self::Accepted,
            Ok(StatusCode::UNAUTHORIZED) => Self::Unauthorized,
            Ok(StatusCode::NOT_FOUND) => Self::NotFound,
            Ok(StatusCode::SERVICE_UNAVAILABLE) => Self::Unavailable,
            _ => Self::Other,
        }
    }
}
