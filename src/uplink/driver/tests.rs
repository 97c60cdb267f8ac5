mod commands;
mod delivery;
mod failures;
mod peer;
