// RoundTripTests: the client's side: replies read in parts, requests encoded and parsed back.

import Memcache
import Testing

private func answers(
    _ bytes: [UInt8], cuts: [Int] = []
) -> (lines: [String], fault: ParsedAnswer.Fault?) {
    var parser = ReplyParser()
    var (rest, lines, body): ([UInt8], [String], [UInt8]) = ([], [], [])
    var start = 0
    for cut in cuts + [bytes.count] {
        rest += bytes[start..<cut]
        start = cut
        parsing: while true {
            switch parser.next(rest.span) {
            case .answer(let answer, let consumed):
                if answer.kind == .body {
                    body += rest[answer.text]
                    if answer.isLast {
                        lines.append("body \(text(body))")
                        body = []
                    }
                } else {
                    lines.append(
                        "\(answer.kind) \(text(rest[answer.key])) \(text(rest[answer.text]))"
                            + " \(answer.flags) \(answer.bytes) \(answer.cas) \(answer.number)")
                }
                rest.removeFirst(consumed)
            case .needMore(let atLeast):
                #expect(atLeast > rest.count)
                break parsing
            case .fault(let fault):
                return (lines, fault)
            }
        }
    }
    return (lines, nil)
}

@Test(arguments: [
    ("STORED\r\n", "stored   0 0 0 0"), ("NOT_STORED\r\n", "notStored   0 0 0 0"),
    ("EXISTS\r\n", "exists   0 0 0 0"), ("NOT_FOUND\r\n", "notFound   0 0 0 0"),
    ("DELETED\r\n", "deleted   0 0 0 0"), ("TOUCHED\r\n", "touched   0 0 0 0"),
    ("OK\r\n", "ok   0 0 0 0"), ("RESET\r\n", "reset   0 0 0 0"), ("MN\r\n", "noop   0 0 0 0"),
    ("END\r\n", "end   0 0 0 0"), ("ERROR\r\n", "error   0 0 0 0"),
    ("CLIENT_ERROR bad data chunk\r\n", "clientError  bad data chunk 0 0 0 0"),
    ("SERVER_ERROR object too large\r\n", "serverError  object too large 0 0 0 0"),
    ("VERSION 1.6.18\r\n", "version  1.6.18 0 0 0 0"), ("STAT pid 7\r\n", "stat pid 7 0 0 0 0"),
    ("18446744073709551615\r\n", "number   0 0 0 18446744073709551615"),
    ("HD c1\r\n", "done  c1 0 0 0 0"), ("HD\r\n", "done   0 0 0 0"),
    ("EN\r\n", "end   0 0 0 0"), ("NS c7\r\n", "notStored  c7 0 0 0 0"),
    ("NF\r\n", "notFound   0 0 0 0"), ("EX\r\n", "exists   0 0 0 0"),
    ("XX y\r\n", "other  XX y 0 0 0 0"),
])
func aReplyIsReadAs(line: String, expected: String) {
    #expect(answers(Array(line.utf8)).lines == [expected])
}

@Test func valuesArriveInParts() {
    let bytes = Array(
        "VALUE a 7 3 99\r\nx\r\n\r\nVALUE b 0 0\r\n\r\nVALUE c 0 5\r\nhello\r\nEND\r\n".utf8)
    let expected = [
        "value a  7 3 99 0", "body x\r\n", "value b  0 0 0 0", "body ", "value c  0 5 0 0",
        "body hello", "end   0 0 0 0",
    ]
    #expect(answers(bytes).lines == expected)
    for cut in 0...bytes.count { #expect(answers(bytes, cuts: [cut]).lines == expected) }
    #expect(answers(bytes, cuts: Array(1..<bytes.count)).lines == expected)
}

/// Lines that the short way of reading values must leave to the long one, or read alike.
@Test(arguments: [
    ("VALUE a 4294967295 0\r\n\r\n", ["value a  4294967295 0 0 0", "body "]),
    ("VALUE a  0 0\r\n\r\n", ["value a  0 0 0 0", "body "]),
    ("VALUE a 0 +1\r\nx\r\n", ["value a  0 1 0 0", "body x"]),
    ("VALUE a 0 1 \r\nx\r\n", ["value a  0 1 0 0", "body x"]),
    ("VALUE a 0 1\nx\r\n", ["value a  0 1 0 0", "body x"]),
    ("VALUE a 0 0000000000000000000001\r\nx\r\n", ["value a  0 1 0 0", "body x"]),
    ("VALUE a 0 1 5\r\nx\r\nEND\r\n", ["value a  0 1 5 0", "body x", "end   0 0 0 0"]),
    ("END \r\nEND\nENDX\r\n", ["end   0 0 0 0", "end   0 0 0 0", "other  ENDX 0 0 0 0"]),
    ("VALUE\r\n", []), ("VALUE a 0 2147483646\r\n", []), ("VALUE a 0 1x\r\n", []),
])
func valueLinesAreReadAlike(text: String, expected: [String]) {
    let bytes = Array(text.utf8)
    #expect(answers(bytes).lines == expected)
    for cut in 0...bytes.count { #expect(answers(bytes, cuts: [cut]).lines == expected) }
}

@Test func metaValuesArriveInParts() {
    let bytes = Array(
        "VA 3 kkey c99 f7 s3 t-1\r\nabc\r\nVA 0\r\n\r\nEN\r\nVA 2 kx\r\nVA\r\nMN\r\n".utf8)
    let expected = [
        "value key kkey c99 f7 s3 t-1 7 3 99 0", "body abc", "value   0 0 0 0", "body ",
        "end   0 0 0 0", "value x kx 0 2 0 0", "body VA", "noop   0 0 0 0",
    ]
    #expect(answers(bytes).lines == expected)
    for cut in 0...bytes.count { #expect(answers(bytes, cuts: [cut]).lines == expected) }
    #expect(answers(bytes, cuts: Array(1..<bytes.count)).lines == expected)
}

@Test func metaRequestsAreLines() {
    let key = Array("key".utf8)
    let bytes = written { writer in
        MetaEncoder.get(key.span, to: &writer)
        MetaEncoder.get(key.span, isQuiet: true, to: &writer)
        MetaEncoder.touch(key.span, expiry: -1, to: &writer)
        MetaEncoder.setLine(key.span, bytes: 5, to: &writer)
        MetaEncoder.setLine(key.span, expiry: 60, bytes: 0, to: &writer)
        MetaEncoder.setLine(key.span, expiry: 60, bytes: 9, isAdd: true, to: &writer)
        MetaEncoder.delete(key.span, to: &writer)
        MetaEncoder.getAndTouch(key.span, expiry: 7, to: &writer)
        MetaEncoder.count(key.span, by: 1, to: &writer)
        MetaEncoder.count(key.span, by: .max, isDown: true, to: &writer)
    }
    #expect(
        bytes == "mg key k v\r\nmg key k v q\r\nmg key T-1\r\nms key 5\r\n"
            + "ms key 0 T60\r\nms key 9 ME T60\r\nmd key\r\nmg key k v T7\r\nma key v D1\r\n"
            + "ma key v MD D18446744073709551615\r\n")
}

@Test func wrongRepliesAreFaults() {
    #expect(answers(Array("VA x\r\n".utf8)).fault == .badValueLine)
    #expect(answers(Array("VA 3 cx\r\n".utf8)).fault == .badValueLine)
    #expect(answers(Array("VA\r\n".utf8)).fault == .badValueLine)
    #expect(answers(Array("VALUE a 0\r\n".utf8)).fault == .badValueLine)
    #expect(answers(Array("VALUE a 0 x\r\n".utf8)).fault == .badValueLine)
    #expect(answers(Array("VALUE a 0 2\r\nabcd".utf8)).fault == .badValueEnd)
    #expect(answers([UInt8](repeating: 120, count: 3000)).fault == .lineTooLong)
}

@Test func expectedTranscriptsAreReadWholeAndInPieces() {
    for file in Transcript.all {
        for section in file.sections {
            guard let bytes = section.expected, bytes.count <= 60000 else { continue }
            let whole = answers(bytes)
            #expect(whole.fault == nil, "\(file.name) [\(section.name)]")
            let pieces = answers(bytes, cuts: Array(1..<max(1, bytes.count)))
            #expect(whole.lines == pieces.lines, "\(file.name) [\(section.name)]")
        }
    }
}

@Test func whatIsEncodedIsParsedBack() {
    let (key, other, value) = (Array("key".utf8), Array("other".utf8), Array("va\r\nlue".utf8))
    let bytes = written { writer in
        RequestEncoder.get(.get, key.span, to: &writer)
        RequestEncoder.beginGet(.gats, expiry: -5, to: &writer)
        RequestEncoder.addKey(key.span, to: &writer)
        RequestEncoder.addKey(other.span, to: &writer)
        RequestEncoder.endGet(to: &writer)
        RequestEncoder.store(
            .set, key.span, flags: 3, expiry: 60, value: value.span, to: &writer)
        RequestEncoder.store(
            .cas, key.span, value: value.span, cas: .max, isQuiet: true, to: &writer)
        RequestEncoder.delete(key.span, isQuiet: true, to: &writer)
        RequestEncoder.increment(key.span, by: .max, to: &writer)
        RequestEncoder.decrement(key.span, by: 1, to: &writer)
        RequestEncoder.touch(key.span, expiry: .min, to: &writer)
        RequestEncoder.flushAll(delay: 9, to: &writer)
        RequestEncoder.stats("items", to: &writer)
        RequestEncoder.version(to: &writer)
        RequestEncoder.noop(to: &writer)
        RequestEncoder.quit(to: &writer)
    }
    #expect(
        events(Array(bytes.utf8)).events.map(\.description) == [
            "get key =  [] f0 e0 c0 d0", "keysEnd  =  [] f0 e0 c0 d0",
            "gats key =  [] f0 e-5 c0 d0", "gats other =  [] f0 e-5 c0 d0",
            "keysEnd  =  [] f0 e0 c0 d0", "set key = va\r\nlue [] f3 e60 c0 d0",
            "cas quiet key = va\r\nlue [] f0 e0 c18446744073709551615 d0",
            "delete quiet key =  [] f0 e0 c0 d0", "incr key =  [] f0 e0 c0 d18446744073709551615",
            "decr key =  [] f0 e0 c0 d1", "touch key =  [] f0 e0 c0 d0",
            "flushAll  =  [] f0 e9 c0 d0", "stats  =  [items] f0 e0 c0 d0",
            "version  =  [] f0 e0 c0 d0", "noop  =  [] f0 e0 c0 d0", "quit  =  [] f0 e0 c0 d0",
        ])
}
