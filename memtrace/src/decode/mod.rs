//! Bytes of the rings to [`Event`]s. The only stage that knows the wire.

mod fields;
mod prints;
mod stacks;
#[cfg(test)]
mod tests;

use memtrace_ebpf::wire::{self, mark, reclaim, tag};

use self::fields::{Fields, without_half};
use crate::{
    entry::NameState,
    event::{
        Event, Exec, Exit, Fork, Group, Kind, Mark, MarkSource, OomMark, Origin, Reclaim, Rename,
        Sigkill, Task, Unsent,
    },
    units::{BootNanos, Bytes},
};

/// Why a record could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends before its last field.
    #[error("record of kind {tag} ends too early")]
    Short {
        /// Kind of the record, zero if even that is missing.
        tag: u32,
    },
    /// No record has this kind.
    #[error("unknown kind of record {0}")]
    Tag(u32),
    /// A length inside it points outside it.
    #[error("record of kind {tag} has a length that does not fit")]
    Length {
        /// Kind of the record.
        tag: u32,
    },
}

/// Decodes records of a machine with pages of this size.
#[derive(Debug, Clone, Copy)]
pub struct Decoder {
    /// Bytes of a page.
    pub page_bytes: u64,
}

type Result<T> = std::result::Result<T, DecodeError>;

impl Decoder {
    /// One record of a ring.
    pub fn event(self, record: &[u8]) -> Result<Event> {
        let (at, mut fields) = self.header(record)?;
        let kind = match fields.tag {
            tag::RSS => rss(&mut fields)?,
            tag::FORK => fork(&mut fields)?,
            tag::EXEC => exec(&mut fields)?,
            tag::RENAME => rename(&mut fields)?,
            tag::EXIT => exit(&mut fields)?,
            tag::OOM_MARK => oom_mark(&mut fields)?,
            tag::SIGKILL => sigkill(&mut fields)?,
            tag::MARK => marked(&mut fields)?,
            tag::LOADED => Kind::Loaded { pid: fields.pid()? },
            tag::STACK => stacks::stack(&mut fields)?,
            tag::CODE => stacks::code(&mut fields, stacks::LONG)?,
            tag::SHORT_CODE => stacks::code(&mut fields, stacks::SHORT)?,
            tag::LINES => stacks::lines(&mut fields)?,
            tag::PRINT => prints::print(&mut fields, wire::PRINT_ROOM)?,
            tag::SHORT_PRINT => prints::print(&mut fields, wire::SHORT_PRINT_ROOM)?,
            other => return Err(DecodeError::Tag(other)),
        };
        Ok(Event { at, kind })
    }

    /// One record of a census.
    pub fn task(self, record: &[u8]) -> Result<(BootNanos, Task)> {
        let (at, mut fields) = self.header(record)?;
        match fields.tag {
            tag::TASK => Ok((at, task(&mut fields)?)),
            other => Err(DecodeError::Tag(other)),
        }
    }

    fn header(self, record: &[u8]) -> Result<(BootNanos, Fields<'_>)> {
        let mut fields = Fields::of(record, self.page_bytes)?;
        let _size = fields.u32()?;
        let at = BootNanos(fields.u64()?);
        Ok((at, fields))
    }
}

fn rss(fields: &mut Fields<'_>) -> Result<Kind> {
    let _mm = fields.u64()?;
    let pid = fields.pid()?;
    let _actor = fields.u32()?;
    Ok(Kind::Rss {
        pid,
        memory: fields.memory()?,
    })
}

fn fork(fields: &mut Fields<'_>) -> Result<Kind> {
    Ok(Kind::Fork(Fork {
        started: fields.start()?,
        parent: fields.pid()?,
        child: fields.pid()?,
        shares_memory: fields.u32()? != 0,
        uid: fields.u32()?,
        comm: fields.comm()?,
        memory: fields.memory()?,
    }))
}

fn exec(fields: &mut Fields<'_>) -> Result<Kind> {
    let (started, pid, uid) = (fields.start()?, fields.pid()?, fields.u32()?);
    let (filename_len, args_len) = (fields.i32()?, fields.u32()? as usize);
    let (comm, memory) = (fields.comm()?, fields.memory()?);
    let filename = fields.text(wire::FILENAME)?;
    let args = fields
        .bytes(wire::ARGS)?
        .get(..args_len)
        .ok_or(DecodeError::Length { tag: fields.tag })?;
    Ok(Kind::Exec(Box::new(Exec {
        pid,
        started,
        uid,
        comm,
        filename: (filename_len > 1).then_some(filename),
        args: arguments(args),
        memory,
    })))
}

/// Splits what the kernel holds as arguments: each ended by NUL, the last perhaps cut. A process
/// that overwrites its arguments to show a title leaves a long tail of NULs: they are no arguments.
pub fn arguments(bytes: &[u8]) -> Vec<String> {
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    if used == 0 {
        return Vec::new();
    }
    bytes[..used]
        .split(|byte| *byte == 0)
        .map(without_half)
        .collect()
}

fn rename(fields: &mut Fields<'_>) -> Result<Kind> {
    Ok(Kind::Rename(Rename {
        started: fields.start()?,
        pid: fields.pid()?,
        uid: fields.u32()?,
        comm: fields.comm()?,
    }))
}

fn exit(fields: &mut Fields<'_>) -> Result<Kind> {
    let (started, pid, status) = (fields.start()?, fields.pid()?, fields.i32()?);
    let (marks, steps, peak) = (fields.u32()?, fields.u32()?, fields.pages()?);
    let (has_pages, too_fast) = (fields.u32()? != 0, fields.u32()?);
    let status = (status != wire::EXIT_STATUS_UNKNOWN).then_some(status);
    let memory = fields.memory()?;
    let memory = has_pages.then_some(memory);
    Ok(Kind::Exit(Exit {
        pid,
        started,
        status,
        unsent: Unsent {
            marks,
            steps,
            too_fast,
        },
        peak,
        memory,
    }))
}

fn oom_mark(fields: &mut Fields<'_>) -> Result<Kind> {
    let (started, pid, tid, uid) = (fields.start()?, fields.pid()?, fields.tid()?, fields.u32()?);
    let oom_score_adj = i16::try_from(fields.i32()?).unwrap_or(0);
    let page_tables = Bytes(fields.u64()?);
    let (comm, exact, approximate) = (fields.comm()?, fields.memory()?, fields.memory()?);
    let (trigger_pid, trigger_thread) = (fields.pid()?, fields.tid()?);
    let (trigger_comm, user) = (fields.comm()?, fields.u32()?);
    let reclaim = reclaim_of(fields)?;
    let (marks, steps) = (fields.u32()?, fields.u32()?);
    let (levels, too_fast) = (fields.u32()? as usize, fields.u32()?);
    let groups: Vec<Group> = (0..wire::LEVELS)
        .map(|_| group(fields))
        .collect::<Result<_>>()?;
    let groups = groups.into_iter().take(levels).collect();
    Ok(Kind::OomMark(Box::new(OomMark {
        pid,
        tid,
        started,
        uid,
        comm,
        oom_score_adj,
        page_tables,
        exact,
        approximate,
        trigger_pid,
        trigger_tid: trigger_thread,
        trigger_comm,
        trigger_uid: user,
        reclaim,
        unsent: Unsent {
            marks,
            steps,
            too_fast,
        },
        groups,
    })))
}

fn reclaim_of(fields: &mut Fields<'_>) -> Result<Option<Reclaim>> {
    let kind = fields.u32()?;
    let found = Reclaim {
        memcg: kind == reclaim::MEMCG,
        at: fields.time()?,
        gfp: fields.u32()?,
        order: fields.i32()?,
    };
    Ok((kind != reclaim::NONE).then_some(found))
}

fn group(fields: &mut Fields<'_>) -> Result<Group> {
    let id = fields.u64()?;
    let (usage, limit) = (fields.pages()?, fields.limit()?);
    let (swap_usage, swap_limit) = (fields.pages()?, fields.limit()?);
    let name = fields.text(wire::CGROUP_NAME)?;
    Ok(Group {
        id,
        name,
        usage,
        limit,
        swap_usage,
        swap_limit,
    })
}

fn sigkill(fields: &mut Fields<'_>) -> Result<Kind> {
    let (started, pid) = (fields.start()?, fields.pid()?);
    let _tid = fields.u32()?;
    let comm = fields.comm()?;
    let (sender_pid, sender_thread, user) = (fields.pid()?, fields.tid()?, fields.u32()?);
    let code = fields.i32()?;
    let sender_comm = fields.comm()?;
    let origin = match fields.u32()? {
        0 => Origin::NoInfo,
        1 => Origin::Kernel,
        _ => Origin::Code(code),
    };
    let group = fields.u32()? != 0;
    let effective = fields.i32()? == 0;
    let _zero = fields.u32()?;
    let memory = fields.memory()?;
    Ok(Kind::Sigkill(Box::new(Sigkill {
        pid,
        started,
        comm,
        sender_pid,
        sender_tid: sender_thread,
        sender_uid: user,
        sender_comm,
        origin,
        group,
        effective,
        memory,
    })))
}

fn marked(fields: &mut Fields<'_>) -> Result<Kind> {
    let (pid, tid, cookie) = (fields.pid()?, fields.tid()?, fields.u64()?);
    let source = match fields.u32()? {
        mark::PYTHON_INIT => MarkSource::Init,
        mark::FUNCTION => MarkSource::Function(cookie),
        _ => MarkSource::Call,
    };
    let (name_len, details_len) = (fields.i32()?, fields.i32()?);
    let _zero = fields.u32()?;
    let memory = fields.memory()?;
    let name = fields.sized(name_len)?;
    let details = fields.sized(details_len)?;
    let (name, name_state) = match name {
        None => (String::new(), NameState::Unreadable),
        Some(bytes) if bytes.len() > wire::TEXT_MAX => (cut(bytes), NameState::Cut),
        Some(bytes) => (
            String::from_utf8_lossy(bytes).into_owned(),
            NameState::Whole,
        ),
    };
    let details = details.map(cut).filter(|details| !details.is_empty());
    Ok(Kind::Mark(Box::new(Mark {
        pid,
        tid,
        source,
        name,
        name_state,
        details,
        memory,
    })))
}

/// At most [`wire::TEXT_MAX`] bytes, and no half character at the end.
fn cut(bytes: &[u8]) -> String {
    without_half(&bytes[..bytes.len().min(wire::TEXT_MAX)])
}

fn task(fields: &mut Fields<'_>) -> Result<Task> {
    let (started, pid, parent) = (fields.start()?, fields.pid()?, fields.pid()?);
    let uid = fields.u32()?;
    let _zero = fields.u32()?;
    let (comm, memory) = (fields.comm()?, fields.memory()?);
    let groups: Vec<u64> = (0..wire::LEVELS)
        .map(|_| fields.u64())
        .collect::<Result<_>>()?;
    let groups = groups.into_iter().filter(|id| *id != 0).collect();
    Ok(Task {
        pid,
        parent,
        started,
        uid,
        comm,
        memory,
        groups,
    })
}
