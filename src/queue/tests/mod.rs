//! The engine under a disk that misbehaves, without threads and runtime.

mod damage;
mod encoded;
mod faults;
mod handle;
mod harness;
mod health;
mod imports;
mod looking;
mod model;
mod repair;
mod retention;
mod upgrade;
