/// What the kernel counts of TCP in a network namespace (the TCP-MIB of RFC 4022).
///
/// To ask sock_diag for the connections takes ten times as long where there is none: it walks through the kernel's one table of
/// all namespaces.
package struct TCPCounters: Hashable, Sendable {
    /// Connections in the states ESTABLISHED and CLOSE-WAIT (tcpCurrEstab).
    package let established: Int

    /// The file that shows them.
    package static let file: StaticString = "net/snmp"

    /// The counters as they are now; nil if the file does not show them.
    package init?(_ file: NamespaceFile) throws(SystemCallError) {
        self.init(statistics: try file.read())
    }

    /// - Parameter text: for each protocol a line of names and a line of values, both after its name.
    package init?(statistics text: some RandomAccessCollection<UInt8>) {
        let prefix = "Tcp: ".utf8
        let lines = text.split(separator: UInt8(ascii: "\n")).filter { $0.starts(with: prefix) }
        guard lines.count == 2 else { return nil }
        let space = UInt8(ascii: " ")
        let (names, values) = (lines[0].split(separator: space), lines[1].split(separator: space))
        guard let column = names.firstIndex(where: { $0.elementsEqual("CurrEstab".utf8) }),
            values.indices.contains(column), let established = Int(String(decoding: values[column], as: UTF8.self))
        else { return nil }
        self.established = established
    }
}
