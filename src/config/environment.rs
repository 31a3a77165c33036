//! The environment variables that the program uses. No other file reads the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment, read once and passed on as a plain value.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `CREDENTIALS_DIRECTORY`: the folder in which systemd puts the files of `LoadCredential=`. If it is not set, the folder
    /// of the running service, so that root can run commands with the daemon's own configuration.
    pub credentials_directory: Option<PathBuf>,
    /// `GOOGLE_APPLICATION_CREDENTIALS`: the file of the application default credentials.
    pub google_application_credentials: Option<PathBuf>,
    /// The file that `gcloud auth application-default login` writes: in `CLOUDSDK_CONFIG`, or under `HOME`.
    pub gcloud_credentials: Option<PathBuf>,
    /// `NO_COLOR`: whether it is set, so that output has no colours.
    pub no_colour: bool,
    /// `MEETWATCH_URL`: the address of the daemon that the command line asks, in place of a configuration.
    pub url: Option<String>,
    /// `MEETWATCH_TOKEN_FILE`: the file with the token for that daemon's API.
    pub token_file: Option<PathBuf>,
    /// `NOTIFY_SOCKET`: the socket on which the service manager expects notifications.
    pub notify_socket: Option<PathBuf>,
    /// `WATCHDOG_USEC`: the timeout of the service manager's watchdog, unless `WATCHDOG_PID` is another process.
    pub watchdog: Option<Duration>,
}

impl Environment {
    /// Reads the environment of this process.
    #[must_use]
    pub fn read() -> Self {
        let gcloud = path("CLOUDSDK_CONFIG").or_else(|| path("HOME").map(|home| home.join(".config/gcloud")));
        Self {
            credentials_directory: path("CREDENTIALS_DIRECTORY").or_else(service_credentials),
            google_application_credentials: path("GOOGLE_APPLICATION_CREDENTIALS"),
            gcloud_credentials: gcloud.map(|folder| folder.join("application_default_credentials.json")),
            no_colour: path("NO_COLOR").is_some(),
            url: path("MEETWATCH_URL").map(|url| url.to_string_lossy().into_owned()),
            token_file: path("MEETWATCH_TOKEN_FILE"),
            notify_socket: path("NOTIFY_SOCKET"),
            watchdog: watchdog(number("WATCHDOG_USEC"), number("WATCHDOG_PID"), std::process::id()),
        }
    }

    /// Returns the file that a path in the configuration means. `credential:NAME` is a systemd credential; a relative path is
    /// relative to `folder`, the folder of the configuration file.
    ///
    /// # Errors
    /// The end of a sentence about the path, if it is a credential that cannot exist.
    pub(super) fn resolve(&self, written: &str, folder: &Path) -> Result<PathBuf, &'static str> {
        let Some(name) = written.strip_prefix("credential:") else {
            return Ok(folder.join(written));
        };
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err("must be `credential:` followed by a name from `LoadCredential=`");
        }
        match &self.credentials_directory {
            Some(folder) => Ok(folder.join(name)),
            None => {
                Err("is a systemd credential, which exists only if systemd starts the program with `LoadCredential=` \
                         or `SetCredential=`")
            }
        }
    }
}

/// A variable that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "only this file reads the environment")]
fn path(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folder of the systemd credentials of `meetwatch.service`, if it runs.
fn service_credentials() -> Option<PathBuf> {
    let folder = PathBuf::from("/run/credentials/meetwatch.service");
    folder.is_dir().then_some(folder)
}

fn number(variable: &str) -> Option<u64> {
    path(variable)?.to_str()?.parse().ok()
}

/// Returns the timeout of the watchdog, as sd_watchdog_enabled(3) does: without a process id it applies to every process.
fn watchdog(microseconds: Option<u64>, process: Option<u64>, own: u32) -> Option<Duration> {
    let ours = process.is_none_or(|process| process == u64::from(own));
    microseconds.filter(|microseconds| *microseconds > 0 && ours).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_of_another_process_does_not_count() {
        let minute = Some(Duration::from_secs(60));
        assert_eq!(watchdog(Some(60_000_000), None, 7), minute);
        assert_eq!(watchdog(Some(60_000_000), Some(7), 7), minute);
        assert_eq!(watchdog(Some(60_000_000), Some(8), 7), None);
        assert_eq!(watchdog(Some(0), None, 7), None);
        assert_eq!(watchdog(None, Some(7), 7), None);
    }

    #[test]
    fn a_credential_cannot_leave_its_folder() {
        let environment =
            Environment { credentials_directory: Some("/run/credentials/m".into()), ..Default::default() };
        let resolve = |written| environment.resolve(written, Path::new("/etc/meetwatch"));
        assert_eq!(resolve("credential:key.json"), Ok("/run/credentials/m/key.json".into()));
        for bad in ["credential:", "credential:..", "credential:../x", "credential:a/b"] {
            assert!(resolve(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_is_relative_to_the_configuration_file() {
        let resolve = |written| Environment::default().resolve(written, Path::new("/etc/meetwatch"));
        assert_eq!(resolve("ops.secret"), Ok("/etc/meetwatch/ops.secret".into()));
        assert_eq!(resolve("/run/ops.secret"), Ok("/run/ops.secret".into()));
    }
}
