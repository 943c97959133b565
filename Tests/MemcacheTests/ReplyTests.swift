// Reply lines byte for byte, and the rule for expiries.

import Memcache
import Primitives
import Testing

/// What `body` writes.
func written(_ body: (inout ByteWriter) -> Void) -> String {
    let region = try! Region.map(byteCount: 4096)
    var writer = ByteWriter(region, at: 0, capacity: 4096)
    body(&writer)
    #expect(!writer.overflowed)
    return region.withBytes(0, writer.count) { bytes in
        String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self)
    }
}

private let key = Array("key".utf8)

@Test func repliesAreByteExact() {
    #expect(written { Reply.value(key.span, flags: 0, bytes: 5, to: &$0) } == "VALUE key 0 5\r\n")
    #expect(
        written { Reply.value(key.span, flags: .max, bytes: 1 << 20, cas: .max, to: &$0) }
            == "VALUE key 4294967295 1048576 18446744073709551615\r\n")
    #expect(written { Reply.stored(to: &$0) } == "STORED\r\n")
    #expect(written { Reply.notStored(to: &$0) } == "NOT_STORED\r\n")
    #expect(written { Reply.exists(to: &$0) } == "EXISTS\r\n")
    #expect(written { Reply.notFound(to: &$0) } == "NOT_FOUND\r\n")
    #expect(written { Reply.deleted(to: &$0) } == "DELETED\r\n")
    #expect(written { Reply.touched(to: &$0) } == "TOUCHED\r\n")
    #expect(written { Reply.ok(to: &$0) } == "OK\r\n")
    #expect(written { Reply.reset(to: &$0) } == "RESET\r\n")
    #expect(written { Reply.noop(to: &$0) } == "MN\r\n")
    #expect(written { Reply.end(to: &$0) } == "END\r\n")
    #expect(written { Reply.error(to: &$0) } == "ERROR\r\n")
    #expect(written { Reply.number(.max, to: &$0) } == "18446744073709551615\r\n")
    #expect(written { Reply.version("1.6.18", to: &$0) } == "VERSION 1.6.18\r\n")
    #expect(
        written { Reply.outOfMemory(to: &$0) } == "SERVER_ERROR out of memory storing object\r\n")
}

@Test func aValuesLineIsTheSameHoweverItIsWritten() {
    for bytes in [Int](0...1100) + [9999, 10_000, 1 << 20] {
        for flags: UInt32 in [0, 1] {
            let line = written { Reply.value(key.span, flags: flags, bytes: bytes, to: &$0) }
            #expect(line == "VALUE key \(flags) \(bytes)\r\n")
        }
    }
    #expect(written { Reply.valueEnd(endsKeys: false, to: &$0) } == "\r\n")
    #expect(written { Reply.valueEnd(endsKeys: true, to: &$0) } == "\r\nEND\r\n")
}

/// Where the room is exactly what a text needs, it is written; with a byte less it is refused.
@Test(arguments: [0, 1, 2, 3, 8, 20]) func shortTextsNeedNoMoreRoomThanTheyHave(spare: Int) {
    let region = try! Region.map(byteCount: 4096)
    let line = "VALUE key 0 5\r\n\r\nEND\r\n".utf8.count
    for missing in [0, 1] {
        let capacity = line + spare - missing
        region.store(UInt8(ascii: "!"), at: capacity)
        var writer = ByteWriter(region, at: 0, capacity: capacity)
        Reply.value(key.span, flags: 0, bytes: 5, to: &writer)
        Reply.valueEnd(endsKeys: true, to: &writer)
        #expect(writer.overflowed == (line > capacity))
        #expect(region.uint8(at: capacity) == UInt8(ascii: "!"))
        let isWhole = region.equals(Array("VALUE key 0 5\r\n\r\n".utf8).span, at: 0)
        #expect(isWhole)
    }
}

@Test func everyFaultHasItsLine() {
    let lines: [Fault.Kind: String] = [
        .unknownCommand: "ERROR\r\n",
        .badFormat: "CLIENT_ERROR bad command line format\r\n",
        .keyTooLong: "CLIENT_ERROR bad command line format\r\n",
        .badDelete:
            "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n",
        .badExpiry: "CLIENT_ERROR invalid exptime argument\r\n",
        .badDelta: "CLIENT_ERROR invalid numeric delta argument\r\n",
        .badDataChunk: "CLIENT_ERROR bad data chunk\r\n",
        .tooLarge: "SERVER_ERROR object too large for cache\r\n",
        .metaTwice: "CLIENT_ERROR duplicate flag\r\n",
        .metaUnknown: "CLIENT_ERROR invalid flag\r\n",
        .metaTooMany: "CLIENT_ERROR options flags are too long\r\n",
        .metaToken: "CLIENT_ERROR bad token in command line format\r\n",
        .metaKey: "CLIENT_ERROR error decoding key\r\n",
        .metaOpaque: "CLIENT_ERROR opaque token too long\r\n",
        .metaMode: "CLIENT_ERROR incorrect length for M token\r\n",
        .metaInitial: "CLIENT_ERROR invalid numeric initial value\r\n",
        .metaDelta: "CLIENT_ERROR invalid numeric delta value\r\n",
        .metaSetMode: "CLIENT_ERROR invalid mode for ms M token\r\n",
        .metaArithmeticMode: "CLIENT_ERROR invalid mode for ma M token\r\n",
        .metaArithmeticFlags: "CLIENT_ERROR invalid or duplicate flag\r\n",
        .unsigned: "CLIENT_ERROR unauthenticated\r\n",
        .signInEnd: "CLIENT_ERROR bad command line termination\r\n",
        .signInLong: "CLIENT_ERROR auth token too long\r\n",
        .binaryUnknown: "", .binaryInvalid: "", .binaryUnsigned: "",
        .lineTooLong: "", .http: "", .otherProtocol: "", .rest: "",
    ]
    for kind in Fault.Kind.allCases {
        let line = written { Reply.fault(kind, to: &$0) }
        #expect(line == lines[kind])
        #expect(line.utf8.count <= Limits.statusLineBytesMax)
    }
}

@Test func theLongestHeaderFitsItsLimit() {
    let key = [UInt8](repeating: 107, count: 250)
    let line = written {
        Reply.value(key.span, flags: .max, bytes: Int(UInt32.max), cas: .max, to: &$0)
    }
    #expect(line.utf8.count == Limits.headerLineBytesMax)
}

@Test func statisticsAreWrittenAsExportersReadThem() {
    #expect(written { Reply.stat("pid", 12, to: &$0) } == "STAT pid 12\r\n")
    #expect(written { Reply.stat("evictions", text: "on", to: &$0) } == "STAT evictions on\r\n")
    #expect(written { Reply.stat("inter", bytes: key.span, to: &$0) } == "STAT inter key\r\n")
    #expect(
        written { Reply.stat("rusage_user", microseconds: 12_000_345, to: &$0) }
            == "STAT rusage_user 12.000345\r\n")
    #expect(
        written { Reply.stat("items:", 3, ":age", 60, to: &$0) } == "STAT items:3:age 60\r\n")
}

@Test(
    arguments: [
        (0, Expiry.never), (-1, .past), (Int64.min, .past), (1, .at(1_000_000_001)),
        (2_592_000, .at(1_002_592_000)), (2_592_001, .past), (999_999_999, .past),
        (1_000_000_000, .past), (1_000_000_001, .at(1_000_000_001)),
        (4_294_967_295, .at(.max)), (4_294_967_296, .at(.max)), (Int64.max, .at(.max)),
    ] as [(Int64, Expiry)])
func expiryFollowsTheRule(sent: Int64, expected: Expiry) {
    #expect(ExpiryRule.resolve(sent, now: 1_000_000_000, ahead: 0) == expected)
}

/// A date is by the system's clock, which may be behind the cache's time or ahead of it.
@Test(
    arguments: [
        (1_000_000_000, 50, .at(1_000_000_050)), (999_999_950, 50, .past),
        (999_999_951, 50, .at(1_000_000_001)), (1_000_000_050, -50, .past),
        (1_000_000_051, -50, .at(1_000_000_001)), (10, 50, .at(1_000_000_010)),
        (Int64.max, 50, .at(.max)), (Int64.max, -50, .at(.max)),
        (2_592_001, -4_000_000_000, .past), (4_000_000_000, -3_500_000_000, .past),
    ] as [(Int64, Int64, Expiry)])
func datesAreByTheSystemsClock(sent: Int64, ahead: Int64, expected: Expiry) {
    #expect(ExpiryRule.resolve(sent, now: 1_000_000_000, ahead: ahead) == expected)
    let flush = ExpiryRule.flush(sent, now: 1_000_000_000, ahead: ahead)
    #expect(flush == expected)
}

@Test func expiryNeverWraps() {
    #expect(ExpiryRule.resolve(2_592_000, now: .max, ahead: 0) == .at(.max))
    #expect(ExpiryRule.resolve(1, now: 0, ahead: 0) == .at(1))
    #expect(ExpiryRule.flush(0, now: 5, ahead: 0) == .past)
    #expect(ExpiryRule.flush(-7, now: 5, ahead: 0) == .past)
    #expect(ExpiryRule.flush(10, now: 5, ahead: 0) == .at(15))
}
