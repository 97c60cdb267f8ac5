//! The broker over real sockets, with rumqttc's packets as the other end and an entrance whose
//! verdicts the tests decide.

mod doors;
mod harness;
mod isolation;
mod peer;
mod quality;
mod retained;
mod sessions;
mod strictness;
mod version5;
