# What systemd/install.sh and Tests/run.sh share. Sourced, in the package's folder, with the name of the script in $0.

fail() {
    echo "$(basename "$0"): $1" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" -eq 0 ] || fail "must be run as root: sudo $0"
}

# Sets `swift`. sudo leaves the caller's PATH behind, so a toolchain that is nowhere usual is named by SWIFT.
need_swift() {
    swift=${SWIFT:-$(command -v swift || true)}
    if [ -z "$swift" ]; then
        swift=$(find /opt/swift/usr/bin/swift /usr/local/swift/usr/bin/swift -maxdepth 0 2>/dev/null | head -n 1)
    fi
    [ -n "$swift" ] || fail "no Swift toolchain: install Swift 6.3 (swift.org/install), or name it: SWIFT=/path/to/swift"
}

# Installs the Debian packages that are not there yet.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    fi
}

# To build; and `demo` and troubleshooters need the commands.
build_packages=(libbpf-dev libmnl-dev libnftnl-dev libelf-dev linux-libc-dev pkg-config)
use_packages=(iproute2 iptables nftables socat util-linux mount)
