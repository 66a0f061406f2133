use super::*;

const NOON_UTC_NS: i64 = 1_763_610_645_213_871_000; // 2025-11-20 03:50:45.213871 UTC

fn clock(zone: Option<&str>, offset: i32) -> Clock {
    Clock::of(&Begin {
        wall_at_boot_ns: NOON_UTC_NS,
        time_zone: zone.map(Into::into),
        utc_offset_seconds: offset,
        ..crate::sample::begin()
    })
}

#[test]
fn a_named_zone_prints_its_wall_time() {
    let clock = clock(Some("Asia/Shanghai"), 0);
    assert_eq!(
        clock.date_time(BootNanos(0), Precision::Seconds),
        "2025-11-20 11:50:45"
    );
    assert_eq!(
        clock.time(BootNanos(1_000_000), Precision::Millis),
        "11:50:45.214"
    );
    assert_eq!(
        clock.date_time(BootNanos(0), Precision::Micros),
        "2025-11-20 11:50:45.213871"
    );
    assert_eq!(clock.stamp(BootNanos(0)), "20251120_115045");
}

#[test]
fn an_unknown_zone_falls_back_to_the_offset() {
    let clock = clock(Some("Mars/Olympus"), -3600);
    assert_eq!(clock.time(BootNanos(0), Precision::Seconds), "02:50:45");
}

#[test]
fn summer_time_follows_the_zone() {
    let clock = clock(Some("Europe/Berlin"), 3600);
    let half_a_year = BootNanos(182 * 86_400 * 1_000_000_000);
    assert_eq!(clock.time(BootNanos(0), Precision::Seconds), "04:50:45");
    assert_eq!(clock.time(half_a_year, Precision::Seconds), "05:50:45");
}

#[test]
fn a_time_beyond_all_calendars_does_not_panic() {
    let clock = clock(None, i32::MAX);
    assert!(
        !clock
            .date_time(BootNanos(u64::MAX), Precision::Micros)
            .is_empty()
    );
}

#[test]
fn the_anchor_of_now_is_near_now_and_utc_can_be_forced() {
    let anchor = Anchor::now(true);
    assert_eq!(
        (anchor.time_zone.as_deref(), anchor.utc_offset_seconds),
        (Some("UTC"), 0)
    );
    let boot = nanos(ClockId::Boottime);
    let off = (anchor.wall_at_boot_ns + boot - nanos(ClockId::Realtime)).abs();
    assert!(off < 2_000_000_000, "off by {off} ns");
}
