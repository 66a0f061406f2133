//! What memtrace gives up between the loading of its probes and its first look at anybody.

use anyhow::Context as _;

use super::{RunError, notice};
use crate::{
    kernel::rights::{self, Needs, Rights, User},
    plan::TracePlan,
    sink::files::directory::Directory,
};

/// Before anything is loaded: can we become that user at all?
pub(super) fn check(user: Option<&User>) -> Result<(), RunError> {
    match user {
        Some(user) if !rights::may_change_user() => Err(RunError::NotPermitted(format!(
            "--user {}: not permitted: to become another user takes CAP_SETUID and CAP_SETGID; \
             run it as root",
            user.name
        ))),
        _ => Ok(()),
    }
}

/// Lowers the rights of this thread, and gives the directory of the logs as far as those reach.
pub(super) fn lower(plan: &TracePlan) -> Result<Directory, RunError> {
    let user = plan.user.as_ref();
    let owner = user.map(|user| (user.uid, user.gid));
    let mut directory = Directory::at(plan.log_dir.clone(), owner);
    // Its parent may be root's only. If this fails, so does the attempt to write below.
    let _ = directory.make();
    let limited = plan
        .run
        .as_ref()
        .is_some_and(|run| run.memory_max.is_some());
    let needs = Needs {
        signal: plan.run.is_some(),
        cgroup: limited && user.is_some(),
    };
    let mut lowered = Rights::lower(user, needs);
    let mut written = directory.try_out();
    let denied = written
        .as_ref()
        .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    // `sudo memtrace` in a directory of the user's own.
    if denied
        && user.is_none()
        && let Ok(rights) = &mut lowered
        && rights.write_anywhere().is_ok()
    {
        written = directory.try_out();
    }
    if let Err(error) = written {
        notice(&format!(
            "cannot write logs in {}: {error}; going on, verdicts are shown here only",
            plan.log_dir.display()
        ));
    }
    match (lowered.and_then(Rights::settle), user) {
        (Err(error), Some(user)) => {
            let failed = Err(error).with_context(|| format!("go on as user {}", user.name));
            failed.map_err(RunError::Other)
        }
        (Err(error), None) => {
            notice(&format!("going on with all capabilities: {error}"));
            Ok(directory)
        }
        (Ok(()), _) => Ok(directory),
    }
}
