//! Doors: who is let in, by which way, how many, and how they close.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version, password_hash::SaltString};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rumqttc::mqttbytes::v4;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    super::*,
    harness::{House, SOON, eventually, loopback},
    peer::{Peer, connect4, publish4},
};
use crate::config::{Authentication, Limits, Listener, ListenerTls, User};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

struct Leaf {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn leaf(issuer: &Issuer, common_name: &str) -> Leaf {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a good DNS name");
    params.distinguished_name.push(DnType::CommonName, common_name);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    Leaf { certificate: certificate.der().clone(), key }
}

fn write_pem(directory: &Path, name: &str, pem: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, pem).expect("the directory can be written");
    path
}

struct TlsHouse {
    house: House,
    devices: Issuer,
    servers: Issuer,
    directory: tempfile::TempDir,
}

impl TlsHouse {
    async fn new(with_client_ca: bool, authentication: Option<Authentication>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (servers, devices) = (authority("servers"), authority("devices"));
        let server = leaf(&servers, "gateway.local");
        let pem = pem_of(&server.certificate);
        let client_ca = write_pem(directory.path(), "devices.pem", &devices.pem());
        let tls = ListenerTls {
            cert: write_pem(directory.path(), "server.pem", &pem),
            key: write_pem(directory.path(), "server.key", &server.key.serialize_pem()),
            client_ca: with_client_ca.then_some(client_ca),
        };
        let listener = Listener { tls: Some(tls), authentication, ..loopback() };
        let limits = Limits { connect_timeout: Duration::from_millis(500), ..Limits::default() };
        let users = [user("pump", "secret")];
        let house = House::start(&[listener, loopback()], &users, &limits).await;
        let house = house.unwrap_or_else(|error| panic!("the broker does not start: {error}"));
        Self { house, devices, servers, directory }
    }

    async fn connect(&self, identity: Option<&Leaf>) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.servers.der().clone()).expect("a good authority");
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS")
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).expect("a key");
                builder
                    .with_client_auth_cert(vec![leaf.certificate.clone()], key)
                    .expect("certificate and key match")
            }
        };
        let stream = TcpStream::connect(self.house.address()).await?;
        let name = ServerName::try_from("localhost").expect("a good name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Whether a session can be had with this certificate. (In TLS 1.3 a client learns only
    /// afterwards that it was refused.)
    async fn is_let_in(&self, identity: Option<&Leaf>) -> bool {
        let Ok(stream) = self.connect(identity).await else { return false };
        let mut peer = Peer::over(stream);
        let mut connect = bytes::BytesMut::new();
        connect4("any").write(&mut connect).expect("it can be written");
        if tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &connect).await.is_err() {
            return false;
        }
        matches!(peer.next().await, Some(v4::Packet::ConnAck(_)))
    }
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

fn user(name: &str, password: &str) -> User {
    let params = Params::new(8, 1, 1, None).expect("the smallest parameters are allowed");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::encode_b64(b"a salt for tests").expect("16 bytes are a salt");
    let hash = argon2.hash_password(password.as_bytes(), &salt).expect("it can be hashed");
    User { name: name.to_owned(), password_hash: hash.to_string() }
}

#[tokio::test]
async fn a_certificate_of_the_devices_authority_is_let_in_and_names_its_messages() {
    let tls = TlsHouse::new(true, None).await;
    let device = leaf(&tls.devices, "pump-1");
    let stream = tls.connect(Some(&device)).await.expect("it is let in");
    let mut peer = Peer::over(stream);
    peer.hello(&connect4("whatever")).await;
    peer.send(publish4("t", rumqttc::QoS::AtLeastOnce, 1, "x")).await;
    peer.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
    let (source, message) = tls.house.door.submitted.lock().unwrap()[0].clone();
    assert_eq!(&*source.0, "pump-1");
    assert_eq!(message.publisher.as_deref(), Some("whatever"));
}

#[tokio::test]
async fn no_certificate_one_of_another_authority_and_one_without_a_usable_name_are_not_let_in() {
    let tls = TlsHouse::new(true, None).await;
    assert!(!tls.is_let_in(None).await);
    assert!(!tls.is_let_in(Some(&leaf(&authority("strangers"), "pump-1"))).await);
    assert!(!tls.is_let_in(Some(&leaf(&tls.devices, "gateway"))).await);
    assert!(tls.is_let_in(Some(&leaf(&tls.devices, "pump-1"))).await);
    assert_eq!(tls.house.counts().refused_tls, 3);
}

#[tokio::test]
async fn devices_with_different_certificates_have_sessions_of_their_own_under_one_client_id() {
    let tls = TlsHouse::new(true, None).await;
    let mut peers = Vec::new();
    for name in ["pump-1", "pump-2"] {
        let device = leaf(&tls.devices, name);
        let mut peer = Peer::over(tls.connect(Some(&device)).await.expect("it is let in"));
        let mut connect = connect4("same");
        connect.clean_session = false;
        assert_eq!(peer.hello(&connect).await, (v4::ConnectReturnCode::Success, false));
        peers.push(peer);
    }
    for mut peer in peers {
        peer.expect_nothing().await;
    }
    assert_eq!(tls.house.counts().takeovers, 0);
}

#[tokio::test]
async fn a_silent_connection_is_closed_in_time_at_a_tls_door_and_a_plain_one() {
    let tls = TlsHouse::new(true, None).await;
    for address in tls.house.broker.addresses() {
        let mut silent = Peer::open(address).await;
        // Others are let in meanwhile.
        assert!(tls.is_let_in(Some(&leaf(&tls.devices, "pump-1"))).await);
        silent.expect_close().await;
    }
    eventually("both are counted", || tls.house.counts().refused_timeout == 2).await;
}

#[tokio::test]
async fn a_reloaded_door_uses_its_new_certificate_and_keeps_the_old_one_if_the_new_is_no_good() {
    let tls = TlsHouse::new(false, Some(Authentication::Password)).await;
    let server = leaf(&tls.servers, "renewed");
    let directory = tls.directory.path();
    write_pem(directory, "server.key", "no key");
    assert!(tls.house.broker.reload_tls().is_err());
    tls.connect(None).await.expect("the old certificate is in force");
    write_pem(directory, "server.pem", &pem_of(&server.certificate));
    write_pem(directory, "server.key", &server.key.serialize_pem());
    tls.house.broker.reload_tls().expect("the new files are good");
    let stream = tls.connect(None).await.expect("the new certificate is in force");
    let presented = stream.get_ref().1.peer_certificates().expect("a server shows one");
    assert_eq!(presented[0], server.certificate);
}

#[tokio::test]
async fn a_password_is_asked_for_and_checked() {
    let listener = Listener { authentication: Some(Authentication::Password), ..loopback() };
    let users = [user("pump", "secret")];
    let house = House::start(&[listener], &users, &Limits::default()).await.expect("it starts");
    for (login, expected) in [
        (Some(("pump", "secret")), v4::ConnectReturnCode::Success),
        (Some(("pump", "wrong")), v4::ConnectReturnCode::BadUserNamePassword),
        (Some(("nobody", "secret")), v4::ConnectReturnCode::BadUserNamePassword),
        (None, v4::ConnectReturnCode::BadUserNamePassword),
    ] {
        let mut connect = connect4("client");
        connect.login = login.map(|(name, password)| v4::Login::new(name, password));
        let mut peer = Peer::open(house.address()).await;
        assert_eq!(peer.hello(&connect).await.0, expected, "{login:?}");
        if expected != v4::ConnectReturnCode::Success {
            peer.expect_close().await;
            continue;
        }
        peer.send(publish4("t", rumqttc::QoS::AtLeastOnce, 1, "x")).await;
        peer.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
        assert_eq!(&*house.door.submitted.lock().unwrap()[0].0.0, "pump");
    }
    assert_eq!(house.counts().refused_credentials, 3);
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_at_once_and_a_place_given_up_is_used_again() {
    let house = House::with(|limits| limits.connections_max = 2).await;
    let first = Peer::clean(house.address(), "first").await;
    let _second = Peer::clean(house.address(), "second").await;
    let mut third = Peer::open(house.address()).await;
    third.expect_close().await;
    assert_eq!(house.counts().refused_connections_max, 1);
    drop(first);
    eventually("the first is gone", || house.counts().connections == 1).await;
    Peer::clean(house.address(), "third").await.expect_nothing().await;
}

#[tokio::test]
async fn a_door_that_would_be_open_by_mistake_is_not_opened() {
    let anywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let limits = Limits::default();
    let refused = |listener: Listener| async move {
        match House::start(&[listener], &[], &Limits::default()).await {
            Ok(_) => panic!("the door was opened"),
            Err(StartError::Listener(error)) => error,
            Err(other) => panic!("{other}"),
        }
    };
    let error = refused(Listener { bind: anywhere, ..loopback() }).await;
    assert!(matches!(error, ListenerError::Authentication(_)), "{error}");
    let anonymous = Some(Authentication::Anonymous);
    let open = Listener { bind: anywhere, authentication: anonymous, ..loopback() };
    let error = refused(open.clone()).await;
    assert!(matches!(error, ListenerError::Insecure(_)), "{error}");
    let by_certificate =
        Listener { authentication: Some(Authentication::Certificate), ..loopback() };
    let error = refused(by_certificate).await;
    assert!(matches!(error, ListenerError::ClientCa(_)), "{error}");
    let insecure = Listener { insecure: true, ..open };
    let house = House::start(&[insecure], &[], &limits).await.expect("it was said explicitly");
    let taken =
        Listener { bind: SocketAddr::from(([127, 0, 0, 1], house.address().port())), ..loopback() };
    let error = refused(taken).await;
    assert!(matches!(error, ListenerError::Bind { .. }), "{error}");
}

#[tokio::test]
async fn a_stopping_broker_finishes_what_it_had_begun_and_closes_its_doors() {
    let house = House::new().await;
    let address = house.address();
    let mut publisher = Peer::clean(address, "publisher").await;
    publisher.send(publish4("held/t", rumqttc::QoS::AtLeastOnce, 1, "x")).await;
    eventually("it is at the door", || house.door.batches.lock().unwrap().len() == 1).await;
    assert_eq!(house.broker.probe(SOON).await, Ok(()));
    house.shutdown.cancel();
    assert!(!house.broker.drained(Duration::from_millis(50)).await, "a message is at the door");
    house.door.gate.add_permits(1);
    publisher.expect(v4::Packet::PubAck(v4::PubAck::new(1))).await;
    publisher.expect_close().await;
    assert!(house.broker.drained(SOON).await);
    assert_eq!(house.broker.probe(SOON).await, Err(ProbeError::Door(address)));
    assert!(TcpStream::connect(address).await.is_err());
}
