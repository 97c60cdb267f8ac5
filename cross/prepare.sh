# What the scripts of this folder have in common; sourced by them, with `set -euo pipefail`.
#
# Exit codes: 1 the packages do not fit together; 2 an unknown target; 3 a package is missing and
# this user may not install it.

# The script, for its messages.
this=cross/${0##*/}

has_package() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs what is missing of the named Debian packages; without the right to, says how. With
# $arch set, its packages are made known first.
need_packages() {
    local missing=() package
    for package in "$@"; do
        has_package "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        {
            echo "$this: these packages are missing: ${missing[*]}; as root, run:"
            [ -z "${arch:-}" ] || echo "    dpkg --add-architecture $arch"
            echo "    apt-get update"
            echo "    apt-get install -y --no-install-recommends ${missing[*]}"
        } >&2
        exit 3
    fi
    [ -z "${arch:-}" ] || dpkg --print-foreign-architectures | grep -qx "$arch" ||
        dpkg --add-architecture "$arch"
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"
}

# Sets $triple, $arch and $gnu for a target, and makes cargo able to build for it.
prepare_target() {
    case "$1" in
    aarch64)
        triple=aarch64-unknown-linux-gnu
        arch=arm64
        gnu=aarch64-linux-gnu
        ;;
    armv7)
        triple=armv7-unknown-linux-gnueabihf
        arch=armhf
        gnu=arm-linux-gnueabihf
        ;;
    *)
        echo "$this: '$1' is no target: use aarch64 or armv7" >&2
        exit 2
        ;;
    esac
    # The C compiler links, and compiles the little C and assembly that ring has.
    need_packages "gcc-$gnu" "libc6-dev-$arch-cross"
    local variable=${triple//-/_}
    export "CARGO_TARGET_${variable^^}_LINKER=$gnu-gcc" "CC_$variable=$gnu-gcc"
    # A standard library for the target: rustup's if it is there, else Debian's, which goes only
    # with the compiler that Debian built it with.
    [ ! -d "$(rustc --print sysroot)/lib/rustlib/$triple/lib" ] || return 0
    need_packages rustc-web "libstd-rust-web-dev:$arch"
    local compiler library
    compiler=$(dpkg-query -W -f '${Version}' rustc-web)
    library=$(dpkg-query -W -f '${Version}' "libstd-rust-web-dev:$arch")
    if [ "$compiler" != "$library" ]; then
        echo "$this: rustc-web is $compiler but libstd-rust-web-dev:$arch is $library;" \
            "run apt-get update and upgrade both" >&2
        exit 1
    fi
    export RUSTC=/usr/bin/rustc
}

# Sets $run to what runs a program for an architecture as Debian calls it: nothing for this
# machine's own.
prepare_emulator() {
    local loader libc
    run=()
    [ "$1" != "$(dpkg --print-architecture)" ] || return 0
    case "$1" in
    arm64) run=(qemu-aarch64) loader=/lib/ld-linux-aarch64.so.1 libc=/usr/aarch64-linux-gnu ;;
    armhf) run=(qemu-arm) loader=/lib/ld-linux-armhf.so.3 libc=/usr/arm-linux-gnueabihf ;;
    *)
        echo "$this: programs for $1 cannot be run here" >&2
        exit 1
        ;;
    esac
    need_packages qemu-user
    # With the target's own C library installed, qemu must not be told of the cross compiler's:
    # a loader of one build with a library of another spins for ever.
    [ -e "$loader" ] || run+=(-L "$libc")
}
