use memtrace_ebpf::wire::{self, lost, mark, reclaim, tag};

use super::*;
use crate::{
    entry::Memory,
    event::{Print, Rest, Stream},
    units::{Tgid, Tid},
};

const DECODER: Decoder = Decoder { page_bytes: 4096 };
const AT: u64 = 7_000_000_001;

/// Writes the fields of a record one after the other, as `repr(C)` without padding lays them out.
#[derive(Clone)]
struct Record(Vec<u8>);

impl Record {
    fn new(tag: u32) -> Self {
        Self(Vec::new()).u32(tag).u32(0).u64(AT)
    }
    fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_ne_bytes())
    }
    fn i32(self, value: i32) -> Self {
        self.bytes(&value.to_ne_bytes())
    }
    fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_ne_bytes())
    }
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    /// A text in a room that is filled up with what was there before.
    fn room(self, text: &[u8], room: usize) -> Self {
        let mut bytes = text.to_vec();
        if text.len() < room {
            bytes.push(0);
        }
        bytes.resize(room, b'?');
        self.bytes(&bytes)
    }
    fn comm(self, comm: &str) -> Self {
        self.room(comm.as_bytes(), 16)
    }
    fn pages(self, pages: [i64; 5]) -> Self {
        pages
            .into_iter()
            .fold(self, |record, pages| record.bytes(&pages.to_ne_bytes()))
    }
    fn event(&self) -> Kind {
        let event = DECODER.event(&self.0).unwrap();
        assert_eq!(event.at, BootNanos(AT));
        event.kind
    }
}

/// In the wire's order: file, anon, swap, shmem, vms.
const PAGES: [i64; 5] = [1, 20, 300, 4000, 50_000];

fn memory() -> Memory {
    Memory {
        file: Bytes(4096),
        anon: Bytes(20 * 4096),
        swap: Bytes(300 * 4096),
        shmem: Bytes(4000 * 4096),
        vms: Some(Bytes(50_000 * 4096)),
    }
}

fn rss() -> Record {
    Record::new(tag::RSS)
        .u64(0xffff_8880_0000_0000)
        .u32(4711)
        .u32(42)
        .pages(PAGES)
}

fn fork() -> Record {
    Record::new(tag::FORK)
        .u64(50_123_456)
        .u32(10)
        .u32(11)
        .u32(1)
        .u32(1000)
        .comm("python3")
        .pages(PAGES)
}

fn exec(filename: (&[u8], i32), args: &[u8], args_len: u32) -> Record {
    Record::new(tag::EXEC)
        .u64(50_123_456)
        .u32(11)
        .u32(1000)
        .i32(filename.1)
        .u32(args_len)
        .comm("python3")
        .pages(PAGES)
        .room(filename.0, wire::FILENAME)
        .room(args, wire::ARGS)
}

fn rename(comm: &[u8]) -> Record {
    Record::new(tag::RENAME)
        .u64(50_123_456)
        .u32(11)
        .u32(1000)
        .room(comm, 16)
}

fn exit(has_pages: u32) -> Record {
    Record::new(tag::EXIT)
        .u64(50_123_456)
        .u32(11)
        .i32(9)
        .u32(2)
        .u32(3)
        .u64(77)
        .u32(has_pages)
        .u32(0)
        .pages(PAGES)
}

fn group_of(record: Record, id: u64, max: u64, name: &[u8]) -> Record {
    record
        .u64(id)
        .u64(100)
        .u64(max)
        .u64(10)
        .u64(u64::MAX >> 13)
        .room(name, wire::CGROUP_NAME)
}

fn oom_mark(reclaim: u32, levels: u32) -> Record {
    let record = Record::new(tag::OOM_MARK)
        .u64(50_123_456)
        .u32(11)
        .u32(12)
        .u32(1000)
        .i32(-998)
        .u64(8192)
        .comm("victim")
        .pages(PAGES)
        .pages([-3, 5, 0, 0, 9])
        .u32(20)
        .u32(21)
        .comm("trigger")
        .u32(0)
        .u32(reclaim)
        .u64(6)
        .u32(0xcc0)
        .i32(3)
        .u32(4)
        .u32(5)
        .u32(levels)
        .u32(0);
    let record = group_of(record, 8, 100, b"job");
    let record = group_of(record, 1, u64::MAX >> 13, b"");
    (2..wire::LEVELS).fold(record, |record, _| group_of(record, 0, 0, b"left over"))
}

fn sigkill(info: u32, code: i32, result: i32) -> Record {
    Record::new(tag::SIGKILL)
        .u64(50_123_456)
        .u32(11)
        .u32(12)
        .comm("target")
        .u32(20)
        .u32(21)
        .u32(0)
        .i32(code)
        .comm("sender")
        .u32(info)
        .u32(1)
        .i32(result)
        .u32(0)
        .pages(PAGES)
}

fn marked(kind: u32, name_len: i32, details_len: i32, text: &[u8]) -> Record {
    Record::new(tag::MARK)
        .u32(11)
        .u32(12)
        .u64(3)
        .u32(kind)
        .i32(name_len)
        .i32(details_len)
        .u32(0)
        .pages(PAGES)
        .bytes(text)
}

fn loaded() -> Record {
    Record::new(tag::LOADED).u32(11).u32(0)
}

fn task() -> Record {
    let record = Record::new(tag::TASK)
        .u64(50_123_456)
        .u32(11)
        .u32(10)
        .u32(1000)
        .u32(0)
        .comm("python3")
        .pages(PAGES);
    [8, 1, 0, 0, 0, 0, 0, 0]
        .into_iter()
        .fold(record, Record::u64)
}

/// A record of every kind.
fn all() -> Vec<Record> {
    vec![
        rss(),
        fork(),
        exec((b"/usr/bin/python3", 17), b"python3\0a.py\0", 13),
        rename(b"worker"),
        exit(1),
        oom_mark(reclaim::MEMCG, 2),
        sigkill(2, 0, 0),
        marked(mark::CHECKPOINT, 4, 3, b"loadall"),
        loaded(),
        stack(3),
        long_code(),
        short_code(),
        lines(),
        piece(wire::print::TEXT, 2, 4, 4, 0),
        long_piece(),
    ]
}

fn stack(depth: u32) -> Record {
    let frames = wire::INNERMOST + wire::OUTERMOST;
    let head = Record::new(tag::STACK)
        .u64(20_000_000)
        .u32(50)
        .u32(51)
        .u32(wire::why::GROWTH)
        .u32(wire::python::KNOWN | wire::python::THREAD)
        .u32(depth)
        .i32(16)
        .comm("worker")
        .pages(PAGES);
    let with_frames = (0..frames as u64).fold(head, |record, number| {
        record.u64(0x1000 + number).u64(2 * number)
    });
    (0..wire::NATIVES as u64).fold(with_frames, |record, number| record.u64(0x4000 + number))
}

/// A code object in rooms of these sizes: lines, file, function.
fn code(tag: u32, rooms: [usize; 3], file_copied: u32) -> Record {
    let texts: [(&[u8], u32); 3] = [(&[4, 1], 2), (b"a.py", file_copied), (b"main", 4)];
    let head = Record::new(tag).u64(20_000_000).u64(0x1000).u32(50).i32(7);
    let sized = texts.iter().fold(head, |record, (bytes, copied)| {
        record.u64(bytes.len() as u64).u32(0x44).u32(*copied)
    });
    texts
        .iter()
        .zip(rooms)
        .fold(sized, |record, ((bytes, _), room)| record.room(bytes, room))
}

fn long_code() -> Record {
    code(tag::CODE, stacks::LONG, 4)
}

fn short_code() -> Record {
    code(tag::SHORT_CODE, stacks::SHORT, 4)
}

/// Stream, kind, width, size, bytes copied, last character, and a text in its room.
fn piece(kind: u32, width: u32, size: u64, copied: u32, last: u32) -> Record {
    let bytes: Vec<u8> = [0xa2, 0x5b, 0x0a, 0].to_vec();
    Record::new(tag::SHORT_PRINT)
        .u32(50)
        .u32(51)
        .u64(if kind == wire::print::WRITTEN {
            2
        } else {
            0x1000
        })
        .u32(kind)
        .u32(width)
        .u64(size)
        .u32(copied)
        .u32(last)
        .u64(9)
        .pages(PAGES)
        .room(&bytes, wire::SHORT_PRINT_ROOM)
}

fn long_piece() -> Record {
    let mut record = piece(wire::print::TEXT, 1, 4, 4, 0);
    record.0[..4].copy_from_slice(&tag::PRINT.to_ne_bytes());
    record.bytes(&[0; wire::PRINT_ROOM - wire::SHORT_PRINT_ROOM])
}

fn lines() -> Record {
    Record::new(tag::LINES)
        .u64(20_000_000)
        .u64(0x1000)
        .u32(50)
        .u32(4095)
        .u32(2)
        .u32(0)
        .room(&[4, 1], wire::LINES_ROOM)
}

#[test]
fn a_stack_is_read_with_the_memory_that_it_is_charged_with() {
    let Kind::Stack(stack) = stack(3).event() else {
        panic!("no stack")
    };
    assert_eq!((stack.pid, stack.tid), (Tgid(50), Tid(51)));
    assert_eq!(stack.rss, Some(memory().rss()));
    assert_eq!(stack.python, crate::entry::PythonState::Whole);
    assert_eq!(
        (stack.frames.len(), stack.omitted, stack.natives.len()),
        (3, 0, 2)
    );
    assert_eq!((stack.frames[2].code, stack.frames[2].offset), (0x1002, 4));
}

#[test]
fn a_code_object_is_the_same_in_a_short_record_and_in_a_long_one() {
    assert_eq!(short_code().event(), long_code().event());
    let Kind::Code(read) = short_code().event() else {
        panic!("no code")
    };
    let file = read.file.expect("it was read");
    assert_eq!((file.bytes.as_slice(), file.is_cut), (&b"a.py"[..], false));
    let Kind::Code(unread) = code(tag::SHORT_CODE, stacks::SHORT, u32::MAX).event() else {
        panic!("no code")
    };
    assert_eq!(unread.file, None);
    let too_long = code(tag::SHORT_CODE, stacks::SHORT, 129);
    let error = DecodeError::Length {
        tag: tag::SHORT_CODE,
    };
    assert_eq!(DECODER.event(&too_long.0), Err(error));
}

fn mark_of(record: &Record) -> Mark {
    match record.event() {
        Kind::Mark(mark) => *mark,
        other => panic!("{other:?}"),
    }
}

fn exec_of(record: &Record) -> Exec {
    match record.event() {
        Kind::Exec(exec) => *exec,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_fixtures_are_as_long_as_the_wires_structs() {
    assert_eq!(rss().0.len(), size_of::<wire::Rss>());
    assert_eq!(fork().0.len(), size_of::<wire::Fork>());
    assert_eq!(exec((b"", 0), b"", 0).0.len(), size_of::<wire::Exec>());
    assert_eq!(rename(b"").0.len(), size_of::<wire::Rename>());
    assert_eq!(exit(0).0.len(), size_of::<wire::Exit>());
    assert_eq!(oom_mark(0, 0).0.len(), size_of::<wire::OomMark>());
    assert_eq!(sigkill(0, 0, 0).0.len(), size_of::<wire::Sigkill>());
    let text = [0; 2 * wire::TEXT_ROOM + 6];
    assert_eq!(marked(0, 0, 0, &text).0.len(), size_of::<wire::Mark>());
    assert_eq!(loaded().0.len(), size_of::<wire::Loaded>());
    let short = piece(wire::print::TEXT, 1, 0, 0, 0);
    assert_eq!(short.0.len(), size_of::<wire::ShortPrint>());
    assert_eq!(long_piece().0.len(), size_of::<wire::Print>());
    assert_eq!(task().0.len(), size_of::<wire::Task>());
    assert_eq!(lost::CLASSES, 7);
}

#[test]
fn rss_is_the_owners_whoever_touched_it() {
    let expected = Kind::Rss {
        pid: Tgid(4711),
        memory: memory(),
    };
    assert_eq!(rss().event(), expected);
}

#[test]
fn a_fork_is_told_in_full() {
    let expected = Fork {
        parent: Tgid(10),
        child: Tgid(11),
        started: BootNanos(50_000_000),
        shares_memory: true,
        uid: 1000,
        comm: "python3".to_owned(),
        memory: memory(),
    };
    assert_eq!(fork().event(), Kind::Fork(expected));
}

#[test]
fn an_exec_is_told_in_full() {
    let record = exec((b"/usr/bin/python3", 17), b"python3\0a.py\0", 13);
    let expected = Exec {
        pid: Tgid(11),
        started: BootNanos(50_000_000),
        uid: 1000,
        comm: "python3".to_owned(),
        filename: Some("/usr/bin/python3".to_owned()),
        args: vec!["python3".to_owned(), "a.py".to_owned()],
        memory: memory(),
    };
    assert_eq!(exec_of(&record), expected);
}

#[test]
fn an_executable_that_could_not_be_read_is_none() {
    for length in [-14, 0, 1] {
        assert_eq!(exec_of(&exec((b"?", length), b"", 0)).filename, None);
    }
}

#[test]
fn arguments_beyond_their_room_are_an_error() {
    let room = u32::try_from(wire::ARGS).unwrap();
    let full = [b'a'; wire::ARGS];
    assert_eq!(exec_of(&exec((b"", 0), &full, room)).args[0].len(), 512);
    for length in [room + 1, u32::MAX] {
        let error = DECODER.event(&exec((b"", 0), &full, length).0);
        assert_eq!(error, Err(DecodeError::Length { tag: tag::EXEC }));
    }
}

#[test]
fn arguments_end_at_nul_and_a_tail_of_nuls_is_none() {
    for (bytes, expected) in [
        (&b""[..], &[][..]),
        (b"\0", &[]),
        (b"\0\0\0", &[]),
        (b"a\0b\0", &["a", "b"]),
        (b"a\0\0b\0", &["a", "", "b"]),
        (b"\0b\0", &["", "b"]),
        (b"title\0\0\0\0\0", &["title"]),
        (b"cut\0of", &["cut", "of"]),
        (
            "half\0\u{4e2d}".as_bytes().split_last().unwrap().1,
            &["half", ""],
        ),
        (b"bad\xff\xfe\0x\0", &["bad\u{fffd}\u{fffd}", "x"]),
    ] {
        assert_eq!(arguments(bytes), expected, "{bytes:?}");
    }
}

#[test]
fn a_name_without_a_nul_fills_its_room() {
    for (comm, expected) in [
        (&b"worker"[..], "worker"),
        (b"0123456789abcdef", "0123456789abcdef"),
        (b"", ""),
        (b"a\xffb", "a\u{fffd}b"),
    ] {
        match rename(comm).event() {
            Kind::Rename(rename) => assert_eq!(rename.comm, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_exit_has_memory_only_where_the_kernel_still_had_it() {
    for (has_pages, expected) in [(0, None), (1, Some(memory()))] {
        let expected = Exit {
            pid: Tgid(11),
            started: BootNanos(50_000_000),
            status: Some(9),
            unsent: Unsent {
                marks: 2,
                steps: 3,
                too_fast: 0,
            },
            peak: Bytes(77 * 4096),
            memory: expected,
        };
        assert_eq!(exit(has_pages).event(), Kind::Exit(expected));
    }
}

#[test]
fn a_status_that_could_not_be_had_is_none() {
    let mut record = exit(0);
    let status = wire::EXIT_STATUS_UNKNOWN.to_ne_bytes();
    record.0[28..32].copy_from_slice(&status);
    match record.event() {
        Kind::Exit(exit) => assert_eq!(exit.status, None),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_oom_mark_is_told_in_full() {
    let group = |id, limit, name: &str| Group {
        id,
        name: name.to_owned(),
        usage: Bytes(100 * 4096),
        limit,
        swap_usage: Bytes(10 * 4096),
        swap_limit: None,
    };
    let expected = OomMark {
        pid: Tgid(11),
        tid: Tid(12),
        started: BootNanos(50_000_000),
        uid: 1000,
        comm: "victim".to_owned(),
        oom_score_adj: -998,
        page_tables: Bytes(8192),
        exact: memory(),
        // A counter that was read at a bad moment may be below zero: that is nothing.
        approximate: Memory {
            file: Bytes(0),
            anon: Bytes(5 * 4096),
            swap: Bytes(0),
            shmem: Bytes(0),
            vms: Some(Bytes(9 * 4096)),
        },
        trigger_pid: Tgid(20),
        trigger_tid: Tid(21),
        trigger_comm: "trigger".to_owned(),
        trigger_uid: 0,
        reclaim: Some(Reclaim {
            memcg: true,
            at: BootNanos(6),
            gfp: 0xcc0,
            order: 3,
        }),
        unsent: Unsent {
            marks: 4,
            steps: 5,
            too_fast: 0,
        },
        groups: vec![group(8, Some(Bytes(100 * 4096)), "job"), group(1, None, "")],
    };
    assert_eq!(
        oom_mark(reclaim::MEMCG, 2).event(),
        Kind::OomMark(Box::new(expected))
    );
}

#[test]
fn a_mark_without_reclaim_or_with_more_levels_than_there_are_is_read() {
    for (reclaim, levels, expected) in [
        (reclaim::NONE, 0, (None, 0)),
        (reclaim::GLOBAL, 2, (Some(false), 2)),
        (reclaim::MEMCG, u32::MAX, (Some(true), wire::LEVELS)),
    ] {
        let Kind::OomMark(mark) = oom_mark(reclaim, levels).event() else {
            panic!("not a mark")
        };
        let memcg = mark.reclaim.map(|reclaim| reclaim.memcg);
        assert_eq!((memcg, mark.groups.len()), expected);
    }
}

#[test]
fn a_sigkill_says_how_it_was_sent_and_whether_it_worked() {
    for (info, code, result, origin, effective) in [
        (0, 7, 0, Origin::NoInfo, true),
        (1, 7, 0, Origin::Kernel, true),
        (2, -6, 1, Origin::Code(-6), false),
        (2, 0, 2, Origin::Code(0), false),
    ] {
        let expected = Sigkill {
            pid: Tgid(11),
            started: BootNanos(50_000_000),
            comm: "target".to_owned(),
            sender_pid: Tgid(20),
            sender_tid: Tid(21),
            sender_uid: 0,
            sender_comm: "sender".to_owned(),
            origin,
            group: true,
            effective,
            memory: memory(),
        };
        assert_eq!(
            sigkill(info, code, result).event(),
            Kind::Sigkill(Box::new(expected))
        );
    }
}

#[test]
fn a_checkpoint_is_told_in_full() {
    let expected = Mark {
        pid: Tgid(11),
        tid: Tid(12),
        source: MarkSource::Call,
        name: "加载".to_owned(),
        name_state: NameState::Whole,
        details: Some("all".to_owned()),
        memory: memory(),
    };
    let record = marked(mark::CHECKPOINT, 6, 3, "加载all".as_bytes());
    assert_eq!(mark_of(&record), expected);
    for (kind, source) in [
        (mark::PYTHON, MarkSource::Call),
        (mark::PYTHON_INIT, MarkSource::Init),
        (mark::FUNCTION, MarkSource::Function(3)),
    ] {
        assert_eq!(mark_of(&marked(kind, 0, -1, b"")).source, source);
    }
}

#[test]
fn an_unreadable_name_is_not_an_empty_one_and_leaves_the_details() {
    let mark = mark_of(&marked(mark::CHECKPOINT, -1, 3, b"all"));
    assert_eq!(
        (mark.name.as_str(), mark.name_state),
        ("", NameState::Unreadable)
    );
    assert_eq!(mark.details.as_deref(), Some("all"));
    let mark = mark_of(&marked(mark::CHECKPOINT, 0, 0, b""));
    assert_eq!(
        (mark.name.as_str(), mark.name_state),
        ("", NameState::Whole)
    );
    assert_eq!(mark.details, None);
}

#[test]
fn a_name_of_255_bytes_is_whole_and_a_longer_one_is_cut_between_characters() {
    let long = "中".repeat(86); // 258 bytes
    for (length, name, state) in [
        (255, &long[..255], NameState::Whole),
        (256, &long[..255], NameState::Cut),
    ] {
        let mark = mark_of(&marked(0, length, -1, long.as_bytes()));
        assert_eq!((mark.name.as_str(), mark.name_state), (name, state));
    }
    // 255 is in the middle of a character here, and another byte is no UTF-8 at all.
    let text = [b"\xff".as_slice(), long.as_bytes()].concat();
    let mark = mark_of(&marked(0, 256, 256, &[&text[..256], &text[..256]].concat()));
    let expected = format!("\u{fffd}{}", &long[..252]);
    assert_eq!(mark.name, expected);
    assert_eq!(mark.details, Some(expected));
}

#[test]
fn text_that_is_longer_than_its_room_or_than_the_record_is_an_error() {
    let text = [b'x'; 2 * wire::TEXT_ROOM + 6];
    for (name, details) in [(257, -1), (i32::MAX, -1), (1, 257), (1, i32::MAX)] {
        let error = DECODER.event(&marked(0, name, details, &text).0);
        assert_eq!(error, Err(DecodeError::Length { tag: tag::MARK }));
    }
    for (name, details) in [(5, -1), (4, 1)] {
        let error = DECODER.event(&marked(0, name, details, b"1234").0);
        assert_eq!(error, Err(DecodeError::Short { tag: tag::MARK }));
    }
}

#[test]
fn a_task_is_told_with_its_groups_and_nothing_else_is_a_task() {
    let expected = Task {
        pid: Tgid(11),
        parent: Tgid(10),
        started: BootNanos(50_000_000),
        uid: 1000,
        comm: "python3".to_owned(),
        memory: memory(),
        groups: vec![8, 1],
    };
    assert_eq!(DECODER.task(&task().0), Ok((BootNanos(AT), expected)));
    assert_eq!(DECODER.task(&rss().0), Err(DecodeError::Tag(tag::RSS)));
    assert_eq!(DECODER.event(&task().0), Err(DecodeError::Tag(tag::TASK)));
}

#[test]
fn a_record_that_is_cut_anywhere_is_short_and_never_a_panic() {
    for record in all() {
        let tag = u32::from_ne_bytes(record.0[..4].try_into().unwrap());
        // The wire's reserved field at the end of a notice is not read.
        let needed = record.0.len() - if tag == tag::LOADED { 4 } else { 0 };
        for length in 0..needed {
            let tag = if length < 4 { 0 } else { tag };
            assert_eq!(
                DECODER.event(&record.0[..length]),
                Err(DecodeError::Short { tag }),
                "{length} bytes"
            );
        }
        assert!(DECODER.event(&record.0).is_ok());
    }
    let task = task().0;
    for length in 0..task.len() {
        assert!(DECODER.task(&task[..length]).is_err());
    }
}

#[test]
fn a_piece_of_a_line_is_text_of_its_width_or_bytes_as_they_were_written() {
    use wire::print::{NO_TEXT, TEXT, WRITTEN};
    let decoded = |record: Record| match record.event() {
        Kind::Print(print) => *print,
        other => panic!("{other:?}"),
    };
    let text = |kind, width| decoded(piece(kind, width, 4, 4, 0)).text;
    assert_eq!(text(TEXT, 2), Some("客\n".as_bytes().to_vec()));
    assert_eq!(text(TEXT, 1), Some("¢[\n\0".as_bytes().to_vec()));
    assert_eq!(text(WRITTEN, 1), Some(vec![0xa2, 0x5b, 0x0a, 0]));
    assert_eq!((text(NO_TEXT, 0), text(TEXT, 3)), (None, None));
    let unreadable = piece(TEXT, 2, 4, u32::MAX, 0);
    assert_eq!(decoded(unreadable).text, None);
    let expected = Print {
        pid: Tgid(50),
        tid: Tid(51),
        stream: Stream::Descriptor(2),
        text: Some(vec![0xa2]),
        rest: Rest::More,
        missed: 9,
        memory: memory(),
    };
    assert_eq!(decoded(piece(WRITTEN, 1, 300, 1, b'x'.into())), expected);
    let rest = |last| decoded(piece(TEXT, 2, 300, 4, last)).rest;
    assert_eq!(
        (rest(0x5ba2), rest(b'\n'.into())),
        (Rest::More, Rest::Lines)
    );
    assert_eq!(decoded(long_piece()).stream, Stream::File(0x1000));
    // More than there is room for.
    let room = u32::try_from(wire::SHORT_PRINT_ROOM).unwrap();
    let tag = tag::SHORT_PRINT;
    assert_eq!(
        DECODER.event(&piece(TEXT, 1, 300, room + 1, 0).0),
        Err(DecodeError::Length { tag })
    );
}

#[test]
fn an_unknown_kind_is_an_error() {
    for tag in [0, tag::SHORT_PRINT + 1, u32::MAX] {
        let record = Record::new(tag).bytes(&[0; 2000]);
        assert_eq!(DECODER.event(&record.0), Err(DecodeError::Tag(tag)));
    }
}

#[test]
fn sizes_that_overflow_stay_at_the_largest() {
    let decoder = Decoder {
        page_bytes: u64::MAX,
    };
    for record in all() {
        assert!(decoder.event(&record.0).is_ok());
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_behind_any_tag_decode_or_are_an_error(
        tag in 0..=tag::SHORT_PRINT + 1,
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..5000),
    ) {
        let record = Record::new(tag).bytes(&bytes);
        let _ = DECODER.event(&record.0);
        let _ = DECODER.task(&record.0);
    }
}
