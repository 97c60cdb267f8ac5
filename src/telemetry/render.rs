//! A snapshot as a page of metrics.

use crate::{
    queue::{Condition, DiskHealth, LimitReason, Refusal, StreamHealth, Wear},
    uplink::{State, Status},
};

use super::{
    metrics::{self as m, Metric},
    page::{Page, Value},
    snapshot::Snapshot,
};

/// All metrics of one moment.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    page.family(&m::BUILD_INFO).series(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family(&m::PROCESS_START).series(&[], snapshot.started.as_secs_f64());
    let streams = Streams(&snapshot.queue.streams);
    streams.ledger(&mut page);
    streams.backlog(&mut page);
    streams.forecast(&mut page);
    streams.wear(&mut page);
    if let Some(disk) = &snapshot.queue.disk {
        self::disk(disk, &mut page);
    }
    if let Some(uplink) = &snapshot.uplink {
        self::uplink(uplink, snapshot, &mut page);
    }
    page.finish()
}

struct Streams<'a>(&'a [StreamHealth]);

impl Streams<'_> {
    /// One series per stream that has a value.
    fn each<V: Into<Value>>(
        &self,
        page: &mut Page,
        metric: &Metric,
        value: impl Fn(&StreamHealth) -> Option<V>,
    ) {
        let mut family = page.family(metric);
        for stream in self.0 {
            if let Some(value) = value(stream) {
                family.series(&[("stream", &stream.stream)], value);
            }
        }
    }

    fn ledger(&self, page: &mut Page) {
        self.each(page, &m::ACCEPTED, |stream| Some(stream.totals.accepted));
        self.each(page, &m::DELIVERED, |stream| Some(stream.totals.delivered));
        self.each(page, &m::EXPIRED, |stream| Some(stream.totals.expired));
        self.each(page, &m::EVICTED, |stream| Some(stream.totals.evicted));
        self.each(page, &m::DAMAGED, |stream| Some(stream.totals.damaged));
        self.each(page, &m::QUEUED, |stream| Some(stream.totals.queued));
        let mut family = page.family(&m::REFUSED);
        for stream in self.0 {
            for reason in Refusal::ALL {
                let labels = [("stream", stream.stream.as_str()), ("reason", reason.name())];
                let count = stream.totals.refused.get(&reason).copied().unwrap_or(0);
                family.series(&labels, count);
            }
        }
    }

    fn backlog(&self, page: &mut Page) {
        self.each(page, &m::QUEUED_BYTES, |stream| Some(stream.queued_bytes));
        self.each(page, &m::OLDEST_AGE, |stream| stream.oldest_age_millis.map(seconds));
        self.one_of(page, &m::CONDITION, "condition", &Condition::NAMES, |stream| {
            Some(stream.condition.name())
        });
        self.each(page, &m::CONDITION_AGE, |stream| Some(seconds(stream.condition_millis)));
        self.each(page, &m::DISK_BYTES, |stream| Some(stream.disk_bytes));
        self.each(page, &m::DISK_LIMIT, |stream| Some(stream.disk_bytes_max));
    }

    fn forecast(&self, page: &mut Page) {
        self.each(page, &m::INFLOW, |stream| Some(stream.rates?.accepted_bytes_per_second));
        self.each(page, &m::GROWTH, |stream| Some(stream.rates?.net_bytes_per_second));
        self.each(page, &m::HOURS_LEFT, |stream| {
            Some(stream.forecast.map_or(f64::INFINITY, |forecast| forecast.hours_left))
        });
        self.one_of(page, &m::LIMIT_REASON, "reason", &LimitReason::NAMES, |stream| {
            Some(stream.forecast?.limit_reason.name())
        });
        self.each(page, &m::LIMIT_AT, |stream| {
            Some(stream.forecast?.limit_at_wall_millis? as f64 / 1e3)
        });
    }

    fn wear(&self, page: &mut Page) {
        let mut family = page.family(&m::WRITTEN);
        for StreamHealth { stream, wear, .. } in self.0 {
            let Wear { frame_bytes, header_bytes, cursor_bytes, other_bytes, .. } = *wear;
            let parts = [
                ("frames", frame_bytes),
                ("headers", header_bytes),
                ("cursor", cursor_bytes),
                ("other", other_bytes),
            ];
            for (part, bytes) in parts {
                family.series(&[("stream", stream), ("part", part)], bytes);
            }
        }
        self.each(page, &m::WRITTEN_PER_MESSAGE, |stream| stream.wear.bytes_per_record());
        self.each(page, &m::SYNCS, |stream| Some(stream.wear.syncs));
        self.each(page, &m::COMMITS, |stream| Some(stream.wear.commits));
        self.each(page, &m::COMMITTED, |stream| Some(stream.wear.committed));
    }

    fn one_of(
        &self,
        page: &mut Page,
        metric: &Metric,
        label: &str,
        names: &[&str],
        is: impl Fn(&StreamHealth) -> Option<&'static str>,
    ) {
        let mut family = page.family(metric);
        for stream in self.0 {
            // No name is empty: where none is, all are 0.
            let is = is(stream).unwrap_or_default();
            family.one_of(&[("stream", &stream.stream)], label, names, is);
        }
    }
}

fn disk(disk: &DiskHealth, page: &mut Page) {
    page.family(&m::DISK_FREE).series(&[], disk.free_bytes);
    page.family(&m::DISK_CAPACITY).series(&[], disk.capacity_bytes);
    page.family(&m::FLASH_LIFE).series(&[], disk.flash_life_years.unwrap_or(f64::INFINITY));
}

fn uplink(status: &Status, snapshot: &Snapshot, page: &mut Page) {
    page.family(&m::UPLINK_STATE).one_of(&[], "state", &State::NAMES, status.state.name());
    let age = snapshot.now.saturating_duration_since(status.since);
    page.family(&m::UPLINK_STATE_AGE).series(&[], age.as_secs_f64());
    let counts = [
        (&m::UPLINK_CONNECTIONS, status.connections),
        (&m::UPLINK_PUBLISHED, status.published),
        (&m::UPLINK_ACKNOWLEDGED, status.acknowledged),
        (&m::UPLINK_RESENT, status.resent),
        (&m::UPLINK_SENT, status.bytes),
        (&m::UPLINK_IN_FLIGHT, status.in_flight as u64),
        (&m::UPLINK_RECEIVED, status.received),
        (&m::UPLINK_UNSENDABLE, status.unsendable),
        (&m::UPLINK_SET_ASIDE, status.set_aside),
        (&m::UPLINK_SUBSCRIPTIONS_REFUSED, status.subscriptions_refused),
    ];
    for (metric, count) in counts {
        page.family(metric).series(&[], count);
    }
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1e3
}
