//! Errors of SSM in the user's words: what every code means, and what to do. Those of Cloudflare are
//! in `codes`.

use crate::lab::Lab;

/// A refusal that a service gives: status, code, message, how often it is given, and what is said.
type Case = (u16, &'static str, &'static str, u32, &'static str);

/// A lab with this stack alone, whose calls that fit are refused in turn.
fn refusing(stack: &str, call: &str, cases: &[Case]) -> Lab {
    let mut lab = Lab::hasty("openhands", &[]);
    lab.write("stacks/openhands.yaml", stack);
    let mut nth = 1;
    let mut rules = String::new();
    for (status, code, message, times, _) in cases {
        let code = if code.is_empty() { "0" } else { code };
        rules += &format!(
            "- {{{call}, nth: {nth}, times: {times}, status: {status}, code: {code}, message: \"{message}\"}}\n"
        );
        nth += times;
    }
    lab.write("faults.yaml", &rules);
    lab.restart(&["--faults", "faults.yaml"]);
    lab
}

/// The text without the times before its lines, and without its line breaks.
pub fn flowing(text: &str) -> String {
    let is_time = |word: &str| word.len() == 8 && word.split(':').count() == 3;
    let words = text.lines().flat_map(|line| {
        line.split_whitespace().enumerate().filter(|(at, word)| *at > 0 || !is_time(word))
    });
    words.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// Each refusal is told with its code, what it means and what to do; then it works.
#[track_caller]
fn every_one_is_told(stack: &str, call: &str, command: &[&str], cases: &[Case]) {
    let lab = refusing(stack, call, cases);
    for (status, code, message, _, word) in cases {
        let ran = lab.run(command);
        let all = flowing(&format!("{}{}", ran.out, ran.err));
        assert_ne!(ran.code, 0, "{code} {message}: {all}");
        for wanted in [format!("answered {status}"), (*code).to_owned(), (*word).to_owned()] {
            assert!(all.contains(&wanted), "{code} {message}: `{wanted}` is not in\n{all}");
        }
    }
    lab.apply(&[]);
    lab.is_settled(&[]);
}

#[test]
fn what_ssm_refuses_is_told() {
    every_one_is_told(
        "resources:\n  ssm_parameter.a: {name: a, type: String, value: b}\n",
        "service: ssm, path: PutParameter",
        &["apply", "--yes"],
        &[
            (400, "ParameterAlreadyExists", "The parameter already exists.", 1, "adopt"),
            (400, "ValidationException", "A parameter type is required", 1, "type"),
            (
                400,
                "ValidationException",
                "tags and overwrite can't be used together.",
                1,
                "mistake",
            ),
            (400, "ValidationException", "the advanced-parameter tier", 1, "made again"),
            (400, "ValidationException", "must not be prefixed with aws", 1, "begin with aws"),
            (400, "HierarchyTypeMismatchException", "", 1, "cannot be changed"),
            (400, "HierarchyLevelLimitExceededException", "", 1, "15 levels"),
            (400, "InvalidKeyId", "", 1, "key_id"),
            (400, "ParameterPatternMismatchException", "", 1, "allowed_pattern"),
            (400, "ParameterLimitExceeded", "", 1, "Advanced"),
            (400, "ParameterMaxVersionLimitExceeded", "", 1, "label"),
            (400, "UnsupportedParameterType", "", 1, "SecureString"),
            (400, "TooManyTagsError", "", 1, "50 tags"),
            (
                400,
                "AccessDeniedException",
                "not authorized to perform: ssm:PutParameter",
                1,
                "ssm:PutParameter",
            ),
            (
                400,
                "UnrecognizedClientException",
                "The security token is invalid.",
                1,
                "AWS_PROFILE",
            ),
            (400, "ExpiredTokenException", "The security token is expired.", 1, "sso login"),
        ],
    );
}
