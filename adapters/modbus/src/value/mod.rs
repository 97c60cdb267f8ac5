//! What registers mean: types, byte orders, scaling, sentinels, names.

mod codec;
mod decode;
mod encode;
mod half;
mod kind;
mod linear;
mod order;
#[cfg(test)]
mod tests;

pub use kind::Kind;
pub use order::ByteOrder;

pub(crate) use codec::Codec;
pub(crate) use encode::Write;
pub(crate) use linear::Linear;
