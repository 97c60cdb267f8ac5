//! `[[user]]`

use serde::Deserialize;

/// A device that authenticates with user name and password.
#[derive(Clone, Deserialize)]
pub struct User {
    /// The user name.
    pub name: String,
    /// The argon2 hash of the password in PHC form, as `holdfast passwd` prints it.
    pub password_hash: String,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}
