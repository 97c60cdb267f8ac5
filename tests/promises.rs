//! Every promise of the gateway, against real peers: one file per promise.

mod support;

mod support_itself;
