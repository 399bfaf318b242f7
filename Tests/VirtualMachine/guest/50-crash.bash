# Killed, or hanging: the traffic does not notice, and systemd brings the daemon back. The bypass of the last part is on.

# Longer than the watchdog's time, the daemon is the same.
still_runs_after() {
    sleep "$1" && is "$2" property MainPID
}

since=$(call oncall status '["pod"]' | jq -r .since)
watch_traffic 0

main=$(property MainPID)
check "systemctl kill works" systemctl kill -s KILL kmesh-bypassd.service
check "systemd starts another daemon" eventually 60 is_another_daemon "$main"
check "the list is as before" is "pod on $since" field '.bypasses[] | "\(.netns) \(.state) \(.since)"' call oncall list '[]'
check "the status line counts it" eventually 10 says "1 " property StatusText
check "clients have the same rights" is "srw-rw---- root kmesh" socket_rights

check "the watchdog is on" is 30s property WatchdogUSec
mkdir -p /run/systemd/system/kmesh-bypassd.service.d
printf '%s\n' '[Service]' 'WatchdogSec=4s' 'TimeoutAbortSec=2s' >/run/systemd/system/kmesh-bypassd.service.d/test.conf
systemctl daemon-reload
check "it can be made quicker" systemctl restart kmesh-bypassd.service
main=$(property MainPID)
check "a healthy daemon feeds it" still_runs_after 10 "$main"
check "a daemon can be stopped in its tracks" systemctl kill -s STOP kmesh-bypassd.service
check "the watchdog ends it, and systemd starts another" eventually 90 is_another_daemon "$main"
check "the journal says that it was the watchdog" says "Watchdog timeout" \
    journalctl --no-pager --lines=60 --unit=kmesh-bypassd.service
check "the bypass is still on" is on field .state call oncall status '["pod"]'
rm -r /run/systemd/system/kmesh-bypassd.service.d
systemctl daemon-reload
systemctl restart kmesh-bypassd.service

stop_watching
check "the traffic was direct all the time" was_direct

# Under the unit's restrictions, too, the daemon looks after what it has turned on.
check "another program flushes the pod's ruleset" nsenter --net=/run/netns/pod nft delete table inet kmesh_bypass
check "the daemon puts it back" eventually 20 nsenter --net=/run/netns/pod nft list table inet kmesh_bypass
check "the doctor finds nothing wrong" kmesh-bypassctl doctor
