use super::*;

#[test]
fn controls_separators_and_direction_are_escaped_and_chinese_is_not() {
    assert_eq!(
        escape("a\nb\x1b[31m\u{7f}\u{9b}\u{2028}\u{202e}"),
        "a\\nb\\x1b[31m\\x7f\\x9b\\u{2028}\\u{202e}"
    );
    assert_eq!(escape("加载config_AFTER 📍"), "加载config_AFTER 📍");
    assert_eq!(escape("C:\\new"), "C:\\\\new");
}

#[test]
fn a_tamed_line_keeps_its_escapes_and_tabs_and_nothing_wild() {
    assert_eq!(tame("\tx\\n加载"), "\tx\\n加载");
    assert_eq!(tame("\ta\x1b[2J\r\u{202e}\\"), "\ta\\x1b[2J\\r\\u{202e}\\");
}

#[test]
fn only_the_bracket_that_would_end_the_name_is_escaped() {
    assert_eq!(escape_name("a]b[c]"), "a]b[c]");
    assert_eq!(escape_name("x] RSS=1.00MB (Δ"), "x\\x5d RSS=1.00MB (Δ");
}

#[test]
fn what_the_escaper_never_writes_stays() {
    for text in [
        "C:\\dir",
        "\\x41",
        "\\u{41}",
        "\\u{",
        "\\x",
        "\\",
        "\\x+1",
        "\\u{2028",
        "\\u{000002028}",
    ] {
        assert_eq!(unescape(text), text);
    }
}

#[test]
fn every_text_comes_back() {
    let pieces = [
        "]", "] RSS=", "\\", "\\x5d", "\n", "\x1b", "\u{202e}", "检查", " ", "x5d RSS=", "u{a}",
        "\u{85}", "💀",
    ];
    let mut state = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..state % 6 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        state = state.wrapping_add(1);
        assert_eq!(unescape(&escape(&text)), text);
        assert_eq!(unescape(&escape_name(&text)), text);
        assert!(!escape_name(&text).contains("] RSS="));
    }
}

#[test]
fn columns_count_chinese_twice() {
    assert_eq!(pad("检查点", 10), "检查点    ");
    assert_eq!(pad("RSS", 10), "RSS       ");
    assert_eq!(cut("加载config", 6), "加载c…");
    assert_eq!(cut("short", 5), "short");
}
