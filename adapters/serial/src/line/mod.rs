//! What is known of a line: pure, with the time and the bytes as arguments.
//!
//! The driver in [`crate::session`] tells a [`Line`] what it heard and what time it is, and
//! does what [`Line::woke`] says. Readings gather in the line until they are taken.

mod state;
#[cfg(test)]
mod tests;
mod timing;

pub use state::Line;
pub use timing::Wish;
