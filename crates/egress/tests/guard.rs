//! The guard at the moment of the connection, before a real listener that must not hear anything.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use gatepost_egress::{Egress, PostError, Resolve, Rules, TargetError, header::HeaderMap};
use gatepost_kernel::WorkspaceId;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

const OWNER: WorkspaceId = WorkspaceId(1);
const PUBLIC: &str = "8.8.8.8";
const PRIVATE: &str = "127.0.0.1";

/// A name server that answers each time with the next of `answers`, and with the last for ever.
fn egress(answers: &'static [&'static [&'static str]]) -> (Egress, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let resolve = Resolve::with(move |_| {
        let place = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        async move {
            let addresses: Vec<IpAddr> =
                answers[place].iter().map(|text| text.parse().expect("an address")).collect();
            if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
        }
    });
    let rules = Rules { allow_http: true, resolve: Some(resolve), ..Rules::default() };
    (Egress::new(rules).expect("a client"), asked)
}

/// Whether a POST to a name reaches a listener on this machine; `asked_nobody` if the name has no address at
/// all.
async fn reaches(egress: &Egress, asked_nobody: bool) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://hostile.example:{}/", listener.local_addr().expect("its address").port());
    let target = egress.check(&url).expect("a name says nothing");
    let sent = egress.post(&target, OWNER, HeaderMap::new(), Bytes::new());
    tokio::select! {
        _ = listener.accept() => true,
        refused = sent => {
            let error = refused.expect_err("nobody answers");
            assert_eq!(error, if asked_nobody { PostError::NoAddress } else { PostError::NotPublic });
            false
        }
    }
}

#[tokio::test]
async fn an_answer_that_changes_gains_nothing() {
    let (egress, asked) = egress(&[&[PUBLIC], &[PRIVATE]]);
    egress.check_resolved("http://hostile.example/", None).await.expect("public, the first time");
    assert!(!reaches(&egress, false).await);
    assert_eq!(asked.load(Ordering::SeqCst), 2, "what was judged is what would have been connected to");
}

#[tokio::test]
async fn an_answer_that_mixes_is_refused_as_a_whole() {
    const MIXED: [&[&[&str]]; 3] =
        [&[&[PUBLIC, PRIVATE]], &[&[PRIVATE, PUBLIC]], &[&["::ffff:10.0.0.1", PUBLIC]]];
    for answers in MIXED {
        let (egress, _) = egress(answers);
        let refused = egress.check_resolved("http://hostile.example/", None).await;
        assert_eq!(refused.map(|_| ()), Err(TargetError::Private));
        assert!(!reaches(&egress, false).await);
    }
}

#[tokio::test]
async fn a_name_without_an_address_may_get_one() {
    let (egress, _) = egress(&[&[]]);
    let (_, is_resolved) = egress.check_resolved("http://tomorrow.example/", None).await.expect("accepted");
    assert!(!is_resolved, "and said to be so");
    assert!(!reaches(&egress, true).await);
}

#[tokio::test]
async fn a_workspace_has_a_few_look_ups_at_a_time_and_holds_up_nobody_elses() {
    let (asking, most, answers) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (now, highest, answer) = (asking.clone(), most.clone(), answers.clone());
    let resolve = Resolve::with(move |_| {
        highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let (now, answer) = (now.clone(), answer.clone());
        async move {
            answer.acquire().await.expect("an answer").forget();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![PRIVATE.parse().expect("an address")])
        }
    });
    let rules = Rules { allow_http: true, resolve: Some(resolve), ..Rules::default() };
    let egress = Egress::new(rules).expect("a client");
    let mut asked = JoinSet::new();
    let mut ask = |owner: i64, number: usize| {
        let egress = egress.clone();
        asked.spawn(async move {
            let url = format!("http://{owner}-{number}.example/");
            let target = egress.check(&url).expect("a name says nothing");
            // Whether a connection is made or an address is checked, they wait together.
            match number % 2 {
                0 => drop(egress.post(&target, WorkspaceId(owner), HeaderMap::new(), Bytes::new()).await),
                _ => drop(egress.check_resolved(&url, Some(WorkspaceId(owner))).await),
            }
        });
    };
    let until = async |count: usize| {
        while asking.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    };
    (0..20).for_each(|number| ask(1, number));
    until(4).await;
    // Whoever else comes does not wait for those.
    (0..3).for_each(|number| ask(2, number));
    until(7).await;
    answers.add_permits(23);
    while asked.join_next().await.is_some() {}
    assert_eq!(most.load(Ordering::SeqCst), 7, "four of the one, and all of the other");
}

#[tokio::test]
async fn what_the_operator_allows_is_reached() {
    let resolve = Resolve::with(|_| async { Ok(vec!["127.0.0.1".parse().expect("an address")]) });
    let allow = vec!["127.0.0.1/32".parse().expect("a network")];
    let egress = Egress::new(Rules { allow, allow_http: true, resolve: Some(resolve), ..Rules::default() })
        .expect("a client");
    assert!(reaches(&egress, false).await);
}

#[tokio::test]
async fn the_environments_proxy_is_not_asked() {
    // A proxy would look names up itself, behind the guard's back.
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = proxy.local_addr().expect("its address");
    let program = std::env::current_exe().expect("this program");
    let mut child = tokio::process::Command::new(program);
    child.args(["--exact", "an_answer_that_changes_gains_nothing"]);
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        child.env(name, format!("http://{address}"));
    }
    let output = tokio::select! {
        _ = proxy.accept() => panic!("the proxy was asked"),
        output = child.output() => output.expect("the test"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
