//! Every word of the log, the report and the verdict, Chinese and English side by side. Whoever
//! reads logs back looks words up here too, so the two never drift apart.
#![forbid(unsafe_code)]

use std::fmt::{Display, Write as _};

use crate::{entry::Lang, loss};

/// Both languages, for readers, which accept either.
pub const LANGS: [Lang; 2] = [Lang::Zh, Lang::En];

/// A word, or a sentence with `{0}`, `{1}`, … for what [`fill`] puts there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the table below says what each one means, twice"
)]
pub enum Word {
    LogTitle,
    Started,
    Baseline,
    WarningThreshold,
    CriticalThreshold,
    CommandLine,
    Parent,
    Cgroup,
    MemoryLimit,
    NoLimit,
    Kernel,
    Measured,
    MeasuredBy,
    Unmeasured,
    UnreadableName,
    Background,
    NearCritical,
    OverCritical,
    CurrentRss,
    ThresholdIs,
    Named,
    Renamed,
    UnknownPython,
    Replaced,
    Child,
    Lost,
    OomLine,
    OomLineExiting,
    SigkillLine,
    EndLine,
    ExitCode,
    DetachLine,
    ReportTitle,
    Generated,
    State,
    Growth,
    Peak,
    KernelPeak,
    TopTitle,
    TopEmpty,
    TotalRss,
    AllCheckpoints,
    CheckpointsCut,
    NoCheckpoints,
    KilledByOom,
    MarkedWhileExiting,
    NotOom,
    SigkillUnknown,
    Signalled,
    CoreDumped,
    ExitedCleanly,
    ExitedWith,
    Gone,
    StillRunning,
    BrokeOff,
    Innocent,
    NearlyInnocent,
    InnocentAfter,
    LabelPosition,
    LabelCheckpoint,
    LabelLimit,
    LabelTrigger,
    LabelRss,
    LabelGrown,
    LabelGroup,
    LabelOthers,
    LabelTogether,
    LabelLost,
    LabelSender,
    LabelHow,
    LabelThen,
    LabelNote,
    LabelLastLine,
    After,
    AfterGrown,
    GrownSince,
    NeverGrown,
    NoCheckpoint,
    NoCheckpointAgo,
    RecentGrowth,
    Within,
    GrowthSinceBaseline,
    CgroupLimit,
    GlobalLimit,
    GlobalTotal,
    GlobalAvailable,
    CpusetLimit,
    UnknownLimit,
    OwnTrigger,
    OtherTrigger,
    UserPage,
    OtherPage,
    RssExact,
    RssNow,
    RssKnown,
    RssSwap,
    RssPageTables,
    RssPrinted,
    Window,
    AndMore,
    TogetherWhy,
    AlreadyExiting,
    ScoreAdj,
    KillLost,
    Nothing,
    HowKill,
    HowTkill,
    HowCgroupKill,
    HowCpuLimit,
    HowPidNamespace,
    HowKernel,
    ByItself,
    UserspaceKiller,
    Seconds,
    Minutes,
    Hours,
    Times,
    Thread,
    ThreadNoPython,
    ThreadUnread,
    ThreadNoInterpreter,
    Meanwhile,
    StackTorn,
    NativeCode,
    NativeFrame,
    PositionThen,
    PositionNotTrigger,
    PositionNotGrowth,
    PlaceNoPython,
    PlaceUnread,
    PlaceNoInterpreter,
    PlaceOthers,
    ByLineTitle,
    ByLineBasis,
    ByLineIncomplete,
    NoLineGrew,
    OtherLines,
    GainedLost,
    ByFunction,
    AtKillTitle,
    AskedForIt,
    GrewLast,
    FramesLeftOut,
    FramesCut,
    FramesTorn,
    MoreThreads,
    Rebuilt,
    LastCheckpoint,
    LastLine,
}

/// The word in a language.
#[expect(clippy::too_many_lines, reason = "one flat table")]
pub const fn say(lang: Lang, word: Word) -> &'static str {
    let (zh, en) = match word {
        // The log.
        Word::LogTitle => ("内存监控日志", "Memory monitor log"),
        Word::Started => ("开始时间", "Started"),
        Word::Baseline => ("基线内存", "Baseline memory"),
        Word::WarningThreshold => ("警告阈值", "Warning threshold"),
        Word::CriticalThreshold => ("危险阈值", "Critical threshold"),
        Word::CommandLine => ("命令行", "Command line"),
        Word::Parent => ("父进程", "Parent"),
        Word::Cgroup => ("cgroup", "cgroup"),
        Word::MemoryLimit => ("内存限额", "Memory limit"),
        Word::NoLimit => ("无", "none"),
        Word::Kernel => ("内核", "Kernel"),
        Word::Measured => ("RSS测量", "RSS measured by"),
        Word::MeasuredBy => (
            "{0}, 两行之间误差不超过 {1}",
            "{0}, off by at most {1} between two lines",
        ),
        Word::Unmeasured => ("尚未测得", "not measured yet"),
        Word::UnreadableName => ("<名称不可读>", "<unreadable name>"),
        Word::Background => ("后台监控", "background"),
        Word::NearCritical => (
            "内存接近危险阈值！",
            "Memory is near the critical threshold! ",
        ),
        Word::OverCritical => (
            "内存超过危险阈值！",
            "Memory is over the critical threshold! ",
        ),
        Word::CurrentRss => ("当前RSS=", "Current RSS="),
        Word::ThresholdIs => ("阈值=", "threshold="),
        Word::Named => ("监控名称", "Monitored as"),
        Word::UnknownPython => ("没有 Python 栈: {0}", "no Python stacks: {0}"),
        Word::Renamed => ("进程改名", "Process renamed"),
        Word::Replaced => ("程序替换", "Program replaced"),
        Word::Child => ("子进程", "Child process"),
        Word::Lost => ("漏记", "Lost"),
        Word::OomLine => ("被内核 OOM 杀死", "Killed by the kernel's OOM killer"),
        Word::OomLineExiting => (
            "退出途中被内核 OOM 标记",
            "Marked by the kernel's OOM killer while exiting",
        ),
        Word::SigkillLine => ("收到 SIGKILL", "Sent SIGKILL"),
        Word::EndLine => ("进程结束", "Process ended"),
        Word::ExitCode => ("退出码 {0}", "exit code {0}"),
        Word::DetachLine => ("监控结束, 进程仍在运行", "Tracing ended, still running"),
        // The report.
        Word::ReportTitle => ("内存监控报告", "Memory monitor report"),
        Word::Generated => ("生成时间", "Generated"),
        Word::State => ("当前内存状态", "Current memory"),
        Word::Growth => ("总增长", "Total growth"),
        Word::Peak => ("峰值", "Peak"),
        Word::KernelPeak => (
            "内核统计的峰值 (近似)",
            "Peak by the kernel's count (approximate)",
        ),
        Word::TopTitle => ("Top 10内存增长点", "Top 10 memory growth"),
        Word::TopEmpty => ("没有检查点增长", "no checkpoint grew"),
        Word::TotalRss => ("总RSS=", "total RSS="),
        Word::AllCheckpoints => ("所有检查点", "All checkpoints"),
        Word::CheckpointsCut => (
            "… 此处略去 {0} 个检查点, 见日志文件 …",
            "… {0} checkpoints left out here, see the log file …",
        ),
        Word::NoCheckpoints => ("没有检查点", "no checkpoints"),
        // How it ended.
        Word::KilledByOom => (
            "被内核 OOM 杀死: {0}, {1}",
            "Killed by the kernel's OOM killer: {0}, {1}",
        ),
        Word::MarkedWhileExiting => (
            "退出途中被内核 OOM 标记: {0}, {1}",
            "Marked by the kernel's OOM killer while exiting: {0}, {1}",
        ),
        Word::NotOom => (
            "不是 OOM: {0} 收到 SIGKILL, {1}",
            "Not OOM: {0} was sent SIGKILL, {1}",
        ),
        Word::SigkillUnknown => (
            "被 SIGKILL 杀死, 发送者未知: {0}, {1}",
            "Killed by SIGKILL, sender unknown: {0}, {1}",
        ),
        Word::Signalled => (
            "被信号终止: {0}, {1}, {2}",
            "Ended by a signal: {0}, {1}, {2}",
        ),
        Word::CoreDumped => ("已转储核心", "core dumped"),
        Word::ExitedCleanly => (
            "正常退出: {0}, 退出码 0, {1}",
            "Exited normally: {0}, exit code 0, {1}",
        ),
        Word::ExitedWith => (
            "退出: {0}, 退出码 {1}, {2}",
            "Exited: {0}, exit code {1}, {2}",
        ),
        Word::Gone => (
            "进程结束, 原因未知: {0}, {1}",
            "Ended, how is unknown: {0}, {1}",
        ),
        Word::StillRunning => (
            "监控结束, 进程仍在运行: {0}, {1}",
            "Tracing ended, still running: {0}, {1}",
        ),
        Word::BrokeOff => (
            "记录在此中断, 结局未知: {0}, {1}",
            "The record breaks off, the end is unknown: {0}, {1}",
        ),
        Word::Innocent => (
            "它没有增长 (最近 {0} 秒 {1}); 增长的是 {2}: {3}",
            "it did not grow ({1} in the last {0} s); what grew is {2}: {3}",
        ),
        Word::NearlyInnocent => (
            "它几乎没有增长 (最近 {0} 秒 {1}); 增长的是 {2}: {3}",
            "it hardly grew ({1} in the last {0} s); what grew is {2}: {3}",
        ),
        Word::InnocentAfter => (", 在 [{0}] 之后", ", after [{0}]"),
        // Labels of the verdict, at most eight columns in Chinese.
        Word::LabelPosition => ("位置", "position"),
        Word::LabelCheckpoint => ("检查点", "checkpoint"),
        Word::LabelLimit => ("限额", "limit"),
        Word::LabelTrigger => ("触发者", "triggered by"),
        Word::LabelRss => ("RSS", "RSS"),
        Word::LabelGrown => ("增长最多", "grew most"),
        Word::LabelGroup => ("同组进程", "same group"),
        Word::LabelOthers => ("其他进程", "others"),
        Word::LabelTogether => ("一同杀死", "also killed"),
        Word::LabelLost => ("漏记", "lost"),
        Word::LabelSender => ("发送者", "sender"),
        Word::LabelHow => ("方式", "how"),
        Word::LabelThen => ("当时", "then"),
        Word::LabelNote => ("注意", "note"),
        Word::LabelLastLine => ("最后一行", "last line"),
        // Sentences of the verdict.
        Word::After => ("[{0}] 之后 {1}", "{1} after [{0}]"),
        Word::AfterGrown => ("[{0}] 之后 {1}, 此后 {2}", "{1} after [{0}], {2} since"),
        Word::GrownSince => ("[{0}] 之后 {1}", "after [{0}] {1}"),
        Word::NeverGrown => ("没有增长", "nothing grew"),
        Word::NoCheckpoint => ("程序没有检查点", "the program has no checkpoints"),
        Word::NoCheckpointAgo => ("开始监控后 {0}", "{0} after tracing began"),
        Word::RecentGrowth => ("最近 {0} 秒 {1}", "last {0} s {1}"),
        Word::Within => (" ({0} 秒内)", " (within {0} s)"),
        Word::GrowthSinceBaseline => ("自基线 {0}", "since the baseline {0}"),
        Word::CgroupLimit => (
            "cgroup {0}: {1} {2}, 用量 {3}",
            "cgroup {0}: {1} {2}, used {3}",
        ),
        Word::GlobalLimit => ("整机内存耗尽", "the whole machine ran out of memory"),
        Word::GlobalTotal => ("共 {0}", "{0} in total"),
        Word::GlobalAvailable => ("可用 {0}", "{0} available"),
        Word::CpusetLimit => (
            "cpuset 的内存节点耗尽",
            "the memory nodes of the cpuset ran out",
        ),
        Word::UnknownLimit => (
            "未知 (此内核无法判断)",
            "unknown (this kernel does not tell)",
        ),
        Word::OwnTrigger => ("本进程 (线程 {0}", "the process itself (thread {0}"),
        Word::OtherTrigger => ("{0} (线程 {1}", "{0} (thread {1}"),
        Word::UserPage => ("用户页", "user page"),
        Word::OtherPage => ("gfp {0}", "gfp {0}"),
        Word::RssExact => (
            "{0} 精确 (匿名 {1}, 文件 {2}, 共享 {3})",
            "{0} exact (anonymous {1}, file {2}, shared {3})",
        ),
        Word::RssNow => ("RSS {0}", "RSS {0}"),
        Word::RssKnown => ("RSS {0} (最后一次已知)", "RSS {0} (as last known)"),
        Word::RssSwap => (", 另有交换 {0}", ", swapped out {0}"),
        Word::RssPageTables => (", 页表 {0}", ", page tables {0}"),
        Word::RssPrinted => ("; 内核日志写的是 {0}", "; the kernel's log says {0}"),
        Word::Window => (" (最近 {0} 秒)", " (last {0} s)"),
        Word::AndMore => (", 另有 {0} 个", ", and {0} more"),
        Word::TogetherWhy => (" (memory.oom.group)", " (memory.oom.group)"),
        Word::AlreadyExiting => (
            "被标记时它已经在退出, 内核没有另外杀它",
            "it was exiting already when it was marked; the kernel killed nothing new",
        ),
        Word::ScoreAdj => ("它的 oom_score_adj 是 {0}", "its oom_score_adj is {0}"),
        Word::KillLost => (
            "有杀死事件漏记, 也可能是内核 OOM; 请看 dmesg",
            "records of kills were lost, it may have been the OOM killer; see dmesg",
        ),
        Word::Nothing => ("无", "nothing"),
        Word::HowKill => ("kill", "kill"),
        Word::HowTkill => ("tkill, 发给单个线程", "tkill, sent to one thread"),
        Word::HowCgroupKill => (
            "写 cgroup.kill, 整个 cgroup 一起杀死",
            "a write to cgroup.kill, the whole cgroup",
        ),
        Word::HowCpuLimit => (
            "内核: CPU 时间达到硬限制 (RLIMIT_CPU)",
            "the kernel: hard CPU time limit reached (RLIMIT_CPU)",
        ),
        Word::HowPidNamespace => (
            "内核: 它的 pid 命名空间的 init 结束了",
            "the kernel: the init of its pid namespace ended",
        ),
        Word::HowKernel => ("内核, 另有原因", "the kernel, for another reason"),
        Word::ByItself => ("本进程自己", "the process itself"),
        Word::UserspaceKiller => (
            "从名字看, 发送者是用户态的内存守护进程, 请看它的日志",
            "by its name the sender is a memory daemon in user space; see its log",
        ),
        Word::Seconds => ("{0} 秒", "{0} s"),
        Word::Minutes => ("{0} 分 {1} 秒", "{0} min {1} s"),
        Word::Hours => ("{0} 小时 {1} 分", "{0} h {1} min"),
        Word::Times => (" ×{0}", " ×{0}"),
        // Stacks.
        Word::Thread => ("线程 {0} {1}", "thread {0} {1}"),
        Word::ThreadNoPython => (
            "线程 {0} {1} 不运行 Python",
            "thread {0} {1} runs no Python",
        ),
        Word::ThreadUnread => (
            "线程 {0} {1} 的 Python 栈读不出",
            "thread {0} {1}: its Python stack could not be read",
        ),
        Word::ThreadNoInterpreter => (
            "线程 {0} {1}: 没有识别出 CPython",
            "thread {0} {1}: no CPython was recognised",
        ),
        Word::Meanwhile => (
            "此时 Python 线程 {0} 在 {1}",
            "meanwhile Python thread {0} at {1}",
        ),
        Word::StackTorn => ("栈不完整", "stack incomplete"),
        Word::NativeCode => ("原生代码", "native code"),
        Word::NativeFrame => ("[原生] {0}", "[native] {0}"),
        Word::PositionThen => ("只是当时所在", "only where it was then"),
        Word::PositionNotTrigger => (
            "只是当时所在, 不是它触发的",
            "only where it was then, it did not trigger the kill",
        ),
        Word::PositionNotGrowth => (
            "只是被杀的一刻, 增长最多的行见下",
            "only the moment of the kill, the line that grew most is below",
        ),
        Word::PlaceNoPython => ("(无 Python: 线程 {0})", "(no Python: thread {0})"),
        Word::PlaceUnread => ("(栈读不出: 线程 {0})", "(stack not readable: thread {0})"),
        Word::PlaceNoInterpreter => (
            "(没有识别出 CPython: 线程 {0})",
            "(no CPython recognised: thread {0})",
        ),
        Word::PlaceOthers => ("(其余各处)", "(all other places)"),
        Word::ByLineTitle => ("按代码行的内存增长", "Growth by line"),
        Word::ByLineBasis => ("净增长 {0}, 来自 {1} 次栈采样", "{0} net, from {1} stacks"),
        Word::ByLineIncomplete => (", 其中 {0} 次栈不完整", ", {0} of them incomplete"),
        Word::NoLineGrew => ("没有净增长的行", "no line grew"),
        Word::OtherLines => ("… 其余各行 {0}", "… all other lines {0}"),
        Word::GainedLost => (" (增 {0}, 减 {1})", " (grew {0}, shrank {1})"),
        Word::ByFunction => ("按函数, 含其调用的函数", "By function, with what it calls"),
        Word::AtKillTitle => (
            "被杀时各线程的栈, 最内层在前",
            "Stacks at the kill, the innermost frame first",
        ),
        Word::AskedForIt => ("正在申请内存的线程", "it asked for the memory"),
        Word::GrewLast => ("内存最后在此线程增长", "memory grew last here"),
        Word::FramesLeftOut => ("… 此处略去 {0} 帧 …", "… {0} frames left out here …"),
        Word::FramesCut => (
            "… 外层还有帧, 没有记录 …",
            "… more frames outwards, not recorded …",
        ),
        Word::FramesTorn => (
            "? 再往外的帧读不出",
            "? the frames further out could not be read",
        ),
        Word::MoreThreads => ("… 另有 {0} 个线程", "… and {0} more threads"),
        // Reports rebuilt from logs.
        Word::Rebuilt => (
            "日志里没有完整的报告, 以下由日志行重建",
            "the log has no complete report; this one is rebuilt from its lines",
        ),
        Word::LastCheckpoint => (
            "[{0}] 是最后一个检查点 ({1}): 如果进程被 Killed, 就发生在它之后",
            "[{0}] is the last one ({1}): if the process was Killed, it was after it",
        ),
        Word::LastLine => ("{0}, RSS {1}", "{0}, RSS {1}"),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// The sentence in a language with its places filled. What is filled in is not looked at again.
pub fn fill(lang: Lang, word: Word, values: &[&dyn Display]) -> String {
    let mut out = String::new();
    let mut rest = say(lang, word);
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (place, after) = after
            .split_once('}')
            .expect("places in the table are closed");
        let value = place
            .parse()
            .ok()
            .and_then(|place: usize| values.get(place));
        let value = value.expect("as many values as places");
        write!(out, "{value}").expect("a string takes all that is written to it");
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Short name of a kind of missing data.
pub const fn loss_name(lang: Lang, kind: loss::Kind) -> &'static str {
    loss_words(lang, kind).0
}

/// What a kind of missing data means and what to change.
pub const fn loss_advice(lang: Lang, kind: loss::Kind) -> &'static str {
    loss_words(lang, kind).1
}

#[expect(clippy::too_many_lines, reason = "one flat table")]
const fn loss_words(lang: Lang, kind: loss::Kind) -> (&'static str, &'static str) {
    use loss::Kind;
    let (zh, en) = match kind {
        Kind::RssRecord => (
            (
                "RSS 记录",
                "中间的 RSS 变化缺失, 下一条又是准确值; 加大 --ring-mb 或 --step",
            ),
            (
                "RSS records",
                "steps in between are missing, the next one is exact again; raise --ring-mb or --step",
            ),
        ),
        Kind::LifeRecord => (
            ("进程记录", "可能漏掉子进程、程序替换或退出; 加大 --ring-mb"),
            (
                "process records",
                "a child, an exec or an exit may be missing; raise --ring-mb",
            ),
        ),
        Kind::KillRecord => (
            (
                "杀死记录",
                "可能漏掉 OOM 或 SIGKILL, 结论不完整; 加大 --ring-mb, 并查看 dmesg",
            ),
            (
                "kill records",
                "an OOM kill or SIGKILL may be missing from the verdict; raise --ring-mb and see dmesg",
            ),
        ),
        Kind::CheckpointRecord => (
            (
                "检查点记录",
                "日志里少了检查点, 增长会算到下一个检查点; 加大 --ring-mb, 或减少检查点",
            ),
            (
                "checkpoint records",
                "their growth counts for the next one; raise --ring-mb or call fewer checkpoints",
            ),
        ),
        Kind::StackRecord => (
            (
                "栈记录",
                "少了一些调用栈或代码的名字, 按行的增长不完整; 加大 --stack-step",
            ),
            (
                "stack records",
                "stacks or names of code are missing, growth by line is not complete; raise --stack-step",
            ),
        ),
        Kind::TracedTable => (
            ("跟踪表已满", "有新进程没有被跟踪; 请缩小跟踪范围"),
            (
                "table of traced processes full",
                "new processes were not traced; trace fewer",
            ),
        ),
        Kind::BadRecord => (
            (
                "无法解码的记录",
                "内核侧与用户侧版本不一致; 请重新安装 memtrace 并报告此问题",
            ),
            (
                "undecodable records",
                "the kernel and user side do not match; reinstall memtrace and report this",
            ),
        ),
        Kind::CheckpointRate => (
            (
                "过快的检查点",
                "本进程设检查点过快 (长期每秒 5 万个以上, 打印每秒 1 万段以上), 多出的没有记录, 以免淹没其他进程; 把检查点移出内层循环",
            ),
            (
                "checkpoints set too fast",
                "the process set more than 50,000 a second for long, or printed more than 10,000 pieces of lines; the rest was left out so that it does not drown others: take the checkpoint out of the inner loop",
            ),
        ),
        Kind::SkippedProbe => (
            (
                "跳过的探针",
                "内核跳过了正在同一 CPU 上运行的探针, 可能漏了一次 exec 或信号",
            ),
            (
                "skipped probes",
                "the kernel skipped a probe that was running on that cpu; an exec or a signal may be missing",
            ),
        ),
        Kind::SkippedWrite => (
            (
                "跳过的 write",
                "内核没有让 --lines 的探针看这些 write(2), 不知是哪个进程的; 可能漏了用作检查点的一行",
            ),
            (
                "skipped writes",
                "the kernel kept these write(2) calls from the probe of --lines, of whatever process; a line that was to be a checkpoint may be missing",
            ),
        ),
        Kind::LogLine => (
            (
                "日志行",
                "日志写不进去, 或写得太慢; 检查日志目录的磁盘空间, 权限和速度",
            ),
            (
                "log lines",
                "the log could not be written, or not as fast as it came; check its directory's space, rights and disk",
            ),
        ),
        Kind::RecordingLine => (
            (
                "记录行",
                "记录文件写不进去, 或写得太慢; 检查记录目录的磁盘空间, 权限和速度",
            ),
            (
                "recording lines",
                "the recording could not be written, or not as fast as it came; check its directory's space, rights and disk",
            ),
        ),
        Kind::MarkerFile => (
            (
                "标记文件",
                "有映射的文件无法查找检查点符号; 检查文件权限, 或以 root 运行",
            ),
            (
                "marker files",
                "a mapped file could not be searched for checkpoints; check its rights or run as root",
            ),
        ),
        Kind::MapNotice => (
            (
                "映射通知",
                "检查点可能发现得晚, 开头几个会缺; 加大 --ring-mb",
            ),
            (
                "map notices",
                "checkpoints may have been found late, the first ones missing; raise --ring-mb",
            ),
        ),
        Kind::LifeTable => (
            (
                "进程太多",
                "同时存活的进程超过上限, 多出的没有日志; 缩小跟踪范围",
            ),
            (
                "too many processes",
                "more lived at once than memtrace follows; the others have no log, trace fewer",
            ),
        ),
        Kind::UnreadableLine => (
            ("读不懂的行", "文件里有被截断或损坏的行, 已跳过"),
            (
                "unreadable lines",
                "lines of the file were cut off or damaged and are left out",
            ),
        ),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once_and_in_the_order_of_the_language() {
        assert_eq!(
            fill(Lang::Zh, Word::After, &[&"{1}", &"1.2 秒"]),
            "[{1}] 之后 1.2 秒"
        );
        assert_eq!(
            fill(Lang::En, Word::After, &[&"x", &"1.2 s"]),
            "1.2 s after [x]"
        );
    }

    #[test]
    fn every_loss_has_a_name_and_advice() {
        for kind in loss::Kind::ALL {
            for lang in LANGS {
                assert!(!loss_name(lang, kind).is_empty() && !loss_advice(lang, kind).is_empty());
            }
        }
    }
}
