//! `holdfast demo`

use clap::Args;

use super::{Exit, terminal::tell};
use crate::demo::{self, Options, Verdict};

/// Options of `holdfast demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Keep the run's folder (certificates, configuration, queue, log) even if all went well.
    #[arg(long)]
    keep: bool,

    /// Samples per second and sensor.
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = demo::DEFAULT_SAMPLES_PER_SECOND,
        value_parser = clap::value_parser!(u32).range(1..=1_000)
    )]
    rate: u32,
}

pub(super) fn demo(args: &DemoArgs) -> Exit {
    let options = Options { keep: args.keep, samples_per_second: args.rate, ..Options::default() };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(format_args!("holdfast demo: cannot start the runtime: {error}"));
            return Exit::Failure;
        }
    };
    match runtime.block_on(demo::run(options)) {
        Ok(Verdict::Kept) => Exit::Success,
        Ok(Verdict::Broken) => Exit::PromiseBroken,
        Ok(Verdict::Interrupted) => Exit::Interrupted,
        Err(error) => {
            tell(format_args!("holdfast demo: {error:#}"));
            Exit::Failure
        }
    }
}
