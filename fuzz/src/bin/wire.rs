//! Records of the rings. What is decoded stands in the record, and nothing behind it matters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::decode::{DecodeError, Decoder, arguments};

fuzz_target!(|data: &[u8]| {
    let decoder = Decoder { page_bytes: 4096 };
    let event = decoder.event(data);
    match &event {
        // Each byte that is no UTF-8 is shown as three; everything else is shorter than its text.
        Ok(event) => {
            let shown = format!("{event:?}");
            assert!(shown.len() < 4096 + 16 * data.len(), "{shown}");
        }
        Err(DecodeError::Tag(tag) | DecodeError::Length { tag }) => {
            assert_eq!(data[..4], tag.to_ne_bytes());
        }
        Err(DecodeError::Short { .. }) => {}
    }
    // The rings round a record up, and whoever reads the rest must not be told another story.
    if event.is_ok() {
        let longer = [data, &[0xa5; 8]].concat();
        assert_eq!(decoder.event(&longer), event);
    }
    // No kind is both an event and a task of a census.
    assert!(event.is_err() || decoder.task(data).is_err());
    let text: usize = arguments(data).iter().map(String::len).sum();
    assert!(text <= 3 * data.len());
});
