//! Cloudflare's budget of requests: a run stays within it.

use crate::lab::Lab;

fn refused(lab: &Lab) -> usize {
    lab.requests().iter().filter(|request| request["status"] == 429).count()
}

#[test]
fn a_run_that_needs_more_than_the_budget_waits_instead_of_being_refused() {
    let lab = Lab::with("several", &["--budget", "20/2"]);
    lab.apply(&[]);
    let cloudflare =
        lab.requests().iter().filter(|request| request["service"] == "cloudflare").count();
    assert!(cloudflare > 30, "the budget does not suffice: {cloudflare}");
    assert!(refused(&lab) <= 2, "{} of {cloudflare} were refused", refused(&lab));
    lab.is_settled(&[]);
}

#[test]
fn who_exceeds_the_budget_is_told_when_to_come_back_and_then_it_goes_on() {
    let lab = Lab::with("openhands", &["--budget", "3/1"]);
    // More than one second's worth, at once and by someone else.
    let url = format!("{}/zones", lab.variable("CLOUDFLARE_BASE_URL"));
    let last = (0..4).map(|_| lab.answer(&url)).last().unwrap();
    assert_eq!(last.0, 429);
    assert_eq!(last.1["errors"][0]["code"], 10100);
    lab.run(&["plan"]).exits(0);
}
