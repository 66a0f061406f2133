//! Debian's packages by name, from the machine's own mirrors, without installing any of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::{cache_dir, machine::Machine};
use crate::workspace::{self, output_of};

/// Lists of packages are asked for again after this long.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// A throwaway apt root: the machine's own sources with other suites, and lists of its own.
pub(crate) struct Apt {
    dir: PathBuf,
    /// Packages are for this machine, if not for the one that we run on.
    machine: Option<&'static Machine>,
}

/// What counts as installed when dependencies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    /// What this machine has.
    Here,
    /// Nothing: every dependency is brought.
    Nothing,
}

/// This machine's own suite.
pub(crate) fn own_suite() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let codename = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(codename
        .context("/etc/os-release names no suite: packages are taken by Debian's apt")?
        .trim_matches('"')
        .to_owned())
}

impl Apt {
    /// Lists of these suites, not older than a day, for a machine or the one that we run on.
    pub(crate) fn open(
        name: &str,
        machine: Option<&'static Machine>,
        suites: &[&str],
    ) -> Result<Self> {
        let name = machine.map_or(name.to_owned(), |machine| {
            format!("{name}-{}", machine.debian)
        });
        let apt = Self {
            dir: cache_dir().join(format!("apt-{name}")),
            machine,
        };
        for dir in ["lists/partial", "cache/archives/partial"] {
            let dir = apt.dir.join(dir);
            fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        }
        fs::write(apt.dir.join("nothing"), "").context("write an empty status")?;
        let sources = sources(suites)?;
        let file = apt.dir.join("list.sources");
        let stamp = apt.dir.join("updated");
        let known = fs::read_to_string(&file).is_ok_and(|known| known == sources);
        let age = fs::metadata(&stamp)
            .and_then(|stamp| stamp.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        if known && age.is_some_and(|age| age < FRESH) {
            return Ok(apt);
        }
        fs::write(&file, sources).context("write a list of sources")?;
        // A suite that has moved away must not hide the others: what it had is missed by name.
        match workspace::run(apt.command("apt-get").arg("update").stdout(Stdio::null())) {
            Ok(()) => fs::write(stamp, "").context("note the time")?,
            Err(error) => eprintln!("warning: {error:#}: going on with what there is"),
        }
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .current_dir(&self.dir);
        let at = |path: &str| self.dir.join(path).display().to_string();
        for option in [
            format!("Dir::Etc::sourcelist={}", at("list.sources")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            "Acquire::Languages=none".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            // The locks are the real system's, which is not touched.
            "Debug::NoLocking=1".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        if let Some(machine) = self.machine {
            for option in ["APT::Architecture", "APT::Architectures"] {
                command
                    .arg("-o")
                    .arg(format!("{option}={}", machine.debian));
            }
        }
        command
    }

    /// Names of all packages that an extended regular expression matches.
    pub(crate) fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let mut search = self.command("apt-cache");
        let listed = output_of(search.args(["search", "--names-only", pattern]));
        let listed = listed.context("apt-cache search failed")?;
        let names = listed.lines().filter_map(|line| line.split(' ').next());
        Ok(names.map(str::to_owned).collect())
    }

    /// The version of a package that would be downloaded.
    pub(crate) fn version(&self, package: &str) -> Result<String> {
        let mut show = self.command("apt-cache");
        let shown = output_of(show.args(["show", "--no-all-versions", package]));
        let version = shown
            .as_deref()
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("Version: ").map(str::to_owned));
        version.with_context(|| format!("no suite has the package {package}"))
    }

    /// Downloads packages with all that they depend on and `installed` has not, and unpacks those
    /// that are `wanted`, by the package's name.
    pub(crate) fn unpack_with_dependencies(
        &self,
        packages: &[&str],
        suite: &str,
        installed: Installed,
        wanted: impl Fn(&str) -> bool,
        into: &Path,
    ) -> Result<()> {
        let archives = into.with_extension("debs");
        fs::create_dir_all(archives.join("partial")).context("create a folder for packages")?;
        let mut install = self.command("apt-get");
        install.arg("-o");
        install.arg(format!("Dir::Cache::archives={}", archives.display()));
        if installed == Installed::Nothing {
            let nothing = self.dir.join("nothing");
            install.arg("-o");
            install.arg(format!("Dir::State::status={}", nothing.display()));
        }
        install
            .args(["install", "--yes", "--download-only", "--reinstall"])
            .args(["--no-install-recommends", "--target-release", suite])
            .args(packages)
            .stdout(Stdio::null());
        workspace::run(&mut install)
            .with_context(|| format!("these packages are needed: {}", packages.join(" ")))?;
        for deb in fs::read_dir(&archives).context("list packages")?.flatten() {
            // `NAME_VERSION_ARCH.deb`; beside them lie apt's own files.
            let name = deb.file_name().to_string_lossy().into_owned();
            if name.split_once('_').is_some_and(|(name, _)| wanted(name)) {
                unpack(&deb.path(), into)?;
            }
        }
        fs::remove_dir_all(archives).context("remove packages")
    }

    /// Downloads one package and unpacks it.
    pub(crate) fn unpack_one(&self, package: &str, into: &Path) -> Result<()> {
        let archives = into.with_extension("debs");
        fs::create_dir_all(&archives).context("create a folder for a package")?;
        let mut download = self.command("apt-get");
        download
            .current_dir(&archives)
            .args(["--quiet", "download", package]);
        workspace::run(download.stdout(Stdio::null()))
            .with_context(|| format!("the package {package} is needed"))?;
        for deb in fs::read_dir(&archives).context("list packages")?.flatten() {
            unpack(&deb.path(), into)?;
        }
        fs::remove_dir_all(archives).context("remove a package")
    }
}

fn unpack(deb: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("create {}", into.display()))?;
    let status = Command::new("dpkg-deb")
        .arg("--extract")
        .args([deb, into])
        .status();
    ensure!(
        status.context("start dpkg-deb")?.success(),
        "dpkg-deb cannot unpack {}",
        deb.display()
    );
    Ok(())
}

/// The machine's own sources with other suites, in the format of `.sources` files.
fn sources(suites: &[&str]) -> Result<String> {
    let own = own_suite()?;
    let mut text = String::new();
    let listed = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten();
    for path in listed
        .map(|entry| entry.path())
        .chain(["/etc/apt/sources.list".into()])
    {
        let Ok(own_text) = fs::read_to_string(&path) else {
            continue;
        };
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("sources") => text.push_str(&stanzas(&own_text, &own, suites)),
            Some("list") => text.push_str(&lines(&own_text, &own, suites)),
            _ => {}
        }
    }
    if text.is_empty() {
        bail!("apt has no source for {own}: packages come from the machine's own mirrors");
    }
    Ok(text)
}

/// The suites that stand in the archive of one of our own: security's are in its own.
fn suites_beside<'a>(ours: &str, own: &str, suites: &[&'a str]) -> Vec<&'a str> {
    let is_security = |suite: &str| suite.ends_with("-security");
    if !ours.starts_with(own) || ours != own && !is_security(ours) {
        return Vec::new(); // own-updates and the like stand beside `own`
    }
    let beside = suites
        .iter()
        .filter(|suite| is_security(suite) == is_security(ours));
    beside.copied().collect()
}

fn stanzas(text: &str, own: &str, suites: &[&str]) -> String {
    let changed = text
        .split("\n\n")
        .filter_map(|stanza| changed(stanza, own, suites));
    changed.collect()
}

/// A stanza with the suites that stand beside its own; nothing if there are none.
fn changed(stanza: &str, own: &str, suites: &[&str]) -> Option<String> {
    let lines = || stanza.lines().filter(|line| !line.starts_with('#'));
    let ours = lines().find_map(|line| line.strip_prefix("Suites:"))?;
    let beside: Vec<_> = ours
        .split_whitespace()
        .flat_map(|ours| suites_beside(ours, own, suites))
        .collect();
    let line = |line: &str| match line.split_once(':') {
        Some(("Suites", _)) => format!("Suites: {}\n", beside.join(" ")),
        Some(("Types", _)) => "Types: deb\n".to_owned(),
        _ => format!("{line}\n"),
    };
    let text: String = lines().map(line).collect();
    (!beside.is_empty()).then(|| format!("{text}\n"))
}

/// One-line sources, `deb [OPTIONS] URI SUITE COMPONENTS…`, as stanzas.
fn lines(text: &str, own: &str, suites: &[&str]) -> String {
    let stanzas = text
        .lines()
        .filter_map(|line| stanza(line, own, suites).map(|stanza| format!("{stanza}\n\n")));
    stanzas.collect()
}

fn stanza(line: &str, own: &str, suites: &[&str]) -> Option<String> {
    let rest = line.trim().strip_prefix("deb ")?;
    let (options, rest) = match rest.trim().strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, ours) = (words.next()?, words.next()?);
    let beside = suites_beside(ours, own, suites);
    let mut lines = vec![
        "Types: deb".to_owned(),
        format!("URIs: {uri}"),
        format!("Suites: {}", beside.join(" ")),
        format!("Components: {}", words.collect::<Vec<_>>().join(" ")),
    ];
    let key = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="));
    lines.extend(key.map(|key| format!("Signed-By: {key}")));
    (!beside.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::{lines, stanzas};

    const WANTED: [&str; 3] = ["oldone", "newone", "newone-security"];

    #[test]
    fn sources_keep_everything_but_their_suites() {
        let own = "Types: deb deb-src\n# a remark\nURIs: u\nSuites: mine mine-updates\nComponents: main\n\n\
                   Types: deb\nURIs: s\nSuites: mine-security\nComponents: main\n\n\
                   Types: deb\nURIs: other\nSuites: stable\nComponents: main\n";
        assert_eq!(
            stanzas(own, "mine", &WANTED),
            "Types: deb\nURIs: u\nSuites: oldone newone\nComponents: main\n\n\
             Types: deb\nURIs: s\nSuites: newone-security\nComponents: main\n\n"
        );
    }

    #[test]
    fn one_line_sources_become_stanzas() {
        let own =
            "# deb no mine main\ndeb [signed-by=/key.gpg] u mine main more\ndeb-src u mine main\n";
        assert_eq!(
            lines(own, "mine", &WANTED),
            "Types: deb\nURIs: u\nSuites: oldone newone\nComponents: main more\nSigned-By: /key.gpg\n\n"
        );
    }
}
