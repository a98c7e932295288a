//! Who waits for whom.

use super::*;

#[test]
fn nobody_waits_for_a_thread_that_has_ended() {
    let ingest = Ingest::default();
    ingest.stop();
    assert_eq!(ingest.rebuild().unwrap_err().code, Code::DaemonDraining);
    let ran = ingest.run("c", Scope::WHOLE, "request");
    assert_eq!(ran.unwrap_err().code, Code::DaemonDraining);
}

#[test]
fn a_busy_collection_rests_but_for_those_who_wait() {
    let ingest = Ingest::default();
    (0..20).for_each(|_| ingest.rest("busy", Duration::from_mins(1)));
    ingest.submit("busy", Scope::WHOLE, "watch");
    ingest.submit("calm", Scope::WHOLE, "watch");
    let next = || match ingest.next() {
        Work::Pass(pass, _) => pass.collection,
        _ => String::new(),
    };
    assert_eq!(next(), "calm");
    let _waiter = ingest.request("busy", Scope::WHOLE, "request");
    assert_eq!(next(), "busy");
}

#[test]
fn who_changes_a_collection_waits_for_the_pass_over_it() {
    let ingest = Ingest::default();
    ingest.submit("c", Scope::WHOLE, "watch");
    assert!(matches!(ingest.next(), Work::Pass(..)));
    drop(ingest.hold("other"));
    std::thread::scope(|scope| {
        let (tell, told) = sync_channel(1);
        let changed = &ingest;
        scope.spawn(move || {
            let _held = changed.hold("c");
            tell.send(()).unwrap();
        });
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        ingest.submit("d", Scope::WHOLE, "watch");
        assert!(matches!(ingest.next(), Work::Pass(..)));
        told.recv().unwrap();
    });
}

#[test]
fn endless_passes_do_not_keep_the_cache_from_being_looked_for() {
    let ingest = Ingest::default();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < deadline, "only passes for 20 s");
        ingest.submit("c", Scope::WHOLE, "ttl");
        if matches!(ingest.next(), Work::Check) {
            break;
        }
    }
    assert!(matches!(ingest.next(), Work::Pass(..)), "and they go on");
}

#[test]
fn what_passes_did_is_summed_up_until_there_is_nothing_to_do() {
    let ingest = Ingest::default();
    let rested = |ingest: &Ingest| match ingest.next() {
        Work::Pass(_, rested) => rested,
        _ => panic!("no pass"),
    };
    ingest.submit("one", Scope::WHOLE, "ttl");
    ingest.submit("two", Scope::WHOLE, "ttl");
    assert!(!rested(&ingest) && !rested(&ingest));
    std::thread::scope(|scope| {
        // Something else comes first when there is work again.
        let other = scope.spawn(|| matches!(ingest.next(), Work::Home(_)));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !ingest.queue().rested {
            assert!(Instant::now() < deadline, "it never rests");
            std::thread::yield_now();
        }
        ingest.look_at_home();
        assert!(other.join().unwrap());
    });
    ingest.submit("one", Scope::WHOLE, "ttl");
    assert!(rested(&ingest));
}
