//! BTF: what is found lies in the blob, whatever the blob says of itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::kernel::{
    btf::{Btf, kind, stand_in},
    offsets::Layout,
};

const WANTED: [&str; 4] = ["outer", "flags", "btf_trace_seen", "rss_stat"];

fuzz_target!(|data: &[u8]| {
    if let Ok(btf) = Btf::parse(data, &WANTED) {
        for kind in [kind::STRUCT, kind::ENUM, kind::TYPEDEF, kind::FUNC] {
            for name in WANTED {
                found(data, &btf, kind, name);
            }
        }
        for path in ["a", "b", "d.y", "d.y.x", "e", ""] {
            let offset = btf.offset("outer", path);
            // Whoever has fields has a kind.
            if let (Some(_), Some((first, _))) = (offset, path.split_once('.')) {
                assert!(btf.field_kind("outer", first).is_some());
            }
        }
        let _ = (btf.size("outer"), btf.enumerator("flags", "second"));
        if let Some(arguments) = btf.tracepoint("seen") {
            assert!(8 * arguments.len() < data.len());
        }
    }
    if let Ok(layout) = Layout::find(data) {
        let bound = Btf::parse(&layout.bound_types, &["btf_trace_rss_stat"]);
        let whole = Btf::parse(data, &["btf_trace_rss_stat"]).expect("it was read before");
        let id = |btf: &Btf<'_>| btf.id(kind::TYPEDEF, "btf_trace_rss_stat");
        assert_eq!(id(&bound.expect("we wrote it")), id(&whole));
    }
});

/// A type has an id no higher than types fit into the blob, and a stand-in has it there too.
fn found(data: &[u8], btf: &Btf<'_>, kind: u8, name: &str) {
    let Some(id) = btf.id(kind, name) else { return };
    assert!(id as usize <= data.len() / 12, "{name} has the id {id}");
    let blob = stand_in(&[(kind, name, id)]);
    let again = Btf::parse(&blob, &[name]).expect("we wrote it");
    assert_eq!(again.id(kind, name), Some(id));
}
