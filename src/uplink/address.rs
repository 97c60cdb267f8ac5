//! Where the cloud is: `uplink.url`, taken apart.

use std::net::IpAddr;

use rustls_pki_types::ServerName;

use crate::config::Problem;

const PORT_TLS: u16 = 8883;
const PORT_PLAIN: u16 = 1883;

/// Where the cloud is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken there.
    pub tls: bool,
}

impl Address {
    /// Takes `mqtts://host[:port]` or `mqtt://host[:port]` apart; an IPv6 address stands in
    /// brackets.
    pub fn parse(url: &str) -> Result<Self, Problem> {
        let bad = |wrong: &str| {
            let wrong = format!("{url:?} {wrong}");
            Problem::new("uplink.url", wrong, "write mqtts://host or mqtts://host:port")
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("is no URL"))?;
        let tls = match scheme {
            "mqtts" => true,
            "mqtt" => false,
            _ => return Err(bad("is neither mqtts:// nor mqtt://")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['@', '/', '?', '#']) {
            return Err(bad("has more than a host and a port"));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(|| bad("lacks a ']'"))?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or_else(|| bad("lacks a ':'"))?),
                };
                (host, port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = match port {
            None if tls => PORT_TLS,
            None => PORT_PLAIN,
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(bad("has no legal port")),
            },
        };
        if ServerName::try_from(host).is_err() {
            return Err(bad("has no legal host"));
        }
        Ok(Self { host: host.to_owned(), port, tls })
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        let ip = self.host.parse::<IpAddr>();
        self.host == "localhost" || ip.is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<(String, u16, bool)> {
        Address::parse(url).ok().map(|address| (address.host, address.port, address.tls))
    }

    #[test]
    fn a_url_is_a_scheme_a_host_and_perhaps_a_port() {
        let host = |name: &str, port, tls| Some((name.to_owned(), port, tls));
        assert_eq!(parsed("mqtts://cloud.example"), host("cloud.example", 8883, true));
        assert_eq!(parsed("mqtts://cloud.example:443/"), host("cloud.example", 443, true));
        assert_eq!(parsed("mqtt://127.0.0.1"), host("127.0.0.1", 1883, false));
        assert_eq!(parsed("mqtts://[::1]:8884"), host("::1", 8884, true));
        assert_eq!(parsed("mqtt://[::1]"), host("::1", 1883, false));
        for url in [
            "",
            "cloud.example",
            "https://cloud.example",
            "mqtts://",
            "mqtts://a:0",
            "mqtts://a:x",
            "mqtts://a:70000",
            "mqtts://u:p@a",
            "mqtts://a/topic",
            "mqtts://[::1",
            "mqtts://[::1]x",
            "mqtts://a b",
        ] {
            assert_eq!(parsed(url), None, "{url}");
        }
    }
}
