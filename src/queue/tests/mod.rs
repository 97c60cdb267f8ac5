//! The engine under a disk that misbehaves, without threads and runtime.

mod damage;
mod encoded;
mod faults;
mod handle;
mod harness;
mod model;
mod retention;
mod upgrade;
