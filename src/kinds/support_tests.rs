use super::*;

#[test]
fn durations_of_one_length_have_one_spelling() {
    for (written, canonical) in [
        ("1440m", "24h"),
        ("24h0m0s", "24h"),
        ("90m", "1h30m"),
        ("1.5h", "1h30m"),
        ("500ms", "500ms"),
        ("0", "0s"),
        ("forever", "forever"),
        ("", ""),
        ("h", "h"),
        ("12", "12"),
    ] {
        assert_eq!(duration(&json!(written)), json!(canonical), "{written}");
    }
    for (written, canonical) in
        [(json!("30s"), json!(30)), (json!(30), json!(30)), (json!("1m30s"), json!(90))]
    {
        assert_eq!(seconds(&written), canonical);
    }
    assert_eq!(seconds(&json!("30")), json!(30));
    assert_eq!(seconds(&json!("100ms")), json!("100ms"));
}

#[test]
fn hostnames_are_lower_case_punycode_without_a_trailing_dot() {
    assert_eq!(hostname("WWW.Example.com."), "www.example.com");
    assert_eq!(hostname("日本語.example.com"), "xn--wgv71a119e.example.com");
    assert_eq!(hostname("*.example.com"), "*.example.com");
    assert_eq!(hostname("_acme-challenge.example.com"), "_acme-challenge.example.com");
}

#[test]
fn hostnames_that_cannot_be_are_named() {
    for bad in ["", "a..b", "http://a.b", "a.b:80", "a.*.b", "-a.b", "a b.c", "a.b/c"] {
        assert!(hostname_problem(bad, true).is_some(), "{bad}");
    }
    assert!(hostname_problem("*.a.b", false).is_some());
    assert!(hostname_problem("*.a.b", true).is_none());
    assert!(hostname_problem("foo", true).is_none());
}

#[test]
fn items_of_others_keep_their_places() {
    let observed = [json!("x"), json!("a"), json!("y"), json!("b")];
    let foreign = |item: &Json| item == "x" || item == "y";
    let merged = |ours: &[Json]| interleave(&observed, foreign, ours);
    assert_eq!(merged(&[json!("a"), json!("b")]), observed.to_vec());
    assert_eq!(merged(&[json!("b")]), [json!("x"), json!("b"), json!("y")]);
    assert_eq!(
        merged(&[json!("c"), json!("a"), json!("d")]),
        [json!("x"), json!("c"), json!("y"), json!("a"), json!("d")]
    );
}
