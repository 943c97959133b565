// The lines that are read in one pass are read as the long way reads them.

import Memcache
import Support
import Testing

/// What comes of some input on a connection that has spoken text before.
private func events(_ text: String, itemBytesMax: UInt32 = 1 << 20) -> [Event] {
    var driver = Driver(itemBytesMax: itemBytesMax)
    driver.receive(Array("mn\r\n".utf8))
    driver.receive(Array(text.utf8))
    #expect(driver.complaints.isEmpty, "\(driver.complaints)")
    // The blank that tells the ways apart is one of the bytes that wait.
    return driver.events.map { if case .pending = $0 { .pending(0) } else { $0 } }
}

private let keys = [
    "k", "0123456", "01234567", "key-of-thirty-two-bytes-00000001", "schl\u{fc}ssel", "",
    String(repeating: "k", count: 250), String(repeating: "k", count: 251), "a\tb", "a\u{7f}b",
]

@Test func aPlainSetIsReadAsTheLongWayReadsIt() {
    let numbers = [
        "0", "1", "00", "007", "42", "+1", "-1", "2147483647", "2147483648", "4294967295",
        "4294967296", "999999999999999999", "1000000000000000000", "18446744073709551616",
        "", "x", "1x", "noreply",
    ]
    for key in keys {
        for flags in numbers {
            for expiry in numbers { check(key, flags, expiry, "3") }
            check(key, flags, "0", flags)
        }
    }
    for bytes in numbers + ["2", "4", "60"] { check("key", "0", "0", bytes) }
}

/// A blank before the line's end takes the long way, and means nothing.
private func check(_ key: String, _ flags: String, _ expiry: String, _ bytes: String) {
    let words = "set \(key) \(flags) \(expiry) \(bytes)"
    for tail in ["abc\r\nget k\r\n", "abcd\r\n", "abc", "abc\r", "abc\n\nmn\r\n"] {
        for limit in [1 << 20, 100] as [UInt32] {
            #expect(
                events("\(words)\r\n\(tail)", itemBytesMax: limit)
                    == events("\(words) \r\n\(tail)", itemBytesMax: limit), "\(words) \(tail)")
        }
    }
}

@Test func aPlainGetIsWorthTwoCalls() {
    for key in keys {
        for end in ["\r\n", "\n", "\r", "", " \r\n", " b\r\n", "\r\nget a\r\n", "\r\r\n"] {
            for verb in ["get ", "gets ", "get", "get  ", " get "] { check(verb, key, end) }
        }
    }
}

private func check(_ verb: String, _ key: String, _ end: String) {
    let input = Array("\(verb)\(key)\(end)".utf8)
    var parser = ClassicParser(itemBytesMax: 1 << 20, dialects: .text)
    let keyEnd = parser.endOfGet(input.span)
    let isPlain = verb == "get " && end.hasPrefix("\r\n") && 1...250 ~= key.utf8.count
    let isSound = !key.utf8.contains { $0 <= 0x20 || $0 == 0x7f }
    guard isPlain, isSound else {
        #expect(keyEnd == 0, "\(verb)\(key)\(end)")
        return
    }
    // What is shorter than a word is not worth a look.
    guard input.count >= 8 else { return }
    #expect(keyEnd == 4 + key.utf8.count)
    var request = Request(verb: .get)
    request.key = Slice(offset: 4, count: UInt32(key.utf8.count))
    let first = parser.next(input.span)
    #expect(first == .request(request, consumed: keyEnd))
    let inside = parser.endOfGet(input.span)
    #expect(inside == 0, "inside a line")
    let rest = Array(input[keyEnd...])
    let second = parser.next(rest.span)
    #expect(second == .request(Request(verb: .keysEnd), consumed: 2))
    let again = parser.endOfGet(input.span)
    #expect(again == keyEnd)
}

@Test func aPlainMetaGetIsReadAsTheLongWayReadsIt() {
    let flags = [
        "", " v", " f v t s k O1", " v ", "  v", " v\tx", " \r", " v\u{7f}", " q",
        " O" + String(repeating: "o", count: 2050),
    ]
    for key in keys {
        for flags in flags {
            for end in ["\r\n", "\n", "\r", "", "\r\r\n", "\r\nmg a v\r\n"] {
                for verb in ["mg ", "mg  ", " mg ", "mg", "me "] {
                    checkMetaGet(verb, key, flags, end)
                }
            }
        }
    }
}

private func checkMetaGet(_ verb: String, _ key: String, _ flags: String, _ end: String) {
    let line = "\(verb)\(key)\(flags)\(end)"
    let input = Array(line.utf8)
    var parser = ClassicParser(itemBytesMax: 1 << 20, dialects: .text)
    let ends = parser.endsOfMetaGet(input.span)
    guard ends.key > 0 else {
        let isSound =
            1...250 ~= key.utf8.count && !key.utf8.contains { $0 <= 0x20 || $0 == 0x7f }
        let isPlain = ["", " v", " f v t s k O1", " v\tx", " q"].contains(flags)
        let isLong = input.count >= 8 && end.hasPrefix("\r\n")
        #expect(!(verb == "mg " && isSound && isPlain && isLong), "\(line)")
        return
    }
    let blank = ends.flags > ends.key ? 1 : 0
    var request = Request(verb: .metaGet)
    request.key = Slice(offset: 3, count: UInt32(ends.key - 3))
    request.argument = Slice(
        offset: UInt32(ends.key + blank), count: UInt32(ends.flags - ends.key - blank))
    let parsed = parser.next(input.span)
    #expect(parsed == .request(request, consumed: ends.flags + 2), "\(line)")
}
