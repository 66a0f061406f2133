"""memory_monitor: what it writes, what it tells the tracer, what it never does to a program.

Plain unittest, no package: `python3 -m unittest` in this folder, on each CPython to support.
Most tests run a small program of its own and read the log that it leaves.
"""

import asyncio
import ctypes
import os
import re
import stat
import subprocess
import sys
import tempfile
import textwrap
import unittest
from unittest import mock

import memory_monitor

HERE = os.path.dirname(os.path.abspath(memory_monitor.__file__))
RULE = "=" * 80
MIB = 1024 * 1024
TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]"
EVENT = re.compile(
    "^" + TIME + r" \[(INFO|WARNING|CRITICAL)\] \[(.*?)\] RSS=(\d+\.\d\d)MB"
    r" \(Δ([+-]\d+\.\d\d)MB(?:, ([+-]\d+\.\d\d)MB)?\)(?: \| (.*))?$")


class Finished:
    def __init__(self, code, stdout, stderr, logs):
        self.code, self.stdout, self.stderr, self.logs = code, stdout, stderr, logs

    @property
    def log(self):
        assert len(self.logs) == 1, (sorted(self.logs), self.stderr)
        return next(iter(self.logs.values()))


def read_events(log):
    """(level, name, rss, growth, step, details) of each event line before the first report."""
    body = log.split("内存监控报告")[0]
    return [found.groups() for found in map(EVENT.match, body.splitlines()) if found]


def names(log):
    return [event[1] for event in read_events(log) if event[1] != "后台监控"]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_program(self, text, **environment):
        program = os.path.join(self.folder, "program.py")
        with open(program, "w", encoding="utf-8") as source:
            source.write("# -*- coding: utf-8 -*-\n" + textwrap.dedent(text))
        variables = dict(os.environ, PYTHONPATH=HERE, PYTHONDONTWRITEBYTECODE="1")
        variables.pop("MEMTRACE_ECHO", None)
        variables.update(environment)
        done = subprocess.run([sys.executable, program], cwd=self.folder, env=variables,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        logs = {}
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if name.endswith(".log") and os.path.isfile(path) and not os.path.islink(path):
                with open(path, encoding="utf-8", newline="") as log:
                    logs[name] = log.read()
        return Finished(done.returncode, done.stdout.decode("utf-8", "replace"),
                        done.stderr.decode("utf-8", "replace"), logs)

    def run_well(self, text, **environment):
        done = self.run_program(text, **environment)
        self.assertEqual((done.code, done.stderr), (0, ""))
        return done


class TheLog(Case):
    def test_header_events_and_report_have_the_usual_form(self):
        done = self.run_well("""
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor(name="deepseek_backtest")
            memory_checkpoint("回测启动")
            kept = bytearray(b"x") * (150 << 20)
            memory_checkpoint("加载config_AFTER", "config大小估计~42KB")
            del kept
            memory_checkpoint("gone")
        """)
        self.assertEqual(done.stdout, "")
        (name, log), = done.logs.items()
        self.assertRegex(name, r"^memory_monitor_deepseek_backtest_\d+_\d{8}_\d{6}\.log$")
        lines = log.split("\n")
        self.assertEqual(lines[0], RULE)
        self.assertEqual(lines[1], "内存监控日志 - deepseek_backtest")
        self.assertRegex(lines[2], r"^开始时间: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
        self.assertRegex(lines[3], r"^PID: \d+$")
        self.assertRegex(lines[4], r"^基线内存: RSS=\d+\.\d\dMB, VMS=\d+\.\d\dMB$")
        self.assertEqual(lines[5:7], ["警告阈值: 800.00MB", "危险阈值: 950.00MB"])
        end = lines.index(RULE, 1)
        self.assertTrue(all(": " in line for line in lines[7:end]))
        self.assertEqual(lines[end + 1], "")
        events = read_events(log)
        self.assertEqual([event[:2] for event in events], [
            ("INFO", "回测启动"), ("INFO", "加载config_AFTER"), ("INFO", "gone")])
        self.assertEqual(events[0][4], "+0.00")
        self.assertAlmostEqual(float(events[1][4]), 150, delta=2)
        self.assertEqual(events[1][5], "config大小估计~42KB")
        self.assertAlmostEqual(float(events[2][4]), -150, delta=2)
        report = log.split("内存监控报告 - deepseek_backtest\n")
        self.assertEqual(len(report), 2)
        for part in ("生成时间: ", "📊 当前内存状态:", "🔥 Top 10内存增长点:", "📍 所有检查点:"):
            self.assertIn(part, report[1])
        self.assertRegex(report[1], r"\n  #1 \[加载config_AFTER\] \+1[45]\d\.\d\dMB "
                                    r"\(总RSS=\d+\.\d\dMB\) ⚠️\n     config大小估计~42KB\n")
        self.assertRegex(report[1], r"\n    1\. \[回测启动\] RSS=\S+MB \(Δ\S+MB, \+0\.00MB\)\n")
        self.assertTrue(log.endswith("\n" + RULE + "\n"))

    def test_it_is_private_and_appended_to(self):
        path = os.path.join(self.folder, "mine.log")
        with open(path, "w") as old:
            old.write("old\n")
        os.chmod(path, 0o600)
        done = self.run_well("""
            import os
            os.umask(0)
            from memory_monitor import init_global_monitor
            init_global_monitor(log_file="mine.log")
            init_global_monitor(name="a/b\\n..")
        """)
        self.assertTrue(done.logs.pop("mine.log").startswith("old\n" + RULE))
        (name, log), = done.logs.items()
        self.assertRegex(name, r"^memory_monitor_a_b_\.\._\d+_")
        self.assertIn("\n内存监控日志 - a/b\\n..\n", log)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.folder, name)).st_mode), 0o640)

    def test_without_a_name_it_is_called_after_the_script(self):
        done = self.run_well("""
            from memory_monitor import MemoryMonitor
            MemoryMonitor()
        """)
        self.assertRegex(next(iter(done.logs)), r"^memory_monitor_program\.py_\d+_\d{8}_\d{6}")
        self.assertRegex(done.log, r"\n内存监控日志 - \S+ \(program\.py\)\n")

    def test_no_name_can_forge_a_line(self):
        done = self.run_well(r"""
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor(name="n")
            memory_checkpoint("a\nb\r\t\x1b[31m\x00\x7f\x85\u2028\u202e\u2066\\")
            memory_checkpoint("x] RSS=1.00MB (Δ+0.00MB, +0.00MB)", "\ud800 d] RSS=2.00MB\n")
            memory_checkpoint("list[0]")
            memory_checkpoint("长" * 5000, "d" * 10000)
            memory_checkpoint(None); memory_checkpoint(""); memory_checkpoint(b"bytes\xff")
            memory_checkpoint(["unhashable"], 42)
        """)
        self.assertEqual(names(done.log), [
            r"a\nb\r\t\x1b[31m\x00\x7f\x85\u2028\u202e\u2066" + "\\\\",
            r"x\x5d RSS=1.00MB (Δ+0.00MB, +0.00MB)", "list[0]", "长" * 85,
            "", "", "bytes\\\\xff", "['unhashable']"])
        details = [event[5] for event in read_events(done.log)]
        self.assertEqual(details[1], r"\ud800 d\x5d RSS=2.00MB\n")
        self.assertEqual(len(details[3]), 4096)
        self.assertEqual(details[7], "42")

    def test_threads_write_whole_lines(self):
        done = self.run_well("""
            import threading
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor(name="n", check_interval=0.01, warning_threshold_mb=1,
                                critical_threshold_mb=2)
            def work(n):
                for i in range(200):
                    memory_checkpoint("t%d_%d" % (n, i))
            threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
            [t.start() for t in threads]; [t.join() for t in threads]
        """)
        self.assertEqual(len(set(names(done.log))), 1600)
        body = done.log.split("内存监控报告")[0].split(RULE)[2]
        for line in filter(None, body.split("\n")):
            self.assertTrue(EVENT.match(line) or "接近危险阈值" in line, line)

    def test_a_program_is_not_held_back_by_the_number_of_its_checkpoints(self):
        done = self.run_well("""
            from memory_monitor import init_global_monitor, memory_checkpoint
            monitor = init_global_monitor(name="n")
            memory_checkpoint("first")
            kept = bytearray(b"x") * (64 << 20)
            memory_checkpoint("grew")
            for i in range(21000):
                memory_checkpoint("c%d" % i)
            report = monitor.generate_report()
            assert "省略 1002 个检查点" in report, report[-3000:]
            assert "#1 [grew] +64." in report, report[:2000]
            assert "21002. [c20999]" in report
        """)
        self.assertEqual(len(names(done.log)), 21002)


class ThePythonHeap(Case):
    def test_each_checkpoint_says_what_the_heap_holds_and_the_report_which_lines(self):
        done = self.run_well("""
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor(name="heap", tracemalloc=True)
            memory_checkpoint("before")
            kept = [bytearray(b"x") * (30 << 20)]
            memory_checkpoint("after", "one list")
            del kept[:]
            kept.append(bytearray(b"y") * (10 << 20))
            memory_checkpoint("gone")
        """)
        figures = re.compile(r"^(?:(.*), )?Python堆 当前=(\d+\.\d\d)MB, 峰值=(\d+\.\d\d)MB$")
        found = [figures.match(event[5]).groups() for event in read_events(done.log)]
        self.assertEqual([details for details, _, _ in found], [None, "one list", None])
        current = [float(current) for _, current, _ in found]
        self.assertAlmostEqual(current[1] - current[0], 30, delta=0.5)
        self.assertAlmostEqual(current[2] - current[0], 10, delta=0.5)
        self.assertAlmostEqual(float(found[2][2]), current[1], delta=0.5)
        report = done.log.split("内存监控报告")[1]
        program = os.path.join(self.folder, "program.py")
        # The program has a line for its encoding before its own.
        self.assertRegex(report, r"🐍 Python堆 \(tracemalloc\):\n   Python堆 当前=.*\n  #1 "
                         + re.escape(program) + r":9 1[01]\.\d\dMB \(\d+ 块\)\n")
        self.assertNotIn("memory_monitor.py:", report)

    def test_a_program_that_traces_by_itself_goes_on(self):
        done = self.run_well("""
            import tracemalloc
            from memory_monitor import MemoryMonitor
            tracemalloc.start(5)
            with MemoryMonitor(name="own", tracemalloc=True) as monitor:
                monitor.checkpoint("x")
            print(tracemalloc.is_tracing(), tracemalloc.get_traceback_limit())
            tracemalloc.stop()
            with MemoryMonitor(name="theirs", tracemalloc=True) as monitor:
                tracemalloc.stop()
                print("程序已停止跟踪" in monitor.generate_report())
            print(tracemalloc.is_tracing())
        """)
        self.assertEqual(done.stdout.split(), ["True", "5", "True", "False"])


class Thresholds(Case):
    """With memory made up, in this process."""

    def setUp(self):
        super().setUp()
        self.megabytes = 10.0
        patch = mock.patch.object(
            memory_monitor, "_read_memory", lambda: (int(self.megabytes * MIB), 20 * MIB))
        patch.start()
        self.addCleanup(patch.stop)
        self.path = os.path.join(self.folder, "m.log")
        self.monitor = memory_monitor.MemoryMonitor("m", self.path, 800, 950, 1000)
        self.addCleanup(self.monitor.close)

    def lines(self):
        with open(self.path, encoding="utf-8") as log:
            found = [line[22:] for line in log.read().splitlines() if line.startswith("[")]
        return [line for line in found if "后台" in line or "阈值" in line or "c" in line]

    def at(self, megabytes, *steps):
        self.megabytes = megabytes
        for step in steps:
            step()

    def test_levels_follow_rss_and_the_approach_is_told_once(self):
        for megabytes in (799.99, 800, 870.56, 949.99, 950, 700, 820):
            self.at(megabytes, lambda: self.monitor.checkpoint("c"))
        self.assertEqual(self.lines(), [
            "[INFO] [c] RSS=799.99MB (Δ+789.99MB, +0.00MB)",
            "[WARNING] [c] RSS=800.00MB (Δ+790.00MB, +0.01MB)",
            "[CRITICAL] ⚠️ 内存接近危险阈值！当前RSS=800.00MB (阈值=950.00MB)",
            "[WARNING] [c] RSS=870.56MB (Δ+860.56MB, +70.56MB)",
            "[WARNING] [c] RSS=949.99MB (Δ+939.99MB, +79.43MB)",
            "[CRITICAL] [c] RSS=950.00MB (Δ+940.00MB, +0.01MB)",
            "[INFO] [c] RSS=700.00MB (Δ+690.00MB, -250.00MB)",
            "[WARNING] [c] RSS=820.00MB (Δ+810.00MB, +120.00MB)",
            "[CRITICAL] ⚠️ 内存接近危险阈值！当前RSS=820.00MB (阈值=950.00MB)",
        ])

    def test_the_background_writes_at_each_crossing_and_not_more_often_than_asked(self):
        look = self.monitor._look
        for megabytes in (500, 810, 820, 960, 970, 900, 500, 810):
            self.at(megabytes, look, look)
        self.assertEqual(self.lines(), [
            "[WARNING] [后台监控] RSS=810.00MB (Δ+800.00MB)",
            "[CRITICAL] ⚠️ 内存接近危险阈值！当前RSS=810.00MB (阈值=950.00MB)",
            "[CRITICAL] [后台监控] RSS=960.00MB (Δ+950.00MB)",
            "[WARNING] [后台监控] RSS=900.00MB (Δ+890.00MB)",
            "[WARNING] [后台监控] RSS=810.00MB (Δ+800.00MB)",
            "[CRITICAL] ⚠️ 内存接近危险阈值！当前RSS=810.00MB (阈值=950.00MB)",
        ])

    def test_background_lines_do_not_count_as_a_previous_checkpoint(self):
        self.monitor.checkpoint("c1")
        self.at(900, self.monitor._look)
        self.monitor.checkpoint("c2")
        self.assertIn("[WARNING] [c2] RSS=900.00MB (Δ+890.00MB, +890.00MB)", self.lines())

    def test_top_increases_come_biggest_first(self):
        for megabytes in (10, 30, 200, 100, 150):
            self.at(megabytes, lambda: self.monitor.checkpoint("c%g" % self.megabytes))
        top = self.monitor.get_top_memory_increases(2)
        self.assertEqual([(row.name, row.growth) for row in top],
                         [("c200", 170 * MIB), ("c150", 50 * MIB)])
        self.assertEqual(len(self.monitor.get_top_memory_increases()), 3)

    def test_nothing_is_a_minus_zero(self):
        self.monitor.checkpoint("c1")
        self.at(10 - 0.001, lambda: self.monitor.checkpoint("c2"))
        self.assertIn("[INFO] [c2] RSS=10.00MB (Δ+0.00MB, +0.00MB)", self.lines())

    def test_the_thread_looks_by_itself_and_stops(self):
        self.monitor.start_background_monitor()
        self.monitor.start_background_monitor()
        watcher = self.monitor._watcher
        looked = memory_monitor.threading.Event()
        with mock.patch.object(self.monitor, "_look", looked.set):
            self.assertTrue(looked.wait(10))
        self.monitor.stop_background_monitor()
        watcher.join(10)
        self.assertFalse(watcher.is_alive())


class TheTracer(Case):
    def tell(self, *arguments):
        """What the marker is called with."""
        calls = []
        with mock.patch.object(memory_monitor._mark, "__defaults__", (
                lambda *call: calls.append(call), *memory_monitor._mark.__defaults__[1:])):
            memory_monitor.memory_checkpoint(*arguments)
        return calls

    def test_a_checkpoint_calls_the_marker_also_before_init(self):
        magic = b"memtrace\x01mark\0\0\0"
        self.assertEqual(len(magic), 16)
        self.assertEqual(self.tell("Phase1"), [(magic, b"Phase1", None)])
        self.assertEqual(self.tell("回测", "大小"), [(magic, "回测".encode(), "大小".encode())])

    def test_the_probe_gets_whole_names(self):
        self.assertEqual(self.tell("a\0b")[0][1], b"a\\x00b")
        self.assertEqual(self.tell("\ud800x")[0][1], b"\\ud800x")
        self.assertEqual(self.tell("长" * 5000)[0][1], ("长" * 5000).encode())
        self.assertEqual(self.tell(None, None)[0][1:], (b"", None))
        self.assertEqual(self.tell(["a"], 7)[0][1:], (b"['a']", b"7"))

    def test_the_name_cache_is_bounded(self):
        cache = memory_monitor._NameCache()
        for number in range(10000):
            self.assertEqual(cache[str(number)], str(number).encode())
        self.assertLessEqual(len(cache), 4096)

    def test_init_tells_name_and_thresholds_once(self):
        calls = []
        with mock.patch.object(memory_monitor._tracer, "call", lambda *call: calls.append(call)), \
                mock.patch.object(memory_monitor._tracer, "present", lambda: True):
            memory_monitor.init_global_monitor("名", None, 800, 950.5).close()
        memory_monitor._global_monitor = None
        self.assertEqual(calls, [
            (b"memtrace\x01init\0\0\0", "名".encode(), b"warning=800.0;critical=950.5")])

    def test_the_real_function_takes_it(self):
        if memory_monitor._tracer.call is None:
            self.skipTest("this interpreter does not export PyOS_mystricmp")
        memory_monitor._mark("name", "details")
        self.assertFalse(memory_monitor._tracer.present())

    def test_a_breakpoint_in_the_first_instruction_is_seen(self):
        code = (ctypes.c_ubyte * 8)(0x55, 0x48)
        seen = memory_monitor._tracer._watch_x86(ctypes.c_ubyte, ctypes.addressof(code))
        self.assertFalse(seen())
        code[0] = 0xCC
        self.assertTrue(seen())
        code[0] = 0x55
        self.assertFalse(seen())

    def test_a_breakpoint_behind_endbr64_is_seen(self):
        code = (ctypes.c_ubyte * 8)(0xF3, 0x0F, 0x1E, 0xFA, 0x90)
        seen = memory_monitor._tracer._watch_x86(ctypes.c_ubyte, ctypes.addressof(code))
        self.assertFalse(seen())
        code[4] = 0xCC
        self.assertTrue(seen())
        code[0], code[4] = 0xCC, 0x90
        self.assertTrue(seen())

    TRACED = "import memory_monitor; memory_monitor._tracer.present = lambda: True\n"

    def test_beside_memtrace_it_leaves_the_log_to_it_but_reports(self):
        done = self.run_well(self.TRACED + textwrap.dedent("""
            monitor = memory_monitor.init_global_monitor("n", warning_threshold_mb=1,
                                                         check_interval=0.01)
            import time
            time.sleep(0.05)
            kept = bytearray(b"x") * (64 << 20)
            memory_monitor.memory_checkpoint("grew")
            for i in range(5):
                memory_monitor.memory_checkpoint("c")
            report = monitor.generate_report()
            assert "[grew] RSS=" in report and "6. [c]" in report, report
        """))
        self.assertEqual(done.logs, {})
        self.assertEqual(done.stdout, "")

    def test_beside_memtrace_a_log_that_the_program_named_is_written(self):
        done = self.run_well(self.TRACED + textwrap.dedent("""
            memory_monitor.init_global_monitor("n", log_file="mine.log")
            memory_monitor.memory_checkpoint("c")
        """))
        self.assertEqual(names(done.logs["mine.log"]), ["c"])

    def test_echo_beside_memtrace_writes_no_file(self):
        done = self.run_program(self.TRACED + textwrap.dedent("""
            memory_monitor.init_global_monitor("n")
            memory_monitor.memory_checkpoint("c")
        """), MEMTRACE_ECHO="1", PYTHONIOENCODING="utf-8")
        self.assertEqual((done.code, done.logs), (0, {}))
        self.assertIn("[INFO] [c] RSS=", done.stderr)

    def test_when_memtrace_leaves_the_log_begins_here(self):
        done = self.run_well(self.TRACED + textwrap.dedent("""
            memory_monitor.init_global_monitor("n")
            memory_monitor.memory_checkpoint("before")
            memory_monitor._tracer.present = lambda: False
            memory_monitor.memory_checkpoint("after")
            memory_monitor._tracer.present = lambda: True
            memory_monitor.memory_checkpoint("later")
        """))
        self.assertEqual(names(done.log), ["after", "later"])
        self.assertTrue(done.log.startswith(RULE))

    def test_without_ctypes_it_still_writes_the_log(self):
        done = self.run_well("""
            import sys
            sys.modules["_ctypes"] = None
            from memory_monitor import init_global_monitor, memory_checkpoint
            memory_checkpoint("before")
            init_global_monitor("n")
            memory_checkpoint("c")
        """)
        self.assertEqual(names(done.log), ["c"])

    UPROBES = "/sys/kernel/tracing/uprobe_events"

    def test_a_real_uprobe_reads_name_and_details(self):
        """As root, with tracefs: the kernel's own uprobe in place of memtrace's."""
        if os.uname().machine != "x86_64" or not os.access(self.UPROBES, os.W_OK):
            self.skipTest("needs root, x86-64 and tracefs at /sys/kernel/tracing")
        path, offset = self.find_marker()
        event = "memtrace_test_%d" % os.getpid()
        tracing = os.path.dirname(self.UPROBES)
        self.append(self.UPROBES, (
            "p:%s/mark %s:0x%x magic=+0(%%di):string name=+0(%%si):string details=+0(%%dx):string\n"
            % (event, path, offset)))
        instance = os.path.join(tracing, "instances", event)
        try:
            os.mkdir(instance)
            try:
                switch = os.path.join(instance, "events", event, "enable")
                self.write(switch, "1")
                done = self.run_well("""
                    import memory_monitor as m
                    assert m._tracer.present()
                    m.memory_checkpoint("before")
                    m.init_global_monitor("backtest")
                    m.memory_checkpoint("Phase1", "4000")
                """)
                self.write(switch, "0")
                with open(os.path.join(instance, "trace"), errors="replace") as trace:
                    found = re.findall(r'magic="(.*?)" name="(.*?)" details=(?:"(.*?)"|\S+)',
                                       trace.read(), re.DOTALL)
            finally:
                os.rmdir(instance)
        finally:
            self.append(self.UPROBES, "-:%s/mark\n" % event)
        self.assertEqual([(name, details) for _, name, details in found], [
            ("before", ""), ("backtest", "warning=800.0;critical=950.0"), ("Phase1", "4000")])
        self.assertEqual(done.logs, {}, "a traced program writes no log of its own")

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(text)

    @staticmethod
    def append(path, text):
        """open(..., "a") looks for the end of the file first, which tracefs refuses."""
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    @staticmethod
    def find_marker():
        """The file that holds the marker, and where in it."""
        address = ctypes.cast(memory_monitor._tracer.call, ctypes.c_void_p).value
        with open("/proc/self/maps") as maps:
            for line in maps:
                start, end = (int(part, 16) for part in line.split(" ", 1)[0].split("-"))
                if start <= address < end:
                    fields = line.split()
                    return os.path.realpath(fields[5]), address - start + int(fields[2], 16)
        raise AssertionError("the marker is in no mapping")


class ContextAndDecorator(unittest.TestCase):
    def setUp(self):
        self.calls = []
        patch = mock.patch.object(memory_monitor, "memory_checkpoint",
                                  lambda name, details="": self.calls.append((name, details)))
        patch.start()
        self.addCleanup(patch.stop)

    def around(self, *between, details="", name="f"):
        self.assertEqual(self.calls, [(name + "_START", "")] + [(b, "") for b in between]
                         + [(name + "_END", details)])

    def note(self, name):
        memory_monitor.memory_checkpoint(name)

    def test_a_context_sets_two_checkpoints(self):
        with memory_monitor.memory_context("f"):
            self.note("in")
        self.around("in")

    def test_an_exception_is_named_and_goes_on(self):
        with self.assertRaises(ValueError):
            with memory_monitor.memory_context("f"):
                raise ValueError("bad")
        self.around(details="异常: ValueError: bad")

    def test_an_exception_that_cannot_be_shown_goes_on_too(self):
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError
        with self.assertRaises(Odd):
            with memory_monitor.memory_context("f"):
                raise Odd
        self.around(details="异常: Odd")

    def test_bare_and_named_decorators_keep_the_function(self):
        @memory_monitor.monitor_function
        def f(x, *, y):
            """Doc."""
            self.note("in")
            return x, y
        self.assertEqual((f(1, y=2), f.__name__, f.__doc__), ((1, 2), "f", "Doc."))
        self.around("in")
        del self.calls[:]
        self.assertEqual(memory_monitor.monitor_function("g")(lambda: 7)(), 7)
        self.around(name="g")
        del self.calls[:]
        self.assertEqual(memory_monitor.monitor_function()(f.__wrapped__)(1, y=3), (1, 3))
        self.around("in")

    def test_methods_of_each_kind(self):
        class C:
            @memory_monitor.monitor_function
            def f(self):
                return self

            @memory_monitor.monitor_function
            @staticmethod
            def s(x):
                return x

            @classmethod
            @memory_monitor.monitor_function
            def c(cls):
                return cls
        one = C()
        self.assertEqual((one.f(), one.s(4), C.s(5), C.c()), (one, 4, 5, C))
        self.assertEqual(len(self.calls), 8)

    def test_a_coroutine_is_followed_to_its_end(self):
        @memory_monitor.monitor_function
        async def f():
            await asyncio.sleep(0)
            self.note("in")
            return 3
        waiting = f()
        self.assertEqual(self.calls, [])
        self.assertEqual(asyncio.run(waiting), 3)
        self.around("in")

    def test_a_generator_is_followed_from_its_first_value_to_its_last(self):
        @memory_monitor.monitor_function
        def f():
            got = yield 1
            self.note(got)
            return 9
        running = f()
        self.assertEqual(self.calls, [])
        self.assertEqual(next(running), 1)
        with self.assertRaises(StopIteration) as end:
            running.send("sent")
        self.assertEqual(end.exception.value, 9)
        self.around("sent")

    def test_a_generator_left_early_has_not_failed(self):
        @memory_monitor.monitor_function
        def f():
            yield 1
        running = f()
        next(running)
        running.close()
        self.around()

    def test_an_async_generator_gets_what_is_sent_and_thrown(self):
        @memory_monitor.monitor_function
        async def f():
            got = yield 1
            self.note(got)
            try:
                yield 2
            except KeyError:
                yield 3

        async def read():
            running = f()
            values = [await running.asend(None), await running.asend("sent"),
                      await running.athrow(KeyError())]
            return values + [value async for value in running]
        self.assertEqual(asyncio.run(read()), [1, 2, 3])
        self.around("sent")

    def test_an_async_generator_closed_early_closes_the_inner_one(self):
        @memory_monitor.monitor_function
        async def f():
            try:
                yield 1
            finally:
                self.note("closed")

        async def read():
            running = f()
            await running.asend(None)
            await running.aclose()
        asyncio.run(read())
        self.around("closed")

    def test_async_with(self):
        async def f():
            async with memory_monitor.memory_context("f"):
                self.note("in")
        asyncio.run(f())
        self.around("in")


class LifeOfTheProcess(Case):
    def test_a_program_for_the_older_monitor_runs_unchanged(self):
        done = self.run_well("""
            from memory_monitor import (init_global_monitor, memory_checkpoint,
                                        get_global_monitor, memory_context, monitor_function)
            from datetime import datetime
            assert get_global_monitor() is None
            bot_name = "deepseek"
            memory_monitor = init_global_monitor(
                name=f"{bot_name}_backtest",
                log_file=f"memory_monitor_{bot_name}_{datetime.now().strftime('%Y%m%d_%H%M%S')}.log",
                warning_threshold_mb=800,
                critical_threshold_mb=950
            )
            memory_checkpoint("回测启动")
            config = {"global": {}}
            memory_checkpoint("加载config_AFTER", f"config大小估计~{len(str(config))//1024}KB")
            with memory_context("加载大数据"):
                pass
            @monitor_function("phase3_optimizer")
            def optimize_phase3():
                pass
            optimize_phase3()
            if memory_monitor:
                report = memory_monitor.generate_report()
                print("\\n" + report)
            monitor = get_global_monitor()
            monitor.stop_background_monitor()
        """, PYTHONIOENCODING="utf-8")
        self.assertEqual(names(done.log), [
            "回测启动", "加载config_AFTER", "加载大数据_START", "加载大数据_END",
            "phase3_optimizer_START", "phase3_optimizer_END"])
        self.assertIn("内存监控报告 - deepseek_backtest", done.stdout)
        self.assertEqual(done.log.count("内存监控报告"), 1, "asked for and not needed twice")
        self.assertIn(done.stdout.strip(), done.log)

    def test_the_report_names_an_uncaught_exception(self):
        done = self.run_program("""
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor("n")
            memory_checkpoint("c")
            raise ValueError("x")
        """)
        self.assertEqual(done.code, 1)
        self.assertIn("\n结束方式: 未捕获的异常 ValueError\n", done.log)

    def test_a_monitor_is_a_context_manager(self):
        done = self.run_well("""
            from memory_monitor import MemoryMonitor
            with MemoryMonitor("one", "one.log", 800, 950, 5.0) as monitor:
                monitor.checkpoint("c", "d")
                assert monitor._watcher.is_alive()
            assert monitor._watcher is None
            assert "内存监控报告 - one" in open("one.log", encoding="utf-8").read()
        """)
        self.assertEqual(done.log.count("内存监控报告"), 1)

    def test_a_forked_child_has_a_log_of_its_own_or_none(self):
        done = self.run_well("""
            import os, sys
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor("n")
            init_global_monitor("m", "mine.log")
            memory_checkpoint("parent")
            if os.fork() == 0:
                sys.exit()
            os.wait()
            for turn in range(2):
                if os.fork() == 0:
                    memory_checkpoint("child%d" % turn)
                    if os.fork() == 0:
                        memory_checkpoint("grandchild%d" % turn)
                        sys.exit()
                    os.wait()
                    sys.exit()
                os.wait()
            memory_checkpoint("parent again")
        """, PYTHONWARNINGS="ignore")
        mine = done.logs.pop("mine.log")
        self.assertEqual(names(mine), ["parent", "parent again"])
        self.assertEqual(mine.count("内存监控报告"), 1)
        by_names = {tuple(names(log)): name for name, log in done.logs.items()}
        for turn in "01":
            self.assertRegex(by_names["child" + turn,], r"^mine_\d+\.log$")
            self.assertRegex(by_names["grandchild" + turn,], r"^mine_\d+_\d+\.log$")
        self.assertEqual(len(done.logs), 5)

    def test_multiprocessing_children_end_with_their_report(self):
        done = self.run_well("""
            import multiprocessing
            from memory_monitor import init_global_monitor, memory_checkpoint
            def work(n):
                memory_checkpoint("child%d" % n)
            if __name__ == "__main__":
                init_global_monitor("n")
                context = multiprocessing.get_context("fork")
                children = [context.Process(target=work, args=(n,)) for n in range(3)]
                [child.start() for child in children]
                [child.join() for child in children]
        """, PYTHONWARNINGS="ignore")
        self.assertEqual(sorted(names(log) for log in done.logs.values()),
                         [[], ["child0"], ["child1"], ["child2"]])
        for log in done.logs.values():
            self.assertEqual(log.count("内存监控报告"), 1)

    def test_fork_while_other_threads_hold_the_lock(self):
        self.run_well("""
            import os, threading
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor("n")
            going = True
            def work():
                while going:
                    memory_checkpoint("thread")
            threads = [threading.Thread(target=work) for _ in range(4)]
            [t.start() for t in threads]
            for turn in range(30):
                pid = os.fork()
                if pid == 0:
                    memory_checkpoint("child")
                    os._exit(0)
                os.waitpid(pid, 0)
            going = False
        """, PYTHONWARNINGS="ignore")

    def test_a_checkpoint_while_the_interpreter_ends_is_silent(self):
        self.run_well("""
            import atexit
            from memory_monitor import init_global_monitor, memory_checkpoint
            class Late:
                def __del__(self, checkpoint=memory_checkpoint):
                    checkpoint("late")
            late = Late()
            late.itself = late
            init_global_monitor("n", check_interval=0.01)
            atexit.register(memory_checkpoint, "at exit")
        """)

    def test_a_signal_handler_may_set_checkpoints_inside_a_checkpoint(self):
        self.run_well("""
            import signal
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor("n")
            signal.signal(signal.SIGALRM, lambda *_: memory_checkpoint("signal"))
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            for i in range(3000):
                memory_checkpoint("c")
            signal.setitimer(signal.ITIMER_REAL, 0)
        """)

    def test_what_the_program_prints_stays_its_own_and_echo_goes_to_stderr(self):
        done = self.run_program("""
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor("n")
            memory_checkpoint("c")
        """, MEMTRACE_ECHO="1", PYTHONIOENCODING="utf-8")
        self.assertEqual((done.code, done.stdout), (0, ""))
        self.assertIn("[INFO] [c] RSS=", done.stderr)
        self.assertIn("内存监控报告 - n", done.stderr)

    def test_a_c_locale_disturbs_nothing(self):
        done = self.run_well("""
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor("回测")
            memory_checkpoint("回测启动")
        """, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        self.assertEqual(names(done.log), ["回测启动"])


class WhatCannotBeWritten(Case):
    def check_goes_on(self, text, reason):
        done = self.run_program("from memory_monitor import *\n" + textwrap.dedent(text) + (
            "for i in range(3): memory_checkpoint('c')\n"
            "print(get_global_monitor().generate_report().count('. [c]'), 'end')\n"))
        self.assertEqual((done.code, done.stdout), (0, "3 end\n"), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertRegex(done.stderr, "^memory_monitor: cannot write .*" + reason)
        return done

    def test_a_missing_directory(self):
        self.check_goes_on("init_global_monitor('n', 'no/such/place.log')\n", "No such file")

    def test_a_symbolic_link(self):
        target = os.path.join(self.folder, "target")
        os.symlink(target, os.path.join(self.folder, "link.log"))
        self.check_goes_on("init_global_monitor('n', 'link.log')\n", "symbolic link")
        self.assertFalse(os.path.exists(target))

    def test_a_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        self.check_goes_on("init_global_monitor('n', '/dev/full')\n", "No space left")

    def test_a_working_directory_that_is_gone(self):
        self.check_goes_on("""
            import os
            os.mkdir("gone"); os.chdir("gone"); os.rmdir(os.getcwd())
            init_global_monitor('n', 'mine.log')
        """, "No such file")

    def test_half_a_line_is_taken_back(self):
        path = os.path.join(self.folder, "half.log")
        log = memory_monitor._LogFile(path, True)
        self.assertTrue(log.open())
        log.write("whole\n")
        write = os.write
        with mock.patch("os.write", lambda fd, data: write(fd, data[:4])), \
                mock.patch.object(memory_monitor, "_tell") as told:
            log.write("a line that does not fit\n")
            log.write("another\n")
        log.write("whole again\n")
        log.close()
        with open(path) as written:
            self.assertEqual(written.read(), "whole\nwhole again\n")
        self.assertEqual((log.lost_lines, told.call_count), (2, 1))

    def test_lost_lines_are_counted_in_the_report(self):
        done = self.run_program("""
            from memory_monitor import *
            monitor = init_global_monitor("n", "no/such/place.log")
            memory_checkpoint("c")
            print("未写入日志的行: 1" in monitor.generate_report())
        """)
        self.assertEqual(done.stdout, "True\n")

    def test_a_descriptor_that_has_become_somebody_elses_is_left_alone(self):
        done = self.run_well("""
            import os
            from memory_monitor import init_global_monitor, memory_checkpoint
            monitor = init_global_monitor("n", "mine.log")
            fd = monitor._log._fd
            memory_checkpoint("before")
            os.close(fd)
            theirs = os.open("theirs", os.O_CREAT | os.O_RDWR)
            os.dup2(theirs, fd)
            memory_checkpoint("between")
            os.closerange(3, 100)
            memory_checkpoint("after")
            assert os.path.getsize("theirs") == 0
        """)
        self.assertEqual(names(done.log), ["before", "between", "after"])

    def test_no_descriptor_left(self):
        done = self.run_well("""
            import os
            from memory_monitor import init_global_monitor, memory_checkpoint
            init_global_monitor("n")
            memory_checkpoint("before")
            taken = []
            try:
                while True:
                    taken.append(os.dup(0))
            except OSError:
                pass
            memory_checkpoint("without")
            [os.close(fd) for fd in taken]
        """)
        events = read_events(done.log)
        self.assertEqual([event[1] for event in events], ["before", "without"])
        self.assertGreater(float(events[1][2]), 1)

    def test_nothing_raises_whatever_the_name(self):
        done = self.run_well("""
            from memory_monitor import init_global_monitor, memory_checkpoint
            class Bad:
                def __str__(self): raise RuntimeError("no text")
                __hash__ = None
            memory_checkpoint(Bad())
            monitor = init_global_monitor("n")
            memory_checkpoint(Bad(), Bad())
            memory_checkpoint("c", Bad())
            memory_checkpoint("good")
        """)
        self.assertEqual(names(done.log), ["<Bad>", "c", "good"])
        self.assertEqual(read_events(done.log)[1][5], "<Bad>")

    def test_no_object_of_the_program_is_kept_alive(self):
        self.run_well("""
            import weakref
            from memory_monitor import init_global_monitor, memory_checkpoint
            class Thing:
                def __bool__(self): raise ValueError("ambiguous, as arrays are")
            init_global_monitor("n")
            name, details = Thing(), Thing()
            gone = weakref.ref(name), weakref.ref(details)
            memory_checkpoint(name, details)
            del name, details
            assert gone[0]() is None and gone[1]() is None
        """)


class TheExample(Case):
    """examples/backtest.py, where no limit kills it."""

    EXAMPLE = os.path.join(HERE, "..", "examples", "backtest.py")

    def run_example(self, *options):
        done = subprocess.run([sys.executable, self.EXAMPLE, *options], cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              env=dict(os.environ, PYTHONIOENCODING="utf-8"))
        return done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")

    def test_each_scenario_expects_one_checkpoint(self):
        code, table, _ = self.run_example("--expect")
        rows = [line.split("\t") for line in table.splitlines()]
        self.assertEqual((code, [row[0] for row in rows]), (0, list("12345")))
        self.assertEqual(self.run_example("--expect", "--scenario", "邮件生成")[1],
                         "4\t邮件生成\t邮件生成_START\n")

    def test_the_mended_run_passes_all_phases(self):
        code, printed, errors = self.run_example("--fixed", "--speed", "0")
        self.assertEqual((code, errors), (0, ""))
        self.assertIn("【Phase 1: 客观机会识别】", printed)
        log, = (name for name in os.listdir(self.folder) if name.endswith(".log"))
        with open(os.path.join(self.folder, log), encoding="utf-8") as file:
            events = read_events(file.read())
        self.assertEqual((events[0][1], events[-1][1]), ("回测启动", "程序结束"))
        self.assertLess(max(float(event[2]) for event in events), 270)

    def test_a_wrong_scenario_is_refused_with_the_right_ones(self):
        code, _, errors = self.run_example("--scenario", "6")
        self.assertEqual(code, 2)
        self.assertIn("邮件生成", errors)


if __name__ == "__main__":
    unittest.main()
