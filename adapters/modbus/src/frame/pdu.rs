//! Requests as bytes, and what an answer to each must look like.

use thiserror::Error;
use tokio_modbus::{ExceptionCode, Request, Response};

use crate::{config::REGISTERS_PER_READ, plan::BITS_PER_READ};

const REGISTERS_PER_WRITE: usize = 123;
const BITS_PER_WRITE: usize = 1_968;

/// The bit that makes a function code an exception.
pub(super) const EXCEPTION: u8 = 0x80;

/// What a device said.
pub(crate) type Answer = Result<Response, ExceptionCode>;

/// The request breaks the protocol. A bug of the caller, or of the configuration's check.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InvalidRequest {
    #[error("{0} registers or bits cannot be asked for or written at once")]
    Quantity(usize),
    #[error("function {0} is not spoken here")]
    Function(u8),
    #[error("the range runs beyond address 65535")]
    Range,
}

/// A request that is fit to be sent, with what its answer must look like.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    request: Request<'static>,
    pdu: Vec<u8>,
    /// The first bytes of the answer.
    prefix: Vec<u8>,
    /// The answer's whole length.
    answer_bytes: usize,
}

impl Query {
    /// Checks a request and writes it down.
    pub(crate) fn new(request: Request<'static>) -> Result<Self, InvalidRequest> {
        let function = request.function_code().value();
        let mut pdu = vec![function];
        let mut put = |words: &[u16]| pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        let (prefix_bytes, answer_bytes) = match &request {
            Request::ReadCoils(address, count) | Request::ReadDiscreteInputs(address, count) => {
                check(*address, usize::from(*count), usize::from(BITS_PER_READ))?;
                put(&[*address, *count]);
                (0, 2 + usize::from(count.div_ceil(8)))
            }
            Request::ReadHoldingRegisters(address, count)
            | Request::ReadInputRegisters(address, count) => {
                check(*address, usize::from(*count), usize::from(REGISTERS_PER_READ))?;
                put(&[*address, *count]);
                (0, 2 + 2 * usize::from(*count))
            }
            Request::WriteSingleCoil(address, on) => {
                put(&[*address, if *on { 0xFF00 } else { 0 }]);
                (5, 5)
            }
            Request::WriteSingleRegister(address, word) => {
                put(&[*address, *word]);
                (5, 5)
            }
            Request::WriteMultipleCoils(address, bits) => {
                check(*address, bits.len(), BITS_PER_WRITE)?;
                put(&[*address, bits.len() as u16]);
                let packed = bits.chunks(8).map(|byte| {
                    byte.iter().rev().fold(0, |packed, bit| packed << 1 | u8::from(*bit))
                });
                pdu.push(bits.len().div_ceil(8) as u8);
                pdu.extend(packed);
                (5, 5)
            }
            Request::WriteMultipleRegisters(address, words) => {
                check(*address, words.len(), REGISTERS_PER_WRITE)?;
                put(&[*address, words.len() as u16]);
                pdu.push(2 * words.len() as u8);
                pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
                (5, 5)
            }
            Request::MaskWriteRegister(address, and, or) => {
                put(&[*address, *and, *or]);
                (7, 7)
            }
            _ => return Err(InvalidRequest::Function(function)),
        };
        let prefix = match prefix_bytes {
            0 => vec![function, (answer_bytes - 2) as u8],
            echoed => pdu[..echoed].to_vec(),
        };
        Ok(Self { request, pdu, prefix, answer_bytes })
    }

    pub(crate) fn request(&self) -> &Request<'static> {
        &self.request
    }

    pub(crate) fn pdu(&self) -> &[u8] {
        &self.pdu
    }

    /// By this an answer is told from others: function and length of what is read, or function,
    /// address and value of what is written. Two requests of one shape cannot be told apart by
    /// their answers.
    pub(crate) fn shape(&self) -> &[u8] {
        &self.prefix
    }

    /// The length of the answer's PDU, if it is no exception.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// Whether the answer repeats the whole request, so that it cannot be told from its echo.
    pub(crate) fn is_answered_by_itself(&self) -> bool {
        self.prefix == self.pdu
    }

    /// The answer in a PDU; `None` if it does not answer this request.
    pub(crate) fn answer(&self, pdu: &[u8]) -> Option<Answer> {
        if let [function, code] = pdu
            && *function == self.prefix[0] | EXCEPTION
        {
            return Some(Err(ExceptionCode::new(*code)));
        }
        if pdu.len() != self.answer_bytes || !pdu.starts_with(&self.prefix) {
            return None;
        }
        let data = &pdu[2..];
        Some(Ok(match &self.request {
            Request::ReadCoils(_, count) => Response::ReadCoils(unpack(data, *count)),
            Request::ReadDiscreteInputs(_, count) => {
                Response::ReadDiscreteInputs(unpack(data, *count))
            }
            Request::ReadHoldingRegisters(..) => Response::ReadHoldingRegisters(words(data)),
            Request::ReadInputRegisters(..) => Response::ReadInputRegisters(words(data)),
            Request::WriteSingleCoil(address, on) => Response::WriteSingleCoil(*address, *on),
            Request::WriteSingleRegister(address, word) => {
                Response::WriteSingleRegister(*address, *word)
            }
            Request::WriteMultipleCoils(address, bits) => {
                Response::WriteMultipleCoils(*address, bits.len() as u16)
            }
            Request::WriteMultipleRegisters(address, words) => {
                Response::WriteMultipleRegisters(*address, words.len() as u16)
            }
            Request::MaskWriteRegister(address, and, or) => {
                Response::MaskWriteRegister(*address, *and, *or)
            }
            _ => return None,
        }))
    }
}

fn check(address: u16, count: usize, count_max: usize) -> Result<(), InvalidRequest> {
    if !(1..=count_max).contains(&count) {
        return Err(InvalidRequest::Quantity(count));
    }
    if usize::from(address) + count > 1 << 16 {
        return Err(InvalidRequest::Range);
    }
    Ok(())
}

fn unpack(bytes: &[u8], count: u16) -> Vec<bool> {
    (0..usize::from(count)).map(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1).collect()
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// The length of any answer's PDU, from its first bytes; `None` while these do not tell.
pub(super) fn any_answer_bytes(pdu: &[u8]) -> Option<usize> {
    match pdu {
        [function, ..] if function & EXCEPTION != 0 => Some(2),
        [1..=4, bytes, ..] => Some(2 + usize::from(*bytes)),
        [5 | 6 | 15 | 16, ..] => Some(5),
        [22, ..] => Some(7),
        _ => None,
    }
}
