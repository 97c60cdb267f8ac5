//! `[[listener]]`

use std::{collections::HashSet, time::SystemTime};

use super::require;
use crate::{
    config::{Authentication, Config, Listener, ListenerTls, Problem},
    uplink::tls,
};

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let mut ports = HashSet::new();
    for (i, listener) in config.listener.iter().enumerate() {
        let key = format!("listener[{i}]");
        let port = listener.bind.port();
        require(
            problems,
            port == 0 || ports.insert(listener.bind),
            format!("{key}.bind"),
            format!("{} is taken by an earlier listener", listener.bind),
            "give each listener an address and port of its own",
        );
        authentication(config, listener, &key, problems);
    }
    wildcards(config, problems);
}

pub(super) fn check_files(config: &Config, problems: &mut Vec<Problem>) {
    for (i, listener) in config.listener.iter().enumerate() {
        if let Some(files) = &listener.tls {
            tls_files(files, &format!("listener[{i}]"), problems);
        }
    }
}

fn tls_files(files: &ListenerTls, key: &str, problems: &mut Vec<Problem>) {
    let found = tls::inspect(
        files.client_ca.as_deref(),
        Some(&files.cert),
        Some(&files.key),
        Some(SystemTime::now()),
    );
    problems.extend(found.into_iter().map(|problem| {
        let name = problem.key.rsplit('.').next().unwrap_or_default();
        let name = if name == "ca" { "client_ca" } else { name };
        Problem { key: format!("{key}.tls.{name}"), ..problem }
    }));
}

/// 0.0.0.0:1883 and 127.0.0.1:1883 cannot both be bound.
fn wildcards(config: &Config, problems: &mut Vec<Problem>) {
    for (i, a) in config.listener.iter().enumerate() {
        for b in config.listener.iter().filter(|b| b.bind.ip().is_unspecified()) {
            let overlap = !a.bind.ip().is_unspecified()
                && a.bind.port() == b.bind.port()
                && a.bind.port() != 0
                && a.bind.is_ipv4() == b.bind.is_ipv4();
            require(
                problems,
                !overlap,
                format!("listener[{i}].bind"),
                format!("{} is covered by the listener on {}", a.bind, b.bind),
                "use another port, or remove one of the two",
            );
        }
    }
}

fn authentication(config: &Config, listener: &Listener, key: &str, problems: &mut Vec<Problem>) {
    let key = format!("{key}.authentication");
    let local = listener.bind.ip().is_loopback() || listener.insecure;
    let has_client_ca = listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    match listener.authentication() {
        None => problems.push(Problem::new(
            key,
            format!("nothing says how devices on {} show who they are", listener.bind),
            "set authentication, or tls.client_ca for client certificates",
        )),
        Some(Authentication::Certificate) => require(
            problems,
            has_client_ca,
            key,
            "certificates need TLS with a client_ca",
            "set tls.cert, tls.key and tls.client_ca",
        ),
        Some(Authentication::Password) => {
            require(
                problems,
                !config.user.is_empty(),
                key.clone(),
                "nobody could log in: there is no [[user]]",
                "add a [[user]]; `holdfast passwd` makes its hash",
            );
            require(
                problems,
                listener.tls.is_some() || local,
                key,
                format!("passwords would cross the network in the clear on {}", listener.bind),
                "add tls, bind to loopback, or set insecure = true",
            );
        }
        Some(Authentication::Anonymous) => require(
            problems,
            local,
            key,
            format!("anyone who reaches {} could publish", listener.bind),
            "ask for certificates or passwords, bind to loopback, or set insecure = true",
        ),
    }
}
