//! User names and passwords.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::config::User;

/// argon2 verifications at once: each takes a core and some 20 MB for a while, and must not take
/// them from the rest of the gateway.
const VERIFICATIONS_MAX: usize = 2;

/// A `[[user]]` that cannot be used. Permanent until the configuration is mended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UserError {
    /// The hash is not one.
    #[error(
        "user {0:?}: password_hash is not an argon2 hash in PHC form; make one with \
         `holdfast passwd`"
    )]
    Hash(String),
    /// Two of the same name.
    #[error("user {0:?} is configured twice; remove one")]
    Twice(String),
    /// A name that no device may have.
    #[error("user {0:?}: the name is empty, too long or reserved; choose another")]
    Name(String),
}

/// Why a device is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::broker) enum Denied {
    /// Permanent until user or password change.
    #[error("wrong or missing user name or password")]
    Credentials,
    /// Worth another try.
    #[error("the password could not be verified now")]
    Unavailable,
}

struct Account {
    name: Arc<str>,
    hash: Arc<str>,
}

/// The users, and what was verified of late.
pub(in crate::broker) struct Passwords {
    accounts: HashMap<String, Account>,
    /// A keyed hash of the password last verified, per user, so that a storm of reconnections
    /// does not cost an argon2 each. At most one entry per account.
    verified: Mutex<HashMap<Arc<str>, u128>>,
    keys: [RandomState; 2],
    permits: Arc<Semaphore>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("accounts", &self.accounts.len()).finish_non_exhaustive()
    }
}

impl Passwords {
    pub fn new(users: &[User]) -> Result<Self, UserError> {
        let mut accounts = HashMap::new();
        for user in users {
            if !super::is_device_name(&user.name) {
                return Err(UserError::Name(user.name.clone()));
            }
            let is_argon2 = PasswordHash::new(&user.password_hash)
                .is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2"));
            if !is_argon2 {
                return Err(UserError::Hash(user.name.clone()));
            }
            let account = Account {
                name: Arc::from(user.name.as_str()),
                hash: Arc::from(user.password_hash.as_str()),
            };
            if accounts.insert(user.name.clone(), account).is_some() {
                return Err(UserError::Twice(user.name.clone()));
            }
        }
        Ok(Self {
            accounts,
            verified: Mutex::default(),
            keys: [RandomState::new(), RandomState::new()],
            permits: Arc::new(Semaphore::new(VERIFICATIONS_MAX)),
        })
    }

    /// The user's name, if the password is right.
    pub async fn verify(
        &self,
        name: Option<&str>,
        password: Option<&[u8]>,
    ) -> Result<Arc<str>, Denied> {
        let (Some(name), Some(password)) = (name, password) else {
            return Err(Denied::Credentials);
        };
        let account = self.accounts.get(name);
        let print = self.print(password);
        if let Some(account) = account
            && self.verified().get(&account.name) == Some(&print)
        {
            return Ok(account.name.clone());
        }
        // An unknown name costs as much time as a wrong password, so that none can be guessed.
        let Some(hash) = account.or_else(|| self.accounts.values().next()) else {
            return Err(Denied::Credentials);
        };
        let right = self.argon2(hash.hash.clone(), password.to_vec()).await?;
        match account {
            Some(account) if right => {
                self.verified().insert(account.name.clone(), print);
                Ok(account.name.clone())
            }
            _ => Err(Denied::Credentials),
        }
    }

    async fn argon2(&self, hash: Arc<str>, password: Vec<u8>) -> Result<bool, Denied> {
        let permits = self.permits.clone();
        let permit = permits.acquire_owned().await.map_err(|_| Denied::Unavailable)?;
        let verification = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, also where its connection is gone by then.
            let _permit = permit;
            PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(&password, &hash).is_ok())
        });
        verification.await.map_err(|_| Denied::Unavailable)
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, u128>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, password: &[u8]) -> u128 {
        let [high, low] = &self.keys;
        u128::from(high.hash_one(password)) << 64 | u128::from(low.hash_one(password))
    }
}
