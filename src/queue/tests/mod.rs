//! The engine under a disk that misbehaves, without threads and runtime.

mod broken_imports;
mod damage;
mod encoded;
mod faults;
mod handle;
mod harness;
mod health;
mod imports;
mod io_errors;
mod looking;
mod memory;
mod model;
mod opening;
mod patient;
mod power_cuts;
mod quarantine;
mod random_damage;
mod repair;
mod reserve;
mod retention;
mod seeds;
mod small_disk;
mod torn;
mod turned_away;
mod upgrade;
