import Testing

@testable import kmesh_bypassctl

@Suite struct NameTests {
    private static let files = ["web", "database", "cache-1"]

    @Test(
        arguments: [
            ("wbe", "did you mean 'web'?"), ("weeb", "did you mean 'web'?"), ("databse", "did you mean 'database'?"),
            ("cache1", "did you mean 'cache-1'?"),
            ("nothing-like-it", "'kmesh-bypassctl namespaces' lists what can be named"),
            ("4711", "did you mean 'pid:4711', the namespace of that process?"),
            ("9c1d0f3b2a4e", "did you mean 'container:9c1d0f3b2a4e'?"),
            ("containerd://9c1d0f3b2a4e", "did you mean 'container:containerd://9c1d0f3b2a4e'?"),
            (
                "pod:web-0",
                "pod: takes a UID, which 'kubectl get pod web-0 --output jsonpath={.metadata.uid}' prints"
            ),
            ("pod:3f1c5a52-0d5c-4b8e-9d30-9a4a4c1d2e3f", nil), ("pid:1", nil), ("/proc/4711/ns/net", nil),
            ("/run/netns/wbe", "did you mean 'web'?"), ("/var/run/netns/wbe", "did you mean 'web'?"),
            ("WEB", "did you mean 'web'?"), ("data", "did you mean 'database'?"),
            // It is there, but is not a namespace.
            ("web", "'kmesh-bypassctl namespaces' lists what can be named"),
            (
                "3f1c5a52-0d5c-4b8e-9d30-9a4a4c1d2e3f",
                "did you mean 'pod:3f1c5a52-0d5c-4b8e-9d30-9a4a4c1d2e3f'?"
            ),
            ("pod:shop/web-0", "did you mean 'shop/web-0'?"), ("PID:4711", "did you mean 'pid:4711'?"),
            ("pdo:3f1c", "did you mean 'pod:3f1c'?"), ("contianer:9c1d", "did you mean 'container:9c1d'?"),
        ] as [(String, String?)])
    func `A name that the daemon refuses comes with what may be meant`(name: String, hint: String?) {
        #expect(NameHint(refused: name, names: Self.files).text == hint)
    }

    @Test(
        arguments: [
            ("default/web-0", "kubectl get pod web-0 --namespace default --output jsonpath={.metadata.uid}"),
            ("pod/web-0", "kubectl get pod web-0 --output jsonpath={.metadata.uid}"),
            ("web", nil), ("/run/netns/web", nil), ("a/b/c", nil), ("pod/--all", nil), ("a/", nil), ("A/b", nil),
        ] as [(String, String?)])
    func `A pod is named by its name, and by nothing that kubectl takes for an option`(name: String, command: String?) {
        #expect(PodName(name)?.command.joined(separator: " ") == command)
    }

    @Test(
        arguments: [
            (["lst"], "there is no command 'lst': did you mean 'list'?"),
            (["polcy", "check"], "there is no command 'polcy': did you mean 'policy'?"),
            (["policy", "chekc"], "there is no command 'chekc': did you mean 'check'?"),
            (["namespace"], "there is no command 'namespace': did you mean 'namespaces'?"),
            (["stat"], "there is no command 'stat': did you mean 'status'?"),
            (["STATUS"], "there is no command 'STATUS': did you mean 'status'?"),
            (["hlep"], "there is no command 'hlep': did you mean 'help'?"), (["compare-worke"], nil),
            (
                ["exec", "web", "curl", "-sS"],
                "'--' is missing before the command: kmesh-bypassctl exec NETNS -- COMMAND"
            ),
            (["exec", "web", "--nonsense", "--", "curl"], nil),
            (["turn", "web"], nil), (["on"], nil), (["--help"], nil), ([], nil),
        ] as [([String], String?)])
    func `A misspelt command comes with the nearest one`(arguments: [String], hint: String?) {
        #expect(CommandHint(Bypassctl.self, arguments).text == hint)
    }

    @Test(
        arguments: [
            ("--socket /x status", "status --socket /x"), ("--socket=/x --json list", "list --socket=/x --json"),
            ("--json policy explain web", "policy explain --json web"), ("status --socket /x", "status --socket /x"),
            ("--json exec web -- ls --json", "exec --json web -- ls --json"), ("--socket", "--socket"),
            ("--json", "--json"), ("--json lst", "lst --json"), ("--socket status", "--socket status"),
            ("--help", "--help"), ("", ""),
        ])
    func `What every command takes may stand before the command`(written: String, parsed: String) {
        let words = written.split(separator: " ").map(String.init)
        #expect(CommonOptions.behindCommand(words, of: Bypassctl.self).joined(separator: " ") == parsed)
    }

    /// bash executes what stands in a word that it is offered.
    @Test func `Each shell is offered names that it can use`() {
        let names = ["web", "a b", "$(reboot)", "pid:7", "it's", "-x", "`id`"]
        #expect(completions(names, for: "bash") == "web\npid:7\n/run/netns/-x\n")
        #expect(completions(names, for: "zsh").hasPrefix("web\na b\n$(reboot)\npid\\:7\n"))
        #expect(completions(names, for: nil).split(separator: "\n").count == names.count)
    }

    @Test func `A report has what was done to the namespace by any name`() {
        #expect(
            SupportReport.auditFilter("web", 7, boot: "0a1b-2c\n")
                == ["KMESH_NETNS=web", "+", "_BOOT_ID=0a1b2c", "KMESH_INODE=7"])
        #expect(SupportReport.auditFilter("web", nil, boot: "0a1b") == ["KMESH_NETNS=web"])
    }

    @Test func `A report leaves out the names of others, and comments`() {
        let redaction = Redaction(names: ["db", "web", "kubernetes:shop/cart"], except: "web")
        #expect(
            redaction.apply(to: "web and /run/netns/db: db-1, dbx\n\"db\"")
                == "web and /run/netns/OTHER: db-1, dbx\n\"OTHER\"")
        #expect(redaction.apply(to: "for kubernetes:shop/cart") == "for OTHER")
        #expect(
            redaction.apply(to: #"accept comment "a \"secret\"" # handle 7"#) == #"accept comment "OMITTED" # handle 7"#
        )
        #expect(redaction.apply(to: "-m comment --comment secret -j X") == #"-m comment --comment "OMITTED" -j X"#)
        let phrases = Redaction(names: ["night shift", "a\tb"], except: "web")
        #expect(phrases.apply(to: "for night shift: web, a\\tb and a\tb") == "for OTHER: web, OTHER and OTHER")
    }
}
