//! Receivers that answer as no receiver should, behind real sockets: what each of them may cost is bounded.

use std::{
    env, fs, future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use gatepost_egress::{Egress, PostError, Reply, Resolve, Rules, Target, header::HeaderMap};
use gatepost_kernel::WorkspaceId;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tokio_rustls::TlsAcceptor;

const OWNER: WorkspaceId = WorkspaceId(1);
/// Names the port of a receiver over TLS, for this program as its own client.
const TLS_PORT: &str = "GATEPOST_TEST_TLS_PORT";

fn egress() -> Egress {
    let allow = vec!["127.0.0.1/32".parse().expect("a network")];
    Egress::new(Rules { allow, allow_http: true, ..Rules::default() }).expect("a client")
}

/// A receiver that talks as `talk` says on each connection, and how many connections it was asked for.
async fn receiver<F>(
    egress: &Egress,
    talk: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> (Target, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().expect("its address").port());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(talk(stream));
        }
    });
    (egress.check(&url).expect("an address that is allowed"), connections)
}

/// Reads a request without a body.
async fn request(stream: &mut TcpStream) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).await.is_err() {
            return false;
        }
        head.push(byte[0]);
    }
    true
}

/// What a receiver gets as an answer that begins with `first` and goes on with `rest` for ever.
async fn answered(first: &'static str, rest: &'static str) -> Result<Reply, PostError> {
    let egress = egress();
    let (target, _) = receiver(&egress, move |mut stream| async move {
        request(&mut stream).await;
        if stream.write_all(first.as_bytes()).await.is_err() {
            return;
        }
        if rest.is_empty() {
            // It keeps the connection, and says no more.
            future::pending::<()>().await;
        }
        let rest = rest.repeat(1_000);
        while stream.write_all(rest.as_bytes()).await.is_ok() {}
    })
    .await;
    egress.post(&target, OWNER, HeaderMap::new(), Bytes::new()).await
}

#[tokio::test]
async fn eight_interim_responses_are_waited_for_and_no_more() {
    const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const EIGHT: &str = concat!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    );
    assert_eq!(answered(EIGHT, "").await.expect("an answer").status, 204);
    assert_eq!(answered("", HINT).await.map(|_| ()), Err(PostError::TooManyInterim));
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_read_to_its_end() {
    for (first, rest) in [
        ("HTTP/1.1 200 OK\r\nX-Long: ", "aaaaaaaaaaaaaaaa"),
        ("HTTP/1.1 200 OK\r\n", "X-Many: a\r\n"),
        ("HTTP/1.1 200 ", "very good "),
    ] {
        assert_eq!(answered(first, rest).await.map(|_| ()), Err(PostError::Unreadable), "{first}");
    }
    assert_eq!(answered("SSH-2.0-OpenSSH_9.2\r\n", "").await.map(|_| ()), Err(PostError::Unreadable));
    let head =
        Box::leak(format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "a".repeat(60_000)).into_boxed_str());
    assert_eq!(answered(head, "").await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_body_that_never_ends_is_read_as_far_as_it_is_wanted() {
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (first, rest) in
        [(body, "aaaaaaaaaaaaaaaa"), (chunks, "1\r\na\r\n"), (chunks, "10\r\naaaaaaaaaaaaaaaa\r\n")]
    {
        let mut reply = answered(first, rest).await.expect("an answer");
        let mut read = 0;
        while read < 16 << 10 {
            read += reply.chunk().await.expect("more").expect("more").len();
        }
        // Whoever wants all of it hears that there is too much.
        let broken = loop {
            match reply.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it has no end"),
                Err(error) => break error,
            }
        };
        assert_eq!(broken, PostError::BrokenOff);
    }
}

#[tokio::test]
async fn a_connection_is_kept_however_much_comes_over_it_one_answer_after_the_other() {
    let egress = egress();
    let (target, connections) = receiver(&egress, |mut stream| async move {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n{}", "a".repeat(10_000));
        while request(&mut stream).await {
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    for _ in 0..50 {
        let mut reply = egress.post(&target, OWNER, HeaderMap::new(), Bytes::new()).await.expect("an answer");
        let mut read = 0;
        while let Some(chunk) = reply.chunk().await.expect("more") {
            read += chunk.len();
        }
        assert_eq!(read, 10_000);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn over_tls_a_certificate_is_believed_that_the_system_believes() {
    if let Some(port) = env::var_os(TLS_PORT) {
        let resolve = Resolve::with(|_| async { Ok(vec!["127.0.0.1".parse().expect("an address")]) });
        let allow = vec!["127.0.0.1/32".parse().expect("a network")];
        let egress =
            Egress::new(Rules { allow, resolve: Some(resolve), ..Rules::default() }).expect("a client");
        let post = async |host: &str| {
            let url = format!("https://{host}:{}/", port.display());
            let target = egress.check(&url).expect("an address");
            egress.post(&target, OWNER, HeaderMap::new(), Bytes::new()).await.map(|reply| reply.status)
        };
        assert_eq!(post("receiver.example").await.expect("an answer"), 204);
        assert_eq!(post("other.example").await, Err(PostError::NotConnected));
        return;
    }
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["receiver.example".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes()).expect("a key");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![cert.der().clone()], key).expect("an identity");
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                // The head of the request comes in one piece.
                let mut head = [0; 4_096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            });
        }
    });
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("roots.pem");
    for (roots, works) in [(cert.pem(), true), (unknown_root(), false)] {
        fs::write(&path, roots).expect("the roots");
        let mut client = Command::new(env::current_exe().expect("this program"));
        client.args(["--exact", "over_tls_a_certificate_is_believed_that_the_system_believes"]);
        client.env(TLS_PORT, port.to_string()).env("SSL_CERT_FILE", &path).env_remove("SSL_CERT_DIR");
        let output = client.output().await.expect("the test");
        assert_eq!(output.status.success(), works, "{}", String::from_utf8_lossy(&output.stdout));
    }
}

fn unknown_root() -> String {
    generate_simple_self_signed(["receiver.example".to_owned()]).expect("a certificate").cert.pem()
}
