use std::sync::LazyLock;

use super::super::{applied, samples};
use super::*;
use crate::model::error::Exit;

/// Every page, of what is usual and of what is large.
static ALL: LazyLock<Vec<String>> = LazyLock::new(all);

fn all() -> Vec<String> {
    let (plan, told) = (samples::plan(), samples::told());
    let mut long = samples::plan();
    let changes = long.stacks[0].changes.clone();
    (0..200).for_each(|_| long.stacks[0].changes.extend(changes.clone()));
    let mut nasty = samples::large_view(40);
    let text = |c: &str| Some(serde_json::json!(format!("{}\n", c.repeat(5_000)).repeat(50)));
    let field = crate::model::change::FieldChange::new("x", text("<"), text("&"));
    nasty.drift.iter_mut().for_each(|(_, one)| one.paths = vec![field.clone(); 2]);
    let reports: Vec<Report> = (0..2_000)
        .map(|at| Report {
            causes: vec!["long ".repeat(5_000); 50],
            ..Report::error(format!("<i>{at}"))
        })
        .collect();
    let of = |plan, stopped| {
        let exit = Exit::Partial;
        super::applied(&applied::Applied { plan, told: &told, exit, stopped })
    };
    vec![
        drift(&samples::view()),
        drift(&samples::large_view(2_000)),
        super::plan(&plan),
        super::plan(&long),
        of(&plan, &[]),
        of(&long, &reports),
        failed("drift", "", &reports),
        drift(&nasty),
        drift(&DriftView::default()),
    ]
}

#[test]
fn a_page_is_never_too_large_and_holds_no_secret() {
    for text in ALL.iter() {
        assert!(text.len() < LIMIT, "{}", text.len());
        for secret in samples::SECRETS {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}

#[test]
fn nothing_of_others_is_markup() {
    for text in ALL.iter() {
        assert_eq!(text.matches("<script>").count(), 1);
        assert_eq!(text.matches("<style>").count(), 1);
        for markup in ["<img", "<b>until", "<i>0", "style=\"", "onerror=alert(1)>"] {
            assert!(!text.contains(markup), "{markup}");
        }
        for loading in ["src=\"", "href=\"http", "href=\"/", "url(", "@import", "<iframe", "<base"]
        {
            assert!(!text.contains(loading), "{loading}");
        }
        assert_eq!(text.matches("<link ").count(), 1, "the icon, which is in the page");
        assert_eq!(text.matches("http-equiv").count(), 1, "the policy");
    }
}

#[test]
fn what_matters_stands_first() {
    let text = drift(&samples::large_view(2_000));
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is not there"));
    assert!(at("<h1>1 hostname is open to everyone</h1>") < at("<b>1999</b> <span>changed"));
    assert!(at("last.example.org is open to everyone:") < at("id=\"e0\""));
    assert!(at("access_application.r1999") < at("dns_record.r0000"));
    assert!(at("id=\"found\"") < at("id=\"graphs\""));
    assert!(!text.contains("\" open><summary><span class=\"chip"), "all are folded away");
    assert!(text.contains("id=\"e1999\""), "every resource has its line");
}

#[test]
fn a_page_says_what_it_comes_to() {
    for (view, verdict) in [
        (DriftView::default(), "Everything is as it was recorded"),
        (samples::view(), "1 hostname is open to everyone"),
    ] {
        assert!(drift(&view).contains(&format!("<h1>{verdict}</h1>")), "{verdict}");
    }
    let text = super::plan(&samples::plan());
    assert!(text.contains("<h1>2 to create, 7 to update"), "{text}");
    let text = failed("apply", "lolice", &[Report::error("the state is locked")]);
    assert!(text.contains("the state is locked") && text.contains("boxctl apply"), "{text}");
}
