//! The files that a configuration names: keys, secrets, subjects, and systemd credentials.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use meetwatch::config::{Config, Environment, Problems, load};
use meetwatch::meet::settings::Credentials;
use meetwatch::watch::TargetSelector;
use tempfile::TempDir;

const KEY: &str = r#"{"type": "service_account", "client_email": "a@b", "private_key": "hush"}"#;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A folder with a configuration and its files, each readable only for its owner.
struct Folder(TempDir);

impl Folder {
    fn new(config: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("m.toml", config);
        folder.write("key.json", KEY);
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn open_to_all(&self, name: &str) {
        fs::set_permissions(self.0.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn load(&self) -> Result<Config, Problems> {
        self.load_in(&Environment::default())
    }

    fn load_in(&self, environment: &Environment) -> Result<Config, Problems> {
        load(&self.0.path().join("m.toml"), environment)
    }

    fn refusal(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

fn identity(keys: &str) -> String {
    format!("[[identity]]\nname = \"me\"\n{keys}\n[[target]]\nname = \"t\"\nidentity = \"me\"\norganizer = true\n")
}

fn warnings(config: &Config) -> String {
    config.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

#[test]
fn a_key_file_that_is_missing_or_not_a_key_is_reported() {
    let with_key = identity("service_account_key = \"key.json\"");
    let folder = Folder::new(&with_key);
    let Credentials::ServiceAccount { key, subject: None } = folder.load().unwrap().identities.remove(0).credentials
    else {
        panic!("not a service account");
    };
    assert_eq!(key, folder.0.path().join("key.json"));

    folder.write("key.json", &KEY[..40]);
    assert!(folder.refusal().contains("m.toml:3: identity.service_account_key: the file is not JSON"));
    folder.write("key.json", r#"{"installed": {}}"#);
    assert!(folder.refusal().contains("is not the key of a service account"));
    fs::remove_file(folder.0.path().join("key.json")).unwrap();
    assert!(folder.refusal().contains("the file does not exist"));
    fs::create_dir(folder.0.path().join("key.json")).unwrap();
    assert!(folder.refusal().contains("is not a regular file"));
}

#[test]
fn a_world_readable_file_is_a_warning() {
    let folder = Folder::new(&identity("service_account_key = \"key.json\""));
    assert_eq!(warnings(&folder.load().unwrap()), "");
    folder.open_to_all("key.json");
    let told = warnings(&folder.load().unwrap());
    assert!(told.contains("m.toml:3: identity.service_account_key: every user of this machine can read"), "{told}");
}

#[test]
fn a_secret_in_a_world_readable_configuration_is_a_warning() {
    let hook = format!("[[webhook]]\nname = \"w\"\nurl = \"https://example.com\"\nsecret = \"{SECRET}\"\n");
    let folder = Folder::new(&(identity("service_account_key = \"key.json\"") + &hook));
    assert_eq!(warnings(&folder.load().unwrap()), "");
    folder.open_to_all("m.toml");
    let told = warnings(&folder.load().unwrap());
    assert!(told.contains("m.toml:11: webhook.secret: is a secret") && !told.contains("MfKQ"), "{told}");
}

#[test]
fn the_newline_at_the_end_of_a_secret_file_is_dropped_and_a_secret_is_not_empty() {
    let hook = "[[webhook]]\nname = \"w\"\nurl_file = \"url\"\nsecrets_files = [\"new\", \"old\"]\n[server]\ntoken_file = \"token\"";
    let folder = Folder::new(&(identity("service_account_key = \"key.json\"") + hook));
    folder.write("url", "https://hooks.example.com/services/hush\n");
    folder.write("new", &format!("{SECRET}\r\n"));
    folder.write("old", SECRET);
    folder.write("token", "0123456789abcdef\n");
    let config = folder.load().unwrap();
    assert_eq!(config.webhooks[0].url.as_str(), "https://hooks.example.com/services/hush");
    assert_eq!(config.webhooks[0].secrets.len(), 2);
    assert!(config.server.token.is_some());

    folder.write("old", "\n");
    assert!(folder.refusal().contains("m.toml:11: webhook.secrets_files: the secret is empty"), "{}", folder.refusal());
    folder.write("old", "whsec_hush");
    assert!(!folder.refusal().contains("hush"), "{}", folder.refusal());
}

#[test]
fn a_secret_can_be_set_in_only_one_way() {
    let hook = format!(
        "[[webhook]]\nname = \"w\"\nurl = \"https://a\"\nurl_file = \"u\"\nsecret = \"{SECRET}\"\nsecrets = []\n"
    );
    let folder = Folder::new(&(identity("service_account_key = \"key.json\"") + &hook));
    let told = folder.refusal();
    assert!(told.contains("webhook.url_file: cannot be combined with `url`"), "{told}");
    assert!(told.contains("only one of `secret`, `secret_file`, `secrets` and `secrets_files`"), "{told}");
}

#[test]
fn a_systemd_credential_is_read_from_its_folder() {
    let folder = Folder::new(&identity("service_account_key = \"credential:google\""));
    assert!(folder.refusal().contains("is a systemd credential"), "{}", folder.refusal());
    let handed_over = tempfile::tempdir().unwrap();
    fs::write(handed_over.path().join("google"), KEY).unwrap();
    let environment =
        Environment { credentials_directory: Some(handed_over.path().to_owned()), ..Environment::default() };
    let config = folder.load_in(&environment).unwrap();
    let Credentials::ServiceAccount { key, .. } = &config.identities[0].credentials else { panic!() };
    assert_eq!(*key, handed_over.path().join("google"));
}

#[test]
fn application_default_credentials_are_looked_for_in_the_usual_order() {
    let folder = Folder::new(&identity("application_default = true"));
    let file = |environment: &Environment| match folder.load_in(environment).unwrap().identities.remove(0).credentials {
        Credentials::ApplicationDefault { file } => file,
        other => panic!("{other:?}"),
    };
    let user = folder.write("adc.json", r#"{"type": "authorized_user", "refresh_token": "hush"}"#);
    let gcloud = Environment { gcloud_credentials: Some(user.clone()), ..Environment::default() };
    let key = folder.0.path().join("key.json");
    let named = Environment { google_application_credentials: Some(key.clone()), ..gcloud.clone() };
    let nowhere = Environment { gcloud_credentials: Some(PathBuf::from("/nonexistent/adc.json")), ..gcloud.clone() };
    assert_eq!(file(&named), Some(key));
    assert_eq!(file(&gcloud), Some(user));
    assert_eq!(file(&nowhere), None);

    let federated = folder.write("federated.json", r#"{"type": "external_account"}"#);
    let unusable = Environment { google_application_credentials: Some(federated), ..Environment::default() };
    let told = folder.load_in(&unusable).unwrap_err().to_string();
    assert!(told.contains("federated and impersonated credentials are not supported"), "{told}");
    let missing =
        Environment { google_application_credentials: Some("/nonexistent/k".into()), ..Environment::default() };
    assert!(folder.load_in(&missing).unwrap_err().to_string().contains("does not exist"));
}

#[test]
fn a_missing_token_store_is_only_a_warning() {
    let folder = Folder::new(&identity("client_secret = \"client.json\"\ntoken_store = \"token.json\""));
    folder.write("client.json", r#"{"installed": {"client_id": "c"}}"#);
    let config = folder.load().unwrap();
    assert!(
        warnings(&config)
            .contains("m.toml:4: identity.token_store: the file does not exist yet; create it with `meetwatch login`")
    );
    folder.write("client.json", KEY);
    assert!(folder.refusal().contains("is not an OAuth client"));
}

fn subjects(folder: &Folder) -> Vec<(String, String)> {
    let config = folder.load().unwrap();
    let targets = config.targets.iter().filter(|target| target.name.as_str() != "t");
    let named = targets.zip(&config.identities).map(|(target, identity)| {
        assert_eq!(target.selector, TargetSelector::Organizer);
        assert_eq!(target.name.as_str(), identity.name.as_str());
        let Credentials::ServiceAccount { subject: Some(subject), .. } = &identity.credentials else { panic!() };
        (subject.clone(), target.name.to_string())
    });
    named.collect()
}

#[test]
fn each_subject_is_an_identity_and_a_target_with_a_stable_name() {
    let text = "[[identity]]\nname = \"staff\"\nservice_account_key = \"key.json\"\nsubjects_file = \"staff\"\npoll_interval = \"30s\"";
    let folder = Folder::new(text);
    folder.write("staff", "# the staff\nalice@example.com\n\nBob@example.com\nalice@EXAMPLE.com\n");
    let first = subjects(&folder);
    assert_eq!(first.len(), 2);
    assert_eq!(first[0], ("alice@example.com".to_owned(), "staff.ff8d9819fc0e".to_owned()));
    assert!(first.iter().all(|(_, name)| !name.contains("alice") && !name.contains("bob")));

    folder.write("staff", "carol@example.com\nbob@example.com\nalice@example.com\n");
    let second = subjects(&folder);
    assert_eq!(second.len(), 3);
    assert!(first.iter().all(|named| second.contains(named)), "{first:?} {second:?}");

    folder.write("staff", "alice@example.com\nnobody\n");
    let told = folder.refusal();
    assert!(
        told.contains("m.toml:4: identity.subjects_file: line 2 of ")
            && told.contains("staff must be the e-mail address")
            && !told.contains("nobody")
    );
}

#[test]
fn a_webhook_can_refer_to_all_subjects_by_the_name_of_their_section() {
    let text = format!(
        "[[identity]]\nname = \"staff\"\nservice_account_key = \"key.json\"\nsubjects = [\"a@x.org\", \"b@x.org\"]\n\
         [[webhook]]\nname = \"w\"\nurl = \"https://example.com\"\nsecret = \"{SECRET}\"\ntargets = [\"staff\"]\n"
    );
    let config = Folder::new(&text).load().unwrap();
    let all: Vec<_> = config.targets.iter().map(|target| target.name.clone()).collect();
    assert_eq!(config.webhooks[0].route.targets, all);
    let used = text + "[[target]]\nname = \"staff\"\norganizer = true\nidentity = \"staff\"\n";
    let told = Folder::new(&used).refusal();
    assert!(told.contains("target.name: is already the name of another target"), "{told}");
    assert!(told.contains("target.identity: stands for one identity for each of its subjects"), "{told}");
}

#[test]
fn an_unreadable_configuration_is_one_problem() {
    let told = load(Path::new("/nonexistent/m.toml"), &Environment::default()).unwrap_err().to_string();
    assert_eq!(told, "/nonexistent/m.toml: the configuration file does not exist; create it or correct the path");
}
