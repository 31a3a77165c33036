//! The secrets that lie in files beside the store. A start and a reload both load them.

use secrecy::SecretString;

use super::StartError;
use crate::config::Config;
use crate::delivery::{Names, pseudonym_key};
use crate::serve::token;
use crate::store::StoreError;

/// Gives the installation's pseudonym key to the endpoints, if any of them hides names.
pub(super) async fn load_pseudonym_key(config: &mut Config) -> Result<(), StartError> {
    if config.webhooks.iter().all(|endpoint| endpoint.names == Names::Full) {
        return Ok(());
    }
    let path = config.store.path.clone();
    let loaded = tokio::task::spawn_blocking(move || pseudonym_key::load_or_create(&path)).await;
    let key = loaded.map_err(|_| StoreError::Closed)??;
    for endpoint in &mut config.webhooks {
        endpoint.pseudonyms = Some(key.clone());
    }
    Ok(())
}

/// Returns the configured API token, or else the one in the file beside the store, which is created if it is missing.
pub(super) async fn server_token(config: &Config) -> Result<SecretString, StartError> {
    if let Some(token) = &config.server.token {
        return Ok(token.clone());
    }
    let path = config.store.path.clone();
    let loaded = tokio::task::spawn_blocking(move || token::load_or_create(&path)).await;
    loaded.map_err(|_| StoreError::Closed)?.map_err(StartError::Token)
}
