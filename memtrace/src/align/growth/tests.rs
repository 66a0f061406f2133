use proptest::prelude::*;

use super::*;
use crate::sample::{frame, grew, seconds};

const MB: i64 = 1 << 20;

fn growth(stacks: &[(u64, Stack)]) -> Growth {
    let mut growth = Growth::default();
    for (second, stack) in stacks {
        growth.apply(seconds(*second), stack);
    }
    growth
}

/// `config.py:118 +398/+400`, net and gained in MB.
fn short(grown: &[Grown]) -> Vec<String> {
    let one = |Grown { place, moved, .. }: &Grown| {
        let place = match place {
            Place::Code(Frame {
                file,
                line,
                function,
            }) => {
                let file = file.as_deref().unwrap_or("?");
                let at = line.map_or_else(
                    || function.as_deref().unwrap_or("?").to_owned(),
                    |line| line.to_string(),
                );
                format!("{file}:{at}")
            }
            Place::NoPython(comm) => format!("no python {comm}"),
            Place::Unread(comm) => format!("unread {comm}"),
            Place::Native(Function { file, name }) => {
                format!("{file} {}", name.as_deref().unwrap_or("?"))
            }
            Place::NoInterpreter(comm) => format!("no interpreter {comm}"),
            Place::Others => "others".to_owned(),
        };
        format!("{place} {:+}/{:+}", moved.net.0 / MB, moved.gained.0 / MB)
    };
    grown.iter().map(one).collect()
}

#[test]
fn growth_belongs_to_the_innermost_line_and_to_every_function_above() {
    let growth = growth(&[
        (1, grew(1, 30, &[("a.py", 3, "load"), ("b.py", 9, "main")])),
        (2, grew(1, 10, &[("b.py", 12, "main")])),
        (3, grew(1, -5, &[("a.py", 4, "load"), ("b.py", 9, "main")])),
    ]);
    assert_eq!(
        short(&growth.lines()),
        ["a.py:3 +30/+30", "b.py:12 +10/+10", "a.py:4 -5/+0"]
    );
    assert_eq!(
        short(&growth.functions()),
        ["b.py:main +35/+40", "a.py:load +25/+30"]
    );
    assert_eq!(growth.total.net, Delta(35 * MB));
    assert_eq!(growth.total.shrunk(), Delta(-5 * MB));
}

#[test]
fn a_function_that_calls_itself_counts_once() {
    let deep: Vec<_> = (1..40).map(|line| ("a.py", line, "walk")).collect();
    let growth = growth(&[(1, grew(1, 7, &deep))]);
    assert_eq!(short(&growth.functions()), ["a.py:walk +7/+7"]);
}

#[test]
fn two_functions_of_a_line_are_two_places() {
    let growth = growth(&[
        (1, grew(1, 7, &[("a.py", 3, "<lambda>")])),
        (1, grew(1, 2, &[("a.py", 3, "<listcomp>")])),
    ]);
    assert_eq!(growth.lines().len(), 2);
}

#[test]
fn what_has_no_python_frame_is_charged_to_its_thread_and_to_no_line() {
    let without = |python, frames| Stack {
        frames,
        python,
        ..grew(1, 1, &[])
    };
    let nameless = Frame {
        line: Some(3),
        ..Frame::default()
    };
    let growth = growth(&[
        (1, without(PythonState::OtherThread, vec![])),
        (1, without(PythonState::Whole, vec![])),
        (1, without(PythonState::Torn, vec![])),
        (1, without(PythonState::Whole, vec![nameless])),
        (1, without(PythonState::Unknown, vec![])),
    ]);
    assert_eq!(
        short(&growth.lines()),
        [
            "no python python3 +2/+2",
            "unread python3 +2/+2",
            "no interpreter python3 +1/+1"
        ]
    );
    assert_eq!(short(&growth.functions()), short(&growth.lines()));
}

#[test]
fn a_stack_without_some_of_its_frames_is_counted_as_that() {
    let growth = growth(&[
        (1, grew(1, 1, &[("a.py", 3, "f")])),
        (
            1,
            Stack {
                python: PythonState::Torn,
                ..grew(1, 1, &[("a.py", 3, "f")])
            },
        ),
        (
            1,
            Stack {
                omitted: 1,
                ..grew(1, 1, &[("a.py", 3, "f")])
            },
        ),
    ]);
    assert_eq!((growth.stacks, growth.incomplete), (3, 2));
    assert_eq!(short(&growth.lines()), ["a.py:3 +3/+3"]);
}

#[test]
fn a_checkpoint_gets_what_grew_since_the_one_before() {
    let mut growth = growth(&[(1, grew(1, 30, &[("a.py", 3, "f")]))]);
    assert_eq!(short(&growth.mark(true)), ["a.py:3 +30/+30"]);
    for (line, mb) in [(1, 1), (2, 9), (3, 0), (4, -9), (5, 3), (6, 2)] {
        growth.apply(seconds(2), &grew(1, mb, &[("a.py", line, "f")]));
    }
    assert_eq!(
        short(&growth.mark(true)),
        ["a.py:2 +9/+9", "a.py:5 +3/+3", "a.py:6 +2/+2"]
    );
    assert_eq!(growth.mark(true), []);
}

#[test]
fn the_last_minute_forgets_what_was_before_it() {
    let growth = growth(&[
        (1, grew(1, 500, &[("a.py", 1, "f")])),
        (50, grew(1, 20, &[("a.py", 2, "f")])),
        (51, grew(1, 1, &[("a.py", 2, "f")])),
        (100, grew(1, 7, &[("a.py", 3, "f")])),
    ]);
    let recent = |second| short(&growth.recent(seconds(second)));
    assert_eq!(recent(110), ["a.py:2 +21/+21", "a.py:3 +7/+7"]);
    assert_eq!(recent(111), ["a.py:3 +7/+7", "a.py:2 +1/+1"]);
    assert_eq!(recent(200), [""; 0]);
}

#[test]
fn a_line_that_grows_late_and_most_is_told_however_many_there_were() {
    let mut growth = Growth::default();
    for line in 0..50_000 {
        growth.apply(seconds(1), &grew(1, 1, &[("a.py", line, "f")]));
    }
    for _ in 0..3 {
        growth.apply(seconds(2), &grew(1, 100, &[("b.py", 7, "g")]));
    }
    let lines = growth.lines();
    assert_eq!(short(&lines[..1]), ["b.py:7 +300/+300"]);
    assert_eq!(short(&growth.recent(seconds(3))[..1]), ["b.py:7 +300/+300"]);
    assert_eq!(lines.last().map(|last| &last.place), Some(&Place::Others));
}

fn sum(grown: &[Grown]) -> i64 {
    grown.iter().map(|grown| grown.moved.net.0).sum()
}

/// `b.py:9 +30`, the callers of the line that grew most.
fn callers(growth: &Growth) -> Vec<String> {
    let one = |Caller { frame, net }: &Caller| {
        let (file, line) = (frame.file.as_deref(), frame.line);
        format!("{}:{} {:+}", file.unwrap(), line.unwrap(), net.0 / MB)
    };
    growth.lines()[0].callers.iter().map(one).collect()
}

#[test]
fn a_helper_tells_for_whom_it_grew_at_the_line_where_its_callers_part() {
    let way = |line| {
        [
            ("a.py", 3, "block"),
            ("a.py", 7, "grow"),
            ("b.py", line, "phase"),
            ("b.py", 99, "main"),
        ]
    };
    let mut stacks: Vec<_> = (0..10).map(|at| (at, grew(1, 12, &way(20)))).collect();
    stacks.extend((0..10).map(|at| (at, grew(2, 6, &way(40)))));
    stacks.push((11, grew(1, 5, &way(60))));
    assert_eq!(callers(&growth(&stacks)), ["b.py:20 +120", "b.py:40 +60"]);
}

#[test]
fn wrappers_of_a_helper_are_not_told_but_who_called_them() {
    let through = |wrapper, line, phase| {
        [
            ("a.py", 3, "block"),
            ("a.py", wrapper, "grow"),
            ("b.py", line, phase),
            ("b.py", line + 100, "main"),
        ]
    };
    let growth = growth(&[
        (1, grew(1, 50, &through(7, 20, "load"))),
        (2, grew(1, 30, &through(7, 40, "search"))),
        (3, grew(1, 60, &through(9, 30, "mail"))),
        (4, grew(1, 20, &through(9, 20, "load"))),
    ]);
    assert_eq!(
        callers(&growth),
        ["b.py:20 +70", "b.py:30 +60", "b.py:40 +30"]
    );
}

#[test]
fn a_way_that_parts_no_more_is_told_by_its_line_next_to_what_all_come_by() {
    let growth = growth(&[
        (
            1,
            grew(
                1,
                50,
                &[
                    ("a.py", 3, "block"),
                    ("a.py", 7, "work"),
                    ("a.py", 8, "threads"),
                    ("b.py", 20, "search"),
                    ("b.py", 99, "main"),
                ],
            ),
        ),
        (
            2,
            grew(
                1,
                30,
                &[
                    ("a.py", 3, "block"),
                    ("b.py", 40, "load"),
                    ("b.py", 98, "main"),
                ],
            ),
        ),
    ]);
    assert_eq!(callers(&growth), ["b.py:20 +50", "b.py:40 +30"]);
}

#[test]
fn a_line_with_one_way_to_it_tells_no_callers() {
    let way = [
        ("a.py", 3, "load"),
        ("b.py", 9, "phase"),
        ("b.py", 99, "main"),
    ];
    let growth = growth(&[(1, grew(1, 95, &way)), (2, grew(1, 5, &way))]);
    assert_eq!(callers(&growth), [""; 0]);
}

#[test]
fn a_line_of_a_library_tells_the_nearest_line_of_the_program() {
    let way = [
        ("/usr/lib/python3.12/copy.py", 162, "deepcopy"),
        ("/usr/lib/python3.12/copy.py", 136, "deepcopy"),
        ("b.py", 30, "copy_config"),
        ("b.py", 99, "main"),
    ];
    assert_eq!(callers(&growth(&[(1, grew(1, 30, &way))])), ["b.py:30 +30"]);
}

#[test]
fn a_caller_whose_growth_went_again_is_not_told() {
    let way = [("a.py", 3, "block"), ("b.py", 9, "phase")];
    let other = [("a.py", 3, "block"), ("b.py", 10, "phase")];
    let growth = growth(&[(1, grew(1, 9, &way)), (2, grew(1, -9, &other))]);
    assert_eq!(callers(&growth), ["b.py:9 +9"]);
}

proptest! {
    // Each takes thousands of stacks to fill what is bounded.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_that_moved_is_lost_and_every_bound_holds(
        moves in proptest::collection::vec((0..200_u64, 0..9000_u32, -9..20_i64), 0..6000),
    ) {
        let mut growth = Growth::default();
        let mut at = 0;
        for (pause, line, mb) in &moves {
            at += pause / 50;
            let file = format!("{}.py", line % 7);
            let function = format!("f{}", line % 5000);
            growth.apply(seconds(at), &grew(1, *mb, &[(&file, *line, &function)]));
        }
        let total = moves.iter().map(|(_, _, mb)| mb * MB).sum::<i64>();
        let gained = moves.iter().map(|(_, _, mb)| (mb * MB).max(0)).sum::<i64>();
        prop_assert_eq!(growth.total, Moved { net: Delta(total), gained: Delta(gained) });
        prop_assert_eq!(sum(&growth.lines()), total);
        prop_assert_eq!(sum(&growth.interval.grown(0)), total);
        prop_assert!(growth.lines().len() <= Growth::MOST + 1);
        prop_assert!(growth.functions().len() <= Growth::MOST);
        prop_assert!(growth.window.0.len() <= Window::SLICES);
        prop_assert!(growth.window.0.iter().all(|slice| slice.account.lines.sorted().count() <= Window::MOST));
        prop_assert!(growth.recent(seconds(at)).len() <= Growth::HEAVIEST);
    }
}

#[test]
fn equals_stand_in_the_order_in_which_they_came() {
    let stacks: Vec<_> = (0..100)
        .map(|line| (1, grew(1, 1, &[("a.py", line, "f")])))
        .collect();
    let lines = growth(&stacks).lines();
    let is_in_order = lines.iter().enumerate().all(|(at, grown)| {
        matches!(&grown.place, Place::Code(place) if *place == frame("a.py", u32::try_from(at).unwrap(), "f"))
    });
    assert!(is_in_order, "{:?}", short(&lines));
}

/// Growth without Python: file and function of each frame, the innermost first.
fn native(mb: i64, frames: &[(&str, &str)]) -> Stack {
    let frame = |(file, function): &(&str, &str)| Native {
        file: Some((*file).into()),
        function: (!function.is_empty()).then(|| (*function).into()),
        ..Native::default()
    };
    Stack {
        python: PythonState::Unknown,
        natives: frames.iter().map(frame).collect(),
        ..grew(1, mb, &[])
    }
}

#[test]
fn growth_without_python_is_the_innermost_function_of_the_program() {
    let libc = "/lib/libc.so.6";
    let stacks = [
        native(
            8,
            &[(libc, "memset"), ("/p", "grow"), ("/p", "main"), (libc, "")],
        ),
        native(4, &[("/p", "main")]),
        // Its innermost frame has no name: who called it is not who grew.
        native(2, &[("/stripped.so", ""), ("/p", "main")]),
        native(1, &[(libc, "")]),
    ];
    let growth = growth(&stacks.map(|stack| (1, stack)));
    assert_eq!(
        short(&growth.lines()),
        [
            "/p grow +8/+8",
            "/p main +4/+4",
            "/stripped.so ? +2/+2",
            "no interpreter python3 +1/+1"
        ]
    );
    assert_eq!(
        short(&growth.functions()),
        [
            "/p main +14/+14",
            "/p grow +8/+8",
            "/lib/libc.so.6 memset +8/+8",
            "no interpreter python3 +1/+1"
        ]
    );
}
