// Single lines and what they are read as, lengths at their limits, lines longer than a window.

import Memcache
import Testing

private func only(_ line: String, itemBytesMax: UInt32 = 1 << 20) -> [String] {
    let result = events(Array(line.utf8), itemBytesMax: itemBytesMax)
    #expect(result.complaints.isEmpty, "\(line)")
    return result.events.map(\.description)
}

@Test(arguments: [
    ("get a\r\n", ["get a =  [] f0 e0 c0 d0", "keysEnd  =  [] f0 e0 c0 d0"]),
    ("set a 7 -3 2\r\nhi\r\n", ["set a = hi [] f7 e-3 c0 d0"]),
    (
        "cas a 4294967295 0 0 18446744073709551615 noreply\r\n\r\n",
        ["cas quiet a =  [] f4294967295 e0 c18446744073709551615 d0"]
    ),
    ("gats 90 a\n", ["gats a =  [] f0 e90 c0 d0", "keysEnd  =  [] f0 e0 c0 d0"]),
    ("incr n 18446744073709551615\r\n", ["incr n =  [] f0 e0 c0 d18446744073709551615"]),
    ("decr n 1 noreply\r\n", ["decr quiet n =  [] f0 e0 c0 d1"]),
    ("touch k -9223372036854775808\r\n", ["touch k =  [] f0 e0 c0 d0"]),
    ("delete k 0 noreply\r\n", ["delete quiet k =  [] f0 e0 c0 d0"]),
    ("flush_all 10\r\n", ["flushAll  =  [] f0 e10 c0 d0"]),
    ("verbosity 3\r\n", ["verbosity  =  [] f0 e0 c0 d3"]),
    ("cache_memlimit 64 noreply\r\n", ["cacheMemlimit quiet  =  [] f0 e0 c0 d64"]),
    ("stats  items  3 \r\n", ["stats  =  [items  3] f0 e0 c0 d0"]),
    ("stats \r\n", ["stats  =  [] f0 e0 c0 d0"]),
    ("shutdown graceful\r\n", ["shutdown  =  [graceful] f0 e0 c0 d0"]),
    (
        "mn\r\nquit\r\nversion\r\n",
        [
            "noop  =  [] f0 e0 c0 d0", "quit  =  [] f0 e0 c0 d0", "version  =  [] f0 e0 c0 d0",
        ]
    ),
    ("set a 0 0 3\r\nab", ["pending 15"]),
    ("get a b", ["get a =  [] f0 e0 c0 d0", "inside"]),
    (
        "set a 0 0 9 noreply\r\n0123456789\r\n",
        [
            "fault badDataChunk  quiet", "fault unknownCommand ",
        ]
    ),
    ("set a 0 0 11\r\n01234567890\r\nmn\r\n", ["fault tooLarge a", "noop  =  [] f0 e0 c0 d0"]),
    ("add a 0 0 11\r\n01234567890\r\nmn\r\n", ["fault tooLarge ", "noop  =  [] f0 e0 c0 d0"]),
    ("ms a 11\r\n01234567890\r\nmn\r\n", ["fault tooLarge a", "noop  =  [] f0 e0 c0 d0"]),
    ("ms a 11 MX\r\n01234567890\r\nmn\r\n", ["fault metaSetMode ", "noop  =  [] f0 e0 c0 d0"]),
    ("set a 0 0 -1\r\nmn\r\n", ["fault badFormat  closes"]),
    ("set a 0 0 18446744073709551616\r\nmn\r\n", ["fault badFormat  closes"]),
    ("set a 0 0 x\r\nmn\r\n", ["fault badFormat ", "noop  =  [] f0 e0 c0 d0"]),
    ("ms a 2 T0\r\nhi\r\nmn\r\n", ["metaSet a = hi [T0] f0 e0 c0 d0", "noop  =  [] f0 e0 c0 d0"]),
    ("GET / HTTP/1.1\r\nmn\r\n", ["fault http  closes"]),
    (
        "get a \u{1}b c\r\nmn\r\n",
        [
            "get a =  [] f0 e0 c0 d0", "fault badFormat ", "noop  =  [] f0 e0 c0 d0",
        ]
    ),
    ("gat x a\r\nmn\r\n", ["fault badExpiry ", "noop  =  [] f0 e0 c0 d0"]),
])
func aLineIsReadAs(line: String, expected: [String]) {
    #expect(only(line, itemBytesMax: 70) == expected)
}

@Test func keysOf250BytesAreTheLongest() {
    for count in 1...300 {
        let key = String(repeating: "k", count: count)
        for line in [
            "get \(key)\r\n", "delete \(key)\r\n", "incr \(key) 1\r\n", "touch \(key) 1\r\n",
            "set \(key) 0 0 1\r\nx\r\n", "gat 0 \(key)\r\n",
        ] {
            let isFault = only(line)[0] == "fault keyTooLong "
            #expect(isFault == (count > 250), "\(line)")
        }
    }
}

@Test func linesEndWithin2048BytesWhereverTheyAreCut() {
    for count in 2040...2056 {
        for line in ["x", "set ", "stats "] {
            let bytes = Array((line + String(repeating: "x", count: count - line.count)).utf8)
            let closes = [Event.fault(.lineTooLong, key: [], quiet: false, closes: true)]
            #expect((events(bytes + [10]).events == closes) == (count > 2048))
            #expect((events(bytes + [10], cuts: [count]).events == closes) == (count > 2048))
            #expect((events(bytes).events == closes) == (count > 2048))
        }
    }
}

@Test func everyUnsignedNumberIsReadToItsEnd() {
    for (number, isNumber) in [
        ("0", true), ("00000000000000000000000000007", true), ("+5", true), ("-5", false),
        ("18446744073709551615", true), ("18446744073709551616", false),
        ("99999999999999999999", false), ("28446744073709551615", false), ("", false),
        ("+", false), ("1 ", true), ("1x", false), ("१", false), ("--1", false), ("+-1", false),
    ] where !number.isEmpty {
        let isFault = only("incr k \(number)\r\n")[0] == "fault badDelta "
        #expect(isFault == !isNumber, "\(number)")
    }
}

@Test func declaredLengthsAtTheBoundariesAreNeverExecuted() {
    let limit: UInt64 = (1 << 31) - 3
    for length in [limit - 1, limit, limit + 1, 1 << 31, 1 << 32, 1 << 63, UInt64.max] {
        let fault = events(Array("set a 0 0 \(length)\r\nflush_all\r\nmn\r\n".utf8))
        #expect(fault.complaints.isEmpty)
        #expect(fault.events.count == 1)
        if length <= limit {
            #expect(
                fault.events == [.fault(.tooLarge, key: [97], quiet: false, closes: false)])
        } else {
            #expect(fault.events == [.fault(.badFormat, key: [], quiet: false, closes: true)])
        }
    }
    // With the largest limit, the longest value is waited for.
    var parser = ClassicParser(itemBytesMax: .max)
    let line = Array("set a 0 0 \(limit)\r\n".utf8)
    let parsed = parser.next(line.span)
    #expect(parsed == .needMore(atLeast: line.count + Int(limit) + 2))
}

@Test func theHeaderOfALargeValueIsGivenBeforeTheValue() throws {
    var parser = ClassicParser(itemBytesMax: 1 << 20)
    let line = Array(" set large 5 60 1000000 noreply\r\nxyz".utf8)
    let header = parser.storageHeader(line.span)
    let (request, consumed) = try #require(header)
    #expect(consumed == line.count - 3)
    #expect(request.verb == .set)
    #expect(request.isQuiet)
    #expect(line[request.key] == Array("large".utf8))
    #expect(request.value.isEmpty)
    #expect(request.valueBytes == 1_000_000)
    #expect(request.flags == 5)
    #expect(request.expiry == 60)
    for other in [
        "set a 0 0 1", "get a\r\n", "set a 0 0 9999999\r\n", "set a 0 0 x\r\n", "", "\r\n",
    ] {
        let bytes = Array(other.utf8)
        let header = parser.storageHeader(bytes.span)
        #expect(header == nil, "\(other)")
    }
}

@Test func aHundredThousandKeysPassThroughAWindowOf16KiB() {
    var line = Array("gets".utf8)
    for index in 0..<100_000 { line += Array(" key:\(index)".utf8) }
    line += [13, 10] + Array("mn\r\n".utf8)
    var parser = ClassicParser(itemBytesMax: 1024)
    var (start, filled, keys, ends, noops) = (0, 0, 0, 0, 0)
    while start < line.count {
        filled = min(line.count, start + 16384)
        let window = Array(line[start..<filled])
        var position = 0
        window: while true {
            switch parser.next(window.span.extracting(position..<window.count)) {
            case .request(let request, let consumed):
                if request.verb == .gets {
                    let offset = position + Int(request.key.offset)
                    let key = window[offset..<offset + Int(request.key.count)]
                    #expect(key.elementsEqual("key:\(keys)".utf8))
                    keys += 1
                } else if request.verb == .keysEnd {
                    ends += 1
                } else {
                    noops += 1
                }
                position += consumed
            case .needMore:
                break window
            case .fault(let fault):
                Issue.record("\(fault)")
                position += fault.consumed
            }
        }
        #expect(position > 0)
        start += position
    }
    #expect(keys == 100_000)
    #expect(ends == 1)
    #expect(noops == 1)
}

@Test func requestsStaySmall() {
    #expect(MemoryLayout<Request>.size <= 64)
    #expect(MemoryLayout<ClassicParser>.size <= 16)
}
