//! Line tables of the standard library, under every interpreter of this machine, against what Python
//! itself reads in them.

use std::process::Command;

use memtrace::python::lines::{Line, Table};
use serde::Deserialize;

/// Prints a JSON line for each code object of some modules: its first line, its table, and ranges of
/// bytes with their lines. Files that this version cannot compile are left out.
const DUMP: &str = r#"
import dis, glob, json, os, sys
def ranges(code):
    if hasattr(code, "co_lines"):
        return [[start, end, -1 if line is None else line] for start, end, line in code.co_lines()]
    starts = list(dis.findlinestarts(code)) + [(len(code.co_code), 0)]
    return [[start, after, line] for (start, line), (after, _) in zip(starts, starts[1:])]
def dump(code):
    table = getattr(code, "co_linetable", None) or code.co_lnotab
    print(json.dumps({"first": code.co_firstlineno, "table": list(table), "ranges": ranges(code)}))
    for const in code.co_consts:
        if hasattr(const, "co_code"):
            dump(const)
for path in sorted(glob.glob(os.path.dirname(os.__file__) + "/*.py"))[::5]:
    try:
        dump(compile(open(path, "rb").read(), path, "exec"))
    except (SyntaxError, ValueError, OSError):
        pass
# A line that goes on for long, lines far apart and lines that go back.
dump(compile("x = [" + "\n" * 300 + "f(1,\n\n\n2)" + ", 1" * 2000 + "]\n" + "\n" * 5000 + "y = x", "long", "exec"))
"#;

#[derive(Deserialize)]
struct Code {
    first: i32,
    table: Vec<u8>,
    ranges: Vec<(i64, i64, i64)>,
}

#[test]
fn each_instruction_has_the_line_that_python_gives_it() {
    let debians = xtask::test::debian::interpreters();
    for (version, interpreter) in xtask::test::python::interpreters()
        .into_iter()
        .chain(debians)
    {
        let minor = version
            .split('.')
            .nth(1)
            .and_then(|minor| minor.parse().ok());
        let table = match minor {
            Some(..=6) | None => continue,
            Some(7..=9) => Table::Steps,
            Some(10) => Table::Ranges,
            Some(_) => Table::Locations,
        };
        let output = Command::new(interpreter).args(["-c", DUMP]).output();
        let output = output.expect("Python runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{version}: {said}");
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        let (mut codes, mut instructions) = (0, 0);
        for line in text.lines() {
            let Code {
                first,
                table: bytes,
                ranges,
            } = serde_json::from_str(line).expect("it is JSON");
            codes += 1;
            for (start, end, wanted) in ranges {
                let wanted = u32::try_from(wanted).map_or(Line::None, Line::At);
                for offset in (start..end).step_by(2) {
                    instructions += 1;
                    let found = table.line(&bytes, first, offset);
                    assert_eq!(found, wanted, "{version}: {offset} in {line}");
                }
            }
        }
        assert!(codes > 100, "{version}: {codes} code objects");
        println!("figure: {version}: {instructions} instructions of {codes} code objects");
    }
}
