//! `holdfast run`

use std::sync::Arc;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, Exit, logging, terminal::tell};
use crate::{
    app::{self, AppError},
    config::{self, Loaded, Problems},
};

pub(super) fn run(args: &ConfigArgs) -> Exit {
    let loaded = match checked(args) {
        Ok(loaded) => loaded,
        Err(problems) => {
            tell(problems);
            return Exit::Config;
        }
    };
    logging::start(&loaded.config.log.level);
    for problem in config::check_files(&loaded.config) {
        tracing::error!("{problem}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start the runtime: {error}");
            return Exit::Failure;
        }
    };
    let stop = CancellationToken::new();
    let result = runtime.block_on(async {
        stop_on_signals(&stop)?;
        app::run(loaded.config, stop, reload_on_hangup()?).await
    });
    match result {
        Ok(()) => Exit::Success,
        Err(error) => {
            tracing::error!("{error}");
            error.exit()
        }
    }
}

fn checked(args: &ConfigArgs) -> Result<Loaded, Problems> {
    let loaded = args.load()?;
    let problems = config::check(&loaded.config);
    if problems.is_empty() {
        Ok(loaded)
    } else {
        Err(Problems(problems).located(&args.config.display().to_string()))
    }
}

/// SIGHUP asks to read the listeners' certificates again; the uplink's are read anew for every
/// connection anyway.
fn reload_on_hangup() -> Result<Arc<Notify>, AppError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(AppError::Signals)?;
    let reload = Arc::new(Notify::new());
    let asked = reload.clone();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            asked.notify_one();
        }
    });
    Ok(reload)
}

/// SIGTERM and SIGINT ask for a graceful stop; a second one ends the process at once.
fn stop_on_signals(stop: &CancellationToken) -> Result<(), AppError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(AppError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::Signals)?;
    let stop = stop.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                tracing::info!("stopping; a second signal stops at once");
                stop.cancel();
            } else {
                std::process::exit(i32::from(Exit::Failure as u8));
            }
        }
    });
    Ok(())
}
