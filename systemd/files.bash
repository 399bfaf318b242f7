# Which file of which package goes where, and with what mode. Sourced, in the package's folder: by stage.sh, which copies
# them, and by the scripts that install and uninstall. What is set here is used there:
# shellcheck disable=SC2034

# What a build consists of beside the programs: manuals and completions, in this folder beside them (papers.py).
papers=papers

# programs_of PACKAGE: prints rows of `program section`.
programs_of() {
    awk -v package="$1" '!/^#/ && $2 == package { print $1, $3 }' systemd/programs
}

# layout vendor|local [PREFIX]: sets where things go. `vendor` is a distribution's package; `local` is beside the
# distribution, with the programs in PREFIX/bin (default /usr/local). /etc is the administrator's in both.
layout() {
    case $1 in
    vendor)
        bin=/usr/bin lib=/usr/lib share=/usr/share
        zsh=$share/zsh/vendor-completions
        ;;
    local)
        bin=${2:-/usr/local}/bin lib=/usr/local/lib share=/usr/local/share
        zsh=$share/zsh/site-functions
        ;;
    esac
    units=$lib/systemd/system
}

# prefix_of PACKAGE: prints the PREFIX that its unit names, which install.sh has installed.
prefix_of() {
    sed -n "s|^ExecStart=\(/.*\)/bin/$1\>.*|\1|p" "$units/$1.service" 2>/dev/null || true
}

# files_of PACKAGE: prints rows of `mode target source`. `build/` in a source stands for the folder with the programs; with
# the mode `link`, the source is what a symbolic link leads to.
files_of() {
    local program section
    while read -r program section; do
        echo "0755 $bin/$program build/$program"
        echo "0644 $share/man/man$section/$program.$section.gz build/$papers/$program.$section.gz"
        # A program without a command line of words has none.
        if [ "$program" = kmesh-bypassd ]; then continue; fi
        echo "0644 $share/bash-completion/completions/$program build/$papers/$program.bash"
        echo "0644 $zsh/_$program build/$papers/$program.zsh"
        echo "0644 $share/fish/vendor_completions.d/$program.fish build/$papers/$program.fish"
    done < <(programs_of "$1")
    case $1 in
    kmesh-bypassd)
        echo "0644 $units/kmesh-bypassd.service systemd/kmesh-bypassd.service"
        echo "0644 $units/kmesh-bypassd.socket systemd/kmesh-bypassd.socket"
        echo "0644 $lib/sysusers.d/kmesh-bypassd.conf systemd/kmesh-bypassd.sysusers"
        echo "0644 $lib/tmpfiles.d/kmesh-bypassd.conf systemd/kmesh-bypassd.tmpfiles"
        echo "0644 $share/man/man5/bypassd.toml.5.gz build/$papers/bypassd.toml.5.gz"
        echo "0644 $share/doc/kmesh-bypassd/examples/bypassd.toml build/$papers/bypassd.toml"
        ;;
    kubectl-bypass)
        echo "link $bin/kubectl_complete-bypass kubectl-bypass"
        echo "link $share/man/man1/kubectl_complete-bypass.1.gz kubectl-bypass.1.gz"
        ;;
    kmesh-bypass-controller)
        echo "0644 $units/kmesh-bypass-controller.service systemd/kmesh-bypass-controller.service"
        ;;
    esac
    echo "0644 $share/doc/$1/NOTICE NOTICE"
    echo "0644 $share/doc/$1/CHANGELOG.md CHANGELOG.md"
}

# stage PACKAGE BUILD [ROOT]: copies the files of the package to where they belong, under ROOT. Units name the programs
# where the layout has them.
stage() {
    local package=$1 build=$2 root=${3:-} mode target source
    while read -r mode target source; do
        if [ "$mode" = link ]; then
            mkdir -p "$root$(dirname "$target")"
            ln -sf "$source" "$root$target"
            continue
        fi
        source=${source/#build/$build}
        [ -r "$source" ] || fail "$source is missing; build it first (Tests/run.sh --release)"
        case $target in
        "$units"/*) sed "s|/usr/local/bin/|$bin/|g" "$source" | install -D -m "$mode" /dev/stdin "$root$target" ;;
        *) install -D -m "$mode" "$source" "$root$target" ;;
        esac
    done < <(files_of "$package")
}
