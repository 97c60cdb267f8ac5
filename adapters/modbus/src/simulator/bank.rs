//! The registers of one simulated device.

use std::collections::{BTreeMap, BTreeSet};

use tokio_modbus::{ExceptionCode, Request, Response};

/// Registers and bits of one device. What was never set does not exist: exception 2.
#[derive(Debug, Clone, Default)]
pub struct Bank {
    coils: BTreeMap<u16, bool>,
    discrete: BTreeMap<u16, bool>,
    input: BTreeMap<u16, u16>,
    holding: BTreeMap<u16, u16>,
    writable: BTreeSet<u16>,
    registers_max: Option<u16>,
    without_mask_write: bool,
    writes: u64,
}

impl Bank {
    /// A device without registers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets input registers from `address` on.
    pub fn set_input(&mut self, address: u16, words: &[u16]) {
        self.input.extend((address..=u16::MAX).zip(words.iter().copied()));
    }

    /// Sets holding registers from `address` on.
    pub fn set_holding(&mut self, address: u16, words: &[u16]) {
        self.holding.extend((address..=u16::MAX).zip(words.iter().copied()));
    }

    /// Sets holding registers from `address` on that a master may write.
    pub fn set_writable(&mut self, address: u16, words: &[u16]) {
        self.set_holding(address, words);
        self.writable.extend((address..=u16::MAX).zip(words).map(|(address, _)| address));
    }

    /// Sets coils from `address` on. A master may write every coil there is.
    pub fn set_coils(&mut self, address: u16, bits: &[bool]) {
        self.coils.extend((address..=u16::MAX).zip(bits.iter().copied()));
    }

    /// Sets discrete inputs from `address` on.
    pub fn set_discrete(&mut self, address: u16, bits: &[bool]) {
        self.discrete.extend((address..=u16::MAX).zip(bits.iter().copied()));
    }

    /// Refuses to read more registers than this at once, with exception 3, as small devices do.
    pub fn limit_registers(&mut self, registers_max: u16) {
        self.registers_max = Some(registers_max);
    }

    /// Answers function 22 with exception 1, as most devices do.
    pub fn refuse_mask_write(&mut self) {
        self.without_mask_write = true;
    }

    /// The holding register at `address`.
    pub fn holding(&self, address: u16) -> Option<u16> {
        self.holding.get(&address).copied()
    }

    /// The coil at `address`.
    pub fn coil(&self, address: u16) -> Option<bool> {
        self.coils.get(&address).copied()
    }

    /// How many writes a master has made.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Carries out one request.
    pub fn answer(&mut self, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        match request {
            Request::ReadCoils(address, count) => {
                read(&self.coils, *address, *count).map(Response::ReadCoils)
            }
            Request::ReadDiscreteInputs(address, count) => {
                read(&self.discrete, *address, *count).map(Response::ReadDiscreteInputs)
            }
            Request::ReadInputRegisters(address, count) => {
                self.check_count(*count)?;
                read(&self.input, *address, *count).map(Response::ReadInputRegisters)
            }
            Request::ReadHoldingRegisters(address, count) => {
                self.check_count(*count)?;
                read(&self.holding, *address, *count).map(Response::ReadHoldingRegisters)
            }
            Request::WriteSingleCoil(address, bit) => {
                self.write_coils(*address, &[*bit])?;
                Ok(Response::WriteSingleCoil(*address, *bit))
            }
            Request::WriteMultipleCoils(address, bits) => {
                self.write_coils(*address, bits)?;
                Ok(Response::WriteMultipleCoils(*address, bits.len() as u16))
            }
            Request::WriteSingleRegister(address, word) => {
                self.write_registers(*address, &[*word])?;
                Ok(Response::WriteSingleRegister(*address, *word))
            }
            Request::WriteMultipleRegisters(address, words) => {
                self.write_registers(*address, words)?;
                Ok(Response::WriteMultipleRegisters(*address, words.len() as u16))
            }
            Request::MaskWriteRegister(address, and, or) if !self.without_mask_write => {
                let old = self.holding(*address).ok_or(ExceptionCode::IllegalDataAddress)?;
                self.write_registers(*address, &[(old & and) | (or & !and)])?;
                Ok(Response::MaskWriteRegister(*address, *and, *or))
            }
            _ => Err(ExceptionCode::IllegalFunction),
        }
    }

    fn check_count(&self, count: u16) -> Result<(), ExceptionCode> {
        if self.registers_max.is_some_and(|max| count > max) {
            return Err(ExceptionCode::IllegalDataValue);
        }
        Ok(())
    }

    fn write_coils(&mut self, address: u16, bits: &[bool]) -> Result<(), ExceptionCode> {
        read(&self.coils, address, bits.len() as u16)?;
        self.set_coils(address, bits);
        self.writes += 1;
        Ok(())
    }

    fn write_registers(&mut self, address: u16, words: &[u16]) -> Result<(), ExceptionCode> {
        read(&self.holding, address, words.len() as u16)?;
        if (address..=u16::MAX).zip(words).any(|(address, _)| !self.writable.contains(&address)) {
            return Err(ExceptionCode::IllegalDataAddress);
        }
        self.set_holding(address, words);
        self.writes += 1;
        Ok(())
    }
}

fn read<T: Copy>(
    table: &BTreeMap<u16, T>,
    address: u16,
    count: u16,
) -> Result<Vec<T>, ExceptionCode> {
    if count == 0 {
        return Err(ExceptionCode::IllegalDataValue);
    }
    let end = address.checked_add(count - 1).ok_or(ExceptionCode::IllegalDataAddress)?;
    (address..=end)
        .map(|address| table.get(&address).copied().ok_or(ExceptionCode::IllegalDataAddress))
        .collect()
}
