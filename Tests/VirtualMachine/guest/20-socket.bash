# The socket is systemd's: who may connect never depends on who started the daemon, or whether one runs.

socket_rights() {
    # shellcheck disable=SC2154  # lib.bash sets it.
    stat --format='%A %U %G' "$socket"
}

stop_service() {
    systemctl stop kmesh-bypassd.service && ! systemctl is-active --quiet kmesh-bypassd.service
}

check "the socket is root's and the group's" is "srw-rw---- root kmesh" socket_rights
check "systemctl restart works" systemctl restart kmesh-bypassd.service
check "the socket's rights are the same after it" is "srw-rw---- root kmesh" socket_rights
check "systemctl stop works" stop_service
check "the socket stays without the service" is "srw-rw---- root kmesh" socket_rights
check "a client that connects starts the service" is kmesh-bypassd field .name call oncall info '[]'
check "the service runs again" is active systemctl is-active kmesh-bypassd.service
check "the socket's rights are still the same" is "srw-rw---- root kmesh" socket_rights
check "stopping the socket ends the service, too" systemctl stop kmesh-bypassd.socket
check "no service is left" is inactive bash -c 'systemctl is-active kmesh-bypassd.service || true'
check "no socket is left" fails test -e "$socket"
check "systemctl start brings both back" systemctl start kmesh-bypassd.service
check "the socket is back with its rights" is "srw-rw---- root kmesh" socket_rights
