"""Memory checkpoints for a Python program: a log that says after which step memory grew.

    from memory_monitor import init_global_monitor, memory_checkpoint

    init_global_monitor(name="backtest", warning_threshold_mb=800, critical_threshold_mb=950)
    memory_checkpoint("Phase1_START")

One file, the standard library only, CPython 3.8 and later. It does two things:

* It tells memtrace, when that traces this process, of every checkpoint. The message is a call of
  a function that every CPython exports and that nothing uses in a hot path, with a recognisable
  first argument; a uprobe on that function reads the others. Nobody there, nothing happens.
* Where memtrace is not there, it writes the usual log by itself from /proc/self. Where memtrace
  is there, memtrace writes that log, more exactly than a program can; only a log file that the
  program asked for by its name is then written here too, as the program may read it.

It does not print on the program's stdout. MEMTRACE_ECHO=1 shows its lines on stderr.
A checkpoint never raises.
"""

import atexit
import collections
import contextlib
import functools
import heapq
import inspect
import itertools
import os
import re
import stat
import sys
import threading
import time

try:
    import resource
except ImportError:
    resource = None

__all__ = [
    "MemoryMonitor", "get_global_monitor", "init_global_monitor", "memory_checkpoint",
    "memory_context", "monitor_function",
]

_MIB = 1024 * 1024
_RULE = "=" * 80
_BACKGROUND_NAME = "后台监控"
# A checkpoint that grew by more than this is marked in the report.
_PROBLEM_BYTES = 100 * _MIB
# memtrace keeps this much of a name; the log written here keeps the same.
_NAME_BYTES_MAX = 255
_DETAILS_BYTES_MAX = 4096
# A program may set millions of checkpoints. The log has them all; memory keeps so many of the
# first, so many of the last, and those that grew most.
_KEEP_FIRST = 10_000
_KEEP_LAST = 10_000
_KEEP_GROWN = 100
# How often the background thread looks. Lines are written at most once per check_interval; a
# look costs about ten microseconds and finds the moment at which a threshold is crossed.
_LOOK_SECONDS = 0.2
# Beside memtrace, which reads RSS at every checkpoint by itself, this module reads it for its own
# report only, and not more often than this, so that a million checkpoints stay cheap.
_FRESH_SECONDS = 0.001


# --- the tracer ----------------------------------------------------------------------------------


class _Tracer:
    """The way to memtrace: call the marked function, and see whether a probe sits on it."""

    MARK = b"memtrace\x01mark\0\0\0"
    INIT = b"memtrace\x01init\0\0\0"
    # What a uprobe puts in place of the first instruction: int3 (0xcc), or on arm64 BRK 5.
    TRAP_ARM64 = 0xD42000A0

    def __init__(self):
        self.call = None
        # Whether a probe sits on the marker in this process, now.
        self.present = lambda: False
        try:
            import ctypes
            # PyDLL keeps the GIL: releasing it would cost more than the call and could let
            # another thread run between a checkpoint and the step that it announces.
            # No argtypes and no restype: bytes, None and int take ctypes' shortest way.
            self.call = ctypes.PyDLL(None).PyOS_mystricmp
            self.present = self._watch(ctypes, ctypes.cast(self.call, ctypes.c_void_p).value)
        except Exception:  # no ctypes, no dlopen, a static build without the symbol
            pass

    def _watch(self, ctypes, address):
        """A function that looks at the marker's first instruction in this process's memory."""
        # Not platform.machine(), which runs a program to find out until Python 3.9.
        machine = os.uname().machine.lower()
        if machine in ("x86_64", "amd64"):
            return self._watch_x86(ctypes.c_ubyte, address)
        if machine in ("aarch64", "arm64"):
            word = ctypes.c_uint32.from_address(address)
            return lambda: word.value == self.TRAP_ARM64
        return self.present

    def _watch_x86(self, ubyte, address):
        first = ubyte.from_address(address)
        if bytes((ubyte * 4).from_address(address))[1:] != b"\x0f\x1e\xfa":
            return lambda: first.value == 0xCC
        # Where endbr64 comes first a probe may stand behind it, as that is cheaper.
        second = ubyte.from_address(address + 4)
        return lambda: first.value == 0xCC or second.value == 0xCC


class _NameCache(dict):
    """Names as bytes. A program has few names and uses them often; the bound is for those who
    number them."""

    def __missing__(self, name):
        if len(self) >= 4096:
            self.clear()
        encoded = _encode(name)
        if len(name) <= _NAME_BYTES_MAX:
            self[name] = encoded
        return encoded


def _encode(text):
    """UTF-8 without NUL, which would end the text early in the eyes of the probe."""
    encoded = text.encode("utf-8", "backslashreplace")
    return encoded.replace(b"\0", b"\\x00") if b"\0" in encoded else encoded


def _text(value):
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "backslashreplace")
    try:
        return str(value)
    except Exception:  # a checkpoint is worth more than its name
        return "<%s>" % type(value).__name__


_tracer = _Tracer()
_name_bytes = _NameCache()


def _mark(name, details, _call=_tracer.call, _magic=_Tracer.MARK, _names=_name_bytes):
    # The function compares two texts and takes no third argument: in the C calling conventions
    # one more in a register disturbs nobody, and the probe finds the details there.
    _call(_magic, _names[name], _encode(details) if details else None)


def _mark_init(name, warning_mb, critical_mb):
    details = "warning=%s;critical=%s" % (warning_mb, critical_mb)
    _tracer.call(_Tracer.INIT, _encode(name), details.encode("ascii"))


if _tracer.call is None:
    def _mark(name, details):  # noqa: F811
        pass

    def _mark_init(name, warning_mb, critical_mb):  # noqa: F811
        pass


# --- measuring -----------------------------------------------------------------------------------


try:
    _PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
except (AttributeError, ValueError, OSError):
    _PAGE_BYTES = 4096


def _read_memory():
    """(rss, vms) in bytes. The file is opened each time: a descriptor that is kept would be
    somebody else's after a program has closed all of its own, and the parent's after a fork."""
    try:
        fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fields = os.read(fd, 128).split(None, 2)
        finally:
            os.close(fd)
        return int(fields[1]) * _PAGE_BYTES, int(fields[0]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError, AttributeError):
        return _read_memory_without_proc()


def _read_memory_without_proc():
    """No /proc, or no descriptor left: the highest RSS so far is the nearest known figure."""
    try:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return (peak if sys.platform == "darwin" else peak * 1024), 0
    except Exception:
        return 0, 0


def _read_peak():
    """The highest RSS the kernel has seen, in bytes, or 0 where it does not say."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0


def _read_comm():
    try:
        with open("/proc/self/comm", "rb") as comm:
            return comm.read().rstrip(b"\n").decode("utf-8", "backslashreplace")
    except OSError:
        return os.path.basename(sys.executable or "") or "python"


def _script_name():
    script = sys.argv[0] if getattr(sys, "argv", None) else ""
    return os.path.basename(script) if script not in ("", "-c", "-m") else ""


class _PythonHeap:
    """What Python's own allocators have handed out, and to which lines: the standard library's
    tracemalloc. Memory that numpy or a C library takes by itself is not in it."""

    TOP = 10

    def __init__(self):
        import tracemalloc
        self._tracemalloc = tracemalloc
        # A program that traces by itself keeps its own depth, and goes on after us.
        self._ours = not tracemalloc.is_tracing()
        if self._ours:
            tracemalloc.start()

    def details(self):
        current, peak = self._tracemalloc.get_traced_memory()
        return "Python堆 当前=%s, 峰值=%s" % (_size(current), _size(peak))

    def report(self):
        lines = ["🐍 Python堆 (tracemalloc):", "   " + self.details()]
        try:
            lines += self._report_lines()
        except Exception as error:  # a snapshot takes memory, which may be what is missing
            lines.append("   逐行统计失败: " + type(error).__name__)
        return lines + [""]

    def _report_lines(self):
        if not self._tracemalloc.is_tracing():
            return ["   程序已停止跟踪"]
        filters = [self._tracemalloc.Filter(False, path)
                   for path in (__file__, self._tracemalloc.__file__)]
        snapshot = self._tracemalloc.take_snapshot().filter_traces(filters)
        return [
            "  #%d %s:%d %s (%d 块)" % (
                place, _escape(found.traceback[0].filename, 4096), found.traceback[0].lineno,
                _size(found.size), found.count)
            for place, found in enumerate(snapshot.statistics("lineno")[:self.TOP], 1)
        ]

    def stop(self):
        if self._ours:
            self._tracemalloc.stop()


def _python_heap():
    try:
        return _PythonHeap()
    except Exception as error:  # an interpreter without it
        _tell("memory_monitor: no tracemalloc: %s" % error)
        return None


# --- the format ----------------------------------------------------------------------------------


_SHORT_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Control characters, line and paragraph separators, what turns the writing direction, lone
# surrogates: all that could forge a line or hide one. A bracket that would read as the end of
# the name is escaped as well, so that the first `] RSS=` of a line is always the real one.
_UNSAFE = re.compile(
    "[\\\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
    "|](?= RSS=)"
)


def _escape_one(match):
    char = match.group()
    short = _SHORT_ESCAPES.get(char)
    if short is not None:
        return short
    code = ord(char)
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code


def _escape(value, limit_bytes):
    text = _text(value)
    if len(text) * 4 > limit_bytes:
        encoded = text.encode("utf-8", "surrogatepass")
        if len(encoded) > limit_bytes:
            while encoded[limit_bytes] & 0xC0 == 0x80:  # not in the middle of a character
                limit_bytes -= 1
            text = encoded[:limit_bytes].decode("utf-8", "surrogatepass")
    return _UNSAFE.sub(_escape_one, text)


def _size(size_bytes):
    return "%.2fMB" % (size_bytes / _MIB)


def _signed(size_bytes):
    text = "%+.2fMB" % (size_bytes / _MIB)
    return "+0.00MB" if text == "-0.00MB" else text


@functools.lru_cache(maxsize=1)
def _clock_of_second(second):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def _clock(seconds):
    return _clock_of_second(int(seconds))


# One checkpoint; sizes in bytes, `growth` since the one before. The monitor keeps plain tuples of
# the same fields, as those are made faster.
Checkpoint = collections.namedtuple("Checkpoint", "time name details rss growth")


def _checkpoint_body(row, baseline):
    _, name, details, rss, growth = row
    line = "[%s] RSS=%s (Δ%s, %s)" % (
        _escape(name, _NAME_BYTES_MAX), _size(rss), _signed(rss - baseline), _signed(growth))
    return line + (" | " + _escape(details, _DETAILS_BYTES_MAX) if details else "")


# --- the log file --------------------------------------------------------------------------------


class _LogFile:
    """One log. Each line is one write; what cannot be written is counted, told once, and does
    not disturb the program."""

    def __init__(self, path, named_by_program):
        self.path = path
        self.named_by_program = named_by_program
        self.lost_lines = 0
        self._fd = None
        self._identity = None
        self._refused = False
        self._told = False

    @property
    def is_open(self):
        return self._fd is not None

    def open(self):
        """Whether the file is open now, for the first time or still."""
        if self._fd is not None or self._refused:
            return self._fd is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        # Not through a symbolic link, and not waiting for a reader of a FIFO.
        for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK"):
            flags |= getattr(os, flag, 0)
        try:
            fd = os.open(self.path, flags, 0o640)
        except (OSError, ValueError) as error:
            self._refused = True
            self._tell(error)
            return False
        found = os.fstat(fd)
        if not (stat.S_ISREG(found.st_mode) or self.named_by_program):
            os.close(fd)
            self._refused = True
            self._tell("not a regular file")
            return False
        self._fd = fd
        self._identity = (found.st_dev, found.st_ino)
        return True

    def write(self, text):
        data = text.encode("utf-8", "backslashreplace")
        if not self._still_ours():
            self.lost_lines += 1
            return
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._lose(error)
            return
        if written != len(data):
            self._take_back(written)

    def _still_ours(self):
        """A program that closes all descriptors, as daemons do, gives our number to another file.
        A log line must never end up in that."""
        if self._fd is None:
            return False
        try:
            found = os.fstat(self._fd)
            if (found.st_dev, found.st_ino) == self._identity:
                return True
        except OSError:
            pass
        self._fd = None
        return self.open()

    def close(self):
        """Closes the file, unless the number has become somebody else's."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        try:
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) == self._identity:
                os.close(fd)
        except OSError:
            pass

    def _take_back(self, written):
        """A full disk took half a line; a line is written whole or not at all."""
        try:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
        except OSError:
            pass
        self._lose("no space left")

    def _lose(self, error):
        self.lost_lines += 1
        self._tell(error)

    def _tell(self, error):
        if self._told:
            return
        self._told = True
        reason = getattr(error, "strerror", None) or error
        _tell("memory_monitor: cannot write %s: %s; the program goes on without this log"
              % (_escape(os.fsdecode(self.path), 4096), reason))


def _tell(message):
    try:
        sys.stderr.write(message + "\n")
        sys.stderr.flush()
    except Exception:  # stderr closed, None, or unable to encode: nobody is left to be told
        pass


def _absolute(path):
    """As the program may change its directory; as it is where the directory is gone."""
    try:
        return os.path.abspath(path)
    except OSError:
        return path


def _file_tag(name):
    tag = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
    # The rest of the file's name takes some forty bytes of the 255 it may have.
    return tag.encode("utf-8")[:160].decode("utf-8", "ignore") or "python"


# --- the monitor ---------------------------------------------------------------------------------


class MemoryMonitor:
    """Checkpoints, thresholds, the usual log and its report, for this process."""

    def __init__(self, name=None, log_file=None, warning_threshold_mb=800,
                 critical_threshold_mb=950, check_interval=5.0, tracemalloc=False):
        script = _script_name()
        comm = _read_comm()
        self.name = _text(name) if name else ("%s (%s)" % (comm, script) if script else comm)
        self.warning_threshold_mb = float(warning_threshold_mb)
        self.critical_threshold_mb = float(critical_threshold_mb)
        self.check_interval = max(float(check_interval), 0.01)
        self._tag = _file_tag(self.name if name else (script or comm))
        self._log_path = _absolute(os.fspath(log_file)) if log_file else None
        self._echo = os.environ.get("MEMTRACE_ECHO", "") not in ("", "0")
        self._watcher = None
        self._stop = None
        self._closed = False
        self._heap = _python_heap() if tracemalloc else None
        self._begin(first=not _monitors)
        _monitors.append(self)

    def _begin(self, first):
        """A new life: at construction, and again in a forked child."""
        self._lock = threading.RLock()
        self._reborn = False
        self._pid = os.getpid()
        self._started = time.time()
        self._baseline, self._baseline_vms = _read_memory()
        self._rss, self._vms = self._baseline, self._baseline_vms
        self._peak, self._peak_time = self._rss, self._started
        self._first = []
        self._last = collections.deque(maxlen=_KEEP_LAST)
        self._grown = []
        self._count = 0
        self._next_count = itertools.count(1).__next__
        self._previous_rss = None
        self._noted = 0.0
        self._keep = self._keep_first
        self._level_seen = 0
        self._background_last = 0.0
        self._reported_at = None
        self._lines = 0
        self._failures = 0
        self._log = _LogFile(*self._choose_path())
        self._log_begun = False
        # Whether nobody needs lines from here as long as memtrace is beside. A log that was once
        # begun, as memtrace came later, goes on to its end.
        self._quiet = self._log_path is None and not self._echo
        if first:
            _mark_init(self.name, self.warning_threshold_mb, self.critical_threshold_mb)
        if not self._leave_to_tracer():
            self._begin_log()

    def _choose_path(self):
        if self._log_path is not None:
            return self._log_path, True
        stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(self._started))
        name = "memory_monitor_%s_%d_%s.log" % (self._tag, self._pid, stamp)
        try:
            directory = os.getcwd()
        except OSError:
            directory = "."
        # As bytes: in a C locale a str of these letters would be refused.
        return os.path.join(os.fsencode(directory), name.encode("utf-8")), False

    @property
    def log_file(self):
        """Where this process's log is or would be."""
        return os.fsdecode(self._log.path)

    # checkpoints

    def checkpoint(self, name, details=""):
        """Says that the program is at `name` now. Never raises."""
        try:
            if self._reborn:
                self._begin_in_child()
            if type(name) is not str or type(details) is not str:
                name, details = _text(name), _text(details)
            if self._heap is not None:
                heap = self._heap.details()
                details = "%s, %s" % (details, heap) if details else heap
            _mark(name, details)
            # What is remembered keeps no object of the program alive, and no long text.
            if len(name) > _NAME_BYTES_MAX or len(details) > _DETAILS_BYTES_MAX:
                name, details = name[:_NAME_BYTES_MAX], details[:_DETAILS_BYTES_MAX]
            if self._quiet and _tracer.present():
                self._note(name, details)
            else:
                self._record(name, details)
        except Exception:
            self._failures += 1

    def _note(self, name, details):
        """A checkpoint that memtrace writes: remembered for this program's own report. RSS is
        read for that again only when the last figure is old. A burst takes no lock: each step is
        one operation that threads cannot tear."""
        now = time.time()
        if 0.0 <= now - self._noted < _FRESH_SECONDS:
            self._count = self._next_count()
            self._keep((now, name, details, self._previous_rss, 0))
            return
        with self._lock:
            self._measure(now)
            self._remember(now, name, details)
            self._noted = now

    def _record(self, name, details):
        """A checkpoint that is written here."""
        with self._lock:
            now = time.time()
            self._measure(now)
            row = self._remember(now, name, details)
            level, seen = self._level(), self._level_seen
            self._level_seen = level
            self._line(now, level, _checkpoint_body(row, self._baseline))
            self._approach_line(now, level, seen)

    def _measure(self, now):
        self._rss, self._vms = _read_memory()
        if self._rss > self._peak:
            self._peak, self._peak_time = self._rss, now

    def _remember(self, now, name, details):
        rss, previous = self._rss, self._previous_rss
        growth = 0 if previous is None else rss - previous
        self._previous_rss = rss
        self._count = self._next_count()
        row = (now, name, details, rss, growth)
        self._keep(row)
        if growth > 0:
            entry = (growth, -self._count, row)
            if len(self._grown) < _KEEP_GROWN:
                heapq.heappush(self._grown, entry)
            elif entry > self._grown[0]:
                heapq.heapreplace(self._grown, entry)
        return row

    def _keep_first(self, row):
        self._first.append(row)
        if len(self._first) >= _KEEP_FIRST:
            self._keep = self._last.append

    # lines

    def _level(self):
        megabytes = self._rss / _MIB
        if megabytes >= self.critical_threshold_mb:
            return 2
        return 1 if megabytes >= self.warning_threshold_mb else 0

    def _line(self, now, level, body):
        self._write("[%s] [%s] %s\n" % (_clock(now), ("INFO", "WARNING", "CRITICAL")[level], body))

    def _approach_line(self, now, level, seen):
        """Once on the way up, and again only after RSS has been below the warning threshold."""
        if level and not seen:
            self._line(now, 2, "⚠️ 内存接近危险阈值！当前RSS=%s (阈值=%.2fMB)"
                       % (_size(self._rss), self.critical_threshold_mb))

    def _write(self, text):
        self._lines += 1
        if not self._leave_to_tracer():
            self._begin_log()
            self._log.write(text)
        if self._echo:
            _tell(text.rstrip("\n"))

    def _leave_to_tracer(self):
        return self._log_path is None and not self._log_begun and _tracer.present()

    def _begin_log(self):
        if self._log_begun:
            return
        self._log_begun = True
        self._quiet = False
        if self._log.open():
            self._log.write(self._header())

    def _header(self):
        lines = [
            _RULE,
            "内存监控日志 - " + _escape(self.name, _NAME_BYTES_MAX),
            "开始时间: " + _clock(self._started),
            "PID: %d" % self._pid,
            "基线内存: RSS=%s, VMS=%s" % (_size(self._baseline), _size(self._baseline_vms)),
            "警告阈值: %.2fMB" % self.warning_threshold_mb,
            "危险阈值: %.2fMB" % self.critical_threshold_mb,
            "命令行: " + _escape(" ".join(map(_text, getattr(sys, "argv", []))), 1024),
            "父进程: %d" % os.getppid(),
            "测量方式: /proc/self/statm, 由程序自己记录",
            _RULE,
            "",
        ]
        return "\n".join(lines) + "\n"

    # the background

    def start_background_monitor(self):
        """Watches the thresholds from a thread. A second call changes nothing."""
        with self._lock:
            if self._watcher is not None and self._watcher.is_alive():
                return
            self._stop = threading.Event()
            self._watcher = threading.Thread(
                target=self._watch, args=(self._stop,), name="memory-monitor", daemon=True)
            try:
                self._watcher.start()
            except RuntimeError as error:  # no thread left, or the interpreter is ending
                self._watcher = None
                _tell("memory_monitor: no background monitor: %s" % error)

    def stop_background_monitor(self):
        """Ends the thread; checkpoints go on being recorded."""
        watcher, stop = self._watcher, self._stop
        self._watcher = self._stop = None
        if stop is not None:
            stop.set()
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(1.0)

    def _watch(self, stop):
        while True:
            quiet = self._quiet and _tracer.present()
            look = self.check_interval if quiet else min(self.check_interval, _LOOK_SECONDS)
            if stop.wait(look):
                return
            try:
                self._look()
            except Exception:
                self._failures += 1

    def _look(self):
        with self._lock:
            now = time.time()
            self._measure(now)
            level, seen = self._level(), self._level_seen
            self._level_seen = level
            if self._quiet and _tracer.present():
                return
            due = abs(now - self._background_last) >= self.check_interval
            if level and (due or level != seen):
                self._background_last = now
                self._line(now, level, "[%s] RSS=%s (Δ%s)" % (
                    _BACKGROUND_NAME, _size(self._rss), _signed(self._rss - self._baseline)))
                self._approach_line(now, level, seen)

    # the report

    def get_top_memory_increases(self, n=10):
        """The checkpoints that grew most, as (time, name, details, rss, growth), sizes in bytes."""
        with self._lock:
            best = sorted(self._grown, reverse=True)[:max(int(n), 0)]
            return [Checkpoint(*row) for _, _, row in best]

    def generate_report(self):
        """The report as text; also appended to the log that is written here."""
        try:
            with self._lock:
                if self._reborn:
                    self._begin_in_child()
                report = self._report("程序仍在运行")
                self._append_report(report)
            return report
        except Exception as error:
            return "内存监控报告 - %s: %s" % (_escape(self.name, _NAME_BYTES_MAX), error)

    def _append_report(self, report):
        self._reported_at = (self._count, self._lines)
        if not self._leave_to_tracer():
            self._begin_log()
            self._log.write("\n" + report + "\n")
        if self._echo:
            _tell(report)

    def _report(self, ending):
        now = time.time()
        self._measure(now)
        lines = [
            _RULE,
            "内存监控报告 - " + _escape(self.name, _NAME_BYTES_MAX),
            "生成时间: " + _clock(now),
            _RULE,
            "",
            "结束方式: " + ending,
            "",
        ]
        lines += self._report_state()
        lines += self._report_top()
        if self._heap is not None:
            lines += self._heap.report()
        lines += self._report_losses()
        lines += self._report_checkpoints()
        lines.append(_RULE)
        return "\n".join(lines)

    def _report_state(self):
        # The kernel's own mark knows the peaks between two looks too, but not their time.
        peak = max(_read_peak(), self._peak)
        when = _clock(self._peak_time)
        if peak - self._peak > _MIB:
            when = "在两次测量之间; 测得的最高值 %s, %s" % (_size(self._peak), when)
        return [
            "📊 当前内存状态:",
            "   RSS: " + _size(self._rss),
            "   VMS: " + _size(self._vms),
            "   基线: " + _size(self._baseline),
            "   总增长: " + _signed(self._rss - self._baseline),
            "   峰值: %s (%s)" % (_size(peak), when),
            "",
        ]

    def _report_top(self):
        lines = ["🔥 Top 10内存增长点:"]
        top = [row for row in self.get_top_memory_increases(10) if row.growth >= _MIB / 100]
        for place, row in enumerate(top, 1):
            lines.append("  #%d [%s] %s (总RSS=%s)%s" % (
                place, _escape(row.name, _NAME_BYTES_MAX), _signed(row.growth), _size(row.rss),
                _problem(row)))
            if row.details:
                lines.append("     " + _escape(row.details, _DETAILS_BYTES_MAX))
        if not top:
            lines.append("  无")
        return lines + [""]

    def _report_losses(self):
        lost = []
        if self._log.lost_lines:
            lost.append("   未写入日志的行: %d" % self._log.lost_lines)
        if self._failures:
            lost.append("   未能记录的检查点: %d" % self._failures)
        return ["❗ 漏记:"] + lost + [""] if lost else []

    def _report_checkpoints(self):
        lines = ["📍 所有检查点:"]
        for number, row in enumerate(self._first, 1):
            lines.append(self._report_checkpoint(number, row))
        left_out = self._count - len(self._first) - len(self._last)
        if left_out:
            lines.append("    … 省略 %d 个检查点, 见上文各行" % left_out)
        for number, row in enumerate(self._last, self._count - len(self._last) + 1):
            lines.append(self._report_checkpoint(number, row))
        if not self._count:
            lines.append("    无")
        return lines

    def _report_checkpoint(self, number, row):
        return "  %3d. %s%s" % (number, _checkpoint_body(row, self._baseline), _problem(row))

    # the end, and forks

    def close(self):
        """Ends the background monitor and completes the log with its report."""
        if self._closed or self._reborn:
            return
        self._closed = True
        self.stop_background_monitor()
        try:
            with self._lock:
                # A program that has just asked for its report has it in the log already.
                if self._reported_at != (self._count, self._lines):
                    self._append_report(self._report(_ending()))
                self._log.close()
            if self._heap is not None:
                self._heap.stop()
        except Exception:
            pass
        with contextlib.suppress(ValueError):
            _monitors.remove(self)

    def _forked(self):
        """In the child, right after the fork: the log and its thread stay the parent's."""
        self._lock = threading.RLock()
        self._log.close()
        self._reborn = True

    def _begin_in_child(self):
        """At the child's first checkpoint: a log of its own, beside that of its parent."""
        watched, self._watcher = self._watcher is not None, None
        if self._log_path is not None:
            stem, suffix = os.path.splitext(self._log_path)
            tail = "_%d" % os.getpid()
            if isinstance(stem, bytes):
                tail = tail.encode("ascii")
            self._log_path = stem + tail + suffix
        self._begin(first=self is _global_monitor or len(_monitors) == 1)
        if watched:
            self.start_background_monitor()
        # A child of multiprocessing leaves by os._exit, past atexit.
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            with contextlib.suppress(Exception):
                util.Finalize(None, self.close, exitpriority=-100)

    def __enter__(self):
        self.start_background_monitor()
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.checkpoint(self.name + "_END", _error_details(kind, error))
        self.close()
        return False


def _problem(row):
    return " ⚠️" if row[4] > _PROBLEM_BYTES else ""


def _ending():
    kind = getattr(sys, "last_type", None)
    if kind is not None and not sys.flags.interactive:
        return "未捕获的异常 " + _escape(getattr(kind, "__name__", kind), _NAME_BYTES_MAX)
    return "解释器结束"


def _error_details(kind, error):
    try:
        text = str(error)
    except Exception:
        text = ""
    return "异常: %s%s" % (kind.__name__, ": " + text if text else "")


# --- the global monitor --------------------------------------------------------------------------


_monitors = []
_global_monitor = None


def init_global_monitor(name=None, log_file=None, warning_threshold_mb=800,
                        critical_threshold_mb=950, check_interval=5.0, tracemalloc=False):
    """Starts the monitor that memory_checkpoint uses, its background thread included. With
    `tracemalloc` each checkpoint says what Python's own heap holds, and the report which lines
    hold most of it; the program then runs several times slower."""
    global _global_monitor
    if _global_monitor is not None:
        _global_monitor.close()
        _global_monitor = None
    alone = not _monitors
    _global_monitor = MemoryMonitor(
        name, log_file, warning_threshold_mb, critical_threshold_mb, check_interval, tracemalloc)
    if not alone:  # the first monitor of a process says so by itself
        _mark_init(_global_monitor.name, _global_monitor.warning_threshold_mb,
                   _global_monitor.critical_threshold_mb)
    _global_monitor.start_background_monitor()
    return _global_monitor


def get_global_monitor():
    """The monitor that init_global_monitor started, or None."""
    return _global_monitor


def memory_checkpoint(name, details=""):
    """Says that the program is at `name` now. Works before init too: memtrace then sees it."""
    monitor = _global_monitor
    if monitor is not None:
        monitor.checkpoint(name, details)
        return
    try:
        _mark(_text(name), _text(details))
    except Exception:
        pass


class memory_context(contextlib.ContextDecorator):  # noqa: N801 (used like a function)
    """`with memory_context("load"):` sets checkpoints load_START and load_END; an exception that
    passes through is named in the details of the second."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        memory_checkpoint("%s_START" % (_text(self.name),))
        return self

    def __exit__(self, kind, error, trace):
        # A generator that its reader leaves early has not failed.
        failed = kind is not None and not issubclass(kind, GeneratorExit)
        details = _error_details(kind, error) if failed else ""
        memory_checkpoint("%s_END" % (_text(self.name),), details)
        return False

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, kind, error, trace):
        return self.__exit__(kind, error, trace)


def monitor_function(name=None):
    """Decorator: checkpoints NAME_START and NAME_END around each call. The name is the function's
    own without one, also without brackets. A coroutine is followed until it has been awaited, a
    generator from its first value to its last."""
    if callable(name) or isinstance(name, (staticmethod, classmethod)):
        return _monitored(name, None)
    return lambda function: _monitored(function, name)


def _monitored(function, name):
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_monitored(function.__func__, name))
    if not name:
        name = getattr(function, "__name__", None) or type(function).__name__

    if inspect.iscoroutinefunction(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            with memory_context(name):
                return await function(*args, **kwargs)
    elif inspect.isasyncgenfunction(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            generator = function(*args, **kwargs)
            with memory_context(name):
                try:
                    value = await generator.asend(None)
                    while True:
                        try:
                            sent = yield value
                        except GeneratorExit:
                            await generator.aclose()
                            raise
                        except BaseException as error:
                            value = await generator.athrow(error)
                        else:
                            value = await generator.asend(sent)
                except StopAsyncIteration:
                    return
    elif inspect.isgeneratorfunction(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with memory_context(name):
                return (yield from function(*args, **kwargs))
    else:
        def wrapper(*args, **kwargs):
            with memory_context(name):
                return function(*args, **kwargs)
        with contextlib.suppress(AttributeError):
            wrapper = functools.wraps(function)(wrapper)
    return wrapper


def _at_exit():
    for monitor in list(_monitors):
        monitor.close()


def _after_fork_in_child():
    for monitor in _monitors:
        monitor._forked()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
