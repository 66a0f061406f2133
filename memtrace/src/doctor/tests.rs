use super::*;

fn able(findings: Vec<Finding>) -> Diagnosis {
    Diagnosis {
        findings,
        not_permitted: false,
    }
}

#[test]
fn less_is_enough_and_one_no_is_not() {
    let less = found("a", State::Less, "x");
    let diagnosis = able(vec![less.clone(), found("b", State::Yes, "")]);
    assert!(diagnosis.is_able());
    assert!(diagnosis.text().ends_with("\nmemtrace works here.\n"));
    let diagnosis = able(vec![less, found("c", State::No, "gone")]);
    assert!(!diagnosis.is_able());
    assert!(diagnosis.text().contains("NO    c"), "{}", diagnosis.text());
}

#[test]
fn each_missing_tracepoint_is_named_with_its_weight() {
    let layout = Layout {
        globals: vec![("VICTIM_BY_PID", 1)],
        rss: RssLayout::Atomic,
        missing_tracepoints: vec!["mm_vmscan_memcg_reclaim_begin", "rss_stat"],
        bound_types: Vec::new(),
    };
    let findings = types(&Ok(layout));
    let states: Vec<State> = findings.iter().map(|found| found.state).collect();
    assert_eq!(
        states,
        [State::Yes, State::Yes, State::Less, State::Less, State::No]
    );
    assert_eq!(findings[4].detail, "rss_stat is missing; it came with 5.5");
}

#[test]
fn without_btf_the_classic_tracepoints_are_needed() {
    let none = Err(FormatError::NotMounted);
    assert_eq!(classic(&none, true).state, State::Less);
    assert_eq!(classic(&none, false).state, State::No);
}
