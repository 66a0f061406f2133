//! Which kernels there are, and where their images come from.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{cache_dir, packages::Apt};

/// What runs when nothing is asked for: an old one each from three Debian releases; one in which
/// processes exit with their memory still readable (6.16); and the newest.
pub(super) const MATRIX: [&str; 5] = ["5.10", "6.1", "6.12", "6.16", NEWEST];

/// Of all lines the newest.
const NEWEST: &str = "newest";

/// Where Debian keeps kernels, old and new.
const SUITES: [&str; 8] = [
    "bullseye",
    "bookworm",
    "bookworm-security",
    "bookworm-backports",
    "trixie",
    "trixie-security",
    "trixie-backports",
    "forky",
];

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    /// The package without what all of them have in common: `6.12.107+deb13`.
    pub(super) name: String,
    /// The compressed image.
    pub(super) image: PathBuf,
}

/// All kernels of all suites.
pub(super) struct Kernels {
    apt: Apt,
    packages: Vec<String>,
}

impl Kernels {
    /// Reads the suites' lists.
    pub(super) fn list() -> Result<Self> {
        let apt = Apt::open("kernels", &SUITES)?;
        let packages = apt.names("^linux-(image|binary)-[0-9].*-cloud-amd64$")?;
        Ok(Self { apt, packages })
    }
}

/// Finds the newest kernel of a line; downloads it unless that has been done.
pub(super) fn fetch(kernels: &Kernels, line: &str) -> Result<Kernel> {
    let Kernels { apt, packages } = kernels;
    let newest = packages
        .iter()
        .filter(|name| is_of(line, name))
        .max_by(|a, b| by_version(a, b));
    let package = newest.with_context(|| {
        format!("no suite has a package linux-image-{line}.*-cloud-amd64; these were looked at: {SUITES:?}")
    })?;
    let name = version_of(package).to_owned();
    let version = apt.version(package)?;
    let dir = cache_dir()
        .join("kernels")
        .join(format!("{name}_{}", version.replace(':', "_")));
    let image = dir.join("vmlinuz");
    if !image.exists() {
        let unpacked = dir.with_extension("unpacked");
        apt.unpack_one(package, &unpacked)?;
        let found = find_image(&unpacked)
            .with_context(|| format!("the package {package} holds no vmlinuz"))?;
        fs::create_dir_all(&dir).context("create a folder for a kernel")?;
        fs::rename(found, &image).context("keep a kernel")?;
        fs::remove_dir_all(&unpacked).context("remove what is not needed")?;
    }
    Ok(Kernel { name, image })
}

/// `linux-image-6.12.107+deb13-cloud-amd64` → `6.12.107+deb13`
fn version_of(package: &str) -> &str {
    let rest = package
        .strip_prefix("linux-image-")
        .or_else(|| package.strip_prefix("linux-binary-"));
    let rest = rest.unwrap_or(package);
    rest.strip_suffix("-cloud-amd64").unwrap_or(rest)
}

fn is_of(line: &str, package: &str) -> bool {
    let version = version_of(package);
    if line == NEWEST {
        return true;
    }
    // `linux-image-6.12-cloud-amd64` is an empty package that depends on the newest one.
    version
        .strip_prefix(line)
        .is_some_and(|rest| rest.starts_with('.') && rest.len() > 1)
}

/// By version, number by number; of two packages of one version, the one that holds the image.
fn by_version(a: &str, b: &str) -> Ordering {
    let key = |package: &str| {
        let numbers: Vec<u64> = version_of(package)
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        (numbers, package.starts_with("linux-binary-"))
    };
    key(a).cmp(&key(b))
}

fn find_image(dir: &Path) -> Option<PathBuf> {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).ok()?.flatten() {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() && entry.file_name().to_string_lossy().starts_with("vmlinuz") {
                return Some(entry.path());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{by_version, is_of};

    #[test]
    fn the_newest_of_a_line_is_chosen() {
        let packages = [
            "linux-image-6.12-cloud-amd64",
            "linux-image-6.12.96+deb13-cloud-amd64",
            "linux-image-6.12.107+deb12-cloud-amd64",
            "linux-image-6.12.107+deb13-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-7.2.12+deb14-cloud-amd64",
            "linux-binary-7.2.12+deb14-cloud-amd64",
        ];
        let newest = |line: &str| {
            let of = packages.iter().filter(|package| is_of(line, package));
            of.max_by(|a, b| by_version(a, b)).copied()
        };
        assert_eq!(
            newest("6.12"),
            Some("linux-image-6.12.107+deb13-cloud-amd64")
        );
        assert_eq!(newest("6.1"), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(
            newest("newest"),
            Some("linux-binary-7.2.12+deb14-cloud-amd64")
        );
        assert_eq!(newest("6.9"), None);
    }
}
