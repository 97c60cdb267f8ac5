//! The master on real transports: ptys and sockets, with tokio-modbus as the other side and
//! someone in the middle who does harm.

mod commands;
mod faults;
mod serial_line;
mod support;
mod tcp;
