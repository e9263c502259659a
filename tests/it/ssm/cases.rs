//! What AWS does, case by case, and where moto does otherwise.

use serde_json::{Value, json};

/// Calls that make something, and one that is looked at.
pub struct Case {
    pub about: &'static str,
    /// Calls that have to succeed.
    pub before: Vec<Call>,
    pub call: Call,
    /// What AWS makes of it.
    pub expected: Expected,
    /// How moto differs, where it does.
    pub moto: Option<&'static str>,
}

/// An operation and its input; `@` is a name that no other case has.
pub type Call = (&'static str, Value);

pub enum Expected {
    Answer(Value),
    /// A code, and what the message contains.
    Refused(&'static str, &'static str),
}

use Expected::{Answer, Refused};

impl Case {
    /// The same, where moto does something else.
    fn but_moto(self, differs: &'static str) -> Case {
        Case { moto: Some(differs), ..self }
    }
}

fn case(about: &'static str, before: Vec<Call>, call: Call, expected: Expected) -> Case {
    Case { about, before, call, expected, moto: None }
}

fn with(mut input: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

/// A SecureString that is made, with more members.
fn made(name: &str, members: Value) -> Call {
    let input = json!({"Name": name, "Value": "plain text", "Type": "SecureString"});
    ("PutParameter", with(input, members))
}

fn plain(name: &str) -> Call {
    made(name, json!({}))
}

/// The case's own parameter written again, with more members.
fn again(members: Value) -> Call {
    let input = json!({"Name": "@", "Value": "plain text", "Overwrite": true});
    ("PutParameter", with(input, members))
}

/// An operation on the tags of the case's own parameter.
fn tags(operation: &'static str, members: Value) -> Call {
    (operation, with(json!({"ResourceType": "Parameter", "ResourceId": "@"}), members))
}

fn described() -> Call {
    let filter = json!({"Key": "Name", "Option": "Equals", "Values": ["@"]});
    ("DescribeParameters", json!({ "ParameterFilters": [filter] }))
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("@-{n}")).collect()
}

/// All of them.
pub fn cases() -> Vec<Case> {
    [written(), refused(), tiers(), named(), read(), listed(), deleted(), versions(), tagged()]
        .into_iter()
        .flatten()
        .collect()
}

fn written() -> Vec<Case> {
    let about = json!({"Description": "d", "AllowedPattern": "^p", "KeyId": "alias/aws/ssm"});
    vec![
        case("a create", vec![], plain("@"), Answer(json!({"Version": 1, "Tier": "Standard"}))),
        case(
            "a create of what is there",
            vec![plain("@")],
            plain("@"),
            Refused("ParameterAlreadyExists", "already exists. To overwrite this value"),
        ),
        case(
            "an overwrite with the same value counts",
            vec![plain("@")],
            again(json!({})),
            Answer(json!({"Version": 2, "Tier": "Standard"})),
        ),
        case(
            "an overwrite keeps what it does not name",
            vec![made("@", about), again(json!({}))],
            described(),
            Answer(json!({"Parameters": [{"Name": "@", "Version": 2, "Description": "d",
                "AllowedPattern": "^p", "KeyId": "alias/aws/ssm", "Type": "SecureString",
                "Tier": "Standard", "DataType": "text", "Value": {"absent": true}}]})),
        ),
        case(
            "an overwrite makes what is not there",
            vec![],
            made("@", json!({"Overwrite": true})),
            Answer(json!({"Version": 1})),
        ),
        case(
            "tags with an overwrite",
            vec![plain("@")],
            again(json!({"Tags": [{"Key": "a", "Value": "b"}]})),
            Refused("ValidationException", "tags and overwrite can't be used together"),
        ),
        case(
            "tags with a create",
            vec![made("@", json!({"Tags": [{"Key": "a", "Value": "b"}]}))],
            tags("ListTagsForResource", json!({})),
            Answer(json!({"TagList": [{"Key": "a", "Value": "b"}]})),
        ),
    ]
}

fn refused() -> Vec<Case> {
    let validation = |said| Refused("ValidationException", said);
    vec![
        case(
            "a create without a type",
            vec![],
            ("PutParameter", json!({"Name": "@", "Value": "v"})),
            validation("A parameter type is required when you create a parameter."),
        ),
        case(
            "a type that is none",
            vec![],
            made("@", json!({"Type": "Secret"})),
            validation("enum value set: [SecureString, StringList, String]"),
        ),
        case(
            "another type",
            vec![plain("@")],
            again(json!({"Type": "String"})),
            Refused("HierarchyTypeMismatchException", "changing a parameter type"),
        )
        .but_moto("takes another type"),
        case(
            "an empty value",
            vec![],
            made("@", json!({"Value": ""})),
            validation("length greater than or equal to 1"),
        ),
        case(
            "a value that means another parameter",
            vec![],
            made("@", json!({"Value": "a {{ssm:b}} c"})),
            validation("can't nest another parameter"),
        )
        .but_moto("takes such values"),
        case(
            "an unknown key",
            vec![],
            made("@", json!({"KeyId": "alias/unknown"})),
            Refused("InvalidKeyId", "alias/unknown"),
        )
        .but_moto("takes any key"),
        case(
            "a value that the pattern does not match",
            vec![],
            made("@", json!({"AllowedPattern": "^[0-9]+$"})),
            Refused("ParameterPatternMismatchException", "allowedPattern"),
        )
        .but_moto("takes any value"),
        case(
            "a pattern that is none",
            vec![],
            made("@", json!({"AllowedPattern": "("})),
            Refused("InvalidAllowedPatternException", "regular expression"),
        )
        .but_moto("takes any pattern"),
        case(
            "a long description",
            vec![],
            made("@", json!({"Description": "x".repeat(1025)})),
            validation("less than or equal to 1024"),
        )
        .but_moto("takes any length"),
        case(
            "an unknown data type",
            vec![],
            made("@", json!({"DataType": "number"})),
            validation("data type is not supported: number"),
        ),
    ]
}

fn tiers() -> Vec<Case> {
    let too_large = |about, tier, size: usize| {
        let input = made("@", json!({"Tier": tier, "Value": "x".repeat(size)}));
        case(about, vec![], input, Refused("ValidationException", "maximum parameter value"))
            .but_moto("takes any size")
    };
    let fits = |about, tier, size: usize, comes: &str| {
        let input = made("@", json!({"Tier": tier, "Value": "x".repeat(size)}));
        case(about, vec![], input, Answer(json!({"Version": 1, "Tier": comes})))
    };
    vec![
        fits("4096 bytes are Standard", "Standard", 4096, "Standard"),
        too_large("4097 bytes are not", "Standard", 4097),
        fits("8192 bytes are Advanced", "Advanced", 8192, "Advanced"),
        too_large("8193 bytes are not", "Advanced", 8193),
        fits("a tier is chosen for what is large", "Intelligent-Tiering", 5000, "Advanced")
            .but_moto("does not choose"),
        fits("a tier is chosen for what is small", "Intelligent-Tiering", 5, "Standard")
            .but_moto("does not choose"),
        case(
            "from Standard to Advanced",
            vec![plain("@")],
            again(json!({"Tier": "Advanced"})),
            Answer(json!({"Version": 2, "Tier": "Advanced"})),
        ),
        case(
            "from Advanced to Standard",
            vec![made("@", json!({"Tier": "Advanced"}))],
            again(json!({"Tier": "Standard"})),
            Refused("ValidationException", "can't downgrade"),
        )
        .but_moto("takes the way back"),
    ]
}

fn named() -> Vec<Case> {
    let validation = |about, name: &str| {
        case(about, vec![], plain(name), Refused("ValidationException", "Parameter name"))
    };
    let deep = format!("/@{}", "/a".repeat(14));
    vec![
        case("15 levels", vec![], plain(&deep), Answer(json!({"Version": 1}))),
        case(
            "16 levels",
            vec![],
            plain(&format!("{deep}/a")),
            Refused("HierarchyLevelLimitExceededException", "15 levels"),
        )
        .but_moto("takes any depth"),
        validation("a name with a blank", "@ b").but_moto("takes any character"),
        validation("a name with a mark", "@!").but_moto("takes any character"),
        validation("a path without its slash", "@/a").but_moto("takes it"),
        validation("a path with an empty part", "/@//a").but_moto("takes it"),
        validation("a name that begins with aws", "aws@"),
        validation("a name that begins with ssm", "SSM@"),
        validation("a path of ssm", "/ssm/@"),
        case(
            "a path of aws",
            vec![],
            plain("/aws/@"),
            Refused("AccessDeniedException", "No access to reserved parameter name: /aws/"),
        ),
    ]
}

fn read() -> Vec<Case> {
    let get = |name: &str| ("GetParameter", json!({"Name": name, "WithDecryption": true}));
    let two = || vec![plain("@"), again(json!({"Value": "second"}))];
    let label = ("LabelParameterVersion", json!({"Name": "@", "Labels": ["prod"]}));
    let parameter = |value: &str, version: u64| {
        Answer(json!({"Parameter": {"Name": "@", "Value": value, "Version": version,
            "Type": "SecureString", "DataType": "text"}}))
    };
    vec![
        case("a value", vec![plain("@")], get("@"), parameter("plain text", 1)),
        case(
            "a value without decryption",
            vec![plain("@")],
            ("GetParameter", json!({"Name": "@"})),
            Answer(json!({"Parameter": {"Name": "@", "Value": {"without": "plain"}}})),
        )
        .but_moto("shows it after a prefix"),
        case("a version", two(), get("@:1"), parameter("plain text", 1)),
        case("a label", [two(), vec![label]].concat(), get("@:prod"), parameter("second", 2)),
        case("an ARN", vec![plain("@")], get("$arn"), parameter("plain text", 1)),
        case(
            "a version that is not there",
            two(),
            get("@:7"),
            Refused("ParameterVersionNotFound", "could not find version 7"),
        ),
        case(
            "a label that is not there",
            two(),
            get("@:prod"),
            Refused("ParameterVersionNotFound", "could not find version prod"),
        )
        .but_moto("says that the parameter is not there"),
        case("no such parameter", vec![], get("@"), Refused("ParameterNotFound", "")),
        case(
            "several, and names that are none",
            vec![plain("@")],
            ("GetParameters", json!({"Names": ["@", "@-1", "@:9"]})),
            Answer(json!({"Parameters": [{"Name": "@", "Version": 1}],
                "InvalidParameters": ["@-1", "@:9"]})),
        ),
        case(
            "ten at once",
            vec![],
            ("GetParameters", json!({"Names": numbered(10)})),
            Answer(json!({"Parameters": [], "InvalidParameters": numbered(10)})),
        ),
        case(
            "eleven at once",
            vec![],
            ("GetParameters", json!({"Names": numbered(11)})),
            Refused("ValidationException", "less than or equal to 10"),
        ),
        case(
            "none at once",
            vec![],
            ("GetParameters", json!({"Names": []})),
            Refused("ValidationException", "greater than or equal to 1"),
        )
        .but_moto("answers nothing"),
    ]
}

fn listed() -> Vec<Case> {
    let three = || vec![plain("/@/a"), plain("/@/b"), plain("/@/c/d")];
    let by_path = |members: Value| ("GetParametersByPath", with(json!({"Path": "/@"}), members));
    let names = |names: &[&str]| {
        let rows: Vec<Value> = names.iter().map(|name| json!({ "Name": name })).collect();
        Answer(json!({ "Parameters": rows }))
    };
    let describe = |filter: Value| ("DescribeParameters", json!({"ParameterFilters": [filter]}));
    let invalid = |said| Refused("ValidationException", said);
    vec![
        case("one level", three(), by_path(json!({})), names(&["/@/a", "/@/b"])),
        case(
            "all levels",
            three(),
            by_path(json!({"Recursive": true})),
            names(&["/@/a", "/@/b", "/@/c/d"]),
        ),
        case(
            "a page",
            three(),
            by_path(json!({"Recursive": true, "MaxResults": 2})),
            names(&["/@/a", "/@/b"]),
        ),
        case("no such path", vec![], by_path(json!({})), names(&[])),
        case("eleven a page", vec![], by_path(json!({"MaxResults": 11})), invalid("maxResults")),
        case(
            "a path without its slash",
            vec![],
            by_path(json!({"Path": "@"})),
            invalid("forward slash"),
        )
        .but_moto("takes it"),
        case(
            "a name is no filter of a path",
            vec![],
            by_path(json!({"ParameterFilters": [{"Key": "Name", "Values": ["a"]}]})),
            Refused("InvalidFilterKey", ""),
        ),
        case(
            "a label by path",
            [three(), vec![("LabelParameterVersion", json!({"Name": "/@/b", "Labels": ["x"]}))]]
                .concat(),
            by_path(json!({"ParameterFilters": [{"Key": "Label", "Values": ["x"]}]})),
            names(&["/@/b"]),
        ),
        case(
            "names that begin alike",
            three(),
            describe(json!({"Key": "Name", "Option": "BeginsWith", "Values": ["/@/"]})),
            names(&["/@/a", "/@/b", "/@/c/d"]),
        ),
        case(
            "names",
            three(),
            describe(json!({"Key": "Name", "Option": "Equals", "Values": ["/@/a", "/@/x"]})),
            names(&["/@/a"]),
        ),
        case(
            "a path, described",
            three(),
            describe(json!({"Key": "Path", "Option": "OneLevel", "Values": ["/@"]})),
            names(&["/@/a", "/@/b"]),
        ),
        case(
            "an unknown filter",
            vec![],
            describe(json!({"Key": "Colour", "Values": ["red"]})),
            Refused("InvalidFilterKey", ""),
        )
        .but_moto("says that the request is none"),
        case(
            "51 descriptions a page",
            vec![],
            ("DescribeParameters", json!({"MaxResults": 51})),
            invalid("maxResults"),
        )
        .but_moto("takes any number"),
    ]
}

fn deleted() -> Vec<Case> {
    let gone = || ("DeleteParameter", json!({"Name": "@"}));
    let tag = json!({"Tags": [{"Key": "a", "Value": "b"}]});
    vec![
        case("a delete", vec![plain("@")], gone(), Answer(json!({}))),
        case("a delete of nothing", vec![], gone(), Refused("ParameterNotFound", "")),
        case(
            "several deletes",
            vec![plain("@")],
            ("DeleteParameters", json!({"Names": ["@", "@-1"]})),
            Answer(json!({"DeletedParameters": ["@"], "InvalidParameters": ["@-1"]})),
        ),
        case(
            "eleven deletes",
            vec![],
            ("DeleteParameters", json!({"Names": numbered(11)})),
            Refused("ValidationException", "less than or equal to 10"),
        )
        .but_moto("takes any number"),
        case(
            "what is made anew counts from one",
            vec![made("@", tag.clone()), again(json!({})), gone()],
            plain("@"),
            Answer(json!({"Version": 1})),
        ),
        case(
            "what is made anew has no tags",
            vec![made("@", tag), gone(), plain("@")],
            tags("ListTagsForResource", json!({})),
            Answer(json!({"TagList": []})),
        ),
    ]
}

fn versions() -> Vec<Case> {
    let written = |count: usize| {
        let first = std::iter::once(plain("@"));
        first.chain((1..count).map(|_| again(json!({})))).collect::<Vec<_>>()
    };
    let history = |members: Value| ("GetParameterHistory", with(json!({"Name": "@"}), members));
    let label = |members: Value| ("LabelParameterVersion", with(json!({"Name": "@"}), members));
    let labels: Vec<String> = (0..10).map(|n| format!("l{n}")).collect();
    let mut held = written(100);
    held.insert(1, label(json!({"Labels": ["old"]})));
    vec![
        case(
            "the newest hundred are kept",
            written(103),
            history(json!({"MaxResults": 1})),
            Answer(json!({"Parameters": [{"Version": 4}]})),
        ),
        case(
            "a label holds the oldest",
            held,
            again(json!({})),
            Refused("ParameterMaxVersionLimitExceeded", "Move the label to another version"),
        ),
        case(
            "a history has labels",
            vec![plain("@"), again(json!({})), label(json!({"Labels": ["b"]}))],
            history(json!({})),
            Answer(json!({"Parameters": [{"Version": 1, "Labels": []},
                {"Version": 2, "Labels": ["b"]}]})),
        ),
        case("a history of nothing", vec![], history(json!({})), Refused("ParameterNotFound", "")),
        case(
            "labels that are none are named",
            vec![plain("@")],
            label(json!({"Labels": ["1a", "aws-x", "ssm-x", "a b", "right"]})),
            Answer(json!({"InvalidLabels": ["1a", "aws-x", "ssm-x", "a b"],
                "ParameterVersion": 1})),
        ),
        case(
            "a label moves",
            vec![
                plain("@"),
                label(json!({"Labels": ["x"]})),
                again(json!({})),
                label(json!({"Labels": ["x"]})),
            ],
            history(json!({})),
            Answer(json!({"Parameters": [{"Version": 1, "Labels": []},
                {"Version": 2, "Labels": ["x"]}]})),
        ),
        case(
            "ten labels a version",
            vec![plain("@"), label(json!({ "Labels": labels }))],
            label(json!({"Labels": ["more"]})),
            Refused("ParameterVersionLabelLimitExceeded", "maximum 10 labels"),
        ),
        case(
            "a label of a version that is not there",
            vec![plain("@")],
            label(json!({"Labels": ["x"], "ParameterVersion": 5})),
            Refused("ParameterVersionNotFound", "could not find version 5"),
        ),
        case(
            "labels are taken away",
            vec![plain("@"), label(json!({"Labels": ["x"]}))],
            (
                "UnlabelParameterVersion",
                json!({"Name": "@", "ParameterVersion": 1, "Labels": ["x", "y"]}),
            ),
            Answer(json!({"RemovedLabels": ["x"], "InvalidLabels": ["y"]})),
        ),
    ]
}

fn tagged() -> Vec<Case> {
    let list = || tags("ListTagsForResource", json!({}));
    let add = |members: Value| tags("AddTagsToResource", members);
    let many = |count: usize| -> Value {
        (0..count).map(|n| json!({"Key": format!("k{n}"), "Value": ""})).collect()
    };
    vec![
        case(
            "tags are added, changed and removed",
            vec![
                plain("@"),
                add(json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]})),
                add(json!({"Tags": [{"Key": "a", "Value": "3"}]})),
                tags("RemoveTagsFromResource", json!({"TagKeys": ["b", "never"]})),
            ],
            list(),
            Answer(json!({"TagList": [{"Key": "a", "Value": "3"}]})),
        ),
        case(
            "tags make no version",
            vec![plain("@"), add(json!({"Tags": [{"Key": "a", "Value": "1"}]}))],
            described(),
            Answer(json!({"Parameters": [{"Version": 1}]})),
        ),
        case("tags of nothing", vec![], list(), Refused("InvalidResourceId", "")),
        case(
            "tags of another type",
            vec![plain("@")],
            tags("ListTagsForResource", json!({"ResourceType": "Colour"})),
            Refused("InvalidResourceType", ""),
        ),
        case("50 tags", vec![plain("@")], add(json!({"Tags": many(50)})), Answer(json!({}))),
        case(
            "51 tags",
            vec![plain("@"), add(json!({"Tags": many(50)}))],
            add(json!({"Tags": [{"Key": "more", "Value": ""}]})),
            Refused("TooManyTagsError", ""),
        )
        .but_moto("takes any number"),
        case(
            "a tag of AWS's own",
            vec![plain("@")],
            add(json!({"Tags": [{"Key": "aws:a", "Value": ""}]})),
            Refused("ValidationException", "aws:"),
        )
        .but_moto("takes it"),
    ]
}
