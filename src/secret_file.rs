//! Secrets in small files beside the store, such as the API's token: created once, with mode 0600.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use tempfile::NamedTempFile;

/// The length of a new secret in random bytes.
pub const SECRET_BYTES: usize = 32;

/// No secret file is read further than this.
const MAX_FILE_BYTES: u64 = 1024;

/// Why there is no secret.
#[derive(Debug)]
pub enum SecretFileError {
    /// The file belongs to another user, who knows the secret in it.
    Foreign,
    Read(io::Error),
    Write(io::Error),
    /// The operating system gave no random bytes.
    Random(io::Error),
}

/// Returns the path of a secret file: in the store's folder, named like the store with `ending` after it.
#[must_use]
pub fn path(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.file_name().map_or_else(|| OsString::from("meetwatch"), OsString::from);
    name.push(ending);
    store.with_file_name(name)
}

/// Returns the text of the secret file, without the line's end. If there is no file, creates one with [`SECRET_BYTES`]
/// random bytes in base64url. Blocks on file IO. The caller checks that the text is a secret: it may have been cut
/// short.
///
/// # Errors
/// [`SecretFileError`] if the file can be neither read nor created.
pub fn load_or_create(path: &Path) -> Result<String, SecretFileError> {
    match load_own(path) {
        Err(SecretFileError::Read(error)) if error.kind() == io::ErrorKind::NotFound => create(path),
        loaded => loaded,
    }
}

/// Returns the text of an existing secret file, without the line's end. Blocks on file IO.
///
/// # Errors
/// If the file cannot be read or is not text.
pub fn load(path: &Path) -> io::Result<String> {
    read(open(path)?)
}

/// As [`load`], but refuses a file that somebody else put there: whoever knows its secret could use it.
fn load_own(path: &Path) -> Result<String, SecretFileError> {
    let loaded = || {
        let file = open(path)?;
        let folder = fs::metadata(folder(path))?;
        let trusted = is_trusted(&file.metadata()?, &folder, rustix::process::geteuid().as_raw());
        trusted.then(|| read(file)).transpose()
    };
    loaded().map_err(SecretFileError::Read)?.ok_or(SecretFileError::Foreign)
}

/// Whether a secret file was made by this user, by root, or by the user whose folder it is in.
fn is_trusted(file: &Metadata, folder: &Metadata, user: u32) -> bool {
    [user, 0, folder.uid()].contains(&file.uid())
}

/// Opens a regular file. Any other, such as a named pipe, could keep its reader waiting for ever.
fn open(path: &Path) -> io::Result<File> {
    // Without waiting: the file may be exchanged between the check and the opening.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let regular = |found: &Metadata| {
        if found.is_file() {
            Ok(())
        } else {
            Err(io::Error::other("it is not a regular file; put the file with the secret in its place"))
        }
    };
    regular(&fs::metadata(path)?)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn read(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create(path: &Path) -> Result<String, SecretFileError> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| SecretFileError::Random(error.into()))?;
    let secret = BASE64URL_NOPAD.encode(&bytes);
    match write_new(path, &secret) {
        Ok(true) => Ok(secret),
        // Another process created the file first: its secret is the one.
        Ok(false) => load_own(path),
        Err(error) => Err(SecretFileError::Write(error)),
    }
}

/// Creates a file with this line in it, whole or not at all. Returns false and changes nothing if there is one already.
fn write_new(path: &Path, line: &str) -> io::Result<bool> {
    // A temporary file has mode 0600. It gets its name only when it is complete.
    let mut file = NamedTempFile::new_in(folder(path))?;
    writeln!(file, "{line}")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder.path().join("meetwatch.db"), ".word");
        assert_eq!(path, folder.path().join("meetwatch.db.word"));
        assert!(write_new(&path, "first").unwrap());
        assert!(!write_new(&path, "second").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_named_pipe_is_refused_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert!(matches!(load_or_create(&path), Err(SecretFileError::Read(_))));
        assert!(load(&path).unwrap_err().to_string().contains("not a regular file"));
    }

    #[test]
    fn a_secret_that_another_user_put_there_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        load_or_create(&path).unwrap();
        let (file, its_folder) = (fs::metadata(&path).unwrap(), fs::metadata(folder.path()).unwrap());
        assert!(is_trusted(&file, &its_folder, file.uid()));
        assert!(is_trusted(&file, &its_folder, file.uid() + 1), "the service's own, read as another user");
        let roots = fs::metadata("/").unwrap();
        if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
            return; // Only root may give a file away.
        }
        let planted = fs::metadata(&path).unwrap();
        assert!(!is_trusted(&planted, &roots, 0) && is_trusted(&planted, &roots, 12345));
        assert!(matches!(load_or_create(&path), Err(SecretFileError::Foreign)));
    }

    #[test]
    fn a_secret_is_created_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let created = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap(), created);
        assert_eq!(BASE64URL_NOPAD.decode(created.as_bytes()).unwrap().len(), SECRET_BYTES);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
