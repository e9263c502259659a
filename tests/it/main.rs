#[test]
fn builds() {
    assert_eq!(env!("CARGO_PKG_NAME"), "boxctl");
}
