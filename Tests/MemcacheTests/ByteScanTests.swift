// The eight-bytes-at-a-time searches against the plain ones.

import Primitives
import Support
import Testing

@Test func scansFindWhatABytewiseSearchFinds() {
    var random = Chance(seed: 1)
    for count in 0...40 {
        for _ in 0..<200 {
            let bytes = (0..<count).map { _ in
                Bool.random(using: &random)
                    ? UInt8.random(in: 0x21...0x7e, using: &random)
                    : [0, 9, 10, 13, 32, 33, 0x7e, 0x7f, 0x80, 0xff, 0xa0, 0x8a]
                        .randomElement(using: &random)!
            }
            for start in 0...count {
                let rest = bytes[start...]
                let newline = ByteScan.newline(in: bytes.span, from: start)
                #expect(newline == rest.firstIndex(of: 10) ?? count)
                let end = ByteScan.wordEnd(in: bytes.span, from: start)
                #expect(end == rest.firstIndex { $0 <= 0x20 || $0 == 0x7f } ?? count)
                let nonBlank = ByteScan.nonBlank(in: bytes.span, from: start)
                #expect(nonBlank == rest.firstIndex { $0 != 0x20 } ?? count)
                let found = ByteScan.word(in: bytes.span, at: start)
                var word: UInt64 = 0
                for (index, byte) in rest.prefix(8).enumerated() {
                    word |= UInt64(byte) << UInt64(8 * index)
                }
                #expect(found == word)
            }
        }
    }
}

@Test func everyByteAtEveryPlaceEndsAWordOrDoesNot() {
    for byte in UInt8.min...UInt8.max {
        for place in 0..<17 {
            var bytes = [UInt8](repeating: UInt8(ascii: "k"), count: 17)
            bytes[place] = byte
            let ends = byte <= 0x20 || byte == 0x7f
            let end = ByteScan.wordEnd(in: bytes.span, from: 0)
            #expect(end == (ends ? place : 17), "\(byte) at \(place)")
        }
    }
}
