// RecordTests: the drawings of record and slot, checked byte by byte.

import Primitives
import SegmentLog
import Testing

func bytes(_ region: Region, _ range: Range<Int>) -> [UInt8] { range.map { region.uint8(at: $0) } }

func crc(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 { CRC32C.of(bytes.span, seed: seed) }
func hasKey(_ record: Record, _ key: String) -> Bool { record.hasKey(Array(key.utf8).span) }

@Suite struct RecordTests {
    let region = try! Region.map(byteCount: 4096)

    func write(_ fields: RecordFields, order: UInt64, key: String, value: [UInt8]) -> Record {
        let record = Record(region, at: 64)
        let at = record.write(
            fields, order: order, keyBytes: key.utf8.count, valueBytes: value.count)
        region.store(Array(key.utf8).span, at: at)
        region.store(value.span, at: at + key.utf8.count)
        record.fillChecksum()
        return record
    }

    @Test func plainRecordIsSixteenBytesKeyAndValue() {
        let record = write(RecordFields(), order: 0x0605_0403_0201, key: "ab", value: [9, 8, 7])
        #expect(bytes(region, 64..<72) == [1, 2, 3, 4, 5, 6, 2, 0])
        #expect(bytes(region, 76..<80) == [3, 0, 0, 0])
        #expect(bytes(region, 80..<85) == [0x61, 0x62, 9, 8, 7])
        #expect(record.contentBytes == 21)
        #expect(record.totalBytes == 24)
        #expect(record.cas(0xABCD_0000_0000_0001) == 0x0605_0403_0201_ABCD)
        #expect(record.expiry == 0 && record.flags == 0)
        #expect(hasKey(record, "ab"))
        #expect(!hasKey(record, "ac"))
        #expect(!hasKey(record, "a"))
        // CRC-32C over bytes 0..<8, 12..<14 and from 16 to the end of the value.
        let covered = bytes(region, 64..<72) + bytes(region, 76..<78) + bytes(region, 80..<85)
        #expect(region.uint32(at: 72) == crc(covered))
    }

    @Test func everyCombinationOfFieldsReadsBack() {
        for form in 0..<16 {
            let valueBytes = form & 8 != 0 ? 0x1_0000 : 5
            let fields = RecordFields(
                flags: form & 1 != 0 ? 0x1234_5678 : 0, expiry: form & 2 != 0 ? 0x0BAD_CAFE : 0,
                cas: form & 4 != 0 ? 0x1122_3344_5566_7788 : nil)
            let record = Record(region, at: 128)
            let at = record.write(fields, order: 77, keyBytes: 3, valueBytes: valueBytes)
            var next = 128 + 16
            if form & 4 != 0 {
                #expect(region.uint64(at: next) == fields.cas)
                next += 8
            }
            if form & 8 != 0 {
                #expect(region.uint32(at: next) == UInt32(valueBytes))
                next += 4
            }
            if form & 2 != 0 {
                #expect(region.uint32(at: next) == fields.expiry)
                next += 4
            }
            if form & 1 != 0 {
                #expect(region.uint32(at: next) == fields.flags)
                next += 4
            }
            #expect(at == next)
            #expect(record.keyOffset == next)
            #expect(record.valueBytes == valueBytes)
            #expect(record.flags == fields.flags)
            #expect(record.expiry == fields.expiry)
            #expect(record.cas(5 << 48) == fields.cas ?? (77 << 16 | 5))
            #expect(record.contentBytes == next - 128 + 3 + valueBytes)
            #expect(record.totalBytes == (record.contentBytes + 7) / 8 * 8)
            #expect(record.totalBytes == fields.totalBytes(keyBytes: 3, valueBytes: valueBytes))
            #expect(next - 128 <= Record.overheadBytesMax)
        }
    }

    @Test func homeAndMarksOfAnAccessAreOutsideTheChecksum() {
        let record = write(RecordFields(flags: 1), order: 5, key: "key", value: [1, 2, 3, 4])
        let before = record.checksum()
        let total = record.totalBytes
        let home = Home(Place(segment: 0xABCDE, offset: 0xFFF8), sequence: 0x123_4567)
        record.setHome(home)
        region.store(UInt16(0xFFFF) & ~Record.Mark.kept, at: 64 + 14)
        #expect(record.hasHome)
        #expect(record.home == home)
        #expect(record.home.place == Place(segment: 0xABCDE, offset: 0xFFF8))
        #expect(record.home.sequenceBits == 0x123_4567 & 0x7F_FFFF)
        #expect(record.totalBytes == total + 8)
        #expect(record.checksum() == before)
        // Every other bit counts.
        record.region.store(record.word & ~(Record.Form.home << 56), at: 64)
        for byte in Array(64..<72) + [76, 77] + Array(80..<64 + record.contentBytes) {
            let old = region.uint8(at: byte)
            region.store(old ^ 0x10, at: byte)
            if record.isPlausible(limit: 2048) {
                #expect(record.checksum() != before, "byte \(byte - 64)")
            }
            region.store(old, at: byte)
        }
    }

    /// Damage must not make a record stale, nor say that somebody was told to renew it.
    @Test func marksThatAnAccessKeepsAreInTheChecksum() {
        let record = write(RecordFields(), order: 5, key: "key", value: [1, 2, 3, 4])
        let sums = (0...Record.Mark.kept).map { kept in
            record.setMarks(0xFFF8 | kept)
            return record.checksum()
        }
        #expect(Set(sums).count == sums.count)
        record.setMarks(0)
        #expect(record.checksum() == sums[0])
    }

    @Test func fillersAndTombstonesTellTheirLength() {
        let record = Record(region, at: 0)
        record.writeFiller(bytes: 8)
        #expect(record.isFiller && record.totalBytes == 8 && record.isPlausible(limit: 8))
        #expect(!record.isPlausible(limit: 0))
        record.writeFiller(bytes: 4000)
        #expect(record.totalBytes == 4000)
        #expect(!record.isPlausible(limit: 3992))
        let grave = write(RecordFields(isTombstone: true), order: 3, key: "k", value: [])
        #expect(grave.isTombstone && grave.totalBytes == 24)
    }

    @Test func rubbishIsNeverPlausibleBeyondItsLimit() {
        var state: UInt64 = 1
        for _ in 0..<200_000 {
            for offset in stride(from: 0, to: 64, by: 8) {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                region.store(state ^ state >> 29, at: offset)
            }
            let limit = Int(state >> 40) % 512 / 8 * 8
            let record = Record(region, at: 0)
            guard record.isPlausible(limit: limit) else { continue }
            #expect(record.totalBytes <= limit || record.hasHome)
            #expect(record.isFiller || record.contentBytes <= limit)
        }
    }

    @Test func checksumsAreTheCastagnoliOnes() {
        #expect(crc(Array("123456789".utf8)) == 0xE306_9283)
        region.store(Array("123456789".utf8).span, at: 1)
        #expect(region.crc32c(1, 9) == 0xE306_9283)
        #expect(region.crc32c(5, 5, seed: region.crc32c(1, 4)) == 0xE306_9283)
        // RFC 3720 B.4: 32 bytes of zeroes, of ones, ascending, descending.
        let zeroes = [UInt8](repeating: 0, count: 32)
        let ones = [UInt8](repeating: 0xFF, count: 32)
        #expect(crc(zeroes) == 0x8A91_36AA)
        #expect(crc(ones) == 0x62A8_AB43)
        #expect(crc((0..<32).map { UInt8($0) }) == 0x46DD_794E)
        #expect(crc((0..<32).map { UInt8(31 - $0) }) == 0x113F_DB5C)
        let word: UInt64 = 0x3837_3635_3433_3231
        #expect(crc(Array("9".utf8), seed: CRC32C.of(word)) == 0xE306_9283)
    }
}

@Suite struct SlotTests {
    @Test func partsOfASlotLieWhereTheyAreDrawn() {
        let layout = SlotLayout(segmentBits: 12, tagStart: 4)
        let place = Place(segment: 0xABC, offset: 0x1_2348)
        let hash: UInt64 = 0xFEDC_BA98_7654_3210
        let slot = layout.slot(tag: layout.tag(hash), place, hits: 2)
        #expect(slot & 0x1_FFFF == 0x1_2348 / 8)
        #expect(slot >> 17 & 3 == 2)
        #expect(slot >> 19 & 1 == 0)
        #expect(slot >> 20 & 0xFFF == 0xABC)
        #expect(slot >> 32 == hash >> 4 & 0xFFFF_FFFF)
        #expect(layout.place(slot) == place)
        #expect(layout.matches(slot, layout.tag(hash)))
        #expect(!layout.matches(slot, layout.tag(hash ^ 0x10)))
        #expect(SlotLayout.isRemoval(slot | SlotLayout.removalBit))
        #expect(layout.isSame(slot, slot | SlotLayout.hitMask))
        #expect(!layout.isSame(slot, slot ^ 1))
        #expect(layout.spreadBits(slot) == Int(hash >> 4 & 0xFFF))
        let moved = layout.moved(slot | SlotLayout.removalBit, to: Place(segment: 1, offset: 8))
        #expect(layout.place(moved) == Place(segment: 1, offset: 8))
        #expect(!SlotLayout.isRemoval(moved) && SlotLayout.hits(moved) == 0)
        for bucket in [0, 1, 0x1_FFFF, 0x2_0000, 0x1234_5678] {
            let link = layout.link(to: bucket)
            #expect(layout.isLink(link))
            #expect(layout.linked(link) == bucket)
        }
    }

    @Test func tagsKeepTwentyFourBitsWhateverTheGeometry() {
        for memory in [4, 8, 64, 1 << 10, 64 << 10] {
            for disk in [0, 64, 10 << 10, 2 << 20] {
                for writers in [2, 6, 66] {
                    let geometry = Geometry(
                        memoryBytes: memory << 20, writers: writers, diskBytes: disk << 20)
                    #expect(64 - 20 - geometry.segmentBits >= 24)
                    #expect(geometry.rowsMax <= geometry.rowsAtStart * 64)
                    #expect(geometry.frameBytes <= 8 << Geometry.offsetBits)
                    #expect(geometry.logFrames < geometry.frameCount)
                }
            }
        }
    }
}
