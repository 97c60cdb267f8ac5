//! The promises of the inbox, through the whole of it: state store, lanes, door and adapters.

mod crashes;
mod random;
mod support;
mod ways;
