//! What one connection may take: a seat among those of its address, a turn among those of its worker, and the
//! time that its answers wait to be read.

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::rt::net::TcpStream;
use gatepost_kernel::LockAnyway;
use gatepost_keys::presented::{self, network_of};
use ipnet::IpNet;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
    time::{Instant, Sleep, sleep_until},
};

/// How many connections an address may have at once.
const SEATS_PER_ADDRESS: usize = 256;
/// How long an answer may wait to be read, beside the time that its size is worth.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of an answer a reader has to take in a second, once it has used its patience up.
const LEAST_BYTES_PER_SECOND: u64 = 64 * 1_024;

/// How much a connection moves before its worker looks whether others want something. To copy it takes some
/// 20 µs.
const TURN_BYTES: usize = 64 * 1_024;

/// The socket that a request came by.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// Whether it is one with TLS.
    pub secure: bool,
    /// Whether it is the one for operators.
    pub admin: bool,
    /// The address that was connected to.
    pub local: SocketAddr,
}

/// Who is connected, by address; an IPv6 network of a customer (/64) counts as one. This machine and trusted
/// proxies speak for many, and are not counted. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Seats(Arc<Book>);

#[derive(Debug)]
struct Book {
    proxies: Vec<IpNet>,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place, given back when it is dropped. None for those who are not counted.
#[derive(Debug)]
pub struct Seat(Option<(Seats, IpAddr)>);

impl Seats {
    /// Where these proxies are trusted.
    pub fn new(proxies: Vec<IpNet>) -> Self {
        Self(Arc::new(Book { proxies, taken: Mutex::default() }))
    }

    /// Takes a seat for who has just connected, and prepares the socket; answers the address too.
    ///
    /// # Errors
    /// If the address has all its seats, or the connection is gone already.
    pub fn take(&self, socket: &TcpStream) -> io::Result<(Seat, SocketAddr)> {
        let peer = socket.peer_addr()?;
        let seat = self.seat(peer.ip()).ok_or_else(|| io::Error::other("too many connections"))?;
        // Ends a connection whose peer neither answers nor makes room, also when all was handed to the
        // system.
        SockRef::from(socket).set_tcp_user_timeout(Some(PATIENCE))?;
        Ok((seat, peer))
    }

    fn seat(&self, address: IpAddr) -> Option<Seat> {
        if address.to_canonical().is_loopback() || presented::is_trusted(address, &self.0.proxies) {
            return Some(Seat(None));
        }
        let network = network_of(Some(address));
        let mut taken = self.0.taken.lock_anyway();
        let seats = taken.entry(network).or_default();
        if *seats >= SEATS_PER_ADDRESS {
            return None;
        }
        *seats += 1;
        Some(Seat(Some((self.clone(), network))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((Seats(book), network)) = &self.0 else { return };
        let mut taken = book.taken.lock_anyway();
        if let Some(seats) = taken.get_mut(network) {
            *seats -= 1;
            if *seats == 0 {
                taken.remove(network);
            }
        }
    }
}

/// A stream whose answers have to be read: how long one may wait for its reader grows with what was taken of
/// it. Beyond that it fails, which ends the connection and frees what it holds.
pub struct Paced<S> {
    stream: S,
    pace: Pace,
    turn: Turn,
    _seat: Seat,
}

/// How much was moved since others last had their turn.
#[derive(Default)]
struct Turn(usize);

impl Turn {
    fn moved(&mut self, bytes: usize) {
        self.0 += bytes;
    }

    /// Whether it is over. Then the next begins once the worker has seen to everybody else.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.0 < TURN_BYTES {
            return false;
        }
        self.0 = 0;
        pin!(yield_now()).poll(context).is_pending()
    }
}

/// How the answer to one request is taken.
#[derive(Default)]
struct Pace {
    /// How much of it was.
    taken: u64,
    /// How long it could not be, until `blocked_since`.
    waited: Duration,
    blocked_since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Nothing can be written now: waits, until that took too long.
    fn wait<R>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        let allowed = PATIENCE + Duration::from_secs(self.taken / LEAST_BYTES_PER_SECOND);
        let deadline = since + allowed.saturating_sub(self.waited);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not read")))
    }

    fn took(&mut self, bytes: usize) {
        self.taken += bytes as u64;
        if let Some(since) = self.blocked_since.take() {
            self.waited += since.elapsed();
        }
    }

    /// More of the client's words arrived. Unless something still waits for it, they begin another request.
    fn heard(&mut self) {
        if self.blocked_since.is_none() {
            (self.taken, self.waited) = (0, Duration::ZERO);
        }
    }
}

impl<S> Paced<S> {
    /// Holds `seat` for as long as the stream is open.
    pub fn new(stream: S, seat: Seat) -> Self {
        Self { stream, pace: Pace::default(), turn: Turn::default(), _seat: seat }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.turn.is_over(context) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.turn.moved(bytes);
            self.pace.heard();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.turn.is_over(context) {
            return Poll::Pending;
        }
        // No more than a turn, of what may be an answer of megabytes.
        let buffer = &buffer[..buffer.len().min(TURN_BYTES)];
        match Pin::new(&mut self.stream).poll_write(context, buffer) {
            Poll::Pending => self.pace.wait(context),
            written => {
                if let Poll::Ready(Ok(bytes)) = written {
                    self.turn.moved(bytes);
                    self.pace.took(bytes);
                }
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.pace.wait(context),
            flushed => {
                self.pace.took(0);
                flushed
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        net::TcpListener,
        time::sleep,
    };

    use super::*;

    fn seats() -> Seats {
        Seats::new(vec!["192.0.2.0/24".parse().expect("a network")])
    }

    #[test]
    fn an_address_has_so_many_seats() {
        let seats = seats();
        let seat = |address: &str| seats.seat(address.parse().expect("an address"));
        for (address, neighbour) in
            [("203.0.113.7", "::ffff:203.0.113.7"), ("2001:db8::1", "2001:db8::ffff:0:0:1")]
        {
            let mut taken: Vec<Seat> = (0..SEATS_PER_ADDRESS).filter_map(|_| seat(address)).collect();
            assert_eq!(taken.len(), SEATS_PER_ADDRESS);
            assert!(seat(address).is_none() && seat(neighbour).is_none(), "{address} has all of its seats");
            assert!(seat("203.0.113.8").is_some() && seat("2001:db8:0:1::1").is_some(), "others have theirs");
            taken.pop();
            assert!(seat(neighbour).is_some(), "one was given back");
        }
        assert!(seats.0.taken.lock().expect("no panic").is_empty(), "nothing is kept of who has gone");
        for speaks_for_many in ["127.0.0.1", "::1", "192.0.2.9", "::ffff:192.0.2.9"] {
            let taken: Vec<Seat> = (0..2 * SEATS_PER_ADDRESS).filter_map(|_| seat(speaks_for_many)).collect();
            assert_eq!(taken.len(), 2 * SEATS_PER_ADDRESS, "{speaks_for_many}");
        }
    }

    #[tokio::test]
    async fn the_system_ends_what_does_not_move() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (socket, _) = accepted.expect("a connection");
        let (_seat, peer) = seats().take(&socket).expect("a seat");
        assert!(peer.ip().is_loopback());
        assert_eq!(SockRef::from(&socket).tcp_user_timeout().expect("an option"), Some(PATIENCE));
    }

    #[tokio::test]
    async fn others_have_their_turn_while_megabytes_move() {
        let megabyte = 1 << 20;
        let (client, server) = duplex(4 * megabyte);
        let mut server = Paced::new(server, Seat(None));
        let turns = std::cell::Cell::new(0);
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                yield_now().await;
            }
        };
        let moved = async {
            let (mut reads, mut writes) = tokio::io::split(client);
            server.write_all(&vec![b'x'; megabyte]).await.expect("all fits in");
            let written = turns.get();
            reads.read_exact(&mut vec![0; megabyte]).await.expect("what was written");
            writes.write_all(&vec![b'x'; megabyte]).await.expect("all fits in");
            let before = turns.get();
            let mut buffer = vec![0; megabyte];
            // As the framework reads, which does not ask for all at once.
            for piece in buffer.chunks_mut(32 * 1_024) {
                server.read_exact(piece).await.expect("what was written");
            }
            (written, turns.get() - before)
        };
        let (written, read) = tokio::select! {
            biased;
            counted = moved => counted,
            () = others => unreachable!("they go on for ever"),
        };
        let turns = megabyte / TURN_BYTES;
        assert!(written >= turns - 1, "writing: {written} turns of others");
        assert!(read >= turns - 1, "reading: {read} turns of others");
    }

    /// Sends `megabytes` to a reader that takes `bytes` every so often, and answers how long that took, or
    /// when it was cut.
    async fn send(megabytes: usize, bytes: usize, every: Duration) -> (io::Result<()>, Duration) {
        let (mut client, server): (DuplexStream, _) = duplex(16 * 1_024);
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; bytes];
            loop {
                sleep(every).await;
                if client.read_exact(&mut buffer).await.is_err() {
                    break;
                }
            }
        });
        let (mut server, started) = (Paced::new(server, Seat(None)), Instant::now());
        let sent = server.write_all(&vec![b'x'; megabytes << 20]).await;
        reader.abort();
        (sent, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_for_its_reader_so_long() {
        const SECOND: Duration = Duration::from_secs(1);
        let (sent, took) = send(60, 64 * 1_024, SECOND).await;
        sent.expect("taken at the least rate");
        assert!(took > 15 * 60 * SECOND, "{took:?}");
        for (bytes, every) in [(1, 29 * SECOND), (1, SECOND), (1, 3_600 * SECOND)] {
            let (cut, took) = send(1, bytes, every).await;
            assert_eq!(cut.expect_err("cut").kind(), io::ErrorKind::TimedOut);
            assert!((30 * SECOND..32 * SECOND).contains(&took), "{bytes} every {every:?}: {took:?}");
        }
        // A quarter of the rate: what was taken has earned its time.
        let (cut, took) = send(60, 16 * 1_024, SECOND).await;
        assert_eq!(cut.expect_err("cut").kind(), io::ErrorKind::TimedOut);
        assert!((39 * SECOND..42 * SECOND).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_begins_anew_but_not_while_its_answer_waits() {
        let minute = Duration::from_secs(60);
        let (mut client, server) = duplex(1_024);
        let mut server = Paced::new(server, Seat(None));
        let mut buffer = [0; 1_024];
        // Each answer waits for twenty seconds, the connection for much longer.
        for _ in 0..10 {
            client.write_all(b"GET").await.expect("a request");
            server.read_exact(&mut buffer[..3]).await.expect("heard");
            let slow = async {
                sleep(minute / 3).await;
                let mut answer = [0; 1_500];
                client.read_exact(&mut answer).await.expect("an answer");
            };
            let (sent, ()) = tokio::join!(server.write_all(&[b'x'; 1_500]), slow);
            sent.expect("in time");
        }
        // More requests meanwhile earn nothing.
        let (mut reads, mut writes) = tokio::io::split(server);
        let chatter = async {
            loop {
                sleep(minute / 6).await;
                if client.write_all(b"GET").await.is_err()
                    || reads.read_exact(&mut buffer[..3]).await.is_err()
                {
                    break;
                }
            }
        };
        let started = Instant::now();
        let cut = tokio::select! {
            sent = writes.write_all(&[b'x'; 5_000]) => sent.expect_err("cut"),
            () = chatter => unreachable!("the connection stays"),
        };
        assert_eq!((cut.kind(), started.elapsed() < minute), (io::ErrorKind::TimedOut, true));
    }
}
