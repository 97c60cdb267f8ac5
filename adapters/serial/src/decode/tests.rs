use holdfast_adapter_api::{Point, Quality, Value};
use proptest::prelude::*;

use super::{Decoder, NoFields};
use crate::{config::Config, plan::Plan};

fn decoder(toml: &str) -> Decoder {
    let text = format!("name = \"dev\"\nport = \"/dev/null\"\n{toml}");
    let config: Config = toml::from_str(&text).unwrap();
    Plan::new(&config).unwrap().decoder
}

fn points(decoder: &Decoder, frame: &[u8]) -> Vec<Point> {
    decoder.decode(frame).unwrap().into_iter().map(|(_, point)| point).collect()
}

fn good(points: &[Point]) -> Vec<(&str, Value)> {
    let good = points.iter().filter(|point| point.quality == Quality::Good);
    good.map(|point| (point.name.as_str(), point.value.clone().unwrap())).collect()
}

const WIND: &str = r#"
    parser = { kind = "nmea" }
    point = [
        { name = "direction", unit = "°", sentence = "MWV", field = 1, require = { field = 5, one_of = ["A"] } },
        { name = "speed", unit = "kn", sentence = "WIMWV", field = 3, require = { field = 5, one_of = ["A"] } },
    ]"#;

#[test]
fn a_wind_sentence_becomes_points_with_units() {
    let read = points(&decoder(WIND), b"$WIMWV,084.0,R,10.4,N,A*1A");
    assert_eq!(good(&read), [("direction", Value::Float(84.0)), ("speed", Value::Float(10.4))]);
    assert_eq!(read[1].unit.as_deref(), Some("kn"));
}

#[test]
fn a_wind_sentence_with_a_wrong_checksum_yields_nothing() {
    let read = decoder(WIND).decode(b"$WIMWV,084.0,R,10.4,N,A*00");
    assert!(matches!(read, Err(NoFields::Checksum(_))), "{read:?}");
}

#[test]
fn a_sentence_that_calls_its_data_invalid_yields_points_without_values() {
    let read = points(&decoder(WIND), b"$WIMWV,084.0,R,10.4,N,V*0D");
    assert!(read.iter().all(|p| p.value.is_none() && p.quality == Quality::InvalidValue));
}

#[test]
fn a_sentence_that_no_point_is_about_is_no_reading() {
    let read = decoder(WIND).decode(b"$WIMTW,17.5,C*00");
    assert!(matches!(read, Err(NoFields::Checksum(_))), "the checksum comes first");
    let gps = b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A";
    assert_eq!(decoder(WIND).decode(gps), Err(NoFields::Unmatched));
}

#[test]
fn a_gps_yields_position_and_speed_from_several_sentences() {
    let decoder = decoder(
        r#"
        parser = { kind = "nmea" }
        point = [
            { name = "lat", type = "latitude", sentence = "RMC", field = 3, require = { field = 2, one_of = ["A"] } },
            { name = "lon", type = "longitude", sentence = "RMC", field = 5, require = { field = 2, one_of = ["A"] } },
            { name = "speed", unit = "m/s", scale = 0.514444, sentence = "RMC", field = 7 },
            { name = "altitude", unit = "m", sentence = "GGA", field = 9, require = { field = 6, none_of = ["0", ""] } },
            { name = "satellites", type = "int", sentence = "GGA", field = 7 },
        ]"#,
    );
    let rmc = b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A";
    assert_eq!(
        good(&points(&decoder, rmc)),
        [
            ("lat", Value::Float(48.1173)),
            ("lon", Value::Float(11.516_666_666_67)),
            ("speed", Value::Float(11.523_545_6)),
        ]
    );
    let gga = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47";
    let expected = [("altitude", Value::Float(545.4)), ("satellites", Value::Int(8))];
    assert_eq!(good(&points(&decoder, gga)), expected);
    let no_fix = b"$GPGGA,123519,,,,,0,00,99.9,,M,,M,,*7C";
    assert_eq!(good(&points(&decoder, no_fix)), [("satellites", Value::Int(0))]);
}

#[test]
fn a_field_that_the_device_does_not_send_is_a_fault_of_the_configuration() {
    let decoder = decoder(
        r#"
        parser = { kind = "nmea" }
        point = [{ name = "x", sentence = "MWV", field = 9 }]"#,
    );
    let read = points(&decoder, b"$WIMWV,084.0,R,10.4,N,A*1A");
    assert_eq!((read[0].value.clone(), read[0].quality), (None, Quality::Config));
}

#[test]
fn the_plain_mode_of_a_temperature_sensor_is_read_by_an_expression() {
    let decoder = decoder(
        r#"
        parser = { kind = "regex", pattern = '^TC:(?<temperature>[-0-9.]+),HC:(?<humidity>[0-9.]+),BR:(?<baud>\d+),HZ:\d+$' }
        point = [{ name = "temperature", unit = "°C" }, { name = "humidity" }, { name = "speed", type = "int", group = "baud" }]"#,
    );
    let read = points(&decoder, b"TC:0.0,HC:0.0,BR:9600,HZ:1");
    assert_eq!(
        good(&read),
        [
            ("temperature", Value::Float(0.0)),
            ("humidity", Value::Float(0.0)),
            ("speed", Value::Int(9600))
        ]
    );
    assert_eq!(decoder.decode(b"C:0.0,HC:0.0,BR:9600,HZ:1"), Err(NoFields::Unmatched));
}

#[test]
fn columns_are_numbers_or_text_and_a_line_too_short_is_garbled() {
    let decoder = decoder(
        r#"
        parser = { kind = "csv", separator = ";", columns = 3 }
        point = [
            { name = "state", type = "text", column = 1 },
            { name = "level", column = 3, invalid = [-999], require = { column = 1, none_of = ["ERR"] } },
        ]"#,
    );
    let text = Value::Text("run".into());
    let read = points(&decoder, b"run;x;1.25");
    assert_eq!(good(&read), [("state", text.clone()), ("level", Value::Float(1.25))]);
    assert_eq!(good(&points(&decoder, b"run;;-999")), [("state", text)]);
    assert_eq!(good(&points(&decoder, b"ERR;;1.25")), [("state", Value::Text("ERR".into()))]);
    for bad in [&b"run;1.25"[..], b"run;x;1.25;4", b"run;\"x;1.25"] {
        assert!(matches!(decoder.decode(bad), Err(NoFields::Garbled(_))), "{bad:?}");
    }
}

#[test]
fn a_column_that_is_not_there_makes_a_line_garbled_where_nothing_proves_it_whole() {
    let decoder = decoder(
        r#"
        parser = { kind = "csv" }
        point = [{ name = "a", column = 1 }, { name = "b", column = 2 }]"#,
    );
    assert!(matches!(decoder.decode(b"1"), Err(NoFields::Garbled(_))));
}

#[test]
fn a_json_object_yields_what_it_holds() {
    let decoder = decoder(
        r#"
        parser = { kind = "json" }
        point = [
            { name = "t" },
            { name = "gust", path = "/wind/0/gust" },
            { name = "ok", type = "bool" },
            { name = "absent" },
        ]"#,
    );
    let read = points(&decoder, br#"{"t": "21.5", "wind": [{"gust": 3}], "ok": true}"#);
    assert_eq!(
        good(&read),
        [("t", Value::Float(21.5)), ("gust", Value::Float(3.0)), ("ok", Value::Bool(true))]
    );
    assert_eq!(read.len(), 3, "what the object leaves out is left out");
    let null = points(&decoder, br#"{"t": null}"#);
    assert_eq!(null[0].quality, Quality::InvalidValue);
    for bad in [&b"{\"t\": 1"[..], b"12", b"[]", b""] {
        assert!(matches!(decoder.decode(bad), Err(NoFields::Garbled(_))), "{bad:?}");
    }
}

#[test]
fn numbers_stand_at_places_in_a_binary_frame() {
    let decoder = decoder(
        r#"
        frame = { kind = "fixed", length = 8, sync = 'BM' }
        parser = { kind = "binary" }
        point = [
            { name = "pm25", type = "uint", byte = 2, width = 2 },
            { name = "t", type = "int", byte = 4, width = 2, order = "little", scale = 0.1 },
        ]"#,
    );
    let read = points(&decoder, b"BM\x00\x0C\x33\xFF\x00\x00");
    assert_eq!(good(&read), [("pm25", Value::Int(12)), ("t", Value::Float(-20.5))]);
    assert!(matches!(decoder.decode(b"BM\x00"), Err(NoFields::Garbled(_))));
}

#[test]
fn a_raw_frame_is_text_or_hexadecimal_digits() {
    let decoder = decoder(
        r#"
        parser = { kind = "raw" }
        point = [{ name = "frame", type = "text" }]"#,
    );
    assert_eq!(good(&points(&decoder, b" hi ")), [("frame", Value::Text("hi".into()))]);
    assert_eq!(good(&points(&decoder, b"\x00\xAB")), [("frame", Value::Text("00ab".into()))]);
}

#[test]
fn a_degree_sign_in_latin_1_does_no_harm() {
    let decoder = decoder(
        r#"
        parser = { kind = "regex", pattern = '^(?<t>[-0-9.]+)°C$' }
        point = [{ name = "t" }]"#,
    );
    assert_eq!(good(&points(&decoder, b"21.5\xB0C")), [("t", Value::Float(21.5))]);
    assert_eq!(good(&points(&decoder, "21.5°C".as_bytes())), [("t", Value::Float(21.5))]);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_yield_a_value_that_is_not_finite(
        noise in proptest::collection::vec(any::<u8>(), 0..80),
        text in r#"[$!]?(GP|WI)?(RMC|MWV|GGA)?[-+,;.:*"{}\[\]0-9eEaAnNiIfF ]{0,60}"#,
    ) {
        let parsers = [
            WIND,
            "parser = { kind = \"csv\" }\npoint = [{ name = \"a\", column = 1 }, { name = \"b\", type = \"text\", column = 2 }]",
            "parser = { kind = \"csv\", separator = \" \" }\npoint = [{ name = \"a\", column = 1, scale = 1e300 }]",
            "parser = { kind = \"regex\", pattern = '(?<a>.*)' }\npoint = [{ name = \"a\" }]",
            "parser = { kind = \"json\" }\npoint = [{ name = \"a\" }]",
            "parser = { kind = \"binary\" }\npoint = [{ name = \"a\", byte = 0, width = 4 }, { name = \"b\", type = \"int\", byte = 3, width = 8 }]",
            "parser = { kind = \"raw\" }\npoint = [{ name = \"a\" }]",
            "parser = { kind = \"nmea\" }\npoint = [{ name = \"a\", type = \"latitude\", sentence = \"RMC\", field = 1 }]",
        ];
        let checksum = text.bytes().skip(1).fold(0, |sum, byte| sum ^ byte);
        let sealed = format!("{text}*{checksum:02X}");
        for parser in parsers {
            let decoder = decoder(parser);
            for frame in [&noise[..], text.as_bytes(), sealed.as_bytes()] {
                for (_, point) in decoder.decode(frame).into_iter().flatten() {
                    if let Some(Value::Float(value)) = point.value {
                        prop_assert!(value.is_finite());
                    }
                    prop_assert_eq!(point.value.is_some(), point.quality == Quality::Good);
                }
            }
        }
    }
}
