//! Programs that mean harm, or look as if they did: to memtrace, to who reads its logs, or to what
//! else it watches. docs/hardening.md has the whole list.

use std::{
    ffi::CString,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, PermissionsExt as _, symlink},
    },
    path::Path,
    process::Command,
};

use memtrace::entry::What;

use super::rig::{Life, Memtrace, TempDir, Victim, program, python, scaled, victim_program};

fn make_fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no path holds a zero");
    // SAFETY: the string ends in a zero and lives until the call has returned.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

fn file_name(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    name.expect("memtrace's files have names in UTF-8")
}

fn mode(path: &Path) -> u32 {
    let meta = fs::symlink_metadata(path).expect("it is there");
    meta.permissions().mode() & 0o7777
}

#[test]
fn what_is_planted_under_the_names_of_logs_is_left_alone() {
    let mut victim = Victim::start::<&str>("steps", &[]);
    let pid = victim.pid().to_string();
    // A process' files are called alike each time.
    let first = Memtrace::watch(&["--pid", &pid]);
    first.wait_until_traced(victim.pid());
    let names = first.stop().only_life();
    let (log, recording) = (file_name(&names.file), file_name(&names.recording));

    let (logs, outside) = (TempDir::new(), TempDir::new());
    let target = outside.path().join("target");
    symlink(&target, logs.path().join(log)).expect("a link can be made");
    make_fifo(&logs.path().join(recording));
    let taken = logs.path().join(log.replace(".log", "_2.log"));
    fs::write(&taken, "theirs").expect("a file can be written");

    let memtrace = Memtrace::watch_in(logs.path(), &["--pid", &pid]);
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("mark x");
    victim.finish();
    memtrace.end().assert_code(0);

    assert!(!target.exists(), "a link was followed");
    assert_eq!(fs::read_to_string(&taken).expect("it is there"), "theirs");
    let fifo = fs::symlink_metadata(logs.path().join(recording)).expect("it is there");
    assert!(fifo.file_type().is_fifo());
    let written = logs.path().join(log.replace(".log", "_3.log"));
    let text = fs::read_to_string(&written).expect("the log has the next name");
    assert!(text.contains("[x] RSS="), "{text}");
    let recorded = logs.path().join(recording.replace(".jsonl", "_2.jsonl"));
    for file in [&written, &recorded] {
        assert_eq!(mode(file) & 0o137, 0, "{}", file.display());
    }
}

#[test]
fn logs_are_nobody_elses_to_read() {
    let dir = TempDir::new();
    let logs = dir.path().join("new/logs");
    let mut run = Command::new(program());
    run.arg("run").arg("--log-dir").arg(&logs);
    run.args(["--", "true"]);
    Memtrace::spawn(&mut run, TempDir::new())
        .end()
        .assert_code(0);
    assert_eq!(mode(&logs), 0o700);
    let files: Vec<_> = fs::read_dir(&logs)
        .expect("it is there")
        .flatten()
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        assert_eq!(mode(&file.path()) & 0o137, 0, "{file:?}");
    }
}

#[test]
fn a_name_like_a_path_stays_in_the_log_directory() {
    let mut victim = Victim::start("changeling", &["0", "../../etc/x"]);
    let memtrace = Memtrace::watch(&["--comm", "../../etc/x"]);
    let life = memtrace.wait_until_traced(victim.pid());
    assert_eq!(life.begin().program.comm, "../../etc/x");
    assert!(file_name(&life.file).starts_with("memory_monitor_.._.._etc_x_"));
    assert_eq!(life.file.parent(), Some(memtrace.dir()));
    victim.say("");
    victim.hear();
    victim.finish();
    memtrace.wait_for_report(victim.pid());
    memtrace.stop().assert_code(0);
}

#[test]
fn a_program_cannot_forge_a_line_of_its_log() {
    let forged = "x\n[2026-01-01 00:00:00] [CRITICAL] [forged] RSS=1.00MB (x)\u{202e}\u{1b}[2J";
    let script = format!(
        "import ctypes, os, sys\n\
         late = ctypes.CDLL(sys.argv[1])\n\
         late.late_mark.argtypes = [ctypes.c_char_p, ctypes.c_char_p]\n\
         print('ready', os.getpid(), flush=True)\n\
         sys.stdin.readline()\n\
         late.late_mark({forged:?}.encode(), {forged:?}.encode())\n"
    )
    .replace("\\u{202e}\\u{1b}", "\\u202e\\x1b");
    let mut command = Command::new(python());
    command.args(["-c", &script]);
    let mut victim = Victim::spawn(command.arg(victim_program("liblate.so")));
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    memtrace.wait_for_checkpoints_in("/liblate.so");
    victim.finish();
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.only_life();
    // It is recorded as it was given, and shown as one harmless line.
    assert_eq!(life.names(), [forged]);
    assert_eq!(life.checkpoint(forged).details.as_deref(), Some(forged));
    for text in [&life.log, &life.report, &ended.stdout] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        let forged = |line: &&str| line.starts_with("[2026-01-01 ");
        assert_eq!(text.lines().find(forged), None, "{text}");
    }
    // Whoever reads the log back finds one checkpoint of that name, and no other.
    let mut report = Command::new(program());
    let report = report.args(["report", "--lang", "en"]).arg(&life.file);
    let report = report.output().expect("memtrace runs");
    let report = String::from_utf8(report.stdout).expect("a report is UTF-8");
    assert!(!report.contains("\n[2026-01-01 "), "{report}");
}

#[test]
fn a_process_that_is_renamed_and_executed_thousands_of_times_is_one_life() {
    let times = scaled(3000);
    let mut victim = Victim::start("changeling", &[times.to_string(), "first".to_owned()]);
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string(), "--quiet"]);
    victim.say("");
    assert_eq!(victim.hear(), format!("done {}", victim.pid()));
    assert!(victim.finish().success());
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.only_life();
    assert_eq!(
        count(&life, |what| matches!(what, What::Exec { .. })),
        times
    );
    assert_eq!(life.exit().code, Some(0));
    // No name of it could break a line: each tells one thing.
    let strange = |line: &&str| !(line.is_empty() || line.starts_with('['));
    let body = life.log.lines().skip_while(|line| !line.starts_with('['));
    assert_eq!(
        body.collect::<Vec<_>>().iter().find(|line| strange(line)),
        None
    );
    assert!(!life.log.contains('\u{1b}') && !life.log.contains('\u{202e}'));
}

fn count(life: &Life, wanted: impl Fn(&What) -> bool) -> usize {
    let all = life.entries.iter();
    all.filter(|entry| wanted(&entry.what)).count()
}

/// What was executed is looked at, not what its path has become since.
#[test]
fn a_fifo_or_a_link_in_the_place_of_the_executable_is_not_opened() {
    let dir = TempDir::new();
    let (fifo, link) = (dir.path().join("fifo"), dir.path().join("link"));
    let mut victims = [Victim::copied(&fifo), Victim::copied(&link)];
    for path in [&fifo, &link] {
        fs::remove_file(path).expect("a running program can be removed");
    }
    make_fifo(&fifo);
    symlink("/dev/zero", &link).expect("a link can be made");
    let pids = victims.each_ref().map(|victim| victim.pid().to_string());
    let memtrace = Memtrace::watch(&["--pid", &pids[0], "--pid", &pids[1]]);
    for path in [&fifo, &link] {
        memtrace.wait_for_checkpoints_in(format!("{} (deleted)", path.display()));
    }
    for victim in &mut victims {
        victim.ask("mark x");
        victim.finish();
    }
    let ended = memtrace.end();
    ended.assert_code(0);
    assert!(ended.lives().iter().all(|life| life.names() == ["x"]));
    // Nor is one that is named on the command line.
    let marker = format!("{}:main", fifo.display());
    let asked = Command::new(program())
        .args(["--all", "--marker", &marker])
        .output()
        .expect("memtrace runs");
    assert_eq!(asked.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("not a regular file"));
}

/// The directory of the executable becomes a link out of the only root that the victim sees.
#[test]
fn a_link_in_a_containers_root_does_not_lead_out_of_it() {
    let (dir, outside) = (TempDir::new(), TempDir::new());
    fs::copy(victim_program("hog"), outside.path().join("x")).expect("a program can be copied");
    let script = "mount -t tmpfs none \"$1\" && mkdir \"$1/bin\" && cp \"$0\" \"$1/bin/x\" && \
                  exec \"$1/bin/x\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", script]);
    let mut victim = Victim::spawn(unshare.arg(victim_program("steps")).arg(dir.path()));
    let root = format!("/proc/{}/root{}", victim.pid(), dir.path().display());
    let bin = Path::new(&root).join("bin");
    fs::rename(&bin, bin.with_file_name("old")).expect("a directory can be renamed");
    symlink(outside.path(), &bin).expect("a link can be made");
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    // The kernel knows the file by its new name, and it is the victim's.
    memtrace.wait_for_checkpoints_in("/old/x");
    victim.ask("mark x");
    victim.finish();
    let ended = memtrace.end();
    ended.assert_code(0);
    assert!(ended.lives().iter().any(|life| life.has("x")));
    assert!(!ended.stderr.contains(&*outside.path().to_string_lossy()));
}

/// Files that say they are programs.
#[test]
fn malformed_and_huge_files_are_told_and_hold_up_nothing() {
    let dir = TempDir::new();
    let magic = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0";
    let nonsense: Vec<u8> = magic.iter().copied().chain([0xff; 4096]).collect();
    for (name, bytes) in [
        ("malformed", &nonsense[..]),
        ("huge", magic),
        ("text", b"#!/bin/sh\n"),
    ] {
        fs::write(dir.path().join(name), bytes).expect("a file can be written");
    }
    let huge = fs::File::options()
        .write(true)
        .open(dir.path().join("huge"));
    let grown = huge.and_then(|file| file.set_len(5 << 30));
    grown.expect("a sparse file can be made");
    let script = "import mmap, os, sys\n\
        os.chdir(sys.argv[1])\n\
        maps = [mmap.mmap(os.open(name, os.O_RDONLY), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)\n\
        \x20       for name in ('malformed', 'huge', 'text')]\n\
        print('ready', os.getpid(), flush=True)\n\
        sys.stdin.readline()\n";
    let mut command = Command::new(python());
    let mut mapper = Victim::spawn(command.args(["-c", script]).arg(dir.path()));
    let mut victim = Victim::start::<&str>("steps", &[]);
    let pids = [mapper.pid().to_string(), victim.pid().to_string()];
    let memtrace = Memtrace::watch(&["--pid", &pids[0], "--pid", &pids[1]]);
    for (name, why) in [
        ("malformed", "not a sound ELF file"),
        ("huge", "larger than 4 GiB"),
    ] {
        let name = format!("/{name}: {why}");
        memtrace.wait_for(|line| line.contains(&name));
    }
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("mark x");
    victim.finish();
    mapper.finish();
    let ended = memtrace.end();
    // What could not be searched may have held checkpoints.
    ended.assert_code(3);
    assert!(!ended.stderr.contains("/text: "), "{}", ended.stderr);
    assert_eq!(ended.life(victim.pid()).names(), ["x"]);
}

#[test]
fn a_mount_that_never_answers_holds_up_no_other_file() {
    let mount = TempDir::new();
    let mut hung = Victim::start("deadfs", &[mount.path()]);
    let dir = TempDir::new();
    let memtrace = Memtrace::watch(&["--comm", "deadfs", "--comm", "later"]);
    memtrace.wait_for(|line| line.contains("/lib: it does not answer"));
    let mut victim = Victim::copied(&dir.path().join("later"));
    memtrace.wait_for_checkpoints_in("/later");
    victim.ask("mark x");
    victim.finish();
    memtrace.wait_for_report(victim.pid());
    // It ends, though a thread of it stands still.
    memtrace.signal(libc::SIGINT);
    let ended = memtrace.end();
    ended.assert_code(3);
    assert_eq!(ended.life(victim.pid()).names(), ["x"]);
    hung.finish();
}
