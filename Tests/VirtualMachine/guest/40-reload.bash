# The policy, and what becomes of a bad one.

policy=/etc/kmesh/bypassd.toml

readers_only() {
    printf '%s\n' '[[grant]]' 'groups = ["kmesh"]' 'role = "read"' >$policy
}

# What a person sees who asks why the reload failed.
reload_words() {
    systemctl status --no-pager --lines=20 kmesh-bypassd.service
}

main=$(property MainPID)
readers_only
check "reload takes a good policy" systemctl reload kmesh-bypassd.service
check "an operator may only read now" eventually 10 says "may not" call_refused oncall bypass '["pod","on"]'
check "reading works" is off field .state call oncall status '["pod"]'
echo 'rule = "bypass"' >>$policy
check "reload refuses a bad policy" fails systemctl reload kmesh-bypassd.service
check "systemctl status says what is wrong, and where" says "$policy:4: " reload_words
check "the service goes on" is active systemctl is-active kmesh-bypassd.service
check "with the old policy" call_refused oncall bypass '["pod","on"]'
rm $policy
check "reload takes a policy away" systemctl reload kmesh-bypassd.service
check "an operator may bypass again" eventually 10 field .state call oncall bypass '["pod","on"]'
check "it was the same daemon all the time" is "$main" property MainPID

# A daemon that cannot read its policy does not start, and is not tried for ever.
readers_only
echo 'rule = "bypass"' >>$policy
check "a start with a bad policy fails" fails systemctl restart kmesh-bypassd.service
check "the exit status says configuration" is 78 property ExecMainStatus
rm $policy
systemctl reset-failed kmesh-bypassd.service kmesh-bypassd.socket 2>/dev/null
check "without it the service starts again" systemctl start kmesh-bypassd.service
check "the bypass is still on" is on field .state call oncall status '["pod"]'
