//! The store's thread: the only one that calls sled. It gathers the writes that wait into one
//! commit, exports after changes, and opens the store again after a failure.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    engine::{Changes, Engine, Problem},
    files::Files,
    opening,
    recovery::{Recovery, RecoveryOutcome},
    rows::Entries,
    store::{Options, StateError},
};

/// Writes that share a commit at most.
const GROUP_WRITES_MAX: usize = 128;
/// After a failure the store is opened again no sooner than this.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);
/// How often an idle thread looks around.
const IDLE: Duration = Duration::from_hours(1);

type Reply<T> = oneshot::Sender<Result<T, StateError>>;

#[derive(Debug)]
pub(super) enum Request {
    Epoch { reply: Reply<u64> },
    Get { prefix: Vec<u8>, reply: Reply<Option<Vec<u8>>> },
    Scan { table: &'static str, after: Option<Vec<u8>>, entries_max: usize, reply: Reply<Entries> },
    Write { changes: Vec<(Vec<u8>, Option<Vec<u8>>)>, reply: Reply<()> },
    Close { reply: Reply<()> },
}

/// A request, and the place in the queue that it gives back when it is done.
type Queued = (Request, OwnedSemaphorePermit);

/// Opens the store and starts its thread.
pub(super) fn start(files: Files, options: Options, inbox: Receiver<Queued>) -> Recovery {
    let (engine, recovery) = opening::open(&files, &options);
    let now = Instant::now();
    let worker = Worker {
        files,
        options,
        engine,
        sync_failed: false,
        stranded: None,
        failure: recovery.to_string(),
        reopen_at: now + REOPEN_PAUSE,
        export_at: None,
    };
    let thread = thread::Builder::new().name("holdfast-state".into());
    match thread.spawn(move || worker.run(&inbox)) {
        Ok(_) => recovery,
        // The inbox went down with the closure: every request will find the store closed.
        Err(error) => Recovery::new(RecoveryOutcome::Unavailable)
            .say(format!("its thread could not be started: {error}")),
    }
}

struct Worker {
    files: Files,
    options: Options,
    engine: Option<Engine>,
    /// What is on disk may differ from what the kernel shows: it has to be written anew.
    sync_failed: bool,
    /// The engine whose sync failed, until its content is written anew.
    stranded: Option<Engine>,
    failure: String,
    reopen_at: Instant,
    export_at: Option<Instant>,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Queued>) {
        let mut next: Option<Queued> = None;
        let closing = loop {
            let queued = match next.take() {
                Some(queued) => Ok(queued),
                None => inbox.recv_timeout(self.until_export()),
            };
            match queued {
                Ok((Request::Write { changes, reply }, permit)) => {
                    next = self.write_group(inbox, changes, (reply, permit));
                }
                Ok((Request::Close { reply }, _)) => break Some(reply),
                Ok((request, permit)) => {
                    self.read(request);
                    drop(permit);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break None,
            }
            if self.export_at.is_some_and(|at| at <= Instant::now()) {
                self.export();
            }
        };
        if self.sync_failed {
            self.reopen();
        }
        self.export();
        if let Some(engine) = self.engine.take().or(self.stranded.take()) {
            opening::dispose(engine);
        }
        if let Some(reply) = closing {
            // Whoever closed it has gone away; it is closed all the same.
            let _ = reply.send(Ok(()));
        }
    }

    fn until_export(&self) -> Duration {
        self.export_at.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()))
    }

    fn read(&mut self, request: Request) {
        // A reply that nobody waits for any more may be dropped.
        // A reader that gave up waiting needs no answer.
        match request {
            Request::Epoch { reply } => {
                let _ = reply.send(self.call(|engine| Ok(engine.meta().epoch)));
            }
            Request::Get { prefix, reply } => {
                let _ = reply.send(self.call(|engine| engine.get(&prefix)));
            }
            Request::Scan { table, after, entries_max, reply } => {
                let after = after.as_deref();
                let _ = reply.send(self.call(|engine| engine.scan(table, after, entries_max)));
            }
            Request::Write { .. } | Request::Close { .. } => {
                unreachable!("writes and the end are dealt with by `run`")
            }
        }
    }

    /// Commits this write with those that wait behind it; the first request that is no write
    /// comes back, to be dealt with after the commit.
    fn write_group(
        &mut self,
        inbox: &Receiver<Queued>,
        changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        first: (Reply<()>, OwnedSemaphorePermit),
    ) -> Option<Queued> {
        let mut group: Changes = changes.into_iter().collect();
        let mut replies = vec![first];
        let mut next = None;
        while replies.len() < GROUP_WRITES_MAX {
            match inbox.try_recv() {
                Ok((Request::Write { changes, reply }, permit)) => {
                    group.extend(changes);
                    replies.push((reply, permit));
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let outcome = self.call(|engine| engine.commit(&group));
        if outcome.is_ok() && self.export_at.is_none() {
            self.export_at = Some(Instant::now() + self.options.export_interval);
        }
        for (reply, _permit) in replies {
            // The write is done, or not, whether or not its caller still waits.
            let _ = reply.send(outcome.clone());
        }
        next
    }

    /// Calls sled. Any failure gives the store up; the next request opens it again.
    fn call<T>(
        &mut self,
        request: impl FnOnce(&mut Engine) -> Result<T, Problem>,
    ) -> Result<T, StateError> {
        if self.engine.is_none() && self.reopen_at <= Instant::now() {
            self.reopen();
        }
        let Some(engine) = self.engine.as_mut() else {
            return Err(StateError::Storage(self.failure.clone()));
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| request(engine)))
            .unwrap_or_else(|panic| Err(Problem::Panicked(opening::panic_text(&*panic))));
        outcome.map_err(|problem| self.give_up(&problem))
    }

    fn give_up(&mut self, problem: &Problem) -> StateError {
        self.failure = problem.to_string();
        self.sync_failed |= matches!(problem, Problem::Io(_) | Problem::Sled(sled::Error::Io(_)));
        tracing::error!(
            folder = %self.files.store().display(),
            "the state store failed and will be opened again: {problem}"
        );
        match self.engine.take() {
            Some(engine) if self.sync_failed => self.stranded = Some(engine),
            Some(engine) => opening::dispose(engine),
            None => {}
        }
        self.reopen_at = Instant::now() + REOPEN_PAUSE;
        StateError::Storage(self.failure.clone())
    }

    fn reopen(&mut self) {
        let (engine, recovery) = if self.sync_failed {
            opening::rewrite(&self.files, &self.options, &mut self.stranded)
        } else {
            opening::open(&self.files, &self.options)
        };
        self.sync_failed &= engine.is_none();
        self.engine = engine;
        self.reopen_at = Instant::now() + REOPEN_PAUSE;
        self.failure = recovery.to_string();
        if self.engine.is_some() {
            tracing::warn!("the state store is open again: {recovery}");
        }
    }

    fn export(&mut self) {
        let due = self.export_at.take().is_some();
        let Some(engine) = self.engine.as_ref().filter(|_| due) else { return };
        let files = &self.files;
        let outcome = catch_unwind(AssertUnwindSafe(|| engine.export(files)))
            .unwrap_or_else(|panic| Err(Problem::Panicked(opening::panic_text(&*panic))));
        if let Err(problem) = outcome {
            self.export_at = Some(Instant::now() + self.options.export_interval);
            tracing::error!(
                file = %self.files.export().display(),
                "the state store could not be exported, which is tried again: {problem}"
            );
        }
    }
}
