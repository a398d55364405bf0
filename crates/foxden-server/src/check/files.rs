//! Checks the data folder, its permissions, and the free space on its disk.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::Finding;

/// With less free space than this, writes will soon be refused.
const CRITICAL_SPACE: u64 = 100 << 20;
/// With less free space than this, the operator should free some.
const LOW_SPACE: u64 = 1 << 30;

/// Checks the folder.
pub fn check(folder: &Path) -> Vec<Finding> {
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let what = format!("there is no data folder {} yet", folder.display());
            return vec![Finding::warning(
                what,
                "the first start makes it; or name the right one with --data-dir",
            )];
        }
        Err(error) => {
            let what = format!("the data folder {} cannot be read: {error}", folder.display());
            return vec![Finding::error(
                what,
                "run this as the user who runs the server, or as root",
            )];
        }
    };
    let mut findings = vec![check_mode(folder, &metadata, 0o700)];
    for name in ["secrets.toml", "register.sqlite"] {
        let path = folder.join(name);
        if let Ok(metadata) = fs::metadata(&path) {
            findings.push(check_mode(&path, &metadata, 0o600));
        }
    }
    findings.push(check_owner(folder, &metadata));
    findings.push(check_free_space(folder));
    findings
}

/// The lower bits of a mode are for others than the owner.
const OWNER_BITS: u32 = 6;

/// Checks that only the owner may read the file.
fn check_mode(path: &Path, metadata: &fs::Metadata, wanted: u32) -> Finding {
    let mode = metadata.permissions().mode() & 0o777;
    if mode.trailing_zeros() >= OWNER_BITS {
        return Finding::ok(format!("{} is private", path.display()));
    }
    Finding::error(
        format!(
            "other users of this machine can read {} (mode {mode:o})",
            path.display()
        ),
        format!("chmod {wanted:o} {}", path.display()),
    )
}

fn check_owner(folder: &Path, metadata: &fs::Metadata) -> Finding {
    let strays = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| {
        let entry = entry.ok()?;
        let owner = entry.metadata().ok()?.uid();
        (owner != metadata.uid()).then(|| entry.file_name().to_string_lossy().into_owned())
    });
    let strays: Vec<String> = strays.collect();
    if strays.is_empty() {
        return Finding::ok("everything in the data folder belongs to its owner");
    }
    Finding::error(
        format!(
            "{} in the data folder belong to another user than the folder",
            strays.join(", ")
        ),
        format!("chown -R --reference={0} {0}", folder.display()),
    )
}

fn check_free_space(folder: &Path) -> Finding {
    let free = match rustix::fs::statvfs(folder) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => {
            let what = format!(
                "the free space on the disk of {} cannot be read: {error}",
                folder.display()
            );
            return Finding::warning(what, "check with: df -h");
        }
    };
    let megabytes = free >> 20;
    let what = format!("{megabytes} MiB are free on the disk of the data folder");
    match free {
        0..CRITICAL_SPACE => Finding::error(what, "free some disk space: writes will soon be refused"),
        CRITICAL_SPACE..LOW_SPACE => Finding::warning(what, "free some disk space soon"),
        LOW_SPACE.. => Finding::ok(what),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn a_folder_that_others_may_open_is_bad() {
        let folder = std::env::temp_dir().join(format!("foxden-check-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mode_is = |mode| {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            check_mode(&folder, &fs::metadata(&folder).unwrap(), 0o700)
        };
        assert_eq!(mode_is(0o700).severity, Severity::Ok);
        let bad = mode_is(0o750);
        assert_eq!(bad.severity, Severity::Error);
        assert_eq!(bad.hint, Some(format!("chmod 700 {}", folder.display())));
        fs::remove_dir(&folder).unwrap();
        assert_eq!(
            check(&folder).len(),
            1,
            "a folder that is not there is all there is to say"
        );
    }
}
