//! The house rules that no compiler knows, as a test.

#[test]
fn sources_keep_the_house_rules() {
    let faults = xtask::tidy::faults().expect("the workspace can be read");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
