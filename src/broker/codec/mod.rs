//! MQTT on the wire, both versions: frames in, packets out, and back.
//!
//! The decoder is strict: what the specification forbids is an error that names the clause, and
//! nothing behind this module has to ask again whether a topic has wildcards or an id is zero.
//! The differences between MQTT 3.1.1 and 5 end here; sessions see one [`Packet`].
//!
//! It is our own because rumqttc's codec, made for clients, stands in a server's way: its v5 side
//! refuses the two-byte DISCONNECT (and so would fire a will after a clean end), knows no AUTH,
//! lets properties run over their length; its v3.1.1 side takes passwords for text. rumqttc is
//! the other end in this module's tests.

mod connect;
mod decode;
mod encode;
mod frame;
mod malformed;
mod packet;
mod properties;
mod reader;
mod reason;

#[cfg(test)]
mod tests;

pub(super) use decode::Decoder;
pub(super) use encode::{ConnAck, PublishFrame, connack, disconnect, pingresp, suback, unsuback};
pub(super) use encode::{puback, pubcomp, publish, pubrec, pubrel};
pub(super) use malformed::Malformed;
pub(super) use packet::{
    Acknowledgement, Connect, Disconnect, Filter, Packet, Publish, RetainHandling, Subscribe,
    Unsubscribe, Version, Will,
};
pub(super) use reason::Reason;
