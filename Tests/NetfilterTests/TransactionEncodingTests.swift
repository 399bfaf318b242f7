import Testing

@testable import Netfilter

/// What the kernel is sent, byte by byte: a change here is a change of what stands in people's namespaces.
@Suite struct TransactionEncodingTests {
    @Test("There is room for every name that the kernel can have, and no name takes more", arguments: [0, 255, 9000])
    func longNames(_ length: Int) {
        var buffer = MessageBuffer(messages: 1)
        let name = Array(repeating: UInt8(ascii: "x"), count: length)
        buffer.append(MessageType.getRule, family: 2, sequence: 1) {
            $0.put(1, name)
            $0.put(2, name)
        }
        #expect(buffer.bytes.count == 20 + 2 * (4 + (min(length, 255) + 3) & ~3))
    }

    private let output = ChainName(.ip, "nat", "OUTPUT")
    private let guardOutput = ChainName(.inet, "kmesh_bypass", "output")

    private func encode(_ operations: [Transaction.Operation], generation: UInt32? = nil) -> [UInt8] {
        Transaction(operations).prepared.encoded(sequence: 0x64, generation: generation).bytes
    }

    @Test("iptables' rule is inserted as iptables-nft 1.8.9 writes it")
    func iptablesRule() {
        let rule: [RuleExpression] = [.matchBPF(pin: "/sys/fs/bpf/bypass"), .counter, .returnVerdict]
        Golden([
            ("1c000000 1000 0100 64000000 00000000", "28 bytes, NFNL_MSG_BATCH_BEGIN, REQUEST, sequence, port"),
            ("00 00 000a", "unspecified family, version 0, NFNL_SUBSYS_NFTABLES"),
            ("0800 0100 00000007", "NFNL_BATCH_GENID: only if the ruleset is of generation 7"),
            ("c0020000 060a 0d04 65000000 00000000", "704 bytes, NFT_MSG_NEWRULE, REQUEST ACK ECHO CREATE; not APPEND"),
            ("02 00 0000", "NFPROTO_IPV4"),
            ("0800 0100 6e617400", "NFTA_RULE_TABLE \"nat\""),
            ("0b00 0200 4f555450 55540000", "NFTA_RULE_CHAIN \"OUTPUT\", padded"),
            ("9802 0480", "NFTA_RULE_EXPRESSIONS, nested"),
            ("3802 0180", "NFTA_LIST_ELEM: match"),
            ("0a00 0100 6d617463 68000000", "NFTA_EXPR_NAME \"match\""),
            ("2802 0280", "NFTA_EXPR_DATA"),
            ("0800 0100 62706600", "NFTA_MATCH_NAME \"bpf\""),
            ("0800 0200 00000001", "NFTA_MATCH_REV 1"),
            ("1402 0300", "NFTA_MATCH_INFO: struct xt_bpf_info_v1, 528 bytes"),
            ("0100 0000", "mode XT_BPF_MODE_FD_PINNED, bpf_program_num_elem 0"),
            ("04000000", "fd 4, which iptables -C and -D compare"),
            ("2f737973 2f66732f 6270662f 62797061 7373", "path \"/sys/fs/bpf/bypass\""),
            ("00*494", "to the 512 bytes of the path"),
            ("00*8", "filter: the kernel's own pointer"),
            ("2c00 0180", "NFTA_LIST_ELEM: counter"),
            ("0c00 0100 636f756e 74657200", "NFTA_EXPR_NAME \"counter\""),
            ("1c00 0280", "NFTA_EXPR_DATA"),
            ("0c00 0100 00*8", "NFTA_COUNTER_BYTES 0"),
            ("0c00 0200 00*8", "NFTA_COUNTER_PACKETS 0"),
            ("3000 0180", "NFTA_LIST_ELEM: immediate"),
            ("0e00 0100 696d6d65 64696174 65000000", "NFTA_EXPR_NAME \"immediate\""),
            ("1c00 0280", "NFTA_EXPR_DATA"),
            ("0800 0100 00000000", "NFTA_IMMEDIATE_DREG NFT_REG_VERDICT"),
            ("1000 0280", "NFTA_IMMEDIATE_DATA"),
            ("0c00 0280", "NFTA_DATA_VERDICT"),
            ("0800 0100 fffffffb", "NFTA_VERDICT_CODE NFT_RETURN (-5)"),
            ("14000000 1100 0100 66000000 00000000", "NFNL_MSG_BATCH_END"),
            ("00 00 000a", "NFNL_SUBSYS_NFTABLES"),
        ]).expect(encode([.insertRule(output, rule)], generation: 7))
    }

    @Test("The guard is a table of family inet, a nat chain before all others, and rules that dnat to where it goes")
    func guardTable() {
        let operations: [Transaction.Operation] = [
            .addTable(.inet, "kmesh_bypass"),
            .addChain(guardOutput, BaseChain(type: "nat", hook: .output, priority: -101)),
            .appendRule(guardOutput, [.isFamily(.ip6), .counter, .dnatToOwnAddress(.ip6)]),
        ]
        Golden([
            ("14000000 1000 0100 64000000 00000000 00 00 000a", "NFNL_MSG_BATCH_BEGIN, of whatever generation"),
            ("28000000 000a 0104 65000000 00000000", "40 bytes, NFT_MSG_NEWTABLE, REQUEST CREATE"),
            ("01 00 0000", "NFPROTO_INET"),
            ("1100 0100 6b6d6573 685f6279 70617373 00000000", "NFTA_TABLE_NAME \"kmesh_bypass\""),
            ("58000000 030a 0104 66000000 00000000", "88 bytes, NFT_MSG_NEWCHAIN, REQUEST CREATE"),
            ("01 00 0000", "NFPROTO_INET"),
            ("1100 0100 6b6d6573 685f6279 70617373 00000000", "NFTA_CHAIN_TABLE \"kmesh_bypass\""),
            ("0b00 0300 6f757470 75740000", "NFTA_CHAIN_NAME \"output\""),
            ("1400 0480", "NFTA_CHAIN_HOOK"),
            ("0800 0100 00000003", "NFTA_HOOK_HOOKNUM NF_INET_LOCAL_OUT"),
            ("0800 0200 ffffff9b", "NFTA_HOOK_PRIORITY -101"),
            ("0800 0500 00000001", "NFTA_CHAIN_POLICY NF_ACCEPT"),
            ("0800 0700 6e617400", "NFTA_CHAIN_TYPE \"nat\""),
            ("10010000 060a 0d0c 67000000 00000000", "272 bytes, NFT_MSG_NEWRULE, REQUEST ACK ECHO CREATE APPEND"),
            ("01 00 0000", "NFPROTO_INET"),
            ("1100 0100 6b6d6573 685f6279 70617373 00000000", "NFTA_RULE_TABLE \"kmesh_bypass\""),
            ("0b00 0200 6f757470 75740000", "NFTA_RULE_CHAIN \"output\""),
            ("dc00 0480", "NFTA_RULE_EXPRESSIONS"),
            ("2400 0180 0900 0100 6d657461 00000000 1400 0280", "element: \"meta\", its data"),
            ("0800 0200 0000000f", "NFTA_META_KEY NFT_META_NFPROTO"),
            ("0800 0100 00000001", "NFTA_META_DREG NFT_REG_1"),
            ("2c00 0180 0800 0100 636d7000 2000 0280", "element: \"cmp\", its data"),
            ("0800 0100 00000001", "NFTA_CMP_SREG NFT_REG_1"),
            ("0800 0200 00000000", "NFTA_CMP_OP NFT_CMP_EQ"),
            ("0c00 0380 0500 0100 0a000000", "NFTA_CMP_DATA, NFTA_DATA_VALUE: NFPROTO_IPV6, one byte"),
            ("2c00 0180 0c00 0100 636f756e 74657200 1c00 0280", "element: \"counter\", its data"),
            ("0c00 0100 00*8 0c00 0200 00*8", "no bytes, no packets"),
            ("3400 0180 0c00 0100 7061796c 6f616400 2400 0280", "element: \"payload\", its data"),
            ("0800 0100 00000001", "NFTA_PAYLOAD_DREG NFT_REG_1"),
            ("0800 0200 00000001", "NFTA_PAYLOAD_BASE NFT_PAYLOAD_NETWORK_HEADER"),
            ("0800 0300 00000018", "NFTA_PAYLOAD_OFFSET 24: daddr of the IPv6 header"),
            ("0800 0400 00000010", "NFTA_PAYLOAD_LEN 16"),
            ("2800 0180 0800 0100 6e617400 1c00 0280", "element: \"nat\", its data"),
            ("0800 0100 00000001", "NFTA_NAT_TYPE NFT_NAT_DNAT"),
            ("0800 0200 0000000a", "NFTA_NAT_FAMILY NFPROTO_IPV6"),
            ("0800 0300 00000001", "NFTA_NAT_REG_ADDR_MIN NFT_REG_1"),
            ("14000000 1100 0100 68000000 00000000 00 00 000a", "NFNL_MSG_BATCH_END"),
        ]).expect(encode(operations))
    }

    @Test("Rules are deleted by handle, chains and tables by name, and the last message asks for the acknowledgement")
    func deletes() {
        let operations: [Transaction.Operation] = [
            .deleteRule(output, handle: 0x1122), .deleteChain(output), .deleteTable(.ip, "nat"),
        ]
        Golden([
            ("1c000000 1000 0100 64000000 00000000 00 00 000a", "NFNL_MSG_BATCH_BEGIN"),
            ("0800 0100 01020304", "NFNL_BATCH_GENID, big-endian"),
            ("34000000 080a 0100 65000000 00000000 02 00 0000", "NFT_MSG_DELRULE, REQUEST, NFPROTO_IPV4"),
            ("0800 0100 6e617400", "NFTA_RULE_TABLE \"nat\""),
            ("0b00 0200 4f555450 55540000", "NFTA_RULE_CHAIN \"OUTPUT\""),
            ("0c00 0300 00000000 00001122", "NFTA_RULE_HANDLE"),
            ("28000000 050a 0100 66000000 00000000 02 00 0000", "NFT_MSG_DELCHAIN, REQUEST"),
            ("0800 0100 6e617400", "NFTA_CHAIN_TABLE \"nat\""),
            ("0b00 0300 4f555450 55540000", "NFTA_CHAIN_NAME \"OUTPUT\""),
            ("1c000000 020a 0500 67000000 00000000 02 00 0000", "NFT_MSG_DELTABLE, REQUEST ACK"),
            ("0800 0100 6e617400", "NFTA_TABLE_NAME \"nat\""),
            ("14000000 1100 0100 68000000 00000000 00 00 000a", "NFNL_MSG_BATCH_END"),
        ]).expect(encode(operations, generation: 0x0102_0304))
    }

    @Test("A path too long is cut, not written beyond its place", arguments: [510, 511, 512, 600, 5000])
    func longPath(_ length: Int) {
        let rule: [RuleExpression] = [.matchBPF(pin: String(repeating: "p", count: length))]
        let bytes = encode([.insertRule(output, rule)])
        let path = bytes[(20 + 92)...].prefix(512)
        #expect(path.prefix { $0 == UInt8(ascii: "p") }.count == min(length, 511))
        #expect(path.last == 0)
    }

    @Test("A batch may hold rules of many families and chains")
    func largeBatch() {
        let rule: [RuleExpression] = [.matchBPF(pin: "/sys/fs/bpf/bypass"), .counter, .returnVerdict]
        let bytes = encode(Array(repeating: .insertRule(output, rule), count: 100))
        #expect(bytes.count == 20 + 100 * 704 + 20)
    }
}
