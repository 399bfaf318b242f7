import Linux
import Testing

@Suite struct TCPCountersTests {
    @Test func theCounterIsFoundByItsName() {
        let text = """
            Ip: Forwarding DefaultTTL
            Ip: 1 64
            Tcp: RtoAlgorithm MaxConn CurrEstab InSegs
            Tcp: 1 -1 7 42
            Udp: InDatagrams
            Udp: 3

            """
        #expect(TCPCounters(statistics: Array(text.utf8))?.established == 7)
    }

    /// Unknown is not none.
    @Test(arguments: [
        "", "Tcp: CurrEstab\n", "Tcp: MaxConn\nTcp: 0\n", "Tcp: MaxConn CurrEstab\nTcp: 1\n",
        "Tcp: CurrEstab\nTcp: x\n",
        "Tcp: CurrEstab\nTcp: 99999999999999999999\n",
    ])
    func withoutTheCounterThereIsNone(_ text: String) {
        #expect(TCPCounters(statistics: Array(text.utf8)) == nil)
    }
}
