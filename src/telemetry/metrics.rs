//! Every metric there is: `holdfast_<noun>_<unit>[_total]`.

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only up, from the start of the process or of the ledger.
    Counter,
    /// Up and down.
    Gauge,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

macro_rules! metrics {
    ($($id:ident $kind:ident $name:literal $help:literal;)*) => {
        $(pub(super) const $id: Metric =
            Metric { name: $name, kind: Kind::$kind, help: $help };)*

        /// All of them.
        #[cfg(test)]
        pub(super) const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    BUILD_INFO Gauge "holdfast_build_info" "1, with the version of the gateway.";
    PROCESS_START Gauge "holdfast_process_start_time_seconds"
        "When the gateway was started, by its clock of that moment, since 1970.";

    ACCEPTED Counter "holdfast_queue_accepted_messages_total"
        "Messages synced to disk, over the ledger's lifetime.";
    DELIVERED Counter "holdfast_queue_delivered_messages_total"
        "Messages acknowledged by the cloud.";
    EXPIRED Counter "holdfast_queue_expired_messages_total"
        "Messages that became older than age_max before they could be sent.";
    EVICTED Counter "holdfast_queue_evicted_messages_total"
        "Messages dropped by the stream's on_full.";
    DAMAGED Counter "holdfast_queue_damaged_messages_total"
        "Messages lost to damage of the disk.";
    REFUSED Counter "holdfast_queue_refused_messages_total"
        "Messages that were not taken in, by reason.";
    QUEUED Gauge "holdfast_queue_queued_messages" "Messages that wait for the cloud.";
    QUEUED_BYTES Gauge "holdfast_queue_queued_bytes"
        "About what the waiting messages take on disk.";
    OLDEST_AGE Gauge "holdfast_queue_oldest_age_seconds"
        "Age of the oldest waiting message; absent where none waits or its age is unknown.";
    CONDITION Gauge "holdfast_queue_condition"
        "1 for the condition that the stream is in, 0 for the others.";
    CONDITION_AGE Gauge "holdfast_queue_condition_seconds"
        "For how long the stream has been in its condition.";
    DISK_BYTES Gauge "holdfast_queue_disk_bytes" "What the stream's segments take on disk.";
    DISK_LIMIT Gauge "holdfast_queue_disk_limit_bytes" "What they may take: bytes_max.";
    INFLOW Gauge "holdfast_queue_inflow_bytes_per_second"
        "What comes in, in bytes on disk, over the last hour or since the start.";
    GROWTH Gauge "holdfast_queue_growth_bytes_per_second"
        "By how much the backlog grows, over the same time; below 0 while it drains.";
    HOURS_LEFT Gauge "holdfast_queue_left_hours"
        "Hours until the stream reaches a limit if nothing is sent; +Inf where nothing leads to one.";
    LIMIT_REASON Gauge "holdfast_queue_limit_reason"
        "1 for the limit that is reached first, 0 for the others.";
    LIMIT_AT Gauge "holdfast_queue_limit_timestamp_seconds"
        "When that is, since 1970; absent while the clock is not trusted.";
    WRITTEN Counter "holdfast_queue_written_bytes_total"
        "Written to the device in whole pages of 4096 bytes since the start, by part.";
    WRITTEN_PER_MESSAGE Gauge "holdfast_queue_written_per_message_bytes"
        "The same, of all parts, divided by the messages committed.";
    SYNCS Counter "holdfast_queue_syncs_total" "Syncs of files and folders since the start.";
    COMMITS Counter "holdfast_queue_commits_total" "Batches written since the start.";
    COMMITTED Counter "holdfast_queue_committed_messages_total" "Messages in these batches.";

    DISK_FREE Gauge "holdfast_disk_free_bytes" "Free on the file system of the queue.";
    DISK_CAPACITY Gauge "holdfast_disk_capacity_bytes" "All of that file system.";
    FLASH_LIFE Gauge "holdfast_flash_life_years"
        "Years that the device lasts as flash at the queue's present rate of writing; +Inf at none.";

    UPLINK_STATE Gauge "holdfast_uplink_state"
        "1 for the state that the connection to the cloud is in, 0 for the others.";
    UPLINK_STATE_AGE Gauge "holdfast_uplink_state_seconds" "For how long it has been in it.";
    UPLINK_CONNECTIONS Counter "holdfast_uplink_connections_total"
        "Connections that the cloud accepted since the start.";
    UPLINK_PUBLISHED Counter "holdfast_uplink_published_messages_total"
        "Messages sent since the start, each time counted.";
    UPLINK_ACKNOWLEDGED Counter "holdfast_uplink_acknowledged_messages_total"
        "Messages acknowledged by the cloud since the start.";
    UPLINK_RESENT Counter "holdfast_uplink_resent_messages_total"
        "Messages sent again since the start: what the cloud may have twice.";
    UPLINK_SENT Counter "holdfast_uplink_sent_bytes_total"
        "Bytes of topics and payloads sent since the start.";
    UPLINK_IN_FLIGHT Gauge "holdfast_uplink_in_flight_messages"
        "Messages sent and not yet acknowledged.";
    UPLINK_RECEIVED Counter "holdfast_uplink_received_messages_total"
        "Messages that came down since the start.";
    UPLINK_UNSENDABLE Counter "holdfast_uplink_unsendable_messages_total"
        "Messages that the cloud would not take; they wait until they are too old.";
    UPLINK_SET_ASIDE Counter "holdfast_uplink_set_aside_messages_total"
        "Messages set aside because the cloud closed the connection on each attempt.";
    UPLINK_SUBSCRIPTIONS_REFUSED Gauge "holdfast_uplink_subscriptions_refused"
        "Subscriptions that the cloud refused on the present connection.";
}
