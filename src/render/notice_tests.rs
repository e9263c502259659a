use super::super::samples;
use super::*;
use crate::model::address::Address;
use crate::model::change::DriftKind;
use proptest::prelude::*;

fn drift(name: &str, kind: DriftKind, paths: Vec<FieldChange>) -> (String, Drift) {
    ("home".to_owned(), Drift { address: Address::new("dns_record", name), kind, paths })
}

fn over(name: &str) -> Told {
    Told {
        stack: "home".to_owned(),
        address: Address::new("dns_record", name),
        drift: DriftKind::Drifted,
        fingerprint: String::new(),
    }
}

fn sample() -> News {
    let mut by_someone = FieldChange::new("content", Some(json!("a")), Some(json!("<@U1> @here")));
    by_someone.by = Some("eve `x` <!channel>".to_owned());
    by_someone.since = Some("2026-11-25T10:00:00Z".to_owned());
    let mut secret = FieldChange::new("value", Some(json!("old")), Some(json!("new")));
    secret.secret = true;
    News {
        new: vec![
            drift("app", DriftKind::Drifted, vec![by_someone, secret]),
            drift("gone", DriftKind::Missing, vec![FieldChange::new("id", Some(json!("1")), None)]),
        ],
        changed: vec![drift(
            "b",
            DriftKind::Foreign,
            vec![FieldChange::new("tags[0]", None, Some(json!({"a": [1]})))],
        )],
        resolved: vec![over("c")],
        acknowledged: vec![over("d")],
        same: 2,
    }
}

fn at() -> jiff::Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

#[test]
fn each_service_is_told_in_its_own_manner() {
    for shape in [WebhookShape::Slack, WebhookShape::Discord, WebhookShape::Json] {
        let name = format!("{shape:?}").to_lowercase();
        insta::assert_json_snapshot!(name, body(shape, "home <lab>", at(), &sample()));
    }
}

/// What the services document of a body.
fn is_taken(shape: WebhookShape, body: &Json) {
    match shape {
        WebhookShape::Slack => {
            assert!(length(body["text"].as_str().unwrap()) <= 3_000);
            let blocks = body["blocks"].as_array().unwrap();
            assert!((1..=50).contains(&blocks.len()));
            for block in blocks {
                let (text, most) = match block["type"].as_str().unwrap() {
                    "header" => (&block["text"]["text"], 150),
                    "section" => (&block["text"]["text"], 3_000),
                    _ => (&block["elements"][0]["text"], 3_000),
                };
                let text = text.as_str().unwrap();
                assert!(!text.is_empty() && length(text) <= most, "{text}");
                if block["type"] == "section" {
                    assert!(!text.contains(['<', '>']), "{text}");
                    // Every piece of code is closed, and every line is of ours but for them.
                    for line in text.lines() {
                        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
                        assert!(!outside_code(line).contains('@'), "{line}");
                    }
                }
            }
        }
        WebhookShape::Discord => {
            assert!(length(body["content"].as_str().unwrap()) <= 2_000);
            assert_eq!(body["allowed_mentions"], json!({"parse": []}));
            let text = body["embeds"][0]["description"].as_str().unwrap();
            assert!(!text.is_empty() && length(text) <= 4_096, "{}", length(text));
            for line in text.lines() {
                assert_eq!(line.matches('`').count() % 2, 0, "{line}");
                assert!(!outside_code(line).contains(['@', '[', '<']), "{line}");
            }
        }
        WebhookShape::Json => {}
    }
}

fn outside_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

#[test]
fn however_much_it_is_it_stays_within_the_limits() {
    let long = "@everyone `<&>` ".repeat(400);
    let paths: Vec<FieldChange> = (0..40)
        .map(|n| FieldChange::new(format!("{long}[{n}]"), Some(json!(long)), Some(json!(long))))
        .collect();
    let many: Vec<_> = (0..2_000)
        .map(|n| drift(&format!("r{n}{long}"), DriftKind::Drifted, paths.clone()))
        .collect();
    let news = News { new: many, ..News::default() };
    for shape in [WebhookShape::Slack, WebhookShape::Discord] {
        let body = body(shape, &long, at(), &news);
        is_taken(shape, &body);
        let text = body.to_string();
        assert!(text.contains("2000 new") && text.contains("r0"), "{}", text.len());
        assert!(text.contains("more, which `boxctl drift` shows"), "{text}");
    }
}

proptest! {
    #[test]
    fn nothing_from_outside_is_markup(text in "[`*<@>&a\\n\\[\\](){}|~_#\\\\ ]{0,40}", path in "\\PC{0,30}") {
        let change = FieldChange { by: Some(text.clone()), ..FieldChange::new(path, Some(json!(text)), None) };
        let news = News { new: vec![drift(&text, DriftKind::Drifted, vec![change])], ..News::default() };
        for shape in [WebhookShape::Slack, WebhookShape::Discord] {
            is_taken(shape, &body(shape, &text, at(), &news));
        }
    }
}

#[test]
fn no_secret_is_told() {
    let plan = samples::plan();
    let new = plan.stacks.iter().flat_map(|s| s.drift.iter().map(|d| (s.stack.clone(), d.clone())));
    let news = News { new: new.collect(), ..sample() };
    for shape in [WebhookShape::Slack, WebhookShape::Discord, WebhookShape::Json] {
        let text = body(shape, "p", at(), &news).to_string();
        for secret in samples::SECRETS {
            assert!(!text.contains(secret), "{shape:?} tells {secret}");
        }
    }
}
