//! CRC-16/MODBUS (Modbus over Serial Line 1.02, 6.2.2).

const POLYNOMIAL: u16 = 0xA001;

const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// The checksum of `bytes`; goes on the wire low byte first.
pub(super) fn crc(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(0xFFFF, |crc, byte| (crc >> 8) ^ TABLE[usize::from((crc ^ u16::from(*byte)) & 0xFF)])
}

/// Whether `frame` ends in the checksum of what is before it.
pub(super) fn is_intact(frame: &[u8]) -> bool {
    // The checksum over data and checksum is zero.
    frame.len() > 2 && crc(frame) == 0
}
