//! `holdfast demo`

use clap::Args;

use super::Exit;

/// Options of `holdfast demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {}

pub(super) fn demo(_args: &DemoArgs) -> Exit {
    Exit::Failure
}
