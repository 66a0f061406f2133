//! Users and groups by name, from the files that have them.

use std::fs;

use super::{UsageError, usage};
use crate::kernel::rights::User;

/// The number of a user.
pub(super) fn uid(name: &str) -> Result<u32, UsageError> {
    if let Ok(uid) = name.parse() {
        return Ok(uid);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    entry(&passwd, name).map_or_else(|| unknown(name), |(_, uid, _)| Ok(uid))
}

/// A user to become, with all of his groups. A number that has no name gets the group of the same
/// number, for it must not keep root's.
pub(super) fn user(name: &str) -> Result<User, UsageError> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    find(&passwd, &groups, name).map_or_else(|| unknown(name), Ok)
}

fn unknown<T>(name: &str) -> Result<T, UsageError> {
    usage(format!("no such user: {name}"))
}

fn find(passwd: &str, groups: &str, name: &str) -> Option<User> {
    let Some((login, uid, gid)) = entry(passwd, name) else {
        let uid = name.parse().ok()?;
        return Some(User {
            name: name.to_owned(),
            uid,
            gid: uid,
            groups: Vec::new(),
        });
    };
    let member = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let gid = fields.next()?.parse().ok()?;
        let is_in = fields.next()?.split(',').any(|member| member == login);
        is_in.then_some(gid)
    };
    Some(User {
        name: name.to_owned(),
        uid,
        gid,
        groups: groups.lines().filter_map(member).collect(),
    })
}

/// Name, number and group of a user who is given by name or number.
fn entry<'a>(passwd: &'a str, name: &str) -> Option<(&'a str, u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let login = fields.next()?;
        let number = fields.nth(1)?;
        let gid = fields.next()?.parse().ok()?;
        (login == name || number == name).then_some((login, number.parse().ok()?, gid))
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_user_comes_with_his_groups_by_name_and_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nlog:x:61:62::/:/bin/false\nbroken\n";
        let groups = "root:x:0:\nlog:x:62:\nadm:x:4:syslog,log\nlogs:x:63:logger\n";
        for name in ["log", "61"] {
            let user = find(passwd, groups, name).expect("he is there");
            assert_eq!((user.uid, user.gid, &*user.groups), (61, 62, &[4][..]));
        }
        let nameless = find(passwd, groups, "4711").expect("a number will do");
        assert_eq!((nameless.uid, nameless.gid), (4711, 4711));
        assert_eq!(find(passwd, groups, "nobody-at-all"), None);
    }
}
