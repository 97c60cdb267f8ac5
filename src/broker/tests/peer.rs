//! Clients that the tests lead packet by packet. rumqttc's codec is their side of the wire.

use std::net::SocketAddr;

use bytes::BytesMut;
use rumqttc::{QoS, mqttbytes::v4, v5::mqttbytes::v5};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::harness::SOON;

const MAX: usize = 1024 * 1024;

/// A connection's client end.
pub struct Peer<S = TcpStream> {
    pub stream: S,
    input: BytesMut,
}

pub fn connect4(client_id: &str) -> v4::Connect {
    let mut connect = v4::Connect::new(client_id);
    connect.clean_session = true;
    connect.keep_alive = 60;
    connect
}

pub fn publish4(topic: &str, qos: QoS, id: u16, payload: &str) -> v4::Packet {
    let mut publish = v4::Publish::new(topic, qos, payload);
    publish.pkid = id;
    v4::Packet::Publish(publish)
}

impl Peer {
    pub async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("the door is open"))
    }

    /// A clean session in MQTT 3.1.1.
    pub async fn clean(address: SocketAddr, client_id: &str) -> Self {
        let mut peer = Self::open(address).await;
        assert_eq!(peer.hello(&connect4(client_id)).await, (v4::ConnectReturnCode::Success, false));
        peer
    }

    /// A kept session in MQTT 3.1.1, and whether there was one.
    pub async fn kept(address: SocketAddr, client_id: &str) -> (Self, bool) {
        let mut peer = Self::open(address).await;
        let mut connect = connect4(client_id);
        connect.clean_session = false;
        let (code, present) = peer.hello(&connect).await;
        assert_eq!(code, v4::ConnectReturnCode::Success);
        (peer, present)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, input: BytesMut::new() }
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the broker takes bytes");
    }

    pub async fn send(&mut self, packet: v4::Packet) {
        self.send_all(vec![packet]).await;
    }

    /// Writes several packets at once.
    pub async fn send_all(&mut self, packets: Vec<v4::Packet>) {
        let mut out = BytesMut::new();
        for packet in packets {
            packet.write(&mut out, MAX).expect("it can be written");
        }
        self.raw(&out).await;
    }

    async fn fill(&mut self) -> bool {
        let read = timeout(SOON, self.stream.read_buf(&mut self.input)).await;
        match read.expect("the broker answers in time") {
            Ok(count) => count > 0,
            Err(_) => false,
        }
    }

    /// The next packet; `None` when the broker has closed.
    pub async fn next(&mut self) -> Option<v4::Packet> {
        loop {
            match v4::Packet::read(&mut self.input, MAX) {
                Ok(packet) => return Some(packet),
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("the broker sends what is no packet: {error}"),
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    pub async fn expect(&mut self, packet: v4::Packet) {
        assert_eq!(self.next().await, Some(packet));
    }

    pub async fn expect_close(&mut self) {
        assert_eq!(self.next().await, None);
    }

    /// Nothing but the answer to a ping comes: whatever was on its way would have come before.
    pub async fn expect_nothing(&mut self) {
        self.send(v4::Packet::PingReq).await;
        self.expect(v4::Packet::PingResp).await;
    }

    /// The broker answers, whatever else it sends.
    pub async fn expect_pong(&mut self) {
        self.send(v4::Packet::PingReq).await;
        loop {
            match self.next().await {
                Some(v4::Packet::PingResp) => return,
                Some(_) => {}
                None => panic!("the broker has closed"),
            }
        }
    }

    pub async fn message(&mut self) -> v4::Publish {
        match self.next().await {
            Some(v4::Packet::Publish(publish)) => publish,
            other => panic!("a message was expected, not {other:?}"),
        }
    }

    pub async fn hello(&mut self, connect: &v4::Connect) -> (v4::ConnectReturnCode, bool) {
        self.send(v4::Packet::Connect(connect.clone())).await;
        match self.next().await {
            Some(v4::Packet::ConnAck(ack)) => (ack.code, ack.session_present),
            other => panic!("a CONNACK was expected, not {other:?}"),
        }
    }

    pub async fn subscribe(&mut self, filter: &str, qos: QoS) {
        let mut subscribe = v4::Subscribe::new(filter, qos);
        subscribe.pkid = 1;
        self.send(v4::Packet::Subscribe(subscribe)).await;
        let granted = vec![v4::SubscribeReasonCode::Success(qos)];
        self.expect(v4::Packet::SubAck(v4::SubAck::new(1, granted))).await;
    }

    pub async fn send5(&mut self, packet: v5::Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, None).expect("it can be written");
        self.raw(&out).await;
    }

    pub async fn next5(&mut self) -> Option<v5::Packet> {
        loop {
            // The library takes a DISCONNECT or a PUBACK of two bytes only when it is alone.
            match v5::Packet::read(&mut self.input, None) {
                Ok(packet) => return Some(packet),
                Err(rumqttc::v5::mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("the broker sends what is no packet: {error}"),
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    pub async fn hello5(
        &mut self,
        client_id: &str,
        clean_start: bool,
        adjust: impl FnOnce(&mut v5::ConnectProperties, &mut Option<v5::LastWill>),
    ) -> v5::ConnAck {
        let mut properties = v5::ConnectProperties::new();
        let mut will = None;
        adjust(&mut properties, &mut will);
        let connect = v5::Connect {
            keep_alive: 60,
            client_id: client_id.to_owned(),
            clean_start,
            properties: Some(properties),
        };
        self.send5(v5::Packet::Connect(connect, will, None)).await;
        match self.next5().await {
            Some(v5::Packet::ConnAck(ack)) => ack,
            other => panic!("a CONNACK was expected, not {other:?}"),
        }
    }

    pub async fn subscribe5(&mut self, filter: v5::Filter, identifier: Option<usize>) {
        let properties = identifier
            .map(|id| v5::SubscribeProperties { id: Some(id), user_properties: Vec::new() });
        let mut subscribe = v5::Subscribe::new(filter, properties);
        subscribe.pkid = 1;
        self.send5(v5::Packet::Subscribe(subscribe)).await;
        assert!(matches!(self.next5().await, Some(v5::Packet::SubAck(_))));
    }

    pub async fn message5(&mut self) -> v5::Publish {
        match self.next5().await {
            Some(v5::Packet::Publish(publish)) => publish,
            other => panic!("a message was expected, not {other:?}"),
        }
    }

    pub async fn expect_nothing5(&mut self) {
        self.send5(v5::Packet::PingReq(v5::PingReq)).await;
        assert!(matches!(self.next5().await, Some(v5::Packet::PingResp(_))));
    }
}
