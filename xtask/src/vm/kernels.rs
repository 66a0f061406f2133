//! Which kernels there are, and where their images come from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{
    cache_dir,
    machine::{Machine, NEWEST},
    packages::Apt,
};

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
    machine: &'static Machine,
    apt: Apt,
    packages: Vec<String>,
}

impl Kernels {
    /// Reads the suites' lists.
    pub(super) fn list(machine: &'static Machine) -> Result<Self> {
        let apt = Apt::open("kernels", Some(machine), &SUITES)?;
        let packages = apt.names("^linux-(image|binary)-[0-9]")?;
        Ok(Self {
            machine,
            apt,
            packages,
        })
    }
}

/// Finds the newest kernel of a line; downloads it unless that has been done.
pub(super) fn fetch(kernels: &Kernels, line: &str) -> Result<Kernel> {
    let Kernels {
        machine,
        apt,
        packages,
    } = kernels;
    let (series, flavour) = match (line.strip_suffix("-16k"), machine.large_pages) {
        (Some(series), Some(flavour)) => (series, flavour),
        _ => (line, machine.flavour),
    };
    let package = newest(packages, series, flavour);
    let package = package.with_context(|| {
        format!("no suite has a package linux-image-{series}.*{flavour}; these were looked at: {SUITES:?}")
    })?;
    let name = package
        .trim_start_matches("linux-image-")
        .trim_start_matches("linux-binary-");
    let name = name.trim_end_matches(machine.flavour).to_owned();
    let version = apt.version(package)?;
    let dir = cache_dir()
        .join(format!("kernels-{}", machine.debian))
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

fn newest<'a>(packages: &'a [String], series: &str, flavour: &str) -> Option<&'a String> {
    let of = packages.iter().filter_map(|package| {
        let (is_binary, version) = version(package, flavour)?;
        // `linux-image-6.12-cloud-amd64` is an empty package that depends on the newest one.
        let is_of = series == NEWEST
            || version
                .strip_prefix(series)
                .is_some_and(|rest| rest.starts_with('.') && rest.len() > 1);
        // By version, number by number; of two packages of one version, the one that holds the image.
        let numbers: Vec<u64> = version
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        is_of.then_some(((numbers, is_binary), package))
    });
    of.max().map(|(_, package)| package)
}

/// `linux-image-6.12.107+deb13-cloud-amd64` → `6.12.107+deb13`, if it is of this flavour; and
/// whether the image is apart from what belongs to it.
fn version<'a>(package: &'a str, flavour: &str) -> Option<(bool, &'a str)> {
    let package = package.strip_suffix(flavour)?;
    let image = package.strip_prefix("linux-image-");
    let version = image.or_else(|| package.strip_prefix("linux-binary-"))?;
    let is_plain = !version.contains("-cloud") && !version.contains("-rt");
    is_plain.then_some((image.is_none(), version))
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
    use super::newest;

    #[test]
    fn the_newest_of_a_line_is_chosen() {
        let packages = [
            "linux-image-6.12-cloud-amd64",
            "linux-image-6.12.96+deb13-cloud-amd64",
            "linux-image-6.12.107+deb12-cloud-amd64",
            "linux-image-6.12.107+deb13-cloud-amd64",
            "linux-image-6.12.108+deb13-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-7.2.12+deb14-cloud-amd64",
            "linux-binary-7.2.12+deb14-cloud-amd64",
        ]
        .map(str::to_owned);
        let newest = |line: &str| newest(&packages, line, "-cloud-amd64").map(String::as_str);
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
