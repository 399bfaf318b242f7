# The machine: what goes in, and how it runs. Sourced by run.sh. It is emulated whole, since KVM is often not to be had,
# and forgets what is written to its disk. An old processor is emulated quicker: without AVX, and without mitigations.
# run.sh sets `work`, the folder for all of it, and `kernel_options`, image.bash sets `image`, kernels.bash `kernel`, and
# setup.bash `programs`:
# shellcheck disable=SC2154

# need_packed BINARIES [EARLIER]: packs the release build that is there twice, as an earlier and as a later version, into
# $work/earlier and $work/later. The earlier one may be another build, which need not have all programs of today: of that
# version only the daemon's package is used.
need_packed() {
    # Versions that no release has.
    BINARIES=${2:-$1} VERSION=0.0.1 systemd/package.sh --node --fast "$work/earlier"
    BINARIES=$1 VERSION=0.0.2 systemd/package.sh --fast "$work/later"
}

# make_second_drive [PART...]: packs the second drive: a release's archive, unpacked, the Debian packages, the tests (all
# parts, or those), and the kernel's modules if it is not the disk's own.
make_second_drive() {
    local folder=$work/payload part
    rm -rf "$folder" "$work/second-drive"
    mkdir -p "$folder"
    tar --extract --file "$work"/later/*.tar.gz --directory "$folder" --strip-components=1
    cp -R "$work"/{earlier,later} Tests/VirtualMachine/guest "$folder/"
    if [ -d "$work/container" ]; then cp -a "$work/container" "$folder/"; fi
    rm "$folder"/later/*.tar.gz
    for part in "$folder/guest"/[0-9]*.bash; do
        [ $# -eq 0 ] || [[ " $* " == *" $(basename "$part" .bash) "* ]] || rm "$part"
    done
    if [ -d "$kernel/lib" ]; then cp -R "$kernel/lib/modules" "$folder/"; fi
    mke2fs -q -t ext4 -d "$folder" "$work/second-drive" 1000M >/dev/null || fail "the second drive could not be made"
}

# Runs the machine until it switches itself off, or its time is over. Shows its TAP lines as they come; they are in
# $work/results afterwards, and the console's in $work/console.
run_machine() {
    local seconds=$1 emulator status=0
    : >"$work/results"
    timeout --kill-after=10 "$seconds" qemu-system-x86_64 \
        -accel tcg,thread=multi -cpu Nehalem -smp 2 -m 1536 -nodefaults -display none -no-reboot \
        -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd" \
        -append "root=/dev/vda rw console=ttyS0 panic=-1 quiet mitigations=off systemd.show_status=yes $kernel_options" \
        -drive "file=$image/disk,format=raw,if=virtio,snapshot=on" \
        -drive "file=$work/second-drive,format=raw,if=virtio,readonly=on" \
        -serial "file:$work/console" -serial "file:$work/results" &
    emulator=$!
    tail --pid="$emulator" --lines=+1 --follow "$work/results" | sed -u 's/\r$//' &
    wait "$emulator" || status=$?
    wait
    [ "$status" -ne 124 ] || echo "the machine was not done after $seconds s" >&2
    return "$status"
}

# TAP's rule: all the tests that were planned have a line, and no line says `not ok`. The plan comes last, so a machine
# that died on the way has none.
is_good() {
    local results plan
    results=$(tr -d '\r' <"$work/results")
    plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\)$/\1/p' <<<"$results")
    [ -n "$plan" ] && [ "$plan" -gt 0 ] && [ "$(grep -c '^ok ' <<<"$results")" = "$plan" ] &&
        ! grep -q '^not ok ' <<<"$results"
}
