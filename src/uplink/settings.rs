//! The uplink's configuration, checked and with every default filled in.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use rumqttc::{MqttOptions, Transport};

use crate::config::{self, Problem};

use super::{
    address::Address,
    failure::Failure,
    problem::UplinkConfigError,
    profile::Profile,
    tls::TlsFiles,
    topic::{Template, Values},
};

/// The longest wait for TCP, TLS and CONNACK together.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(20);
/// What rumqttc is told; the uplink's own timeout is shorter.
const RUMQTTC_TIMEOUT_SECS: u64 = 60;
/// What a PUBLISH packet takes beyond topic and payload.
const PUBLISH_FRAME_BYTES: usize = 16;

/// The uplink's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    pub gateway: String,
    pub address: Address,
    pub tls: Option<TlsFiles>,
    pub alpn: Vec<String>,
    pub client_id: String,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub profile: Profile,
    pub filters: Vec<String>,
    pub keep_alive: Duration,
    pub inflight_max: u16,
    pub messages_per_second_max: Option<u32>,
    pub bytes_per_second_max: Option<u64>,
    pub ack_timeout: Duration,
    pub connect_timeout: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    pub backoff_refused: Duration,
}

/// What a file was like: when it was last written, and its length.
pub type Fingerprint = Option<(SystemTime, u64)>;

/// Everything that is wrong with the uplink's configuration itself; its certificate files are
/// [`super::tls::inspect`]'s.
pub fn check(config: &config::Uplink, gateway: &str, commands: &config::Commands) -> Vec<Problem> {
    Settings::new(config, gateway, commands).err().map_or(Vec::new(), |error| error.problems)
}

impl Settings {
    /// Checks the configuration, all of it, so that everything wrong is reported at once.
    pub fn new(
        config: &config::Uplink,
        gateway: &str,
        commands: &config::Commands,
    ) -> Result<Self, UplinkConfigError> {
        let profile = Profile::of(config.profile);
        let mut problems = Vec::new();
        let address = Address::parse(&config.url).map_err(|problem| problems.push(problem)).ok();
        let tls = match &address {
            Some(address) => security(config, address, &mut problems),
            None => None,
        };
        let filters = filters(commands, gateway, &mut problems);
        let client_id = config.client_id.clone().unwrap_or_else(|| gateway.to_owned());
        check_identity(config, &client_id, &profile, &mut problems);
        check_values(config, &profile, &mut problems);
        let Some(address) = address.filter(|_| problems.is_empty()) else {
            return Err(UplinkConfigError { problems });
        };
        Ok(Self {
            gateway: gateway.to_owned(),
            alpn: config.alpn.clone().unwrap_or_else(|| profile.alpn(address.port)),
            address,
            tls,
            client_id,
            username: config.username.clone(),
            password_file: config.password_file.clone(),
            filters,
            keep_alive: config.keep_alive,
            inflight_max: config.inflight_max.unwrap_or(profile.inflight_max),
            messages_per_second_max: config
                .messages_per_second_max
                .or(profile.messages_per_second_max),
            bytes_per_second_max: config.bytes_per_second_max.or(profile.bytes_per_second_max),
            profile,
            ack_timeout: config.ack_timeout,
            connect_timeout: config.ack_timeout.min(CONNECT_TIMEOUT_MAX),
            backoff_min: config.backoff_min,
            backoff_max: config.backoff_max,
            backoff_refused: config.backoff_refused,
        })
    }

    /// What rumqttc needs for one connection. Reads the certificate and password files anew, so
    /// that renewed ones are used without a restart. Blocks on files.
    pub fn options(&self) -> Result<MqttOptions, Failure> {
        let Address { host, port, .. } = &self.address;
        let mut options = MqttOptions::new(&self.client_id, host, *port);
        let packet_bytes_max = self.profile.limits.payload_bytes_max
            + self.profile.limits.topic_bytes_max
            + PUBLISH_FRAME_BYTES;
        options
            .set_keep_alive(self.keep_alive)
            .set_clean_session(self.filters.is_empty())
            .set_manual_acks(true)
            .set_max_packet_size(packet_bytes_max, packet_bytes_max)
            .set_inflight(1);
        if let Some(files) = &self.tls {
            let config = files.load(&self.alpn).map_err(Failure::Files)?;
            options.set_transport(Transport::tls_with_config(rumqttc::TlsConfiguration::Rustls(
                config,
            )));
        }
        if let Some(username) = &self.username {
            options.set_credentials(username, self.password()?);
        }
        Ok(options)
    }

    /// What the files that the cloud's judgement depends on are like. Blocks on files.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        let identity = self.tls.iter().filter_map(|files| files.identity.as_ref());
        let files = identity.flat_map(|(cert, key)| [cert, key]);
        files
            .chain(self.tls.iter().map(|files| &files.ca))
            .chain(&self.password_file)
            .map(|file| {
                let metadata = fs::metadata(file).ok()?;
                Some((metadata.modified().ok()?, metadata.len()))
            })
            .collect()
    }

    /// The seconds after which rumqttc itself gives up connecting.
    pub fn rumqttc_timeout_secs() -> u64 {
        RUMQTTC_TIMEOUT_SECS
    }

    fn password(&self) -> Result<String, Failure> {
        let Some(file) = &self.password_file else { return Ok(String::new()) };
        fs::read_to_string(file)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|source| Failure::Password { file: file.clone(), source })
    }
}

/// The files for TLS, or the reason why it must not be left out.
fn security(
    config: &config::Uplink,
    address: &Address,
    problems: &mut Vec<Problem>,
) -> Option<TlsFiles> {
    if !address.tls {
        if !config.insecure && !address.is_loopback() {
            problems.push(Problem::new(
                "uplink.url",
                format!("mqtt:// would send everything in the clear to {}", address.host),
                "write mqtts://, or set uplink.insecure = true if you mean it",
            ));
        }
        return None;
    }
    let identity = match (&config.cert, &config.key) {
        (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
        (None, None) => None,
        (cert, _) => {
            let (missing, given) =
                if cert.is_some() { ("uplink.key", "cert") } else { ("uplink.cert", "key") };
            let wrong = format!("is missing, though uplink.{given} is given");
            problems.push(Problem::new(missing, wrong, "give both, or neither"));
            None
        }
    };
    let Some(ca) = config.ca.clone() else {
        problems.push(Problem::new(
            "uplink.ca",
            "is missing: without it no server can be trusted",
            "give the file of the server's authority; for a public one that is often \
             /etc/ssl/certs/ca-certificates.crt",
        ));
        return None;
    };
    // What is in the files is looked at for each connection: the gateway starts without them.
    Some(TlsFiles { ca, identity })
}

fn filters(commands: &config::Commands, gateway: &str, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut filters = Vec::with_capacity(commands.from.len());
    for text in &commands.from {
        match Template::filter(text) {
            Ok(template) => filters.push(template.expand(&Values { gateway, ..Values::default() })),
            Err(error) => problems.push(Problem::new(
                "commands.from",
                format!("{text:?}: {error}"),
                "write a filter such as \"{gateway}/commands/#\"",
            )),
        }
    }
    filters
}

fn check_identity(
    config: &config::Uplink,
    client_id: &str,
    profile: &Profile,
    problems: &mut Vec<Problem>,
) {
    if client_id.is_empty() || client_id.len() > profile.client_id_bytes_max {
        problems.push(Problem::new(
            "uplink.client_id",
            format!("{client_id:?} is no client id for this cloud"),
            format!("use 1 to {} bytes", profile.client_id_bytes_max),
        ));
    }
    match (&config.username, &config.password_file) {
        (None, Some(_)) => problems.push(Problem::new(
            "uplink.username",
            "is missing, though uplink.password_file is given",
            "MQTT takes no password without a user name",
        )),
        (Some(_), Some(file)) => {
            if let Err(error) = fs::read_to_string(file) {
                problems.push(Problem::new(
                    "uplink.password_file",
                    format!("cannot read {}: {error}", file.display()),
                    "check the path, and that the gateway may read it",
                ));
            }
        }
        _ => {}
    }
}

fn check_values(config: &config::Uplink, profile: &Profile, problems: &mut Vec<Problem>) {
    let seconds = |duration: &Duration| duration.as_secs();
    if !profile.keep_alive.contains(&config.keep_alive) {
        let (from, to) = (profile.keep_alive.start(), profile.keep_alive.end());
        problems.push(Problem::new(
            "uplink.keep_alive",
            format!("this cloud does not take {:?}", config.keep_alive),
            format!("choose {}s to {}s", seconds(from), seconds(to)),
        ));
    }
    for (key, zero) in [
        ("uplink.inflight_max", config.inflight_max == Some(0)),
        ("uplink.messages_per_second_max", config.messages_per_second_max == Some(0)),
        ("uplink.bytes_per_second_max", config.bytes_per_second_max == Some(0)),
        ("uplink.ack_timeout", config.ack_timeout.is_zero()),
        ("uplink.backoff_min", config.backoff_min.is_zero()),
        ("uplink.backoff_refused", config.backoff_refused.is_zero()),
    ] {
        if zero {
            problems.push(Problem::new(key, "nothing would ever be sent with 0", "raise it"));
        }
    }
    if config.backoff_max < config.backoff_min {
        problems.push(Problem::new(
            "uplink.backoff_max",
            "is shorter than uplink.backoff_min",
            "raise it",
        ));
    }
}

#[cfg(test)]
mod tests;
