//! Format files of tracepoints: an offset that is found stands in the text, and one that stands in
//! the kernel's form is found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::kernel::formats::offset;
use memtrace_fuzz::texts;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for field in ["pid", "curr", "member", "size", "mm_id", "comm", ""] {
        if let Some(found) = offset(&text, field) {
            assert!(text.contains(&format!("{found}")), "{found} in {text}");
            assert!(text.contains(field), "{field} in {text}");
        }
    }
    written(&texts(data).collect::<Vec<_>>());
});

/// A file in the kernel's form with fields of these names, as far as they are names in C.
fn written(names: &[String]) {
    let is_word = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let names: Vec<&String> = names.iter().filter(|name| is_word(name)).collect();
    let mut file = "name: one\nID: 7\nformat:\n".to_owned();
    for (n, name) in names.iter().enumerate() {
        let array = if n % 3 == 2 { "[16]" } else { "" };
        file +=
            &format!("\tfield:unsigned long {name}{array};\toffset:{n};\tsize:8;\tsigned:0;\n\n");
    }
    file += "print fmt: \"pid=%d\", REC->pid\n";
    for name in &names {
        let first = names.iter().position(|other| other == name);
        assert_eq!(
            offset(&file, name).map(|found| found as usize),
            first,
            "{file}"
        );
    }
}
