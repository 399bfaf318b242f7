# What systemd/install.sh, systemd/uninstall.sh and the test scripts share. Sourced, in the package's folder, with the
# name of the script in $0. What is set here is used there:
# shellcheck disable=SC2034
source systemd/files.bash
source systemd/daemon.bash

# Where the caller was before the script went to the package's folder: relative paths are from there.
caller=$OLDPWD

absolute() {
    case $1 in
    /*) echo "$1" ;;
    *) echo "$caller/$1" ;;
    esac
}
for variable in BINARIES LOG SWIFT; do
    value=${!variable:-}
    # A toolchain without a folder is looked for in PATH.
    if [ -z "$value" ] || [[ $variable == SWIFT && $value != */* ]]; then continue; fi
    printf -v "$variable" %s "$(absolute "$value")"
done

need_root() {
    [ "$(id -u)" -eq 0 ] || fail "must be run as root: sudo $0"
}

# Sets `swift`. sudo leaves the caller's PATH behind, so a toolchain that is nowhere usual is named by SWIFT.
need_swift() {
    swift=${SWIFT:-$(command -v swift || true)}
    if [ -z "$swift" ]; then
        # find fails if one of them is not there.
        swift=$(find /opt/swift/usr/bin/swift /usr/local/swift/usr/bin/swift -maxdepth 0 2>/dev/null | head -n 1 || true)
    fi
    [ -n "$swift" ] || fail "no Swift toolchain: install Swift 6.3 (swift.org/install), or name it: SWIFT=/path/to/swift"
}

has_package() {
    dpkg-query --show --showformat='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

# Installs the Debian packages that are not there yet. Where there is no dpkg, what is missing shows when it is used.
need_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null || return 0
    for package in "$@"; do
        has_package "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    fi
}

# To build (g++ for its library, which the Swift runtime is linked with and the toolchain does not ask for); to run what was
# built elsewhere; and what `demo`, `systemctl reload` and troubleshooters need.
build_packages=(g++ libbpf-dev libmnl-dev libnftnl-dev libelf-dev linux-libc-dev pkg-config python3)
run_packages=(libbpf1 libmnl0 libnftnl11 libstdc++6)
use_packages=(iproute2 iptables nftables socat util-linux mount procps)

# What is built, packed, installed or tested: these packages of systemd/programs, and their programs.
packages=(kmesh-bypassd)
controller=kmesh-bypass-controller
name_programs() {
    local package
    programs=()
    for package in "${packages[@]}"; do
        mapfile -t -O "${#programs[@]}" programs < <(programs_of "$package" | cut -d' ' -f1)
    done
}
name_programs

# Not every node has the controller: where it is meant as well, this is called first.
with_controller() {
    packages+=("$controller")
    name_programs
}

# As with_controller, for what is about a whole release.
with_all_packages() {
    mapfile -t packages < <(awk '!/^#/ && !seen[$2]++ { print $2 }' systemd/programs)
    name_programs
}

# The Swift runtime is linked into a program for use, which loads no library from a folder of its own. Each function has
# a section of its own, which the toolchain's own linker, lld, places by a list. The path of the other flags is relative to the package's folder.
release_flags=(
    --configuration release --scratch-path .build-release --static-swift-stdlib --disable-local-rpath
    -Xswiftc -Xfrontend -Xswiftc -function-sections -Xswiftc -use-ld=lld
    -Xswiftc -Xclang-linker -Xswiftc --config=systemd/release-link.cfg
)

# Exports what Package.swift puts into the programs for `--version`: the commit, and whether its tag makes it a release. Where
# this is not a clone, such as in a source archive, that is what the caller has exported, or nothing.
name_commit() {
    local release tag
    if [ ! -e .git ] || ! KMESH_COMMIT=$(git rev-parse --short=8 HEAD); then return 0; fi
    export KMESH_COMMIT KMESH_RELEASE=
    if [ -n "$(git status --porcelain)" ]; then
        KMESH_COMMIT+=-modified
        return
    fi
    release=$(sed -n 's/.* release = "\(.*\)"/\1/p' Sources/BypassAPI/Product.swift)
    for tag in $(git tag --points-at HEAD 'v[0-9]*'); do
        [ "$tag" = "v$release" ] || fail "the tag $tag is not for version $release, which Product.swift names"
        KMESH_RELEASE=1
    done
}

# Builds the programs for use with their papers, and sets `built` to the folder that they are in. The Swift runtime is linked
# in: the machine that runs them needs no toolchain.
build_release() {
    local flags=("${release_flags[@]}")
    name_commit
    # One build of all takes less time than one for each program: modules are compiled side by side. For a node Package.swift
    # leaves out the rest.
    if [[ " ${programs[*]} " != *" $controller "* ]]; then local -x KMESH_NODE=1; fi
    "$swift" build "${flags[@]}"
    built=$("$swift" build "${flags[@]}" --show-bin-path)
    systemd/papers.py "$built"
}
