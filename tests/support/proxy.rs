//! A network between two peers that can be unplugged, cut, or made to stall in silence.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How often a thread that waits looks at what it is to do.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// A peer that takes nothing for so long is dead.
const WRITE_LIMIT: Duration = Duration::from_secs(20);
const CHUNK_BYTES: usize = 64 * 1024;

/// What the network does to bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Weather {
    /// Everything passes.
    Clear,
    /// Connections stay open, but no byte moves in either direction: no FIN, no RST.
    Stalled,
    /// As `Stalled`, but only what goes to the server is held.
    StalledUpward,
    /// Open connections are cut and new ones closed at once.
    Down,
}

/// A TCP proxy on loopback; its port stays the same for its life.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    weather: AtomicU8,
    closing: AtomicBool,
    accepted: AtomicU64,
    pumps: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Proxy {
    /// A proxy before `target`.
    pub fn start(target: SocketAddr, weather: Weather) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("the address of a bound socket");
        let shared = Arc::new(Shared {
            target,
            weather: AtomicU8::new(weather as u8),
            closing: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            pumps: Mutex::new(Vec::new()),
        });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept(&listener, &for_acceptor));
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// Changes what the network does, for open and new connections.
    pub fn set(&self, weather: Weather) {
        self.shared.weather.store(weather as u8, Ordering::SeqCst);
    }

    /// How many connections were made so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        // Wakes the acceptor; a proxy that is gone already needs no waking.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for pump in self.shared.pumps.lock().expect("no pump panics").drain(..) {
            let _ = pump.join();
        }
    }
}

impl Shared {
    fn is_down(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
            || self.weather.load(Ordering::SeqCst) == Weather::Down as u8
    }

    fn holds(&self, direction: Direction) -> bool {
        let weather = self.weather.load(Ordering::SeqCst);
        weather == Weather::Stalled as u8
            || (weather == Weather::StalledUpward as u8 && direction == Direction::Up)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        if shared.is_down() {
            continue;
        }
        let Ok(server) = TcpStream::connect(shared.target) else { continue };
        let both = client.try_clone().and_then(|c| Ok((c, server.try_clone()?)));
        let Ok((client_too, server_too)) = both else { continue };
        let mut pumps = shared.pumps.lock().expect("no pump panics");
        pumps.retain(|pump| !pump.is_finished());
        for (from, to, direction) in
            [(client, server, Direction::Up), (server_too, client_too, Direction::Down)]
        {
            let shared = Arc::clone(shared);
            pumps.push(std::thread::spawn(move || pump(&from, &to, direction, &shared)));
        }
    }
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, direction: Direction, shared: &Shared) {
    let _ = to.set_nodelay(true);
    from.set_read_timeout(Some(LOOK_INTERVAL)).expect("a timeout that is not zero");
    to.set_write_timeout(Some(WRITE_LIMIT)).expect("a timeout that is not zero");
    let mut chunk = vec![0; CHUNK_BYTES];
    while !shared.is_down() {
        if shared.holds(direction) {
            std::thread::sleep(LOOK_INTERVAL);
            continue;
        }
        let taken = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(taken) => taken,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        // Bytes already taken when the network stalls are in the stalled network.
        while shared.holds(direction) && !shared.is_down() {
            std::thread::sleep(LOOK_INTERVAL);
        }
        if shared.is_down() || to.write_all(&chunk[..taken]).is_err() {
            break;
        }
    }
    // Ending one direction ends the connection; an error means that it has ended already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
