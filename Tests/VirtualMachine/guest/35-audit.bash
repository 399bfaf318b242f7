# What the journal knows afterwards: one structured record for each change and each denial.

# The last record with these fields, as JSON.
record() {
    journalctl --output=json --lines=1 "$@" | grep .
}

# Who did what, as one line.
who='"\(.KMESH_UID) \(.KMESH_EXE) \(.KMESH_UNIT) \(.KMESH_METHOD) \(.KMESH_NETNS) \(.KMESH_INODE) \(.KMESH_RESULT)"'
user=$(id -u oncall)
# The test's own: socat is part of it.
unit=second-drive.service
inode=$(stat --dereference --format=%i /run/netns/pod)

check "an operator says why" field .reason \
    call oncall bypass '{"netns":"pod","state":"on","owner":"night shift","reason":"INC-4711"}'
check "the change is recorded" eventually 20 record KMESH_METHOD="bypass on" KMESH_REASON=INC-4711
check "with who, by what, what and where" is "$user $(realpath "$(command -v socat)") $unit bypass on pod $inode changed" \
    field "$who" record KMESH_REASON=INC-4711
check "with for whom, and how long it took" is "night shift true" \
    field '"\(.KMESH_OWNER) \((.KMESH_DURATION_USEC | tonumber) > 0)"' record KMESH_REASON=INC-4711
check "with a sentence for people" says "bypass on pod by oncall (uid $user" field .MESSAGE record KMESH_REASON=INC-4711
check "it is among the service's own" is kmesh-bypassd.service field ._SYSTEMD_UNIT record KMESH_REASON=INC-4711
check "the operator asks for the host's namespace" call_refused oncall bypass '["/proc/1/ns/net","on"]'
check "the denial is recorded as a warning" eventually 20 record KMESH_RESULT=denied KMESH_UID="$user" PRIORITY=4
check "what a client says cannot steer a terminal" field .reason \
    call oncall bypass '{"netns":"pod","state":"on","reason":"\u001b[2J red"}'
check "the record says it in print" eventually 20 says '\u{1b}[2J red' \
    journalctl --no-pager --lines=1 --output=cat KMESH_METHOD="bypass on"
check "the operator turns it off" is off field .state call oncall bypass '["pod","off"]'
