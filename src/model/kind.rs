//! What a kind of resource is: it says what to send and how to read the answer, and sends nothing.

use super::address::Address;
use super::call::{Answer, Call, Filter, Listing, Service};
use super::change::FieldChange;
use super::observed::{Preview, Remote};
use super::scope::{Need, Scope};
use super::state::{End, Recorded};
use super::unread::Unread;
use super::{Json, JsonMap};

/// Something wrong with a spec, at a path of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `ingress[0].service`; empty for the whole.
    pub path: String,
    /// What is wrong, a sentence fragment in lower case.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Set for what the API takes and does not work, or is dangerous: a warning with this code.
    pub code: Option<&'static str>,
}

impl Problem {
    /// An error at a path.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Problem { path: path.into(), message: message.into(), hint: None, code: None }
    }

    /// A warning with a code, which `accept` can quiet.
    pub fn warning(
        code: &'static str,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Problem { code: Some(code), ..Problem::error(path, message) }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A value that other resources can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// The name in `${kind.name.output}`.
    pub name: &'static str,
    /// Whether the value is secret.
    pub secret: bool,
    /// What it is.
    pub doc: &'static str,
}

/// An output that a spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name in `${kind.name.output}`.
    pub name: String,
    /// Where an answer holds it, as a JSON pointer; None where the spec itself says the value.
    pub pointer: Option<String>,
    /// Whether the value is secret.
    pub secret: bool,
}

/// What becomes of an object when its resource leaves the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It is deleted.
    Deleted,
    /// It stays, and what was put in is taken out; what that is.
    Emptied(&'static str),
    /// It stays as it is, and why.
    Left(&'static str),
}

/// How the remote object of a resource is found.
#[derive(Clone, Debug, PartialEq)]
pub enum Locate {
    /// Among the items of collections.
    In(Vec<Listing>),
    /// By a call of its own, where the API has no list.
    By(Call),
    /// Nowhere: what holds it is not there.
    Nowhere,
    /// It can't be asked for, and why.
    Away(String),
}

/// What a comparison rests on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the files ask for, canonical; None for drift, which compares with the record only.
    pub declared: Option<&'a Json>,
    /// What was sent last; None when nothing is recorded (adopting).
    pub sent: Option<&'a Json>,
    /// What the write's answer made of it ([`Kind::answered`]).
    pub answered: Option<&'a Json>,
    /// The service's version when it was written last.
    pub version: Option<&'a str>,
    /// What is there.
    pub remote: &'a Remote,
    /// What the server said a change would come to, if it was asked.
    pub preview: Option<&'a Preview>,
    /// Paths that are left to others.
    pub ignore: &'a [String],
    /// Paths that are taken from other owners; `**` for all.
    pub force: &'a [String],
    /// Lists that others write too.
    pub shared: &'a [String],
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diffed {
    /// What has to change, observed → declared.
    pub changes: Vec<FieldChange>,
    /// Paths of fields that left the files and have to go.
    pub removed: Vec<String>,
    /// What someone changed of what was recorded, recorded → observed.
    pub drift: Vec<FieldChange>,
    /// What stands beside what is declared and changes its meaning.
    pub foreign: Vec<FieldChange>,
    /// What belongs to another owner and is not forced: refuses the change.
    pub conflicts: Vec<FieldChange>,
    /// What only changes hands when the object is taken over: no difference to decide about.
    pub handover: Vec<FieldChange>,
    /// Why the service takes this for a new object only, where it was asked.
    pub replaced: Option<String>,
    /// What else there is to tell.
    pub warnings: Vec<Problem>,
    /// Whether the server should be asked ([`Kind::preview`]) before this can be believed.
    pub wants_preview: bool,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Makes it.
    Create,
    /// Changes it.
    Update,
    /// Deletes it.
    Delete,
    /// First half of a hostname's move: both hostnames at once (Access applications).
    Widen,
}

/// One step as a kind sees it.
#[derive(Clone, Debug)]
pub struct Work<'a> {
    /// What to do.
    pub verb: Verb,
    /// The resource.
    pub address: &'a Address,
    /// What is asked for: canonical, references resolved, secrets as references. What was sent
    /// last, for a delete.
    pub spec: &'a Json,
    /// What was sent last.
    pub sent: Option<&'a Json>,
    /// The version that the state has, of kinds that know versions ([`Remote::version`]).
    pub version: Option<&'a str>,
    /// The object as it was last read.
    pub remote: Option<&'a Remote>,
    /// Paths that left the files since, of fields that go back to what the service has without.
    pub removed: &'a [String],
    /// Lists that others write too.
    pub shared: &'a [String],
    /// Paths that are left to others.
    pub ignore: &'a [String],
    /// Paths that are taken from other owners; `**` for all.
    pub force: &'a [String],
    /// The accounts.
    pub scope: &'a Scope,
    /// A short hash of lineage and address, for markers.
    pub mark: &'a str,
    /// Set when what it reads (parameters) has changed: the text that names the versions, by which
    /// the object is made to read them again.
    pub restart: Option<&'a str>,
    /// Set where an update also makes its secret anew ([`Kind::rotates`]): the time now, by the
    /// service's clock.
    pub rotate: Option<jiff::Timestamp>,
    /// Whether secrets of the spec that are said no more stay as the object has them, to be read
    /// back from it ([`Kind::reads_back`]).
    pub keeps: bool,
}

/// What comes next in a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Send this and ask again, with its answer added.
    Call(Box<Call>),
    /// Done: the object as the last answer showed it; None after a delete.
    Done(Option<Box<Remote>>),
}

impl Next {
    /// One more call.
    pub fn call(call: Call) -> Self {
        Next::Call(Box::new(call))
    }

    /// Done, with the object.
    pub fn done(remote: Remote) -> Self {
        Next::Done(Some(Box::new(remote)))
    }

    /// Done, and it is gone.
    pub fn gone() -> Self {
        Next::Done(None)
    }
}

/// An answer that a kind cannot make sense of, or a step that it cannot do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// The answer lacks something.
    #[error("the answer has no usable `{0}`")]
    Answer(String),
    /// The service refused, as the kind understands the refusal.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The step cannot be done this way.
    #[error("{message}")]
    Impossible {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

/// Whether an object does what it is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// Not yet, and what it waits for.
    Waiting(String),
    /// It will not by itself, and why.
    Failed(String),
}

/// The write that an object is waited for after: what its controller said before is not about it.
#[derive(Clone, Copy, Debug)]
pub struct Since<'a> {
    /// The object before the write; None where there was none.
    pub before: Option<&'a Remote>,
    /// The object as the write's answer showed it.
    pub written: &'a Remote,
}

/// What an object is waited for to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Ready.
    Ready,
    /// Gone.
    Gone,
}

/// What comes next in finding out why an object is not what it is waited for to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Explain {
    /// Send this, which only reads, and ask again with its answer added.
    Look(Box<Call>),
    /// What there is to tell, the likeliest reason first.
    Told(Vec<String>),
}

/// Where an object stands among others that nothing else puts in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// Lower first.
    pub number: u32,
    /// The namespace that it is about; None for all.
    pub within: Option<String>,
    /// Whether what stands higher waits until it is there.
    pub leads: bool,
    /// Whether it comes after all others.
    pub is_last: bool,
}

impl Wave {
    /// Whether it is made after the other one, and deleted before it.
    pub fn follows(&self, other: &Wave) -> bool {
        let meet = match (&self.within, &other.within) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        other.number < self.number && (self.is_last || other.leads && meet)
    }
}

/// A change to an object that is there, as far as it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Disturbance<'a> {
    /// What will be sent.
    pub spec: &'a Json,
    /// The object.
    pub remote: &'a Remote,
    /// Paths that change, those of fields that left the files included.
    pub paths: &'a [String],
    /// Whether it is deleted and made again.
    pub replaced: bool,
    /// Whether it is made to read its parameters again.
    pub restarted: bool,
}

/// A secret that boxctl makes at create, for a field that the file does not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// base64 of the SHA-256 of 64 random characters: a tunnel's secret.
    HashedCharacters,
    /// Random characters of the given number.
    Characters(usize),
}

/// A write whose answer was lost.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// What would have been recorded of it.
    pub then: &'a Recorded,
    /// What was recorded before it; None where nothing was.
    pub before: Option<&'a Recorded>,
    /// Whether it was to make the object, and not to change one that was there.
    pub makes: bool,
    /// When it was announced, by the service's clock.
    pub asked_at: Option<jiff::Timestamp>,
}

/// What an object tells of a write whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// It is all of what was asked for.
    Taken,
    /// It is as it was before.
    NotTaken,
    /// Neither, or it can't be told.
    Unclear,
}

/// A kind of resource. Implementations hold no state and do no I/O; adding one is one file and one
/// line in the table of kinds.
pub trait Kind: Sync {
    /// `dns_record`.
    fn name(&self) -> &'static str;

    /// What it is, in one line, for the documentation of the files.
    fn doc(&self) -> &'static str;

    /// The API it lives in.
    fn service(&self) -> Service;

    /// The JSON Schema of what users write.
    fn schema(&self) -> schemars::Schema;

    /// What other resources can refer to.
    fn outputs(&self) -> &'static [Output] {
        &[]
    }

    /// Outputs that a spec itself names, beside [`Kind::outputs`].
    fn named_outputs(&self, _spec: &Json) -> Vec<Named> {
        Vec::new()
    }

    /// The names of all secret outputs that a resource with this spec has.
    fn secret_outputs(&self, spec: &Json) -> Vec<String> {
        let own = self.outputs().iter().filter(|output| output.secret);
        let named = self.named_outputs(spec).into_iter().filter(|output| output.secret);
        own.map(|output| output.name.to_owned()).chain(named.map(|output| output.name)).collect()
    }

    /// Outputs that the spec alone determines: a record's hostname. `scope` has zones by name only.
    fn known_outputs(&self, _spec: &Json, _scope: &Scope) -> JsonMap {
        JsonMap::new()
    }

    /// What is wrong with a spec as it is written, before the network. References may be left in
    /// it, and say nothing yet.
    fn check(&self, _spec: &Json, _scope: &Scope) -> Vec<Problem> {
        Vec::new()
    }

    /// Hostnames that this spec publishes, of those known before the network.
    fn hostnames(&self, _spec: &Json, _scope: &Scope) -> Vec<String> {
        Vec::new()
    }

    /// What must be known before [`Kind::declare`].
    fn needs(&self, _spec: &Json) -> Vec<Need> {
        Vec::new()
    }

    /// The spec in canonical form: names looked up, hostnames whole, spellings the service's. Values
    /// may still be unknown or secret nodes, and pass through.
    ///
    /// # Errors
    /// A name that stands for nothing, or for several things.
    fn declare(&self, spec: &Json, _scope: &Scope) -> Result<Json, Problem> {
        Ok(spec.clone())
    }

    /// What keeps the service from taking a spec of this kind at all. A warning, where it may take it
    /// later without a change of the spec.
    ///
    /// # Errors
    /// A kind or a version of it that a cluster does not serve.
    fn servable(&self, _spec: &Json, _scope: &Scope) -> Result<(), Problem> {
        Ok(())
    }

    /// How the object is found. `spec` is canonical (None when it left the files), `id` what the
    /// state knows. None while something that is needed is unknown.
    fn locate(&self, spec: Option<&Json>, id: Option<&str>, scope: &Scope) -> Option<Locate>;

    /// Query parameters that narrow the collections of [`Kind::locate`] and leave in them every
    /// object that [`Kind::fits`] a spec, by what is documented of the API; none where nothing is.
    /// What the state knows and they leave out is asked for by [`Kind::fetch`].
    fn narrowed(&self, _spec: &Json) -> Filter {
        Filter::new()
    }

    /// The objects in an item of a listing or the answer of [`Locate::By`]; none for what is not
    /// of this kind, or only a tombstone.
    fn read(&self, item: &Json, scope: &Scope) -> Vec<Remote>;

    /// [`Kind::read`] of what belongs to a spec, canonical, for kinds whose specs say how.
    fn read_by(&self, _spec: &Json, item: &Json, scope: &Scope) -> Vec<Remote> {
        self.read(item, scope)
    }

    /// What of a spec [`Kind::read_by`] goes by: an item is read once for all specs of which this is
    /// the same.
    fn read_as(&self, _spec: &Json) -> String {
        String::new()
    }

    /// The object that a create's first answer tells of, where more calls follow it.
    fn begun(&self, spec: &Json, answer: &Answer, scope: &Scope) -> Option<Remote> {
        self.read_by(spec, &answer.body, scope).into_iter().next()
    }

    /// The call that reads an object by its id, when a list lacks what the state knows. None where
    /// lists are whole.
    fn fetch(&self, _id: &str, _scope: &Scope) -> Option<Call> {
        None
    }

    /// The call that tells whether something recorded that no list holds is there all the same;
    /// the one that reads it by its id, unless the service has a better one.
    fn confirm(&self, id: &str, scope: &Scope) -> Option<Call> {
        self.fetch(id, scope)
    }

    /// Whether a list's item shows all that a spec says something of; what it leaves out is read by
    /// [`Kind::fetch`].
    fn is_whole(&self, _spec: &Json, _remote: &Remote) -> bool {
        true
    }

    /// Whether the object is the one a spec means, by its natural key.
    fn fits(&self, spec: &Json, remote: &Remote) -> bool;

    /// Why the service does not take what a spec declares beside this other object, if it does not.
    fn clash(&self, _spec: &Json, _remote: &Remote) -> Option<String> {
        None
    }

    /// The natural key of a spec: fields of the create's body that name the object.
    fn key(&self, spec: &Json) -> JsonMap;

    /// What the service lets one object alone have, as text: another one can have it when this one
    /// has given it up. None where there is no such thing, or it is not known yet.
    fn claims(&self, _spec: &Json) -> Option<String> {
        None
    }

    /// Whether an object that is there is only a list that others write too, in which nothing of
    /// what is declared stands yet: adding to it takes nothing over.
    fn joins(&self, _facts: &Facts<'_>) -> bool {
        false
    }

    /// The name of what several runs may write at the same time, so that they take turns; None
    /// where one run alone does.
    fn turn(&self, _spec: &Json, _shared: &[String]) -> Option<String> {
        None
    }

    /// Whether the object is being deleted.
    fn is_going(&self, _remote: &Remote) -> bool {
        false
    }

    /// When it was asked to be deleted, where it is being deleted and the service says so.
    fn going_since(&self, _remote: &Remote) -> Option<jiff::Timestamp> {
        None
    }

    /// Whether an object bears a mark, and whose: `[boxctl <mark>]` in a name.
    fn mark_of(&self, _remote: &Remote) -> Option<String> {
        None
    }

    /// Compares what is declared, recorded and observed. Kinds with whole specs do it field by
    /// field (`kinds::compare`), Kubernetes objects by who owns a field.
    fn diff(&self, facts: &Facts<'_>) -> Diffed;

    /// What is recorded of a write's answer, to compare later readings with; None: the fields of
    /// the answer that were sent.
    fn answered(&self, _sent: &Json, _remote: &Remote) -> Option<Json> {
        None
    }

    /// What is recorded as sent: the spec, less what may not be kept (Kubernetes Secret data).
    fn recordable(&self, spec: &Json) -> Json {
        spec.clone()
    }

    /// Whether an object is another one than the recorded, under the same id, and not of boxctl's
    /// making: someone deleted ours and made theirs.
    fn is_anothers(&self, _recorded: &Recorded, _remote: &Remote) -> bool {
        false
    }

    /// Another tool that keeps this object by marks of its own (Argo CD, Flux, Helm, kapp), and how
    /// it calls itself.
    fn tracked_by(&self, _remote: &Remote) -> Option<String> {
        None
    }

    /// Whether an object shows that a write whose answer was lost took effect.
    fn shows(&self, written: &Written<'_>, remote: &Remote) -> Shows {
        let spec = &written.then.sent;
        // What it was before tells what was to go; no answer tells what the service made of it.
        let facts = Facts {
            declared: Some(spec),
            sent: written.before.map(|before| &before.sent),
            answered: None,
            version: None,
            remote,
            preview: None,
            ignore: &[],
            force: &["**".to_owned()],
            shared: &written.then.shared,
        };
        let diffed = self.diff(&facts);
        // A secret that was never recorded can't be compared, and says nothing of a new object.
        let counts = |secret: bool| !secret || written.before.is_some();
        let differs = diffed.changes.iter().any(|change| counts(change.secret));
        if differs || !diffed.conflicts.is_empty() { Shows::Unclear } else { Shows::Taken }
    }

    /// When the object was made, as the service says it; None where it does not.
    fn made_at(&self, _remote: &Remote) -> Option<jiff::Timestamp> {
        None
    }

    /// When the object was changed last, as the service says it; None where it does not.
    fn modified_at(&self, _remote: &Remote) -> Option<jiff::Timestamp> {
        None
    }

    /// What boxctl is called where [`Kind::modified_at`] tells of its own writes alone.
    fn own_name(&self) -> Option<&'static str> {
        None
    }

    /// Whether [`Kind::modified_at`] tells of a change of this path.
    fn dates(&self, _path: &str) -> bool {
        true
    }

    /// The path of the API by which the object is changed; None where it has none of its own.
    fn path(&self, id: &str, scope: &Scope) -> Option<String> {
        self.fetch(id, scope).map(|call| call.path)
    }

    /// The places that an object takes, as text: others that take one of them may change what it
    /// means.
    fn places(&self, _spec: &Json) -> Vec<String> {
        Vec::new()
    }

    /// What another object that takes one of its places changes of what a spec means, to be shown;
    /// None where nothing.
    fn overlaid(&self, _spec: &Json, _other: &Remote) -> Option<FieldChange> {
        None
    }

    /// Why a change of this path can only be made by replacing the object; None where it can be
    /// made in place.
    fn replaces(&self, _path: &str, _spec: &Json, _remote: &Remote) -> Option<String> {
        None
    }

    /// Why the object may never be replaced, with the steps to take instead.
    fn never_replaced(&self) -> Option<&'static str> {
        None
    }

    /// What is lost with the object when it is deleted or replaced, beside what its files say.
    fn loses(&self, _spec: &Json) -> Option<&'static str> {
        None
    }

    /// What becomes of the object when its resource leaves the files, or is destroyed. `sent` is
    /// what was sent last.
    fn leaving(&self, _sent: &Json) -> Leaving {
        Leaving::Deleted
    }

    /// Whether it is kept unless a file says otherwise.
    fn protected(&self, _spec: &Json) -> bool {
        false
    }

    /// Secrets that boxctl makes at create: output name and recipe.
    fn makes(&self, _spec: &Json) -> Vec<(&'static str, Recipe)> {
        Vec::new()
    }

    /// Whether its secret can be made anew while the object stays.
    fn rotates(&self) -> bool {
        false
    }

    /// Secret outputs that the API says only once, when it makes them: whoever needs the value
    /// later needs a new one.
    fn said_once(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether the secrets of a spec can be read back from the object, so that a change of what
    /// stands around them needs no new ones.
    fn reads_back(&self) -> bool {
        false
    }

    /// How old its secret may get until it is due to be made anew, in seconds; None: as old as it
    /// gets.
    fn rotates_every_s(&self, _spec: &Json) -> Option<i64> {
        None
    }

    /// The call that tells who uses its secret, where that can be told.
    fn users(&self, _remote: &Remote, _scope: &Scope) -> Option<Call> {
        None
    }

    /// Whether those who use its secret, by the answer of [`Kind::users`], use the one that was
    /// made at the given time, by the service's clock.
    fn renewed(&self, _answer: &Answer, _since: jiff::Timestamp) -> Readiness {
        Readiness::Ready
    }

    /// Whether a person may have chosen the value of a secret output, so that it could be guessed.
    fn is_chosen(&self, _spec: &Json, _output: &str) -> bool {
        false
    }

    /// The next call of a step, given the answers so far; or that it is done.
    ///
    /// # Errors
    /// An answer that makes no sense, or a refusal that the kind asked to see.
    fn next(&self, work: &Work<'_>, answers: &[Answer]) -> Result<Next, KindError>;

    /// The paths in answers that hold secret outputs: they are taken out before anything else sees
    /// the answer. Output name and JSON pointer into the answer's body.
    fn secrets_in_answers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The call whose answer is a secret output of an object that exists, with the pointer to it.
    fn reveal(&self, _remote: &Remote, _output: &str, _scope: &Scope) -> Option<(Call, String)> {
        None
    }

    /// The values of a recorded object that are taken as recorded unless they are read.
    fn unread(
        &self,
        _address: &Address,
        _recorded: &Recorded,
        _remote: &Remote,
        _scope: &Scope,
    ) -> Vec<Unread> {
        Vec::new()
    }

    /// The value of an object that [`Kind::unread`] asked for, where an item of the listing, or the
    /// answer's body, holds it.
    fn value_in<'a>(&self, _remote: &Remote, _item: &'a Json) -> Option<&'a str> {
        None
    }

    /// Whether an update writes the value at a path again, since the files say what it is.
    fn writes(&self, _declared: &Json, _path: &str) -> bool {
        false
    }

    /// The call that asks the server what a change would come to, without making it.
    fn preview(&self, _work: &Work<'_>) -> Option<Call> {
        None
    }

    /// Whether the object, just read, does what it is there for. `since` is the write that it is
    /// waited for after.
    fn readiness(&self, _remote: &Remote, _since: Option<&Since<'_>>) -> Readiness {
        Readiness::Ready
    }

    /// Whether the object, just read, does what it is there for by now, also where an apply does not
    /// wait for that: a tunnel's connectors come after it.
    fn works(&self, remote: &Remote) -> Readiness {
        self.readiness(remote, None)
    }

    /// How to find out why an object is not what it is waited for to be, given the answers so far:
    /// None for what could not be read.
    fn explain(
        &self,
        _remote: &Remote,
        _awaited: Awaited,
        _answers: &[Option<Answer>],
        _scope: &Scope,
    ) -> Explain {
        Explain::Told(Vec::new())
    }

    /// What keeps an object that is to go, as far as its own last reading (the body of an answer)
    /// tells.
    fn held(&self, _raw: &Json) -> String {
        "it is still there".to_owned()
    }

    /// How an object has run to its end, where it has and does nothing more (a Job).
    fn ended(&self, _remote: &Remote) -> Option<End> {
        None
    }

    /// Whether an object that is gone has had its time, so that it is not missing: by what was sent
    /// last, and the end that it was seen to come to.
    fn is_spent(&self, _sent: &Json, _end: Option<End>) -> bool {
        false
    }

    /// How a change interrupts what the object does; None where it does not, or that is not known.
    fn interrupts(&self, _change: &Disturbance<'_>) -> Option<String> {
        None
    }

    /// Kinds that the API serves once the object is there, as `apiVersion` and `kind`.
    fn serves(&self, _spec: &Json) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Where it stands among others that nothing else puts in order; None where that is all the
    /// same.
    fn wave(&self, _spec: &Json) -> Option<Wave> {
        None
    }

    /// How long it may take until it is ready, in seconds, unless a file says otherwise.
    fn timeout_s(&self, _spec: &Json) -> u64 {
        300
    }

    /// Where it stands among steps that could go at once: lower first.
    fn rank(&self, _spec: &Json) -> u32 {
        100
    }
}
