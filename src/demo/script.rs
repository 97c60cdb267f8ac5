//! What happens in a run, in order.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use tokio::time::{self, Instant};

use super::{
    check::{self, Account, Broken, Evidence},
    front::Line,
    operator,
    run::Options,
    screen::Screen,
    site::{METER, STATION},
    stage::{GATEWAY, SENSORS, Stage},
};

/// How long each act lasts.
const STEADY: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(8);
const DEAD: Duration = Duration::from_secs(2);
const REFUSED: Duration = Duration::from_secs(10);
const AFTERMATH: Duration = Duration::from_secs(4);
/// What was on its way through the broker when the line was cut may still be noted this long.
const SETTLE: Duration = Duration::from_millis(300);
/// How long each thing may take that has to happen.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(15);
const FINISH_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the panel is drawn and conditions are looked at.
const FRAME: Duration = Duration::from_millis(100);

/// The command that is sent down: a power limit in percent, in a register of tenths of a percent.
const COMMAND: &str = "demo-1";
const LIMIT_PERCENT: f64 = 42.0;
const LIMIT_REGISTER: u16 = 420;

/// A run that went to its end.
#[derive(Debug)]
pub struct Played {
    /// The final table.
    pub accounts: Vec<Account>,
    /// The promises that were not kept.
    pub broken: Vec<Broken>,
}

struct Outage {
    acknowledged: u64,
    arrived: u64,
    backlog: u64,
}

/// Plays the whole script.
pub async fn play(
    options: &Options,
    program: PathBuf,
    folder: &Path,
    screen: &mut Screen,
) -> anyhow::Result<Played> {
    screen
        .say("an embedded cloud, three weather sensors, two Modbus devices, and the gateway")
        .await;
    let mut stage = Stage::set_up(folder, program, options.samples_per_second).await?;
    stage.start_gateway().await?;
    stage.start_sensors();
    steady(&mut stage, screen).await?;
    let outage = outage(&mut stage, screen).await?;
    drain(&mut stage, screen).await?;
    command(&mut stage, screen).await?;
    watch(&mut stage, screen, AFTERMATH).await?;
    end(&mut stage, screen, outage).await
}

async fn steady(stage: &mut Stage, screen: &mut Screen) -> anyhow::Result<()> {
    let connected =
        await_that(stage, screen, CONNECT_TIMEOUT, |stage| stage.cloud.recorder().is_subscribed());
    if !connected.await? {
        anyhow::bail!("the gateway did not connect to the cloud within {CONNECT_TIMEOUT:?}");
    }
    screen.say("steady state: each acknowledged sample is on disk, then at the cloud").await;
    watch(stage, screen, STEADY).await
}

async fn outage(stage: &mut Stage, screen: &mut Screen) -> anyhow::Result<Outage> {
    screen.say("the uplink falls silent: connections stay up, not a byte passes").await;
    stage.set_line(Line::Silent);
    watch(stage, screen, SETTLE).await?;
    let (acknowledged, arrived) = (stage.panel().acknowledged, stage.arrived());
    watch(stage, screen, SILENCE).await?;

    let waiting = stage.panel().waiting;
    screen
        .say(&format!("kill -9 for the gateway, with {waiting} acknowledged samples queued"))
        .await;
    if let Some(gateway) = stage.gateway.take() {
        gateway.kill().await?;
    }
    stage.plant.release_port();
    stage.set_line(Line::Down);
    watch(stage, screen, DEAD).await?;

    stage.start_gateway().await?;
    screen.say("the gateway is back; the uplink is still down, the sensors resend").await;
    watch(stage, screen, REFUSED).await?;
    let panel = stage.panel();
    Ok(Outage {
        acknowledged: panel.acknowledged - acknowledged,
        arrived: stage.arrived() - arrived,
        backlog: panel.waiting,
    })
}

async fn drain(stage: &mut Stage, screen: &mut Screen) -> anyhow::Result<()> {
    let owed = stage.acknowledged();
    let backlog = stage.missing(&owed);
    screen.say(&format!("the uplink is back; {backlog} samples are owed to the cloud")).await;
    stage.set_line(Line::Open);
    let start = Instant::now();
    let drained =
        await_that(stage, screen, DRAIN_TIMEOUT, |stage| stage.missing(&owed) == 0).await?;
    let seconds = start.elapsed().as_secs_f32();
    let said = if drained {
        format!("the backlog has drained in {seconds:.1} s, reconnecting included")
    } else {
        format!("after {seconds:.0} s {} of them are still missing", stage.missing(&owed))
    };
    screen.say(&said).await;
    Ok(())
}

async fn command(stage: &mut Stage, screen: &mut Screen) -> anyhow::Result<()> {
    screen.say(&format!("a command goes down: limit the meter to {LIMIT_PERCENT} %")).await;
    let connected =
        await_that(stage, screen, CONNECT_TIMEOUT, |stage| stage.cloud.recorder().is_subscribed());
    connected.await?;
    let command = json!({
        "id": COMMAND,
        "device": METER,
        "point": "setpoint",
        "value": LIMIT_PERCENT,
        "expires_in_s": 30,
    });
    let topic = format!("{GATEWAY}/commands/demo");
    let tls = stage.operator.clone();
    operator::publish(stage.cloud.address(), tls, &topic, command.to_string().into_bytes()).await?;
    await_that(stage, screen, OUTCOME_TIMEOUT, |stage| {
        stage.cloud.recorder().outcome(COMMAND).is_some()
    })
    .await?;
    let said = match stage.cloud.recorder().outcome(COMMAND) {
        Some(outcome) => format!("its outcome at the cloud: {outcome}"),
        None => format!("no outcome came within {OUTCOME_TIMEOUT:?}"),
    };
    screen.say(&said).await;
    Ok(())
}

async fn end(stage: &mut Stage, screen: &mut Screen, outage: Outage) -> anyhow::Result<Played> {
    screen.say("the sensors stop measuring and send what they hold").await;
    stage.sensors.iter().for_each(super::sensor::Sensor::finish);
    await_that(stage, screen, FINISH_TIMEOUT, |stage| {
        stage.sensors.iter().all(super::sensor::Sensor::is_finished)
    })
    .await?;
    let acknowledged = stage.acknowledged();
    await_that(stage, screen, DRAIN_TIMEOUT, |stage| stage.missing(&acknowledged) == 0).await?;
    if let Some(gateway) = stage.gateway.take() {
        gateway.stop().await?;
    }
    screen.say("the gateway is stopped; this is its ledger, beside what the cloud has").await;

    let entries = check::parse(&stage.site.ledger().await?)?;
    let records = stage.cloud.recorder().records();
    let sources = SENSORS.map(str::to_owned).into_iter();
    let evidence = Evidence {
        accounts: check::accounts(&entries, &records, &acknowledged),
        expected_sources: sources
            .chain([STATION, METER].map(|device| format!("modbus:{device}")))
            .collect(),
        outcome: stage.cloud.recorder().outcome(COMMAND),
        commanded: LIMIT_PERCENT,
        register: (LIMIT_REGISTER, stage.plant.limit()),
        backlog: outage.backlog,
        acknowledged_in_outage: outage.acknowledged,
        arrived_in_outage: outage.arrived,
        unreadable: (records.unreadable, records.unreadable_examples),
    };
    let broken = check::findings(&evidence);
    Ok(Played { accounts: evidence.accounts, broken })
}

/// Lets time pass, drawing the panel.
async fn watch(stage: &mut Stage, screen: &mut Screen, duration: Duration) -> anyhow::Result<()> {
    await_that(stage, screen, duration, |_| false).await.map(drop)
}

/// Waits until something is so, drawing the panel; false if it was not in time.
async fn await_that(
    stage: &mut Stage,
    screen: &mut Screen,
    timeout: Duration,
    mut is_so: impl FnMut(&Stage) -> bool,
) -> anyhow::Result<bool> {
    let deadline = Instant::now() + timeout;
    loop {
        stage.expect_gateway()?;
        screen.show(stage.panel()).await;
        if is_so(stage) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        time::sleep_until((Instant::now() + FRAME).min(deadline)).await;
    }
}
