//! A cloud that follows a script, one per connection, and remembers what it saw.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use rumqttc::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode,
    mqttbytes::v4::Codec,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;

use super::until;

/// How a cloud acknowledges messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    Prompt,
    /// Gathers this many, then acknowledges them from the last to the first.
    Backwards(usize),
    /// Each one twice, and another that nobody asked for.
    Twice,
    Never,
    /// All but the n-th message of the connection.
    AllBut(usize),
}

/// Where a cloud stops answering, with its socket open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    BeforeConnack,
    AfterConnack,
    /// Also stops reading.
    AfterMessages(usize),
}

/// What happens on one connection.
#[derive(Debug, Clone)]
pub struct Script {
    pub connack: ConnectReturnCode,
    /// A CONNACK code that MQTT 3.1.1 does not know.
    pub odd_code: Option<u8>,
    pub session_present: bool,
    pub acks: Acks,
    /// Closes the connection, without acknowledging it, at this message.
    pub close_at: Option<usize>,
    pub stall: Option<Stall>,
    /// Closes the connection at a message with this payload.
    pub denies: Option<&'static str>,
    /// Answers SUBSCRIBE with these bytes.
    pub nonsense: Option<&'static [u8]>,
    /// The answer to each filter of SUBSCRIBE; `None` is no answer at all.
    pub suback: Option<SubscribeReasonCode>,
    /// Sent down after SUBACK, from packet identifier 1 on.
    pub down: Vec<(&'static str, &'static str)>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            connack: ConnectReturnCode::Success,
            odd_code: None,
            session_present: false,
            acks: Acks::Prompt,
            close_at: None,
            stall: None,
            denies: None,
            nonsense: None,
            suback: Some(SubscribeReasonCode::Success(QoS::AtLeastOnce)),
            down: Vec::new(),
        }
    }
}

/// A packet that came up, on which connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub connection: usize,
    pub packet: Packet,
}

pub struct Cloud {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cloud {
    /// A cloud whose n-th connection follows the n-th script, and later ones the last.
    pub async fn start(scripts: Vec<Script>) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), scripts)
    }

    pub fn listen(listener: TcpListener, scripts: Vec<Script>) -> Self {
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                let mut open = tokio::task::JoinSet::new();
                for connection in 0.. {
                    let Ok((socket, _)) = listener.accept().await else { return };
                    let script = scripts[connection.min(scripts.len() - 1)].clone();
                    open.spawn(serve(socket, script, connection, Arc::clone(&seen)));
                }
            }
        });
        Self { url, seen, task }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Payloads of all messages, in order of arrival.
    pub fn payloads(&self) -> Vec<String> {
        self.publishes().iter().map(|(_, publish)| text(publish)).collect()
    }

    /// Payloads in order of first arrival.
    pub fn first_payloads(&self) -> Vec<String> {
        let mut known = std::collections::HashSet::new();
        self.payloads().into_iter().filter(|payload| known.insert(payload.clone())).collect()
    }

    pub fn publishes(&self) -> Vec<(usize, Publish)> {
        let publish = |seen: Seen| match seen.packet {
            Packet::Publish(publish) => Some((seen.connection, publish)),
            _ => None,
        };
        self.seen().into_iter().filter_map(publish).collect()
    }

    pub fn connections(&self) -> usize {
        self.count(|packet| matches!(packet, Packet::Connect(_)))
    }

    pub fn count(&self, wanted: impl Fn(&Packet) -> bool) -> usize {
        self.seen().iter().filter(|seen| wanted(&seen.packet)).count()
    }

    pub async fn has_seen(&self, what: &str, count: usize, wanted: impl Fn(&Packet) -> bool) {
        until(what, || self.count(&wanted) >= count).await;
    }
}

fn text(publish: &Publish) -> String {
    String::from_utf8(publish.payload.to_vec()).unwrap()
}

async fn serve(socket: TcpStream, script: Script, connection: usize, seen: Arc<Mutex<Vec<Seen>>>) {
    let codec = Codec { max_incoming_size: 1 << 24, max_outgoing_size: 1 << 24 };
    let mut link = Framed::new(socket, codec);
    let mut messages = 0;
    let mut gathered = Vec::new();
    while let Some(Ok(packet)) = link.next().await {
        seen.lock().unwrap().push(Seen { connection, packet: packet.clone() });
        let answers = match packet {
            Packet::Connect(_) => match connack(&script, &mut link).await {
                Some(answers) => answers,
                None => return,
            },
            Packet::Subscribe(_) if script.nonsense.is_some() => {
                use tokio::io::AsyncWriteExt;
                let bytes = script.nonsense.unwrap_or_default();
                let _ = link.get_mut().write_all(bytes).await;
                Vec::new()
            }
            Packet::Subscribe(subscribe) => {
                suback(&script, subscribe.pkid, subscribe.filters.len())
            }
            Packet::Publish(publish) => {
                let denied = script.denies.is_some_and(|payload| publish.payload == payload);
                if denied || script.close_at == Some(messages) {
                    return;
                }
                messages += 1;
                let answers = pubacks(script.acks, messages - 1, publish.pkid, &mut gathered);
                if script.stall == Some(Stall::AfterMessages(messages)) {
                    std::future::pending::<()>().await;
                }
                answers
            }
            Packet::PingReq if script.stall.is_none() => vec![Packet::PingResp],
            Packet::Disconnect => return,
            _ => Vec::new(),
        };
        for answer in answers {
            if link.feed(answer).await.is_err() {
                return;
            }
        }
        if link.flush().await.is_err() {
            return;
        }
    }
}

async fn connack(script: &Script, link: &mut Framed<TcpStream, Codec>) -> Option<Vec<Packet>> {
    use tokio::io::AsyncWriteExt;
    if script.stall == Some(Stall::BeforeConnack) {
        std::future::pending::<()>().await;
    }
    if let Some(code) = script.odd_code {
        link.get_mut().write_all(&[0x20, 2, 0, code]).await.ok()?;
        return None;
    }
    let answer = ConnAck::new(script.connack, script.session_present);
    link.send(Packet::ConnAck(answer)).await.ok()?;
    if script.connack != ConnectReturnCode::Success {
        // A moment for the answer to be read before the connection is gone.
        let _ = tokio::time::timeout(Duration::from_secs(1), link.next()).await;
        return None;
    }
    Some(Vec::new())
}

fn suback(script: &Script, pkid: u16, filters: usize) -> Vec<Packet> {
    let Some(code) = script.suback else { return Vec::new() };
    if script.stall == Some(Stall::AfterConnack) {
        return Vec::new();
    }
    let mut answers = vec![Packet::SubAck(SubAck::new(pkid, vec![code; filters]))];
    for (pkid, (topic, payload)) in (1..).zip(&script.down) {
        let mut publish = Publish::new(*topic, QoS::AtLeastOnce, *payload);
        publish.pkid = pkid;
        answers.push(Packet::Publish(publish));
    }
    answers
}

fn pubacks(acks: Acks, index: usize, pkid: u16, gathered: &mut Vec<u16>) -> Vec<Packet> {
    let ack = |pkid| Packet::PubAck(PubAck::new(pkid));
    match acks {
        Acks::Prompt => vec![ack(pkid)],
        Acks::Twice => vec![ack(pkid), ack(pkid), ack(64_999)],
        Acks::AllBut(missing) if index != missing => vec![ack(pkid)],
        Acks::Never | Acks::AllBut(_) => Vec::new(),
        Acks::Backwards(count) => {
            gathered.push(pkid);
            if gathered.len() < count {
                return Vec::new();
            }
            gathered.drain(..).rev().map(ack).collect()
        }
    }
}
