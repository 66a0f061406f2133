//! Escapes: everything comes back, and nothing gets through that breaks a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::text;
use memtrace_fuzz::{assert_plain, texts};

fuzz_target!(|data: &[u8]| {
    for given in texts(data) {
        let (escaped, name) = (text::escape(&given), text::escape_name(&given));
        for shown in [&escaped, &name] {
            assert_plain(shown);
            assert!(!shown.contains('\n'));
            assert_eq!(text::unescape(shown), given);
        }
        assert!(!name.contains("] RSS="), "{name:?}");
        // What was not escaped by us is read as far as it goes, and escaped again it stays.
        let read = text::unescape(&given);
        assert_eq!(text::unescape(&text::escape(&read)), read);
        for columns in [0, 1, 2, 7, 80] {
            let cut = text::cut(&escaped, columns);
            assert!(text::width(&cut) <= columns.max(1), "{cut:?} in {columns}");
            let padded = text::pad(&escaped, columns);
            assert!(text::width(&padded) >= columns.max(text::width(&escaped)));
        }
    }
});
