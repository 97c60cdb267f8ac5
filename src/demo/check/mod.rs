//! Whether the gateway kept its promises: what its ledger claims and what the sensors were
//! promised, held against what arrived at the cloud. Pure: evidence in, findings out.

mod account;
mod findings;
mod ledger;

#[cfg(test)]
mod tests;

pub use account::{Account, accounts};
pub use findings::{Broken, Evidence, findings};
pub use ledger::{Entry, parse};
