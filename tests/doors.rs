//! Who may come in: client certificates, passwords, and nobody without.

use std::ffi::OsString;

use argon2::{Argon2, PasswordHasher, password_hash::SaltString};

use crate::support::{
    Authority, Gateway, Identity, Subscriber, folder, mosquitto_pub, mosquitto_pub_succeeds,
};

/// One message, from whoever has this identity.
fn publication(site: &Authority, identity: Option<&Identity>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["-t", "sensors/a", "-m", "hello", "-q", "1"].map(Into::into).to_vec();
    arguments.extend(["--cafile".into(), site.cert.clone().into()]);
    if let Some(identity) = identity {
        arguments.extend(["--cert".into(), identity.cert.clone().into()]);
        arguments.extend(["--key".into(), identity.key.clone().into()]);
    }
    arguments
}

#[test]
fn a_device_is_known_by_its_certificate_and_a_stranger_is_kept_out() {
    let folder = folder();
    let site = Authority::new(folder.path(), "site");
    let door = site.server("door");
    let sensor = site.client("sensor-7");
    let stranger = Authority::new(folder.path(), "elsewhere").client("stranger");
    let config = format!(
        "[gateway]\nid = \"gw-test\"\ndata_dir = \"{}\"\n\n[[listener]]\nbind = \"127.0.0.1:0\"\n\
         tls = {{ cert = \"{}\", key = \"{}\", client_ca = \"{}\" }}\n\n\
         [[listener]]\nbind = \"127.0.0.1:0\"\n\n\
         [[route]]\nfrom = \"sensors/#\"\nstream = \"telemetry\"\n",
        folder.path().join("data").display(),
        door.cert.display(),
        door.key.display(),
        site.cert.display(),
    );
    let mut gateway = Gateway::with_config(folder.path(), &config);
    gateway.start();
    let [secure, plain] = gateway.listeners[..] else { panic!("{:?}", gateway.listeners) };
    let subscriber = Subscriber::start(folder.path(), plain, &["-t", "sensors/#", "-q", "1"]);
    mosquitto_pub(secure, &publication(&site, Some(&sensor)));
    subscriber.wait_line("sensors/a hello");
    for (who, identity) in [("nobody", None), ("a stranger", Some(&stranger))] {
        let came_in = mosquitto_pub_succeeds(secure, &publication(&site, identity));
        assert!(!came_in, "{who} came in");
    }

    let ledger = gateway.ledger();
    let page = ledger.streams.iter().find(|page| page.stream == "telemetry").unwrap();
    let sources: Vec<_> = page.sources.iter().map(|line| line.source.as_str()).collect();
    assert_eq!(sources, ["sensor-7"], "the certificate's name is the source");
    assert_eq!(subscriber.lines().len(), 1);
}

#[test]
fn a_password_opens_the_door_and_a_wrong_one_does_not() {
    let folder = folder();
    let salt = SaltString::encode_b64(b"sixteen bytes ok").unwrap();
    let hash = Argon2::default().hash_password(b"right", &salt).unwrap().to_string();
    let config = format!(
        "[gateway]\nid = \"gw-test\"\ndata_dir = \"{}\"\n\n[[listener]]\nbind = \"127.0.0.1:0\"\n\
         authentication = \"password\"\n\n[[user]]\nname = \"sensor\"\npassword_hash = \"{hash}\"\n",
        folder.path().join("data").display(),
    );
    let mut gateway = Gateway::with_config(folder.path(), &config);
    gateway.start();
    let address = gateway.address.get();
    let message = ["-t", "a", "-m", "x", "-q", "1"];
    let with = |login: &[&'static str]| [&message[..], login].concat();
    mosquitto_pub(address, &with(&["-u", "sensor", "-P", "right"]));
    for wrong in [&["-u", "sensor", "-P", "wrong"][..], &["-u", "nobody", "-P", "right"], &[]] {
        assert!(!mosquitto_pub_succeeds(address, &with(wrong)), "{wrong:?} opened the door");
    }
    mosquitto_pub(address, &with(&["-u", "sensor", "-P", "right"]));
}
