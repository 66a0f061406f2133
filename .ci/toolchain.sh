#!/usr/bin/env bash
# Brings what `cargo xtask build-ebpf` needs: the pinned nightly, its rust-src and clippy, and
# bpf-linker. Does nothing where they are. Sourced by .ci/run, or run by hand.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/../memtrace-ebpf/toolchain.env"

# The name under which the pinned nightly is installed here, if it is.
pinned_toolchain() {
    local name
    for name in $(rustup toolchain list | sed 's/ .*//' | grep '^nightly' || true); do
        if [[ "$(rustup run "$name" rustc -V)" == "$RUSTC" ]]; then
            echo "$name"
            return
        fi
    done
}

has_rust_src() {
    [[ -e "$(rustup run "$1" rustc --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" ]]
}

# Where rustup's servers do not give rust-src: the library sources of Debian's package, from the
# distribution's own mirror. They are of a neighbouring version, so the object may differ in bytes;
# `build-ebpf --check` says so.
rust_src_from_debian() {
    local toolchain=$1 suite=sid dir library
    dir=$(mktemp -d)
    library="$(rustup run "$toolchain" rustc --print sysroot)/lib/rustlib/src/rust/library"
    # A second, throwaway source list: the machine's own with the suite changed.
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/sources.d" "$dir/package"
    local codename
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        grep -E "^deb .*[ /]$codename " | sed "s/ $codename / $suite /" >"$dir/sources.list" || true
    local own
    for own in /etc/apt/sources.list.d/*.sources; do
        [[ -e "$own" ]] || continue
        awk -v own="$codename" -v suite="$suite" 'BEGIN { RS = ""; ORS = "\n\n" }
            $0 ~ own && !/-security/ { gsub(/Suites:[^\n]*/, "Suites: " suite); print }' \
            "$own" >"$dir/sources.d/$(basename "$own")"
    done
    local options=(-o "Dir::Etc::sourcelist=$dir/sources.list" -o "Dir::Etc::sourceparts=$dir/sources.d"
        -o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache")
    apt-get "${options[@]}" update
    (cd "$dir" && apt-get "${options[@]}" download rust-src && dpkg -x rust-src_*.deb package)
    mkdir -p "$library"
    cp -r "$dir"/package/usr/src/rustc-*/library/. "$library/"
    rm -rf "$dir"
}

install_ebpf_toolchain() {
    local toolchain
    toolchain=$(pinned_toolchain)
    if [[ -z "$toolchain" ]]; then
        rustup toolchain install "$NIGHTLY" --profile minimal --no-self-update
        toolchain=$NIGHTLY
    fi
    if ! has_rust_src "$toolchain"; then
        rustup component add rust-src --toolchain "$toolchain" || rust_src_from_debian "$toolchain"
    fi
    if ! rustup run "$toolchain" cargo clippy --version >/dev/null 2>&1; then
        rustup component add clippy --toolchain "$toolchain"
    fi
    if [[ "$(bpf-linker --version 2>/dev/null || true)" != "bpf-linker $BPF_LINKER" ]]; then
        cargo install "bpf-linker@$BPF_LINKER" --locked --force
    fi
}

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
    install_ebpf_toolchain
fi
