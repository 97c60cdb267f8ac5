use super::*;

const GOOD: &str = r#"
    name = "bus"
    port = "/dev/ttyUSB0"
    [[device]]
    name = "wx-1"
    unit = 0x90
    [[device.point]]
    name = "temperature"
    address = 0x167
"#;

fn parse(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

/// The keys with problems.
fn keys(text: &str) -> Vec<String> {
    parse(text).problems().into_iter().map(|problem| problem.key).collect()
}

#[test]
fn the_smallest_configuration_needs_no_more_than_where_and_what() {
    let config = parse(GOOD);
    assert_eq!(config.problems(), []);
    assert_eq!((config.baud, config.parity, config.max_registers), (9_600, Parity::None, 125));
    assert_eq!(config.response_timeout.as_millis(), 300);
    let map = compile(&config).unwrap();
    assert_eq!(map.devices[0].topic, "sensors/wx-1");
    assert_eq!(map.devices[0].poll_interval.as_secs(), 10);
    assert_eq!(map.devices[0].spans[0].address, 0x167);
}

#[test]
fn every_problem_is_reported_at_once_with_its_key_and_a_remedy() {
    let text = r#"
        name = ""
        port = "/dev/ttyUSB0"
        host = "192.168.1.20"
        baud = 1
        data_bits = 7
        stop_bits = 3
        response_timeout = "0s"
        offline_after = 0
        max_registers = 126
        [[device]]
        name = "wx 1"
        unit = 0
        poll_interval = "1ms"
        topic = "sensors/#"
        address_base = 2
        [[device]]
        name = "wx-2"
        unit = 250
        address_base = 1
        [[device.point]]
        name = "a"
        address = 0
        [[device.point]]
        name = "a"
        address = 65536
        type = "int32"
        scale = 0.0
        min = 5
        max = 1
        [[device.point]]
        name = "c"
        table = "coil"
        address = 1
        type = "int16"
        bit = 3
        [[device.point]]
        name = "d"
        table = "input"
        address = 1
        type = "bit"
        writable = true
        [[device.point]]
        name = "e"
        address = 1
        type = "string"
        [[device.point]]
        name = "f"
        address = 1
        values = { on = "on", "70000" = "off" }
        [[device.point]]
        name = "g"
        address = 1
        type = "bitfield"
        bit = 12
        length = 8
        [[device.point]]
        name = "h"
        address = 1
        scale_point = "nowhere"
        writable = true
        [[device.point]]
        name = "i"
        address = 1
        bit = 16
        length = 3
    "#;
    let problems = parse(text).problems();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "host",
            "baud",
            "data_bits",
            "stop_bits",
            "response_timeout",
            "offline_after",
            "name",
            "max_registers",
            "device[0].name",
            "device[0].unit",
            "device[0].poll_interval",
            "device[0].address_base",
            "device[0].topic",
            "device[0].point",
            "device[1].unit",
            "device[1].point[0].address",
            "device[1].point[1].name",
            "device[1].point[1].scale",
            "device[1].point[1].min",
            "device[1].point[1].address",
            "device[1].point[2].type",
            "device[1].point[2].bit",
            "device[1].point[3].bit",
            "device[1].point[3].writable",
            "device[1].point[4].length",
            "device[1].point[5].values.70000",
            "device[1].point[5].values.on",
            "device[1].point[6].length",
            "device[1].point[7].scale_point",
            "device[1].point[7].scale_point",
            "device[1].point[8].bit",
            "device[1].point[8].length",
        ]
    );
    assert!(problems.iter().all(|p| !p.message.is_empty() && !p.remedy.is_empty()));
}

#[test]
fn a_line_is_either_serial_or_tcp() {
    let neither = GOOD.replace("port = \"/dev/ttyUSB0\"", "");
    assert_eq!(keys(&neither), ["port"]);
    for bad in ["192.168.1.20", ":502", "host:", "host:0", "host:99999"] {
        let text = GOOD.replace("port = \"/dev/ttyUSB0\"", &format!("host = \"{bad}\""));
        assert_eq!(keys(&text), ["host"], "{bad}");
    }
    for good in ["192.168.1.20:502", "meter.local:502", "[fe80::1]:502"] {
        let text = GOOD.replace("port = \"/dev/ttyUSB0\"", &format!("host = \"{good}\""));
        assert_eq!(keys(&text), Vec::<String>::new(), "{good}");
    }
}

#[test]
fn the_broadcast_unit_is_refused_on_a_serial_line_and_allowed_over_tcp() {
    let unit_0 = GOOD.replace("unit = 0x90", "unit = 0");
    assert_eq!(keys(&unit_0), ["device[0].unit"]);
    let over_tcp = unit_0.replace("port = \"/dev/ttyUSB0\"", "host = \"10.0.0.1:502\"");
    assert_eq!(keys(&over_tcp), Vec::<String>::new());
}

#[test]
fn addresses_count_from_the_base_that_the_manual_uses() {
    let text = GOOD.replace("unit = 0x90", "unit = 1\naddress_base = 1");
    assert_eq!(compile(&parse(&text)).unwrap().devices[0].spans[0].address, 0x166);
    let zero = text.replace("address = 0x167", "address = 0");
    assert_eq!(keys(&zero), ["device[0].point[0].address"]);
    let last = text.replace("address = 0x167", "address = 65536");
    assert_eq!(compile(&parse(&last)).unwrap().devices[0].spans[0].address, 65_535);
}

#[test]
fn a_byte_order_and_a_topic_can_be_set_for_a_whole_device() {
    let text = r#"
        name = "bus"
        host = "10.0.0.1:502"
        [[device]]
        name = "em"
        unit = 1
        byte_order = "CDAB"
        topic = "{adapter}/{device}/values"
        [[device.point]]
        name = "kwh"
        address = 1
        type = "int32"
        invalid = [0x7FFFFFFF, -1.5]
        [[device.point]]
        name = "serial"
        address = 3
        type = "uint32"
        byte_order = "ABCD"
    "#;
    let device = compile(&parse(text)).unwrap().devices.remove(0);
    assert_eq!(device.topic, "bus/em/values");
    assert_eq!(device.points[0].codec.order, crate::value::ByteOrder::Cdab);
    assert_eq!(device.points[1].codec.order, crate::value::ByteOrder::Abcd);
    assert_eq!(device.batches.len(), 1);
}

#[test]
fn a_type_that_does_not_exist_is_named_with_those_that_do() {
    let text = GOOD.replace("address = 0x167", "address = 0x167\ntype = \"unit16\"");
    let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
    assert!(error.contains("unit16") && error.contains("uint16"), "{error}");
}

#[test]
fn a_scale_point_must_be_a_plain_int16_of_the_same_device() {
    let text = |scale: &str| {
        format!(
            "{GOOD}\nscale_point = \"sf\"\n[[device.point]]\nname = \"sf\"\naddress = 9\n{scale}"
        )
    };
    assert_eq!(keys(&text("type = \"int16\"")), Vec::<String>::new());
    assert_eq!(keys(&text("type = \"uint16\"")), ["device[0].point[0].scale_point"]);
    assert_eq!(keys(&text("type = \"int16\"\nscale = 2")), ["device[0].point[0].scale_point"]);
}
