//! The lanes: each device's commands in their order, and none of them waiting for another device.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use holdfast_adapter_api::{Command, DeviceName, PendingCommand};
use tokio::{
    sync::{mpsc::Permit, oneshot},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    driver::{Lane, Shared, Stopping},
    entry::{Entry, Order, Stage},
    inbox::Step,
    outcome::{Report, Status},
};
use crate::broker::{Message, Properties, QoS};

/// How long after its deadline an adapter may take to answer for a write it has begun.
const ANSWER_GRACE: Duration = Duration::from_secs(30);
/// How long a write that is under way may hold up the gateway's end.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Runs every lane until `stop` is cancelled.
pub(super) async fn run(shared: &Arc<Shared>, stop: &CancellationToken) {
    let mut lanes = JoinSet::new();
    for device in shared.lanes.keys() {
        let (shared, device, stop) = (Arc::clone(shared), device.clone(), stop.clone());
        lanes.spawn(async move { write_lane(&shared, &device, &stop).await });
    }
    let (publishing, publishing_stop) = (Arc::clone(shared), stop.clone());
    lanes.spawn(async move { publish_lane(&publishing, &publishing_stop).await });
    stop.cancelled().await;
    // What does not end in time is dropped with the set, and its outcome is unknown.
    let _ = timeout(STOP_GRACE, async { while lanes.join_next().await.is_some() {} }).await;
}

/// The commands of one device.
async fn write_lane(shared: &Shared, device: &DeviceName, stop: &CancellationToken) {
    let Some(lane) = shared.lanes.get(device) else { return };
    while !stop.is_cancelled() {
        let first = shared.inbox().first_for(device);
        let Some(number) = first else {
            tokio::select! {
                () = lane.wake.notified() => continue,
                () = stop.cancelled() => return,
            }
        };
        if write_one(shared, lane, number, stop).await == Err(Stopping) {
            return;
        }
    }
}

/// Takes one command for a device a step further, mostly to its end.
async fn write_one(
    shared: &Shared,
    lane: &Lane,
    number: u64,
    stop: &CancellationToken,
) -> Result<(), Stopping> {
    let step = shared.inbox().step(number, shared.now());
    let report = match step {
        None => return Ok(()),
        Some(Step::Hold) => return shared.pause(stop).await,
        Some(Step::Settle(report)) => report,
        Some(Step::Carry(left)) => {
            let room = tokio::select! {
                room = timeout(left, lane.adapter.reserve()) => room,
                () = stop.cancelled() => return Err(Stopping),
            };
            match room {
                // Its time ran out while the adapter was busy: the next step settles it.
                Err(_) => return Ok(()),
                Ok(Err(_)) => {
                    let reason = Some("adapter_stopped: nothing was written");
                    Report::new(Status::Failed, reason, shared.now())
                }
                Ok(Ok(room)) => carry_out(shared, room, number, stop).await?,
            }
        }
    };
    shared.settle(number, report, stop).await
}

/// Marks a command as started, and only then hands it to its adapter.
async fn carry_out(
    shared: &Shared,
    room: Permit<'_, PendingCommand>,
    number: u64,
    stop: &CancellationToken,
) -> Result<Report, Stopping> {
    shared.persist(number, Stage::Started, stop).await?;
    let left = shared.inbox().time_left(number, shared.now());
    let entry = shared.inbox().get(number).cloned();
    let (Some(left), Some(Entry { id, order: Order::Write { device, point, value }, .. })) =
        (left, entry)
    else {
        return Ok(Report::new(Status::Expired, None, shared.now()));
    };
    let deadline = Instant::now() + left;
    let (reply, answer) = oneshot::channel();
    let command = Command { id, device, point, value, deadline: deadline.into_std() };
    room.send(PendingCommand { command, reply });
    let unknown = |reason| Report::new(Status::Unknown, Some(reason), shared.now());
    Ok(match tokio::time::timeout_at(deadline + ANSWER_GRACE, answer).await {
        Ok(Ok(outcome)) => Report::of(outcome, shared.now()),
        Ok(Err(_)) => unknown("adapter_stopped: it may have been carried out"),
        Err(_) => unknown("adapter_silent: it may have been carried out"),
    })
}

/// The commands that publish locally. A topic that nobody listens to does not hold up others.
async fn publish_lane(shared: &Shared, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let Ok(held) = publish_round(shared, stop).await else { return };
        tokio::select! {
            () = shared.publishing.notified() => {}
            () = tokio::time::sleep(shared.retry_pause), if held => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Takes each of them a step further; true if some have to be held.
async fn publish_round(shared: &Shared, stop: &CancellationToken) -> Result<bool, Stopping> {
    reject_orphans(shared, stop).await?;
    let mut held = HashSet::new();
    let publishes = shared.inbox().publishes();
    for (number, topic) in publishes {
        let step = shared.inbox().step(number, shared.now());
        match step {
            None => {}
            Some(Step::Settle(report)) => shared.settle(number, report, stop).await?,
            Some(Step::Carry(left)) if !held.contains(&topic) => {
                match publish(shared, number, left).await {
                    Some(report) => shared.settle(number, report, stop).await?,
                    None => drop(held.insert(topic)),
                }
            }
            Some(Step::Carry(_) | Step::Hold) => drop(held.insert(topic)),
        }
    }
    Ok(!held.is_empty())
}

/// Publishes a command; `None` if nobody was there to hear it.
async fn publish(shared: &Shared, number: u64, left: Duration) -> Option<Report> {
    let order = shared.inbox().get(number).map(|entry| entry.order.clone());
    let Some(Order::Publish { topic, payload, qos, retain }) = order else { return None };
    let matched = shared.door.deliver(message(topic, payload, qos, retain, left)).await;
    // Retained, it reaches whoever comes in time; published again, it would reach them twice.
    (matched > 0 || retain).then(|| {
        let reason = (matched == 0).then_some("retained: nobody was subscribed yet");
        Report::new(Status::Delivered, reason, shared.now())
    })
}

/// The message of a command. It expires with it, so that neither a session that is away nor a
/// later subscriber gets it stale. MQTT counts whole seconds: at least one.
fn message(topic: String, payload: Bytes, qos: u8, retain: bool, left: Duration) -> Message {
    let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1);
    let properties = Properties { message_expiry_interval: Some(seconds), ..Properties::default() };
    Message {
        topic: topic.into(),
        payload,
        qos: match qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        },
        retain,
        publisher: None,
        properties: Some(Arc::new(properties)),
    }
}

/// Commands that were kept for a device which the configuration no longer has.
async fn reject_orphans(shared: &Shared, stop: &CancellationToken) -> Result<(), Stopping> {
    let orphans = shared.inbox().orphans(|device| shared.lanes.contains_key(device));
    for number in orphans {
        let step = shared.inbox().step(number, shared.now());
        let report = if let Some(Step::Settle(report)) = step {
            report
        } else {
            let reason = Some("unknown_device: it is no longer configured");
            Report::new(Status::Rejected, reason, shared.now())
        };
        shared.settle(number, report, stop).await?;
    }
    Ok(())
}
