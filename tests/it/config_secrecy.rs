//! Values of a configuration that may be a secret or a person are repeated neither in a problem nor in a `Debug` form.

use crate::config_problems::{parsed, problems};

#[test]
fn no_problem_repeats_what_may_be_a_secret_or_a_person() {
    let text = r#"
[google]
endpoint = "hush-hush"
proxy = "hush-hush"
internal_domains = ["hush hush"]
[[identity]]
name = "hush hush"
service_account_key = "hush"
subject = "hush"
lookup = "hush"
[[identity]]
name = "other"
application_default = true
subjects = ["hush", "hush"]
[[target]]
name = "hush/hush"
identity = "hush@example.com"
meeting_code = "hush"
[[webhook]]
name = ""
url = "hush"
secret = "whsec_hush"
events = ["hush"]
kinds = ["hush"]
provenance = ["hush"]
targets = ["hush@example.com"]
timeout = "hush"
[server]
listen = "hush"
token = "hush"
[store]
retention = "hush"
[log]
level = "hush
"#;
    let told = problems(text);
    assert!(told.len() > 15, "{told:#?}");
    for problem in told {
        let without_path = problem.replace("/nonexistent/hush", "");
        assert!(!without_path.contains("hush"), "{problem}");
    }
}

#[test]
fn the_debug_form_of_a_configuration_shows_no_secret() {
    let text = r#"
[[identity]]
name = "me"
application_default = true
[[target]]
name = "t"
organizer = true
[[webhook]]
name = "w"
url = "https://example.com"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
[server]
token = "0123456789abcdef"
"#;
    let shown = format!("{:?}", parsed(text).unwrap());
    assert!(!shown.contains("MfKQ9r8GKYqrTwjUPD8") && !shown.contains("0123456789abcdef"), "{shown}");
}
