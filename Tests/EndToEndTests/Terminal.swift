import TestSupport

extension Rig {
    /// Runs a program at a terminal that many columns wide, and prints what it shows.
    private static let terminal = """
        import fcntl, os, pty, struct, sys, termios
        width, program = int(sys.argv[3]), sys.argv[4:]
        pid, master = pty.fork()
        if pid == 0:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 50, width, 0, 0))
            os.execvp(program[0], program)
        shown = b''
        while True:
            try: more = os.read(master, 65536)
            except OSError: break
            if not more: break
            shown += more
        os.waitpid(pid, 0)
        sys.stdout.reconfigure(encoding='utf-8')
        print(shown.decode().replace('\\r\\n', '\\n'), end='')
        """

    /// The lines that kmesh-bypassctl shows at a terminal.
    func atTerminal(
        width: Int, _ words: [String], environment: [String] = ["TERM=xterm"]
    ) async throws -> [String] {
        let command = ["env"] + environment + [controlTool] + words + ["--socket", socket]
        return try await python(Self.terminal, ["\(width)"] + command)
    }
}
