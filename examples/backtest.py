#!/usr/bin/env python3
"""A backtest that runs out of memory, in five ways.

It plays the phases of a real trading backtest that the kernel killed again and again, with the
amounts of memory that its authors found. Run it where 300 MB are allowed:

    memtrace run --memory-max 300M -- python3 examples/backtest.py

--scenario takes a number or a name. One fault is in the program then, the other four are mended;
with --fixed that one is mended too, and the run passes.

    no  name              fault                              MB      mended   killed after
    1   Phase3两阶段搜索    4 starts x 8 groups, all kept      160     28       Phase3_粗筛_START
    2   Phase3分离优化      a second search from 4 starts      240     60       Phase3_分离优化_START
    3   错过机会分析        an old analysis that still runs    250     0        错过机会分析_START
    4   邮件生成            the config is loaded three times   3x70    70       邮件生成_START
    5   过早加载old_config  config and its copy too early      2x90    later    创建old_config_BEFORE

The default is 3, the one that they met first. The program holds about 40 MB at its start, Phase 1
adds 120, Phase 2 adds 170 and gives back what it does not need, Phase 3 starts from about 190.
In 4 and 5 a config of 10 MB, as it was at first, would kill nobody who has 300 MB: there
learning_config.json has grown to 70 and 90 MB. A fault passes its last checkpoint at no more than
270 MB and would need at least 330, so that the kill always falls inside the step.

Memory is real: filled bytearrays with some lists and dicts around them, the same at each run.
"""

import argparse
import copy
import ctypes
import gc
import itertools
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
try:
    from memory_monitor import init_global_monitor, memory_checkpoint
except ImportError:  # the file was copied alone: play without checkpoints
    def init_global_monitor(**_options):
        return None

    def memory_checkpoint(_name, _details=""):
        pass

MIB = 1024 * 1024
DEFAULT_SCENARIO = 3

# Number -> name, and the last checkpoint that is reached before the kill. `--expect` prints it.
SCENARIOS = {
    1: ("Phase3两阶段搜索", "Phase3_粗筛_START"),
    2: ("Phase3分离优化", "Phase3_分离优化_START"),
    3: ("错过机会分析", "错过机会分析_START"),
    4: ("邮件生成", "邮件生成_START"),
    5: ("过早加载old_config", "创建old_config_BEFORE"),
}

# learning_config.json in MB: 10 as the authors had it, larger where it is what kills.
CONFIG_MB = {1: 10, 2: 10, 3: 10, 4: 70, 5: 90}
STARTING_POINTS = ["Phase2最优", "Top1组合", "Top2组合", "Top3组合"]
OPPORTUNITIES = 4000


def say(text):
    """At once: what a killed program has not flushed is lost."""
    print(text, flush=True)


# --- memory --------------------------------------------------------------------------------------


def block(number):
    """One MiB that is really there: zeros would be pages that the kernel has not given out yet."""
    return {"id": number, "data": bytearray([number % 255 + 1]) * MIB, "tags": ["swing", "scalping"]}


def release():
    """What the authors added at last: gc.collect(). The C library's own reserve goes back too, so
    that a run does not depend on its habits."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        pass


class Backtest:
    """The phases in their order, and what each leaves in memory for the next."""

    def __init__(self, scenario, fixed, threads, speed):
        self.fault = None if fixed else scenario
        self.config_mb = CONFIG_MB[scenario]
        self.threads = threads
        self.speed = speed
        self.klines = []
        self.opportunities = []
        self.snapshots = []
        self.phase2_best = []
        self.phase3_data = []
        self.config = None
        self.old_config = None

    def pause(self, seconds):
        if self.speed > 0:
            time.sleep(seconds / self.speed)

    def grow(self, megabytes, seconds=0.2):
        """A list of so many MiB, a little at a time."""
        blocks = []
        for number in range(megabytes):
            blocks.append(block(number))
            if number % 8 == 7:
                self.pause(seconds * 8 / megabytes)
        return blocks

    def grow_together(self, megabytes, seconds=0.6):
        """The same in a guilty step, by as many threads as were asked for."""
        numbers = itertools.count()
        blocks = []

        def work():
            for number in iter(lambda: next(numbers), None):
                if number >= megabytes:
                    return
                blocks.append(block(number))
                self.pause(seconds / megabytes)

        self.run_threads([work] * self.threads)
        return blocks

    @staticmethod
    def run_threads(jobs):
        if len(jobs) == 1:
            jobs[0]()
            return
        threads = [threading.Thread(target=job) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # the run

    def run(self):
        self.start()
        self.phase1()
        self.missed_opportunities()
        self.early_old_config()
        self.drop_snapshots()
        self.phase2()
        self.phase3()
        self.phase4()
        self.parameter_changes()
        self.drop_old_config()
        self.collect()
        self.mail()
        memory_checkpoint("程序结束")
        say("✅ 回测完成")

    def start(self):
        self.klines = self.grow(24)
        memory_checkpoint("回测启动")

    def phase1(self):
        say("【Phase 1: 客观机会识别】")
        memory_checkpoint("Phase1_START")
        self.opportunities = self.grow(28) + [
            {"symbol": "BTC", "id": i, "profit": i * 0.01} for i in range(OPPORTUNITIES)]
        self.snapshots = self.grow(90)
        say("  ✅ 客观机会识别完成: %d个机会" % OPPORTUNITIES)
        memory_checkpoint("Phase1_END")

    def missed_opportunities(self):
        say("\n【错过机会分析】")
        memory_checkpoint("错过机会分析_START")
        if self.fault == 3:
            say("✓ 发现3097个错过的机会")
            details = self.grow_together(80)
            snapshots = self.grow_together(120)
            decisions = self.grow_together(50)
            del details, snapshots, decisions
        else:
            say("ℹ️  跳过旧版错过机会分析（已由开仓时机分析V2模块完全替代）")
        memory_checkpoint("错过机会分析_END")

    def early_old_config(self):
        """Used only after Phase 4, a thousand lines further down."""
        if self.fault == 5:
            self.load_config_and_copy()

    def drop_snapshots(self):
        self.snapshots = []
        release()

    def phase2(self):
        say("\n【第2步：多轮迭代参数优化】")
        memory_checkpoint("Phase2_START")
        rounds = [self.grow(34, 0.05) for _ in range(5)]
        memory_checkpoint("Phase2_END", "5轮")
        self.phase2_best = rounds[0][:10]
        del rounds
        release()
        memory_checkpoint("Phase2_保存config_BEFORE")
        memory_checkpoint("Phase2_保存config_AFTER")

    def phase3(self):
        say("\n【🚀 Phase 3启动】")
        memory_checkpoint("Phase3_START")
        self.phase3_data = self.grow(110)
        if self.fault == 1:
            self.search_at_once()
        else:
            self.search_in_two_stages()
        self.separate_optimisation()
        self.phase3_data = []
        release()
        memory_checkpoint("Phase3_END")

    def search_at_once(self):
        say("     🎯 【多起点搜索】4起点×8组")
        memory_checkpoint("Phase3_粗筛_START")
        results = []
        for place, start in enumerate(STARTING_POINTS, 1):
            say("        [%d/4] %s..." % (place, start))
            results.append(self.grow_together(40, 0.15))
        memory_checkpoint("Phase3_粗筛_END")

    def search_in_two_stages(self):
        say("     🎯 【两阶段多起点搜索】")
        say("     ⚡ 【第一阶段：粗筛】快速测试4组×4起点")
        memory_checkpoint("Phase3_粗筛_START")
        for place, start in enumerate(STARTING_POINTS, 1):
            say("        [%d/4] %s..." % (place, start))
            self.grow(14, 0.02)
        memory_checkpoint("Phase3_粗筛_END")
        say("     🔬 【第二阶段：精选】精细测试8组×2起点")
        memory_checkpoint("Phase3_精选_START")
        for place, start in enumerate(STARTING_POINTS[:2], 1):
            say("        [%d/2] %s..." % (place, start))
            self.grow(28, 0.05)
        release()
        memory_checkpoint("Phase3_精选_END")

    def separate_optimisation(self):
        say("  📊 【分离优化】")
        memory_checkpoint("Phase3_分离优化_START")
        starts = STARTING_POINTS if self.fault == 2 else ["Phase3最佳"]
        if self.fault != 2:
            say("     💡 【内存优化】分离优化只使用Phase 3找到的最佳起点")
        kept = []
        for place, start in enumerate(starts, 1):
            say("     [%d/%d] 从'%s'出发..." % (place, len(starts), start))
            kept.append(self.grow_together(60, 0.2))
        del kept
        release()
        memory_checkpoint("Phase3_分离优化_END")

    def phase4(self):
        say("\n【✅ Phase 4：参数验证与过拟合检测】")
        memory_checkpoint("Phase4_START")
        self.grow(28, 0.1)
        release()
        say("  ✅ Phase 4验证通过")
        memory_checkpoint("Phase4_END")

    def parameter_changes(self):
        memory_checkpoint("参数变化检测_BEFORE")
        say("[参数变化检测] config_changed = True")
        memory_checkpoint("参数变化检测_AFTER")
        if self.config is None:
            self.load_config_and_copy()

    def load_config_and_copy(self):
        memory_checkpoint("加载config_BEFORE")
        self.config = self.load_learning_config()
        memory_checkpoint("加载config_AFTER", "config大小估计~%dKB" % (self.config_mb * 1024))
        memory_checkpoint("创建old_config_BEFORE")
        self.old_config = self.copy_config(self.config)
        memory_checkpoint("创建old_config_AFTER")

    def drop_old_config(self):
        """The changes have been counted; the mail needs the new config only."""
        self.old_config = None
        release()

    def load_learning_config(self, load=None):
        history = (load or self.grow)(self.config_mb)
        return {
            "global": {"leverage": 3}, "per_symbol": {}, "scalping_params": {}, "swing_params": {},
            "history": dict(enumerate(history)),
        }

    def copy_config(self, config):
        """copy.deepcopy(config), by as many threads as were asked for where that is the fault."""
        copied = copy.deepcopy({key: value for key, value in config.items() if key != "history"})
        copied["history"] = {}
        entries = iter(list(config["history"].items()))

        def work():
            for key, value in entries:
                copied["history"][key] = copy.deepcopy(value)
                self.pause(0.4 / self.config_mb)

        self.run_threads([work] * (self.threads if self.fault == 5 else 1))
        return copied

    def collect(self):
        say("[收集Phase数据] ...")
        memory_checkpoint("收集Phase数据_START")
        say("  📊 生成机会对比分析...")
        memory_checkpoint("机会对比分析_START")

    def mail(self):
        memory_checkpoint("邮件生成_START")
        say("📧 生成邮件主题...")
        # The subject, the body and the attachment each loaded the config for themselves.
        loads = 3 if self.fault == 4 else 1
        configs = [self.load_learning_config(self.grow_together) for _ in range(loads)]
        del configs
        release()
        say("✅ 邮件成功")
        memory_checkpoint("邮件生成_END")


# --- the command line ----------------------------------------------------------------------------


def scenario_number(text):
    names = {name: number for number, (name, _) in SCENARIOS.items()}
    number = names.get(text) or (int(text) if text.isdigit() else None)
    if number not in SCENARIOS:
        raise argparse.ArgumentTypeError(
            "no scenario %r; there are %s" % (text, ", ".join(
                "%d (%s)" % (number, name) for number, (name, _) in SCENARIOS.items())))
    return number


def at_least(kind, least):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not value >= least:
            raise argparse.ArgumentTypeError("%r is not a number from %s up" % (text, least))
        return value
    return parse


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", type=scenario_number, help="1 to 5, or a name (default: 3)")
    parser.add_argument("--fixed", action="store_true", help="mend that fault too")
    parser.add_argument("--threads", type=at_least(int, 1), default=1, metavar="N",
                        help="threads that allocate together in the guilty step (default: 1)")
    parser.add_argument("--speed", type=at_least(float, 0), default=1.0, metavar="X",
                        help="2 is twice as fast, 0 makes no pauses at all (default: 1)")
    parser.add_argument("--expect", action="store_true",
                        help="print number, name and last checkpoint before the kill, by tabs")
    return parser.parse_args()


def main():
    # In a C locale the phases' names could not be printed, which is not what shall fail here.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = parse_arguments()
    if arguments.expect:
        for number in [arguments.scenario] if arguments.scenario else SCENARIOS:
            print("%d\t%s\t%s" % ((number,) + SCENARIOS[number]))
        return
    # 80 and 95 % of the 300 MB that the example is made for.
    init_global_monitor(name="backtest", warning_threshold_mb=240, critical_threshold_mb=285)
    scenario = arguments.scenario or DEFAULT_SCENARIO
    Backtest(scenario, arguments.fixed, arguments.threads, arguments.speed).run()


if __name__ == "__main__":
    main()
