// RegionTests: copies and comparisons of every short length, some of which need no call of memmove.

import Primitives
import Testing

@Test func copiesOfEveryLengthStayWithinTheirs() throws {
    let region = try Region.map(byteCount: 4096)
    for count in 0...80 {
        for place in [0, 1, 7, 8, 13] {
            region.zero(0, 256)
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
            region.store(bytes.span, at: 64 + place)
            let seen = (0..<256).map { region.uint8(at: $0) }
            #expect(Array(seen[(64 + place)..<(64 + place + count)]) == bytes)
            #expect(seen[..<(64 + place)].allSatisfy { $0 == 0 })
            #expect(seen[(64 + place + count)...].allSatisfy { $0 == 0 })
            var writer = ByteWriter(region, at: 1024, capacity: 100)
            writer.append(UInt8(ascii: ">"))
            writer.append(bytes.span)
            writer.append(UInt8(ascii: "<"))
            #expect(writer.count == count + 2)
            #expect((0..<count).allSatisfy { region.uint8(at: 1025 + $0) == bytes[$0] })
            #expect(region.uint8(at: 1025 + count) == UInt8(ascii: "<"))
        }
    }
}

@Test func aDifferenceAtAnyPlaceIsSeen() throws {
    let region = try Region.map(byteCount: 4096)
    for count in 0...80 {
        var bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 5 &+ 3) }
        region.store(bytes.span, at: 100)
        let isEqual = region.equals(bytes.span, at: 100)
        #expect(isEqual, "\(count)")
        for place in 0..<count {
            bytes[place] ^= 0x80
            let isStillEqual = region.equals(bytes.span, at: 100)
            #expect(!isStillEqual, "\(place) of \(count)")
            bytes[place] ^= 0x80
        }
    }
}
