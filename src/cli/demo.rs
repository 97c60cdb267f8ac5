//! `holdfast demo`

use clap::Args;

use super::Exit;
use crate::demo::{self, Options, Verdict};

/// Options of `holdfast demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Keep the run's folder (certificates, configuration, queue, log) even if all went well.
    #[arg(long)]
    keep: bool,
}

pub(super) fn demo(args: &DemoArgs) -> Exit {
    let options = Options { keep: args.keep, ..Options::default() };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("holdfast demo: cannot start the runtime: {error}");
            return Exit::Failure;
        }
    };
    match runtime.block_on(demo::run(options)) {
        Ok(Verdict::Kept) => Exit::Success,
        Ok(Verdict::Broken) => Exit::PromiseBroken,
        Ok(Verdict::Interrupted) => Exit::Interrupted,
        Err(error) => {
            eprintln!("holdfast demo: {error:#}");
            Exit::Failure
        }
    }
}
