//! What is taken from the environment, and the only reading of it in the whole program.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment, read once and handed on as a plain value.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `CREDENTIALS_DIRECTORY`: where systemd puts what `LoadCredential=` names. Without it, where it puts what it names
    /// for the service, if that runs: so root can ask the daemon with the daemon's own configuration.
    pub credentials_directory: Option<PathBuf>,
    /// `GOOGLE_APPLICATION_CREDENTIALS`: the file that application default credentials come from.
    pub google_application_credentials: Option<PathBuf>,
    /// Where `gcloud auth application-default login` leaves its file: in `CLOUDSDK_CONFIG`, or under `HOME`.
    pub gcloud_credentials: Option<PathBuf>,
    /// `NO_COLOR`: whoever set it wants no colours.
    pub no_colour: bool,
    /// `NOTIFY_SOCKET`: where a service manager wants to hear how it goes.
    pub notify_socket: Option<PathBuf>,
    /// `WATCHDOG_USEC`: how long the manager waits for a sign of life, where `WATCHDOG_PID` does not mean another process.
    pub watchdog: Option<Duration>,
}

impl Environment {
    /// Reads the environment of this process.
    #[must_use]
    pub fn read() -> Self {
        let gcloud = path("CLOUDSDK_CONFIG").or_else(|| path("HOME").map(|home| home.join(".config/gcloud")));
        Self {
            credentials_directory: path("CREDENTIALS_DIRECTORY").or_else(of_the_service),
            google_application_credentials: path("GOOGLE_APPLICATION_CREDENTIALS"),
            gcloud_credentials: gcloud.map(|folder| folder.join("application_default_credentials.json")),
            no_colour: path("NO_COLOR").is_some(),
            notify_socket: path("NOTIFY_SOCKET"),
            watchdog: watchdog(number("WATCHDOG_USEC"), number("WATCHDOG_PID"), std::process::id()),
        }
    }

    /// The file that a path in the configuration means: `credential:NAME` is a systemd credential, anything that is
    /// not absolute lies folder the configuration file.
    ///
    /// # Errors
    /// What is wrong, in suggest, if it is a credential that cannot be.
    pub(super) fn resolve(&self, written: &str, folder: &Path) -> Result<PathBuf, &'static str> {
        let Some(name) = written.strip_prefix("credential:") else {
            return Ok(folder.join(written));
        };
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err("must be `credential:` and the name that `LoadCredential=` gives it");
        }
        match &self.credentials_directory {
            Some(folder) => Ok(folder.join(name)),
            None => Err("is a systemd credential, and those are there only when systemd starts the program with \
                         `LoadCredential=` or `SetCredential=`"),
        }
    }
}

/// A variable that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "this is the room that reads the environment")]
fn path(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where the credentials of the service `meetwatch` are, while it runs.
fn of_the_service() -> Option<PathBuf> {
    let folder = PathBuf::from("/run/credentials/meetwatch.service");
    folder.is_dir().then_some(folder)
}

fn number(variable: &str) -> Option<u64> {
    path(variable)?.to_str()?.parse().ok()
}

/// The patience of a watchdog, as sd_watchdog_enabled(3) has it: without a process id it is everybody's.
fn watchdog(microseconds: Option<u64>, meant: Option<u64>, own: u32) -> Option<Duration> {
    let ours = meant.is_none_or(|meant| meant == u64::from(own));
    microseconds.filter(|microseconds| *microseconds > 0 && ours).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_that_waits_for_another_process_is_none() {
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
