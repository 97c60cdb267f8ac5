//! CONNECT: the one packet whose meaning depends on nothing before it.

use std::sync::Arc;

use super::{
    Connect, Malformed, Reason, Version, Will,
    decode::{QOS_3, check_response_topic, qos},
    properties::{self, Allowed, Found},
    reader::Reader,
};
use crate::broker::topic;

pub(super) fn connect(mut reader: Reader<'_>) -> Result<Connect, Malformed> {
    let version = version(&mut reader)?;
    let flags = ConnectFlags(reader.u8()?);
    flags.check(version)?;
    let keep_alive = reader.u16()?;
    let found = match version {
        Version::V311 => Found::default(),
        Version::V5 => properties::read(&mut reader, Allowed::CONNECT)?,
    };
    let client_id = reader.string()?;
    if client_id.is_empty() && version == Version::V311 && !flags.clean() {
        return Err(Malformed::protocol("an empty client id with a kept session", "MQTT-3.1.3-8")
            .because(Reason::CLIENT_ID_INVALID));
    }
    let will = if flags.will() { Some(will(&mut reader, version, flags)?) } else { None };
    let user_name = if flags.user_name() { Some(reader.string()?) } else { None };
    let password = if flags.password() { Some(reader.bytes()?) } else { None };
    reader.end()?;
    Ok(Connect {
        version,
        clean_start: flags.clean(),
        keep_alive,
        client_id,
        will,
        user_name,
        password,
        session_expiry: found.session_expiry,
        receive_max: found.receive_max,
        packet_bytes_max: found.packet_bytes_max,
        authentication_method: found.authentication_method,
    })
}

fn version(reader: &mut Reader<'_>) -> Result<Version, Malformed> {
    const NAME: Malformed = Malformed::protocol("a protocol name that is not MQTT", "MQTT-3.1.2-1");
    const LEVEL: Malformed =
        Malformed::protocol("a protocol level that is neither 4 nor 5", "MQTT-3.1.2-2");
    match reader.str()? {
        "MQTT" => {}
        "MQIsdp" => return Err(NAME.because(Reason::UNSUPPORTED_VERSION)),
        _ => return Err(NAME),
    }
    match reader.u8()? {
        4 => Ok(Version::V311),
        5 => Ok(Version::V5),
        _ => Err(LEVEL.because(Reason::UNSUPPORTED_VERSION)),
    }
}

#[derive(Debug, Clone, Copy)]
struct ConnectFlags(u8);

impl ConnectFlags {
    fn check(self, version: Version) -> Result<(), Malformed> {
        if self.0 & 1 != 0 {
            return Err(Malformed::packet("the reserved flag of CONNECT", "MQTT-3.1.2-3"));
        }
        if !self.will() && self.0 & 0b0011_1000 != 0 {
            return Err(Malformed::packet("will flags without a will", "MQTT-3.1.2-11"));
        }
        if self.0 & 0b1_1000 == 0b1_1000 {
            return Err(Malformed { clause: "MQTT-3.1.2-14", ..QOS_3 });
        }
        if version == Version::V311 && self.password() && !self.user_name() {
            return Err(Malformed::packet("a password without a user name", "MQTT-3.1.2-22"));
        }
        Ok(())
    }

    fn clean(self) -> bool {
        self.0 & 0b10 != 0
    }

    fn will(self) -> bool {
        self.0 & 0b100 != 0
    }

    fn password(self) -> bool {
        self.0 & 0b0100_0000 != 0
    }

    fn user_name(self) -> bool {
        self.0 & 0b1000_0000 != 0
    }
}

fn will(reader: &mut Reader<'_>, version: Version, flags: ConnectFlags) -> Result<Will, Malformed> {
    let found = match version {
        Version::V311 => Found::default(),
        Version::V5 => properties::read(reader, Allowed::WILL)?,
    };
    check_response_topic(&found)?;
    let name = reader.str()?;
    topic::check_name(name)?;
    Ok(Will {
        topic: Arc::from(name),
        payload: reader.bytes()?,
        qos: qos((flags.0 >> 3) & 0b11)?,
        retain: flags.0 & 0b10_0000 != 0,
        delay: found.will_delay.unwrap_or(0),
        properties: found.into_message(),
    })
}
