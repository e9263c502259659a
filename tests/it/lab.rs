//! A copy of a fixture, a sandbox that is served for it, and hands to change the world behind
//! boxctl's back.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::aws::Aws;
use crate::moto::Moto;

/// The account of the example projects.
pub const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

/// The waits of every lab, in its `boxctl.yaml`.
const TIMING: &str = "timing: {poll: 20ms, backoff: 5ms, backoff_max: 50ms}";

/// Tells what a test was about, whether it fails or not: a line that goes past the harness, which
/// shows what tests print only where they fail.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What a command came to.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let all = format!("{}{}", self.out, self.err);
        assert!(
            all.contains(text),
            "`{text}` is not in stdout:\n{}\nstderr:\n{}",
            self.out,
            self.err
        );
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

pub struct Lab {
    dir: tempfile::TempDir,
    server: Option<Child>,
    environment: Vec<(String, String)>,
    /// A kubeconfig that commands find beside the sandbox's.
    kubeconfig: Option<PathBuf>,
    /// Serves SSM instead of the sandbox, where the tests are run with BOXCTL_TEST_SSM=moto.
    moto: Option<Moto>,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// A directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

impl Lab {
    /// A lab with a fixture's project in it.
    pub fn of(fixture: &str) -> Lab {
        Lab::with(fixture, &[])
    }

    /// A lab whose sandbox is served with more options.
    pub fn with(fixture: &str, options: &[&str]) -> Lab {
        Lab::beside(fixture, options, &[])
    }

    /// A lab whose sandbox finds other services in its own environment.
    pub fn beside(fixture: &str, options: &[&str], environment: &[(&str, &str)]) -> Lab {
        Lab::new(fixture, options, environment, false)
    }

    /// A lab in which the sandbox itself always serves SSM.
    pub fn own(fixture: &str) -> Lab {
        Lab::new(fixture, &[], &[], true)
    }

    /// A lab in which the sandbox itself always serves SSM, and lost calls are looked up soon.
    pub fn hasty(fixture: &str, options: &[&str]) -> Lab {
        let lab = Lab::new(fixture, options, &[], true);
        let hasty = TIMING.replace('{', "{request: 600ms, grace: 2s, ");
        lab.edit("boxctl.yaml", TIMING, &hasty);
        lab
    }

    fn new(fixture: &str, options: &[&str], environment: &[(&str, &str)], own: bool) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
        copy(&source, dir.path());
        let project = dir.path().join("boxctl.yaml");
        let text = std::fs::read_to_string(&project).unwrap();
        std::fs::write(&project, format!("{text}\n{TIMING}\n")).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wanted = std::env::var("BOXCTL_TEST_SSM").is_ok_and(|value| value == "moto");
        let mut lab = Lab {
            dir,
            server: None,
            moto: (wanted && environment.is_empty() && !own).then(Moto::start),
            kubeconfig: None,
            environment: environment.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        };
        lab.serve(options);
        lab
    }

    /// A lab of its own that begins with this one's project and world.
    pub fn copy(&self, options: &[&str]) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        copy(self.path(), dir.path());
        let mut lab = Lab {
            dir,
            server: None,
            moto: None,
            kubeconfig: None,
            environment: Vec::new(),
            http: self.http.clone(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        };
        lab.serve(options);
        lab
    }

    /// Serves the same world again, with other options.
    pub fn restart(&mut self, options: &[&str]) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
        self.environment.clear();
        self.serve(options);
    }

    fn serve(&mut self, options: &[&str]) {
        let mut command = self.command();
        if let Some(moto) = &self.moto {
            command.env("AWS_ENDPOINT_URL", &moto.url);
        }
        command.args(["sandbox", "serve", "--log"]).arg(self.log_path()).args(options);
        if !options.contains(&"--budget") {
            // A test asks more in a minute than a person does in an hour.
            command.args(["--budget", "1000000/300"]);
        }
        if !options.contains(&"--throughput") {
            command.args(["--throughput", "1000000/1,1000000/1"]);
        }
        let mut server =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("boxctl starts");
        let lines = BufReader::new(server.stdout.take().unwrap()).lines();
        for line in lines {
            let line = line.unwrap();
            let Some((name, value)) = line.trim_start_matches("export ").split_once('=') else {
                continue;
            };
            self.set(name, value.trim_matches('\''));
            // The last that it prints.
            if name == "AWS_DEFAULT_REGION" {
                break;
            }
        }
        self.server = Some(server);
        assert!(self.variable("CLOUDFLARE_BASE_URL").starts_with("http://127.0.0.1:"));
    }

    /// The project's directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn log_path(&self) -> PathBuf {
        self.path().join("requests.log")
    }

    /// A variable that the sandbox printed.
    pub fn variable(&self, name: &str) -> &str {
        let found = self.environment.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Another value for a variable that commands are run with.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(n, _)| n != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Has commands find a kubeconfig beside the sandbox's.
    pub fn add_kubeconfig(&mut self, path: PathBuf) {
        self.kubeconfig = Some(path);
    }

    /// The binary, in the project, with nothing in its environment but what it needs.
    pub fn command(&self) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_boxctl"))
    }

    /// Another program, alike.
    pub fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("TZ", "UTC")
            // One root: reading those of the machine takes half of a short run's time.
            .env("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/root.pem"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .envs(self.environment.iter().map(|(n, v)| (n, v)))
            .stdin(Stdio::null());
        let own = self.environment.iter().find(|(name, _)| name == "KUBECONFIG");
        if let (Some((_, own)), Some(more)) = (own, &self.kubeconfig) {
            let paths = std::env::join_paths([Path::new(own), more]).unwrap();
            command.env("KUBECONFIG", paths);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command().args(arguments).output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn apply(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["apply", "--yes"], arguments].concat()).exits(0)
    }

    /// The next plan is empty.
    #[track_caller]
    pub fn is_settled(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["plan", "--detailed-exitcode"], arguments].concat()).exits(0)
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path().join(file), text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path().join(file)).unwrap()
    }

    /// Replaces text in a file of the project.
    #[track_caller]
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{from} is not in {file}");
        self.write(file, &text.replace(from, to));
    }

    /// Whether the sandbox's own SSM is not the one that is used.
    pub fn has_moto(&self) -> bool {
        self.moto.is_some()
    }

    /// The requests that the sandbox has answered since the log was emptied last.
    pub fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn forget_requests(&self) {
        std::fs::write(self.log_path(), "").unwrap();
    }

    /// `METHOD path` of the requests that changed something.
    pub fn changes(&self) -> Vec<String> {
        let requests = self.requests();
        let changes = requests.iter().filter(|request| request["mutating"] == true);
        let text =
            |request: &Value, key: &str| request[key].as_str().unwrap_or_default().to_owned();
        changes.map(|r| format!("{} {}", text(r, "method"), text(r, "path"))).collect()
    }

    fn http(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
        })
    }

    fn method(method: &str) -> reqwest::Method {
        method.parse().unwrap()
    }

    /// Status and body of a read of the Cloudflare API.
    pub fn answer(&self, url: &str) -> (u16, Value) {
        self.http(self.http.get(url).bearer_auth(self.variable("CLOUDFLARE_API_TOKEN")))
    }

    /// The `result` of a call of the Cloudflare API.
    #[track_caller]
    pub fn cloudflare(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.variable("CLOUDFLARE_BASE_URL"));
        let request = self
            .http
            .request(Lab::method(method), url)
            .bearer_auth(self.variable("CLOUDFLARE_API_TOKEN"));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let (status, answer) = self.http(request);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer["result"].clone()
    }

    /// A call of the Cloudflare API that a person makes in the dashboard.
    #[track_caller]
    pub fn dashboard(&self, user: &str, method: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.variable("CLOUDFLARE_BASE_URL"));
        let request = self
            .http
            .request(Lab::method(method), url)
            .header("x-sandbox-user", user)
            .bearer_auth(self.variable("CLOUDFLARE_API_TOKEN"));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let (status, answer) = self.http(request);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer["result"].clone()
    }

    /// The only live item of a collection of the account.
    #[track_caller]
    pub fn only(&self, path: &str) -> Value {
        let list = self.cloudflare("GET", path, None);
        let items: Vec<&Value> = list
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["deleted_at"].is_null())
            .filter(|item| item["type"] != "warp" && item["type"] != "app_launcher")
            .collect();
        assert_eq!(items.len(), 1, "{list:#}");
        items[0].clone()
    }

    pub fn account(&self, path: &str) -> String {
        format!("/accounts/{ACCOUNT}/{path}")
    }

    /// The path of the records of the only zone.
    pub fn records(&self) -> String {
        let zone = self.only("/zones");
        format!("/zones/{}/dns_records", zone["id"].as_str().unwrap())
    }

    /// Where SSM is, and the credentials for it.
    pub fn aws(&self) -> Aws {
        let variable = |name: &str| self.variable(name).to_owned();
        Aws {
            url: variable("AWS_ENDPOINT_URL"),
            region: variable("AWS_REGION"),
            key: variable("AWS_ACCESS_KEY_ID"),
            secret: variable("AWS_SECRET_ACCESS_KEY"),
        }
    }

    /// An operation of SSM.
    #[track_caller]
    pub fn ssm(&self, operation: &str, input: Value) -> Value {
        let (status, answer) = self.http(self.aws().request(&self.http, operation, &input));
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// A call of the Kubernetes API.
    #[track_caller]
    pub fn kubernetes(&self, method: &str, path: &str, body: Option<(&str, Value)>) -> Value {
        let base = self.variable("CLOUDFLARE_BASE_URL").trim_end_matches("/client/v4");
        let request = self.http.request(Lab::method(method), format!("{base}{path}"));
        let request = match body {
            Some((kind, body)) => request.header("content-type", kind).body(body.to_string()),
            None => request,
        };
        let (status, answer) = self.http(request);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// A merge patch by someone with a field manager of their own.
    #[track_caller]
    pub fn patch(&self, path: &str, body: Value) -> Value {
        let path = format!("{path}?fieldManager=someone");
        self.kubernetes("PATCH", &path, Some(("application/merge-patch+json", body)))
    }

    /// Plans these faults in place of those there were.
    #[track_caller]
    pub fn plan_faults(&self, faults: &Value) {
        let (status, said) = self.faults_page("PUT", Some(faults));
        assert_eq!(status, 200, "{said}");
    }

    /// How many calls each of the planned faults has hit.
    pub fn hits(&self) -> Vec<u64> {
        let (status, said) = self.faults_page("GET", None);
        assert_eq!(status, 200, "{said}");
        serde_json::from_value(said["hits"].clone()).unwrap()
    }

    fn faults_page(&self, method: &str, faults: Option<&Value>) -> (u16, Value) {
        let url = self.variable("CLOUDFLARE_BASE_URL").replace("/client/v4", "/sandbox/faults");
        let request = self.http.request(Lab::method(method), url);
        let request = request.bearer_auth(self.variable("CLOUDFLARE_API_TOKEN"));
        self.http(match faults {
            Some(faults) => request.json(faults),
            None => request,
        })
    }

    /// The whole world of the sandbox, tombstones and what time alone moves aside.
    pub fn dump(&self) -> Value {
        let url = self.variable("CLOUDFLARE_BASE_URL").replace("/client/v4", "/sandbox/dump");
        let request = self.http.get(url).bearer_auth(self.variable("CLOUDFLARE_API_TOKEN"));
        let (status, dump) = self.http(request);
        assert_eq!(status, 200);
        without_tombstones(dump)
    }
}

fn without_tombstones(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .filter(|item| item["tombstone"] != true && item["deleted_at"].is_null())
                .map(without_tombstones)
                .collect(),
        ),
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(key, item)| {
                    key != "resourceVersion"
                        && item["deleted_at"].is_null()
                        && item["tombstone"] != true
                })
                .map(|(key, item)| (key, without_tombstones(item)))
                .collect(),
        ),
        other => other,
    }
}
