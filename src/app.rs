//! The composition root: builds every part, joins them, runs them, and takes them down in order.

mod adapters;
mod error;
mod health;
mod listeners;
mod supervisor;

use std::{fs, sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{Broker, Switchboard},
    clock::SystemClock,
    command::Commands,
    config::{Config, Stream, stream::EVENTS},
    ingest::{Door, Ingest, Route, Routes},
    queue::{self, Queue},
    state::{self, State},
    telemetry,
    uplink::{self, Outbound, Uplink, profile::Profile, topic::Template},
};
use adapters::Adapters;
pub use error::AppError;
use health::{Health, notify};

/// How long each part gets to finish what is under way when the gateway stops.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// Runs the gateway until `stop` is cancelled, and then takes it down without losing anything.
/// Each notice on `reload` makes it read the listeners' certificates again.
pub async fn run(
    config: Config,
    stop: CancellationToken,
    reload: Arc<Notify>,
) -> Result<(), AppError> {
    let gateway = Gateway::start(&config).await?;
    notify(&[NotifyState::Ready]);
    tracing::info!("{} is ready", config.gateway.id);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = reload.notified() => gateway.reload(),
        }
    }
    notify(&[NotifyState::Stopping]);
    gateway.stop().await;
    Ok(())
}

/// The running parts. What brings messages stops first, what takes them away next, the disk last.
struct Gateway {
    broker: Arc<Broker>,
    queue: Queue,
    state: State,
    /// Stops the doors: devices and adapters.
    doors: CancellationToken,
    /// Stops commands and the uplink.
    links: CancellationToken,
    door_tasks: JoinSet<()>,
    link_tasks: JoinSet<()>,
}

impl Gateway {
    async fn start(config: &Config) -> Result<Self, AppError> {
        let clock = Arc::new(SystemClock::new());
        let (queue, state) = open_stores(config, &clock).await?;
        let switchboard = Arc::new(Switchboard::new(&config.limits));
        let ingest =
            Ingest::new(routes(config, &queue)?, queue.clone(), switchboard.clone(), clock.clone());
        let door: Arc<dyn Door> = Arc::new(ingest);
        let (doors, links) = (CancellationToken::new(), CancellationToken::new());
        let (mut door_tasks, mut link_tasks) = (JoinSet::new(), JoinSet::new());

        let adapters = Adapters::build(config)?;
        let commands = Commands::new(
            &config.commands,
            &config.gateway.id,
            &state,
            door.clone(),
            adapters.commands.clone(),
            clock.clone(),
        );
        let uplink = start_uplink(config, &queue, &commands, &links, &mut link_tasks)?;
        start_commands(commands, &links, &mut link_tasks);
        let broker = Broker::start(
            &config.listener,
            &config.user,
            &config.limits,
            door.clone(),
            switchboard,
            doors.clone(),
        )
        .await?;
        let broker = Arc::new(broker);
        listeners::write(&config.gateway.data_dir, &broker.addresses())?;
        adapters.start(&door, &clock, &doors, &mut door_tasks);
        let (heartbeat, status) = uplink.unzip();
        if let Some(bind) = config.telemetry.metrics_bind {
            let sources = telemetry::Sources::new(queue.clone(), status);
            link_tasks.spawn(telemetry::serve(bind, sources, links.clone()));
        }
        let health = Health::new(broker.clone(), queue.clone(), heartbeat);
        link_tasks.spawn(health.watch(links.clone()));
        Ok(Self { broker, queue, state, doors, links, door_tasks, link_tasks })
    }

    fn reload(&self) {
        match self.broker.reload_tls() {
            Ok(()) => tracing::info!("the listeners' certificates were read again"),
            Err(error) => tracing::error!("{error}; what was in force stays in force"),
        }
    }

    async fn stop(mut self) {
        self.doors.cancel();
        if !self.broker.drained(DRAIN_DEADLINE).await {
            tracing::warn!(
                "some devices were still at it and were cut off; what was not acknowledged they send again"
            );
        }
        finish(&mut self.door_tasks, "adapters").await;
        self.links.cancel();
        finish(&mut self.link_tasks, "the uplink and commands").await;
        self.state.close().await;
        self.queue.close().await;
        tracing::info!("stopped");
    }
}

async fn open_stores(
    config: &Config,
    clock: &Arc<SystemClock>,
) -> Result<(Queue, State), AppError> {
    let data_dir = config.gateway.data_dir.clone();
    fs::create_dir_all(&data_dir)
        .map_err(|source| AppError::DataDir { path: data_dir.clone(), source })?;
    let streams = config.streams().iter().map(Stream::queue_options).collect();
    let commit_interval = config.queue.commit_interval;
    let options = queue::Options { streams, commit_interval };
    let keys = config.queue.keys().map_err(|problem| AppError::Config(problem.to_string()))?;
    let environment = queue::Environment { keys, ..queue::Environment::new(clock.clone()) };
    let queue_dir = config.queue_dir();
    let opened = tokio::task::spawn_blocking(move || {
        let (queue, recovery) = Queue::open(&queue_dir, options, &environment)?;
        let (state, report) = State::open(&data_dir, state::Options::default());
        Ok::<_, queue::OpenError>((queue, recovery, state, report))
    });
    let (queue, recovery, state, report) =
        opened.await.expect("opening the stores does not panic")?;
    for line in recovery.lines() {
        tracing::warn!("queue: {line}");
    }
    for line in report.lines() {
        tracing::warn!("state: {line}");
    }
    Ok((queue, state))
}

/// The configured routes, after the one that brings outcomes of commands to the cloud.
fn routes(config: &Config, queue: &Queue) -> Result<Routes, AppError> {
    let outcome = config.commands.outcome.replace("{gateway}", &config.gateway.id);
    let mut wanted = vec![(outcome, EVENTS.to_owned(), "{topic}".to_owned())];
    wanted.extend(config.route.iter().map(|r| (r.from.clone(), r.stream.clone(), r.to.clone())));
    let route = |(from, stream_name, to): (String, String, String)| {
        let stream = queue.stream(&stream_name).ok_or_else(|| {
            AppError::Config(format!("route {from:?}: there is no stream {stream_name:?}"))
        })?;
        let to = Template::topic(&to)
            .map_err(|error| AppError::Config(format!("route {from:?}: {error}")))?;
        let encoding = config.stream(&stream_name).encoding;
        Ok(Route { from, stream: stream.id(), stream_name, encoding, to })
    };
    let routes = wanted.into_iter().map(route).collect::<Result<Vec<_>, AppError>>()?;
    let profile = config.uplink.as_ref().map(|uplink| uplink.profile).unwrap_or_default();
    Ok(Routes::new(config.gateway.id.clone(), routes, Profile::of(profile).limits))
}

/// The uplink's signs of life.
type UplinkSigns = (health::Heartbeat, watch::Receiver<uplink::Status>);

fn start_uplink(
    config: &Config,
    queue: &Queue,
    commands: &Commands,
    links: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Result<Option<UplinkSigns>, AppError> {
    let Some(uplink) = &config.uplink else { return Ok(None) };
    let sink = Arc::new(commands.clone());
    let outbound = queue.streams().into_iter();
    let outbound = outbound.map(|stream| Outbound::new(&config.stream(stream.name()), stream));
    let mut uplink =
        Uplink::new(uplink, &config.gateway.id, &config.commands, outbound.collect(), sink)?;
    let signs = (uplink.heartbeat(), uplink.status());
    let stop = links.clone();
    tasks.spawn(async move { uplink.run(stop).await });
    Ok(Some(signs))
}

fn start_commands(commands: Commands, links: &CancellationToken, tasks: &mut JoinSet<()>) {
    let stop = links.clone();
    tasks.spawn(async move { commands.run(stop).await });
}

/// Waits for tasks that were told to stop, and ends those that do not.
async fn finish(tasks: &mut JoinSet<()>, what: &str) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_DEADLINE, all).await.is_err() {
        tracing::warn!("{what} did not stop in {} s", DRAIN_DEADLINE.as_secs());
        tasks.shutdown().await;
    }
}
