//! What can happen to an answer on its way.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// What happens to one answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It arrives as it was sent.
    None,
    /// It arrives later than it should.
    Late(Duration),
    /// One of its bits is flipped; this byte of it, counted from its end if negative.
    Flipped(isize),
    /// It never arrives.
    Dropped,
    /// Only so many bytes of it arrive.
    Short(usize),
    /// These bytes arrive before it.
    Prefixed(Vec<u8>),
    /// It comes from another unit, with a right checksum.
    FromUnit(u8),
    /// It arrives in single bytes.
    Dribbled,
}

type Decide = dyn FnMut(u8, &[u8]) -> Fault + Send;

/// Decides, by unit and request, what happens to the answer.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<Box<Decide>>>);

impl Faults {
    /// No faults.
    pub fn none() -> Self {
        Self::by(|_, _| Fault::None)
    }

    /// Faults by unit and whole request.
    pub fn by(decide: impl FnMut(u8, &[u8]) -> Fault + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(decide))))
    }

    /// Other faults from now on.
    pub fn set(&self, decide: impl FnMut(u8, &[u8]) -> Fault + Send + 'static) {
        *self.0.lock().unwrap() = Box::new(decide);
    }

    pub fn decide(&self, request: &[u8]) -> Fault {
        (self.0.lock().unwrap())(request[0], request)
    }
}
