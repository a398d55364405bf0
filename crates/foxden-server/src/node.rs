//! Speaks to a storage node as a client does: there is no private channel between servers.

use std::path::Path;
use std::time::Duration;

use foxden_accounts::Unavailable;
use foxden_http::sync::client::{NodeRequests, is_deleted};
use foxden_http::wire::{BadUrl, PublicUrl};
use foxden_model::UserId;
use foxden_storage::StorageError;
use tokio::task::JoinError;

use crate::http_client::{CertificateError, HttpClient};

/// How long the node may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends requests to storage nodes.
#[derive(Clone, Copy)]
pub struct NodeClient<'a> {
    /// Signs the requests.
    pub requests: NodeRequests<'a>,
    /// A file with certificates that are trusted besides the usual ones.
    pub ca_file: Option<&'a Path>,
}

/// Why a store was not emptied.
#[derive(Debug, thiserror::Error)]
pub enum EmptyStoreError {
    /// The storage of this process failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The register does not say where the store is.
    #[error(transparent)]
    Register(#[from] Unavailable),
    /// The register names a node by an address that is none.
    #[error(transparent)]
    BadNode(#[from] BadUrl),
    /// The certificates for other nodes cannot be read.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The node does not answer.
    #[error("cannot reach {url}")]
    Unreachable {
        /// The URL of the store.
        url: String,
        /// The error of the connection.
        source: ureq::Error,
    },
    /// The node has not deleted the store.
    #[error("the node {node} answered {status}")]
    NotDeleted {
        /// The address of the node.
        node: String,
        /// The status of its answer.
        status: u16,
    },
    /// The request was not finished.
    #[error(transparent)]
    NotFinished(#[from] JoinError),
}

impl NodeClient<'_> {
    /// Empties a user's store on that node.
    pub async fn empty_store(self, node: &PublicUrl, user: UserId) -> Result<(), EmptyStoreError> {
        let request = self.requests.delete_store(node, user);
        let ca = self.ca_file.map(Path::to_owned);
        let send = move || {
            let answer = HttpClient::new(TIMEOUT, ca.as_deref())?.send_to_node(&request);
            let answer = answer.map_err(|source| EmptyStoreError::Unreachable {
                url: request.url,
                source,
            })?;
            Ok::<_, EmptyStoreError>(answer.status().as_u16())
        };
        let status = tokio::task::spawn_blocking(send).await??;
        if !is_deleted(status) {
            let node = node.base();
            return Err(EmptyStoreError::NotDeleted { node, status });
        }
        Ok(())
    }
}
