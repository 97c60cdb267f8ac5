//! Tells others which addresses the gateway listens on: `listeners.json` in the data folder, a
//! JSON array in the order of the configuration.

use std::{fs, net::SocketAddr, path::Path};

use super::AppError;

const FILE: &str = "listeners.json";

/// Writes the file, all at once.
pub(super) fn write(data_dir: &Path, addresses: &[SocketAddr]) -> Result<(), AppError> {
    let text = serde_json::to_vec(addresses).expect("addresses have a JSON form");
    let (path, new) = (data_dir.join(FILE), data_dir.join(format!("{FILE}.new")));
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|source| AppError::DataDir { path, source })
}
