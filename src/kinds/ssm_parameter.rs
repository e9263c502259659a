//! A parameter of AWS SSM's Parameter Store.

use serde_json::json;

use super::compare::{self, Compared};
pub use super::ssm_parameter_spec::SsmParameterSpec;
use super::support::{fields, moment, pick, refused, same, text, with_ignored};
use crate::model::address::Address;
use crate::model::call::{Answer, Call, Listing, Paging, Service};
use crate::model::change::FieldChange;
use crate::model::error::Report;
use crate::model::kind::{
    Diffed, Facts, Kind, KindError, Locate, Next, Output, Problem, Recipe, Shows, Verb, Work,
    Written,
};
use crate::model::observed::Remote;
use crate::model::path;
use crate::model::scope::Scope;
use crate::model::secret::SecretId;
use crate::model::state::Recorded;
use crate::model::unread::Unread;
use crate::model::value::{Special, same_secret};
use crate::model::{Json, JsonMap};

/// The kind `ssm_parameter`.
pub struct SsmParameter;

const WORDS: [(&str, &str); 7] = [
    ("name", "Name"),
    ("type", "Type"),
    ("description", "Description"),
    ("key_id", "KeyId"),
    ("tier", "Tier"),
    ("allowed_pattern", "AllowedPattern"),
    ("data_type", "DataType"),
];
/// The key that encrypts where nothing is said.
const SSM_KEY: &str = "alias/aws/ssm";
/// Why the value of a parameter that is taken over is written.
const UNREAD: &str = "written again, since what is there is not read: that takes ssm:GetParameter \
                      and kms:Decrypt";

/// The description of one parameter. The sender puts such listings together, up to 50 names each,
/// and where `TagsOf` names the parameter, adds its tags to the item.
pub fn listing(name: &str, tags: bool) -> Listing {
    let mut input = json!({
        "ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": [name]}],
    });
    if tags {
        path::put(&mut input, "TagsOf", json!([name]));
    }
    let call = Call::operation("DescribeParameters", input).purpose("describing parameters");
    Listing { call, paging: Paging::Token }
}

fn describe(name: &str, tags: bool) -> Call {
    listing(name, tags).call
}

/// Asks for a parameter itself: descriptions lag behind.
fn get(name: &str) -> Call {
    Call::operation("GetParameters", json!({"Names": [name], "WithDecryption": false}))
        .purpose("asking for a parameter that is not described yet")
}

fn by_hand(spec: &Json) -> bool {
    spec.get("value").and_then(|value| value.get("by_hand")) == Some(&json!(true))
}

fn generated(spec: &Json) -> Option<u64> {
    spec.get("value")?.get("generate")?.get("length")?.as_u64()
}

/// Whether the files leave the value as it is.
fn keeps_value(spec: &Json) -> bool {
    spec.get("value").is_none() || by_hand(spec) || generated(spec).is_some()
}

/// The text that a file writes for a SecureString, to be kept as a secret.
pub fn literal_secret(spec: &Json) -> Option<&str> {
    let secure = spec.get("type").is_none_or(|kind| kind == "SecureString");
    text(spec, "value").filter(|_| secure)
}

fn remote(item: &Json, version: Option<String>) -> Option<Remote> {
    let name = text(item, "Name")?;
    let mut spec = JsonMap::new();
    for (file, wire) in WORDS {
        if let Some(value) = item.get(wire).filter(|value| !value.is_null()) {
            spec.insert(file.to_owned(), value.clone());
        }
    }
    if !is_undescribed(item) {
        if spec.get("key_id").is_none() && spec.get("type") == Some(&json!("SecureString")) {
            spec.insert("key_id".to_owned(), json!(SSM_KEY));
        }
        spec.entry("description").or_insert(json!(""));
        spec.entry("tier").or_insert(json!("Standard"));
    }
    spec.entry("data_type").or_insert(json!("text"));
    if let Some(tags) = item.get("Tags").and_then(Json::as_array) {
        let tags = tags.iter().filter_map(|tag| {
            Some((text(tag, "Key")?.to_owned(), tag.get("Value").cloned().unwrap_or(json!(""))))
        });
        spec.insert("tags".to_owned(), Json::Object(tags.collect()));
    }
    let mut outputs = JsonMap::new();
    outputs.insert("name".to_owned(), json!(name));
    if let Some(arn) = item.get("ARN").filter(|arn| arn.is_string()) {
        outputs.insert("arn".to_owned(), arn.clone());
    }
    if let Some(version) = item.get("Version") {
        outputs.insert("version".to_owned(), json!(version.to_string()));
    }
    Some(Remote {
        id: name.to_owned(),
        spec: Json::Object(spec),
        outputs,
        version: version.or_else(|| version_of(item)),
        raw: item.clone(),
    })
}

/// Whether the sender got it without a description.
fn is_undescribed(item: &Json) -> bool {
    item.get("Undescribed").is_some()
}

/// `Version@LastModifiedDate`, by which a foreign write is seen without reading the value.
fn version_of(item: &Json) -> Option<String> {
    let version = item.get("Version")?.as_u64()?;
    let date = match item.get("LastModifiedDate") {
        Some(Json::String(date)) => date.clone(),
        Some(Json::Number(date)) => date.to_string(),
        _ => String::new(),
    };
    Some(format!("{version}@{date}"))
}

/// Whether two versions are the same; a date that is not known says nothing.
fn same_version(a: &str, b: &str) -> bool {
    let parts = |text: &str| {
        let (version, date) = text.split_once('@').unwrap_or((text, ""));
        (version.to_owned(), date.to_owned())
    };
    let ((a, a_date), (b, b_date)) = (parts(a), parts(b));
    a == b && (a_date == b_date || a_date.is_empty() || b_date.is_empty())
}

/// Whether a description is from before the recorded version: DescribeParameters lags behind, and
/// versions only go up, but for a parameter that was made anew, which is younger.
fn is_earlier(seen: &str, recorded: &str) -> bool {
    let parts = |text: &str| {
        let (version, date) = text.split_once('@')?;
        Some((version.parse::<u64>().ok()?, date.parse::<f64>().ok()?))
    };
    let (Some((seen, at)), Some((recorded, written))) = (parts(seen), parts(recorded)) else {
        return false;
    };
    seen < recorded && at <= written
}

/// The parameter as it was written, where the description is of an earlier version, or there is
/// none yet.
fn before_the_lag(facts: &Facts<'_>) -> Option<Remote> {
    let recorded = facts.version?;
    let remote = facts.remote;
    let written = [facts.sent, facts.answered].into_iter().flatten().flat_map(fields);
    if is_undescribed(&remote.raw) {
        let spec = written.chain(fields(&remote.spec)).collect();
        return Some(Remote { spec: Json::Object(spec), ..remote.clone() });
    }
    remote.version.as_deref().filter(|seen| is_earlier(seen, recorded))?;
    let spec = fields(&remote.spec).into_iter().chain(written).collect();
    let version = Some(recorded.to_owned());
    Some(Remote { spec: Json::Object(spec), version, ..remote.clone() })
}

fn tag_list(tags: &JsonMap) -> Json {
    json!(tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect::<Vec<_>>())
}

fn tags_of(spec: Option<&Json>) -> JsonMap {
    spec.and_then(|spec| spec.get("tags")).map(fields).unwrap_or_default()
}

/// The input of PutParameter, without value and tags.
fn put_input(spec: &Json) -> JsonMap {
    let mut input = JsonMap::new();
    for (file, wire) in WORDS {
        if let Some(value) = spec.get(file) {
            input.insert(wire.to_owned(), value.clone());
        }
    }
    input
}

fn changing(operation: &str, input: JsonMap, purpose: &str) -> Call {
    Call {
        mutating: true,
        ..Call::operation(operation, Json::Object(input)).purpose(purpose.to_owned())
    }
}

fn own_value(work: &Work<'_>) -> Json {
    Special::secret(SecretId::output(work.address, "value"), None)
}

/// Whether a change leaves the value as it is there: what the files don't say, and what is said no
/// more.
fn is_kept(work: &Work<'_>, spec: &Json) -> bool {
    work.keeps || keeps_value(spec)
}

/// One thing that an update has to do, in order.
enum Step {
    Describe,
    ReadValue,
    Put,
    AddTags(JsonMap),
    RemoveTags(Vec<String>),
    Look,
}

/// The steps of an update. A Put needs a value and makes a version whatever it changes, so it is
/// left out where only tags differ. A value that the files don't say is read and put back.
fn update_steps(work: &Work<'_>, remote: &Remote) -> Vec<Step> {
    let spec = with_ignored(work.spec, &remote.spec, work.ignore);
    let mut steps = Vec::new();
    if wants_put(work, &spec, remote) {
        steps.push(Step::Describe);
        if is_kept(work, &spec) {
            steps.push(Step::ReadValue);
        }
        steps.push(Step::Put);
    }
    let (declared, seen) = (tags_of(Some(&spec)), tags_of(Some(&remote.spec)));
    let add: JsonMap =
        declared.iter().filter(|(key, value)| seen.get(*key) != Some(value)).map(owned).collect();
    let gone = tags_of(work.sent).into_iter().map(|(key, _)| key);
    let gone: Vec<String> = gone.filter(|key| !declared.contains_key(key)).collect();
    if !add.is_empty() {
        steps.push(Step::AddTags(add));
    }
    if !gone.is_empty() {
        steps.push(Step::RemoveTags(gone));
    }
    steps.push(Step::Look);
    steps
}

/// Whether anything but the tags has to be written. All else makes a version: where the version is
/// the recorded one, what was sent is what is there.
fn wants_put(work: &Work<'_>, spec: &Json, remote: &Remote) -> bool {
    let recorded = work.sent.zip(work.version).filter(|(_, version)| {
        remote.version.as_deref().is_some_and(|seen| same_version(version, seen))
    });
    let differs = |file: &str, there: &Json| {
        spec.get(file).is_some_and(|value| there.get(file) != Some(value))
    };
    if work.removed.iter().any(|path| !path.starts_with("tags")) {
        return true;
    }
    match recorded {
        Some((sent, _)) => {
            let value = |spec: &Json| spec.get("value").cloned().unwrap_or_default();
            let (before, now) = (value(sent), value(spec));
            let says_another =
                !is_kept(work, spec) && !same(&now, &before) && !same_secret(&now, &before);
            says_another || WORDS.iter().any(|(file, _)| differs(file, sent))
        }
        None => !is_kept(work, spec) || WORDS.iter().any(|(file, _)| differs(file, &remote.spec)),
    }
}

fn owned((key, value): (&String, &Json)) -> (String, Json) {
    (key.clone(), value.clone())
}

/// The one parameter that a description shows.
fn described<'a>(answer: &'a Answer, name: &str) -> Option<&'a Json> {
    super::support::items(&answer.body, "Parameters").iter().find(|p| text(p, "Name") == Some(name))
}

/// The number of the version that a write covers, by what was seen and, where that lags behind, by
/// what is recorded.
fn before_write(work: &Work<'_>, seen: Option<String>) -> Option<u64> {
    let seen = seen?;
    let newest = work.version.filter(|recorded| is_earlier(&seen, recorded)).unwrap_or(&seen);
    newest.split('@').next()?.parse().ok()
}

fn covered_version(before: Option<u64>, answer: &Answer) -> Result<(), KindError> {
    let after = answer.body.get("Version").and_then(Json::as_u64);
    let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
    if after == before + 1 {
        return Ok(());
    }
    Err(KindError::Impossible {
        message: format!(
            "version {after} was written, but version {} had come in between from someone else \
             and is covered now",
            after.saturating_sub(1)
        ),
        hint: Some(format!(
            "look at it with `aws ssm get-parameter-history`; if version {} was meant, bring its \
             value into the files; running this again goes on",
            after.saturating_sub(1)
        )),
    })
}

impl SsmParameter {
    fn create(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        let name = text(work.spec, "name").unwrap_or_default();
        if by_hand(work.spec) {
            return Err(KindError::Impossible {
                message: format!("{name} is written by hand, and is not there yet"),
                hint: Some(format!(
                    "make it with `aws ssm put-parameter --name {name} --type SecureString \
                     --value …`, then run this again with `adopt: true`"
                )),
            });
        }
        match answers {
            [] => {
                let mut input = put_input(work.spec);
                let value = match generated(work.spec) {
                    Some(_) => own_value(work),
                    None => work.spec.get("value").cloned().unwrap_or_default(),
                };
                input.insert("Value".to_owned(), value);
                let tags = tags_of(Some(work.spec));
                if !tags.is_empty() {
                    input.insert("Tags".to_owned(), tag_list(&tags));
                }
                let mut key = JsonMap::new();
                key.insert("Name".to_owned(), json!(name));
                Ok(Next::call(changing("PutParameter", input, "creating the parameter").key(key)))
            }
            [_] => Ok(Next::call(describe(name, work.spec.get("tags").is_some()))),
            [put, look, rest @ ..] => written(work, name, put, look, rest.first()),
        }
    }

    fn update(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        let remote = work.remote.ok_or_else(|| KindError::Answer("Name".to_owned()))?;
        let name = remote.id.as_str();
        let steps = update_steps(work, remote);
        let put = steps.iter().position(|step| matches!(step, Step::Put));
        let written_answer = put.and_then(|index| answers.get(index));
        if let (Some(answer), Some(first)) = (written_answer, answers.first()) {
            let seen = described(first, name).and_then(version_of);
            covered_version(before_write(work, seen.or_else(|| remote.version.clone())), answer)?;
        }
        let Some(step) = steps.get(answers.len()) else {
            let look = steps.len().checked_sub(1).and_then(|last| answers.get(last));
            let look = look.ok_or_else(|| KindError::Answer("Name".to_owned()))?;
            let asked = answers.get(steps.len());
            return written(work, name, written_answer.unwrap_or(look), look, asked);
        };
        let tagged = |mut input: JsonMap, operation: &str| {
            input.insert("ResourceType".to_owned(), json!("Parameter"));
            input.insert("ResourceId".to_owned(), json!(name));
            changing(operation, input, "changing the parameter's tags")
        };
        let one = |key: &str, value: Json| JsonMap::from_iter([(key.to_owned(), value)]);
        Ok(Next::call(match step {
            Step::Describe => describe(name, false),
            Step::Look => describe(name, work.spec.get("tags").is_some()),
            Step::ReadValue => {
                Call::operation("GetParameter", json!({"Name": name, "WithDecryption": true}))
                    .purpose("reading the value, to be put back")
            }
            Step::Put => changing("PutParameter", overwrite(work, remote), "writing the parameter"),
            Step::AddTags(tags) => tagged(one("Tags", tag_list(tags)), "AddTagsToResource"),
            Step::RemoveTags(keys) => tagged(one("TagKeys", json!(keys)), "RemoveTagsFromResource"),
        }))
    }
}

/// The input of a PutParameter that overwrites; tags go by calls of their own.
fn overwrite(work: &Work<'_>, remote: &Remote) -> JsonMap {
    let spec = with_ignored(work.spec, &remote.spec, work.ignore);
    let mut input = put_input(&spec);
    for path in work.removed {
        match path.as_str() {
            "description" => input.insert("Description".to_owned(), json!("")),
            "allowed_pattern" => input.insert("AllowedPattern".to_owned(), json!("")),
            "key_id" => input.insert("KeyId".to_owned(), json!(SSM_KEY)),
            "data_type" => input.insert("DataType".to_owned(), json!("text")),
            _ => None,
        };
    }
    let value = match spec.get("value") {
        Some(value) if !is_kept(work, &spec) => value.clone(),
        _ => own_value(work),
    };
    input.insert("Value".to_owned(), value);
    input.insert("Overwrite".to_owned(), json!(true));
    input
}

/// The parameter after a write. Where the description lags behind, it is asked for itself, since its
/// date tells an earlier description from a foreign write; who may not ask does without.
fn written(
    work: &Work<'_>,
    name: &str,
    put: &Answer,
    look: &Answer,
    asked: Option<&Answer>,
) -> Result<Next, KindError> {
    let version = put.body.get("Version").and_then(Json::as_u64);
    let seen = described(look, name);
    let current = seen.and_then(|p| p.get("Version")?.as_u64());
    if let (Some(seen), true) = (seen, version.is_none() || current == version) {
        let remote = remote(seen, None).ok_or_else(|| KindError::Answer("Name".to_owned()))?;
        return Ok(Next::done(remote));
    }
    let Some(asked) = asked else { return Ok(Next::call(get(name).tolerate(&[400]))) };
    let got = described(asked, name);
    let now = got.and_then(|got| got.get("Version")?.as_u64());
    let version = version.or(now).ok_or_else(|| KindError::Answer("Version".to_owned()))?;
    let remote = unlisted(work.spec, name, version, got.or(seen));
    remote.map(Next::done).ok_or_else(|| KindError::Answer("Name".to_owned()))
}

/// A parameter that was just written, as lists will show it, with what else was seen of it.
fn unlisted(spec: &Json, name: &str, version: u64, seen: Option<&Json>) -> Option<Remote> {
    let mut item = put_input(spec);
    item.insert("Name".to_owned(), json!(name));
    if let Some(arn) = seen.and_then(|seen| seen.get("ARN")) {
        item.insert("ARN".to_owned(), arn.clone());
    }
    item.insert("Version".to_owned(), json!(version));
    item.insert("Tags".to_owned(), tag_list(&tags_of(Some(spec))));
    let is_it = |seen: &&Json| seen.get("Version") == Some(&json!(version));
    let known = seen.filter(is_it).and_then(version_of);
    remote(&Json::Object(item), Some(known.unwrap_or_else(|| format!("{version}@"))))
}

impl Kind for SsmParameter {
    fn name(&self) -> &'static str {
        "ssm_parameter"
    }

    fn doc(&self) -> &'static str {
        "A parameter of AWS SSM's Parameter Store, a SecureString unless said otherwise."
    }

    fn service(&self) -> Service {
        Service::Ssm
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(SsmParameterSpec)
    }

    fn outputs(&self) -> &'static [Output] {
        &[
            Output { name: "name", secret: false, doc: "The parameter's name." },
            Output { name: "arn", secret: false, doc: "Its ARN, where SSM tells it." },
            Output { name: "version", secret: false, doc: "The number of its newest version." },
            Output { name: "value", secret: true, doc: "What it holds." },
        ]
    }

    fn known_outputs(&self, spec: &Json, _scope: &Scope) -> JsonMap {
        text(spec, "name").map_or_else(JsonMap::new, |_| pick(spec, &["name"]))
    }

    fn check(&self, spec: &Json, _scope: &Scope) -> Vec<Problem> {
        super::ssm_parameter_check::check(spec)
    }

    fn declare(&self, spec: &Json, _scope: &Scope) -> Result<Json, Problem> {
        let mut out = fields(spec);
        out.retain(|_, value| !value.is_null());
        out.entry("type").or_insert(json!("SecureString"));
        Ok(Json::Object(out))
    }

    fn locate(&self, spec: Option<&Json>, id: Option<&str>, _scope: &Scope) -> Option<Locate> {
        let name = spec.and_then(|spec| text(spec, "name"));
        let tags = spec.is_some_and(|spec| spec.get("tags").is_some());
        let mut names: Vec<&str> = name.into_iter().collect();
        names.extend(id.filter(|id| Some(*id) != name));
        let listings: Vec<Listing> = names.into_iter().map(|name| listing(name, tags)).collect();
        (!listings.is_empty()).then_some(Locate::In(listings))
    }

    /// An item of a listing, or the whole answer of [`Kind::fetch`].
    fn read(&self, item: &Json, _scope: &Scope) -> Vec<Remote> {
        match item.get("Parameters").and_then(Json::as_array) {
            Some(parameters) => parameters.iter().filter_map(|item| remote(item, None)).collect(),
            None => remote(item, None).into_iter().collect(),
        }
    }

    fn begun(&self, spec: &Json, answer: &Answer, _scope: &Scope) -> Option<Remote> {
        let version = answer.body.get("Version")?.as_u64()?;
        unlisted(spec, text(spec, "name")?, version, None)
    }

    fn fetch(&self, id: &str, _scope: &Scope) -> Option<Call> {
        Some(describe(id, false))
    }

    fn confirm(&self, id: &str, _scope: &Scope) -> Option<Call> {
        Some(get(id))
    }

    fn fits(&self, spec: &Json, remote: &Remote) -> bool {
        text(spec, "name") == Some(&remote.id)
    }

    fn key(&self, spec: &Json) -> JsonMap {
        let mut key = JsonMap::new();
        if let Some(name) = spec.get("name") {
            key.insert("Name".to_owned(), name.clone());
        }
        key
    }

    /// A value can't be compared, so the versions tell: the one after the recorded one is the
    /// request's where it is not older, and all else is as it asked for.
    fn shows(&self, written: &Written<'_>, remote: &Remote) -> Shows {
        let number = |version: Option<&str>| -> Option<u64> {
            version?.split('@').next()?.parse::<u64>().ok()
        };
        let now = number(remote.version.as_deref());
        let Some(before) = written.before else {
            return if now == Some(1) {
                fields_show(self, written, remote)
            } else {
                Shows::Unclear
            };
        };
        let value = |record: &Recorded| record.sent.get("value").cloned().unwrap_or_default();
        let writes = !same_secret(&value(written.then), &value(before));
        let recorded = number(before.version.as_deref());
        if now == recorded {
            return if writes { Shows::NotTaken } else { fields_show(self, written, remote) };
        }
        if now == recorded.map(|version| version + 1) {
            return fields_show(self, written, remote);
        }
        Shows::Unclear
    }

    fn made_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        moment(remote.raw.get("LastModifiedDate"))
    }

    /// Tags stand beside the parameter's versions.
    fn dates(&self, path: &str) -> bool {
        !path.starts_with("tags")
    }

    fn modified_at(&self, remote: &Remote) -> Option<jiff::Timestamp> {
        moment(remote.raw.get("LastModifiedDate"))
    }

    fn diff(&self, facts: &Facts<'_>) -> Diffed {
        let settled = before_the_lag(facts);
        let facts = &match &settled {
            Some(remote) => Facts { remote, ..*facts },
            None => *facts,
        };
        let how = Compared {
            apart: &["value"],
            defaults: defaults(facts.declared.unwrap_or(&Json::Null)),
            ..Compared::default()
        };
        let mut diffed = match text(&facts.remote.raw, "TagsUnread") {
            None => compare::fields(facts, how),
            Some(why) => {
                let mut ignore = facts.ignore.to_vec();
                ignore.push("tags".to_owned());
                let mut diffed = compare::fields(&Facts { ignore: &ignore, ..*facts }, how);
                let text = format!("what they are could not be read: {why}");
                diffed.warnings.push(
                    Problem::warning(Report::UNCHECKED, "tags", text)
                        .hint("to compare them, plan wants ssm:ListTagsForResource"),
                );
                diffed
            }
        };
        if facts.sent.is_none() {
            let declared = facts.declared.and_then(|declared| text(declared, "tier"));
            diffed.changes.retain(|change| change.path != "tier" || !is_resolved(declared));
        }
        if !path::covered(facts.ignore, "value") {
            diff_value(facts, &mut diffed);
        }
        if let (Some(recorded), Some(seen)) = (facts.version, facts.remote.version.as_deref())
            && !same_version(recorded, seen)
        {
            let by = text(&facts.remote.raw, "LastModifiedUser");
            for field in diffed.drift.iter_mut().filter(|field| self.dates(&field.path)) {
                field.by = by.map(str::to_owned);
            }
        }
        diffed
    }

    fn replaces(&self, path: &str, spec: &Json, remote: &Remote) -> Option<String> {
        match path {
            "name" => Some("a parameter's name cannot be changed".to_owned()),
            "type" => Some("a parameter's type cannot be changed".to_owned()),
            "tier" => {
                let lowered = text(&remote.spec, "tier") == Some("Advanced")
                    && text(spec, "tier") == Some("Standard");
                lowered.then(|| "an Advanced parameter cannot become a Standard one".to_owned())
            }
            _ => None,
        }
    }

    fn makes(&self, spec: &Json) -> Vec<(&'static str, Recipe)> {
        let length = generated(spec).and_then(|length| usize::try_from(length).ok());
        length.map(|length| ("value", Recipe::Characters(length))).into_iter().collect()
    }

    fn reads_back(&self) -> bool {
        true
    }

    fn is_chosen(&self, spec: &Json, output: &str) -> bool {
        output == "value" && spec.pointer("/value/generate").is_none()
    }

    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError> {
        match (work.verb, answers.last()) {
            (Verb::Create, _) => self.create(work, answers),
            (Verb::Update | Verb::Widen, _) => self.update(work, answers),
            (Verb::Delete, None) => {
                let name = work.remote.map(|remote| remote.id.as_str());
                let name = name.or_else(|| text(work.spec, "name")).unwrap_or_default();
                let input = JsonMap::from_iter([("Name".to_owned(), json!(name))]);
                let call =
                    changing("DeleteParameter", input, "deleting the parameter").tolerate(&[400]);
                Ok(Next::call(call))
            }
            (Verb::Delete, Some(answer)) => {
                let code = super::support::code_of(answer);
                if answer.is_success() || code.as_deref() == Some("ParameterNotFound") {
                    Ok(Next::gone())
                } else {
                    Err(refused(answer, None))
                }
            }
        }
    }

    fn secrets_in_answers(&self) -> &'static [(&'static str, &'static str)] {
        &[("value", "/Parameter/Value")]
    }

    /// DescribeParameters shows no value. One that a person writes by hand is nobody's record.
    fn unread(
        &self,
        address: &Address,
        recorded: &Recorded,
        remote: &Remote,
        _scope: &Scope,
    ) -> Vec<Unread> {
        let sent = &recorded.sent;
        let kept = if by_hand(sent) {
            None
        } else if generated(sent).is_some() {
            let known = recorded.secrets.get("value").cloned();
            known.map(|known| Special::secret(SecretId::output(address, "value"), Some(known)))
        } else {
            sent.get("value").cloned()
        };
        let input = json!({"Names": [remote.id], "WithDecryption": true});
        let call = Call::operation("GetParameters", input).purpose("reading parameters' values");
        let how = Locate::In(vec![Listing { call, paging: Paging::Token }]);
        // SSM's own key is everybody's who may use SSM in the account, by its policy.
        let own_key = text(&remote.spec, "key_id").is_some_and(|key| !key.ends_with(SSM_KEY));
        let wants: &[&str] = match own_key {
            true => &["ssm:GetParameters", "kms:Decrypt"],
            false => &["ssm:GetParameters"],
        };
        kept.map(|kept| Unread { path: "value", kept, how, wants }).into_iter().collect()
    }

    fn value_in<'a>(&self, remote: &Remote, item: &'a Json) -> Option<&'a str> {
        text(item, "Value").filter(|_| text(item, "Name") == Some(&remote.id))
    }

    fn writes(&self, declared: &Json, path: &str) -> bool {
        path == "value" && !keeps_value(declared)
    }

    fn reveal(&self, remote: &Remote, output: &str, _scope: &Scope) -> Option<(Call, String)> {
        if output != "value" {
            return None;
        }
        let input = json!({"Name": remote.id, "WithDecryption": true});
        let call = Call::operation("GetParameter", input).purpose("reading the parameter's value");
        Some((call, "/Parameter/Value".to_owned()))
    }
}

/// Whether all but the value is what was asked for.
fn fields_show(kind: &SsmParameter, written: &Written<'_>, remote: &Remote) -> Shows {
    let spec = &written.then.sent;
    let facts = Facts {
        declared: Some(spec),
        sent: None,
        answered: None,
        version: None,
        remote,
        preview: None,
        ignore: &["value".to_owned()],
        force: &[],
        shared: &[],
    };
    let young = match (kind.made_at(remote), written.asked_at) {
        (Some(at), Some(asked)) => at.duration_since(asked).as_secs() >= -2,
        _ => true,
    };
    let same = kind.diff(&facts).changes.is_empty();
    if same && young { Shows::Taken } else { Shows::Unclear }
}

/// Whether the service answers a tier with the one that results: Standard or Advanced by the
/// value's size (crates.md, section 7: AWS).
fn is_resolved(tier: Option<&str>) -> bool {
    tier == Some("Intelligent-Tiering")
}

/// What the service has where nothing is said.
fn defaults(spec: &Json) -> JsonMap {
    let secure = spec.get("type").is_none_or(|kind| kind == "SecureString");
    let key = if secure { json!(SSM_KEY) } else { Json::Null };
    [
        ("description", json!("")),
        ("key_id", key),
        ("allowed_pattern", Json::Null),
        ("data_type", json!("text")),
    ]
    .into_iter()
    .map(|(path, value)| (path.to_owned(), value))
    .collect()
}

/// A value that was not written by boxctl is not known, and is written when it is taken over.
fn adopt_value(facts: &Facts<'_>, diffed: &mut Diffed) {
    let Some(declared) = facts.declared else { return };
    if by_hand(declared) || generated(declared).is_some() {
        return;
    }
    if let Some(value) = declared.get("value") {
        let mut change = FieldChange::new("value", None, Some(value.clone()));
        change.secret = true;
        change.note = Some(UNREAD.to_owned());
        diffed.changes.push(change);
    }
}

/// A value is compared with what was sent, and its version with the one that was written.
fn diff_value(facts: &Facts<'_>, diffed: &mut Diffed) {
    let Some(sent) = facts.sent else { return adopt_value(facts, diffed) };
    let seen = facts.remote.version.as_deref();
    let before = sent.get("value").cloned();
    let foreign = match (facts.version, seen) {
        (Some(recorded), Some(seen)) => !same_version(recorded, seen),
        _ => false,
    };
    let secret = text(sent, "type") != Some("String") && text(sent, "type") != Some("StringList");
    let wanted = facts.declared.and_then(|declared| declared.get("value"));
    let said = |spec: &Json| !by_hand(spec) && generated(spec).is_none();
    let field = |from: Option<Json>, to: Option<Json>| {
        let mut change = FieldChange::new("value", from, to);
        change.secret = secret;
        let by = text(&facts.remote.raw, "LastModifiedUser").filter(|_| foreign);
        change.by = by.map(str::to_owned);
        change
    };
    if foreign && !by_hand(sent) {
        let mut change = field(before.clone(), None);
        let plain = |text: &str| text.split('@').next().unwrap_or_default().to_owned();
        change.note = Some(format!(
            "someone wrote version {} after version {}",
            seen.map(plain).unwrap_or_default(),
            facts.version.map(plain).unwrap_or_default()
        ));
        diffed.drift.push(change);
    }
    let Some(declared) = facts.declared else { return };
    let differs = match (wanted, &before) {
        (Some(wanted), Some(before)) => !same(wanted, before) && !same_secret(wanted, before),
        (wanted, before) => wanted.is_some() != before.is_some(),
    };
    if said(declared) && (foreign || differs) {
        let mut change = field(before.filter(|_| !foreign), wanted.cloned());
        if !differs {
            change.note = Some("written again over a foreign version".to_owned());
        }
        diffed.changes.push(change);
    }
}

#[cfg(test)]
#[path = "ssm_parameter_tests.rs"]
mod tests;
