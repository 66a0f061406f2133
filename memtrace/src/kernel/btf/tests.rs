use super::{blob::Blob, *};

const CONST: u8 = 10;
const ARRAY: u8 = 3;
const WANTED: &[&str] = &["outer", "flags", "btf_trace_seen", "btf_trace_odd"];

/// `struct outer { int a; struct { int b; union { int c; inner_t d; }; }; int e:3; int f[4]; }`
fn sample() -> Vec<u8> {
    let mut blob = Blob::new();
    let int = blob.int("int");
    let inner = blob.structure(kind::STRUCT, "inner", 8, &[("x", int, 0), ("y", int, 4)]);
    let constant = blob.of(CONST, "", inner);
    let inner_t = blob.of(kind::TYPEDEF, "inner_t", constant);
    let union = blob.structure(kind::UNION, "", 8, &[("c", int, 0), ("d", inner_t, 0)]);
    let nameless = blob.structure(kind::STRUCT, "", 12, &[("b", int, 0), ("", union, 4)]);
    let array = blob.array(int, 4);
    let names = ["outer", "a", "e", "f"].map(|name| blob.text(name));
    let bitfield = (3 << 24) | (16 * 8);
    // With the flag the upper byte of an offset is the size of a bitfield.
    blob.raw(
        names[0],
        (1 << 31) | (u32::from(kind::STRUCT) << 24) | 4,
        36,
        &[
            names[1],
            int,
            0,
            0,
            nameless,
            4 * 8,
            names[2],
            int,
            bitfield,
            names[3],
            array,
            20 * 8,
        ],
    );
    blob.enumeration("flags", &[("first", 4), ("second", 7)]);
    let pointer = blob.of(kind::PTR, "", inner);
    let gfp = blob.of(kind::TYPEDEF, "gfp_t", int);
    blob.tracepoint("seen", &[pointer, int, gfp]);
    blob.of(kind::TYPEDEF, "btf_trace_odd", int);
    blob.finish()
}

#[test]
fn fields_are_found_through_nameless_members_typedefs_and_bitfields() {
    let blob = sample();
    let btf = Btf::parse(&blob, WANTED).unwrap();
    for (path, offset) in [
        ("a", Some(0)),
        ("b", Some(4)),
        ("c", Some(8)),
        ("d", Some(8)),
        ("d.y", Some(12)),
        ("e", Some(16)),
        ("f", Some(20)),
        ("g", None),
        ("a.x", None),
        ("f.x", None),
        ("", None),
        ("d.", None),
    ] {
        assert_eq!(btf.offset("outer", path), offset, "{path}");
    }
    assert_eq!(btf.size("outer"), Some(36));
    assert_eq!(btf.field_kind("outer", "f"), Some(ARRAY));
    assert_eq!(btf.field_kind("outer", "d"), Some(kind::STRUCT));
}

#[test]
fn only_wanted_names_are_kept() {
    let blob = sample();
    let btf = Btf::parse(&blob, WANTED).unwrap();
    assert_eq!(btf.size("inner"), None);
    assert_eq!(btf.id(kind::ENUM, "outer"), None);
}

#[test]
fn enumerators_and_the_arguments_of_tracepoints_are_found() {
    let blob = sample();
    let btf = Btf::parse(&blob, WANTED).unwrap();
    assert_eq!(btf.enumerator("flags", "second"), Some(7));
    assert_eq!(btf.enumerator("flags", "third"), None);
    let argument = |kind, typedef: Option<&str>| Argument {
        kind,
        typedef: typedef.map(str::to_owned),
    };
    assert_eq!(
        btf.tracepoint("seen"),
        Some(vec![
            argument(kind::PTR, None),
            argument(kind::INT, None),
            argument(kind::INT, Some("gfp_t"))
        ])
    );
    assert_eq!(btf.tracepoint("odd"), None);
    assert_eq!(btf.tracepoint("never"), None);
}

#[test]
fn what_does_not_begin_like_btf_is_refused() {
    for bytes in [&b""[..], b"\x7fELF", &0x9feb_u16.to_ne_bytes()] {
        assert_eq!(Btf::parse(bytes, &[]).err(), Some(BtfError::Magic));
    }
}

#[test]
fn a_blob_cut_anywhere_is_an_error_and_never_a_panic() {
    let blob = sample();
    for length in 0..blob.len() {
        assert!(
            Btf::parse(&blob[..length], WANTED).is_err(),
            "{length} bytes"
        );
    }
}

#[test]
fn any_damaged_byte_is_survived() {
    let blob = sample();
    for at in 0..blob.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = blob.clone();
            damaged[at] = value;
            if let Ok(btf) = Btf::parse(&damaged, WANTED) {
                for path in ["a", "d.y", "f", "none"] {
                    let _ = btf.offset("outer", path);
                    let _ = btf.field_kind("outer", path);
                }
                let _ = (btf.size("outer"), btf.enumerator("flags", "second"));
                let _ = btf.tracepoint("seen");
            }
        }
    }
}

#[test]
fn types_that_go_in_circles_end() {
    let mut blob = Blob::new();
    let outer = blob.of(kind::TYPEDEF, "outer", 2);
    blob.of(CONST, "", outer);
    // A struct with a nameless member that is the struct itself.
    blob.structure(kind::STRUCT, "outer", 4, &[("", 3, 0), ("", 1, 0)]);
    blob.of(kind::TYPEDEF, "btf_trace_seen", 1);
    let blob = blob.finish();
    let btf = Btf::parse(&blob, WANTED).unwrap();
    assert_eq!(btf.offset("outer", "a"), None);
    assert_eq!(btf.tracepoint("seen"), None);
}

#[test]
fn nameless_structs_within_one_another_do_not_multiply_for_ever() {
    let mut blob = Blob::new();
    // A struct of which every member is again the struct itself: 1,000 to the 16th members.
    blob.structure(kind::STRUCT, "outer", 4, &vec![("", 1, 0); 1000]);
    let blob = blob.finish();
    let btf = Btf::parse(&blob, WANTED).unwrap();
    assert_eq!(btf.offset("outer", "a"), None);
    assert_eq!(btf.field_kind("outer", "a"), None);
}

#[test]
fn an_unknown_kind_is_named() {
    let mut blob = Blob::new();
    blob.raw(0, 31 << 24, 0, &[]);
    assert_eq!(
        Btf::parse(&blob.finish(), &[]).err(),
        Some(BtfError::Kind(31))
    );
}

#[test]
fn a_name_outside_the_strings_is_an_error() {
    let mut blob = Blob::new();
    blob.raw(1000, u32::from(kind::STRUCT) << 24, 0, &[]);
    assert_eq!(
        Btf::parse(&blob.finish(), &[]).err(),
        Some(BtfError::Bounds(1000))
    );
}

#[test]
fn a_stand_in_has_the_names_at_their_ids() {
    let blob = stand_in(&[(kind::TYPEDEF, "there", 7), (kind::FUNC, "here", 3)]);
    let btf = Btf::parse(&blob, &["here", "there"]).unwrap();
    assert_eq!(btf.id(kind::FUNC, "here"), Some(3));
    assert_eq!(btf.id(kind::TYPEDEF, "there"), Some(7));
    assert_eq!(btf.id(kind::FUNC, "there"), None);
}
