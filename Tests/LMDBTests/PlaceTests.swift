// PlaceTests: a large value lies where it was said to lie, for as long as it exists.

import Glibc
import LMDB
import Support
import Testing

@Suite struct Places {
    @Test func smallValuesHaveNoPlaceAndLargeOnesDo() throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch)
        // The largest value that shares a leaf of 4096 bytes has 2022 bytes with a key of 8.
        let sizes = [1, 2000, 2020, 2021, 2022, 2023, 2024, 4080, 4081, 1 << 20]
        try environment.store(table, sizes.map { (UInt64($0), pattern(UInt64($0), $0)) })
        let reading = try environment.beginRead()
        for size in sizes {
            let place = try reading.fileOffset(table, key: UInt64(size))
            #expect((place != nil) == (size > 2022), "\(size)")
            guard let place else { continue }
            #expect(place.byteCount == size)
            #expect(
                readFile(scratch.dataFile, place.offset, size) == pattern(UInt64(size), size))
        }
        #expect(try reading.fileOffset(table, key: 3) == nil)
    }

    @Test func aPlaceHoldsThroughUnrelatedCommitsAndReopening() throws {
        let scratch = Scratch()
        var chance = Chance(seed: 11)
        var places: [UInt64: FilePlace] = [:]
        var sizes: [UInt64: Int] = [:]
        var nextKey: UInt64 = 1
        for round in 0..<6 {
            let (environment, table) = try opened(scratch, mapBytes: 256 << 20)
            for _ in 0..<25 {
                var transaction = try environment.beginWrite()
                for _ in 0..<Int.random(in: 1...4, using: &chance) {
                    let size = Int.random(in: 3000...200_000, using: &chance)
                    try transaction.put(
                        table, key: nextKey, bytes: pattern(nextKey, size).span, append: true)
                    // Already inside the transaction it is known where the value will be.
                    places[nextKey] = try transaction.fileOffset(table, key: nextKey)
                    sizes[nextKey] = size
                    nextKey += 1
                }
                while sizes.count > 60, let victim = sizes.keys.randomElement(using: &chance) {
                    try transaction.delete(table, key: victim)
                    sizes[victim] = nil
                    places[victim] = nil
                }
                if let overwritten = sizes.keys.randomElement(using: &chance) {
                    let size = Int.random(in: 3000...200_000, using: &chance)
                    try transaction.put(
                        table, key: overwritten, bytes: pattern(overwritten, size).span)
                    sizes[overwritten] = size
                    places[overwritten] = try transaction.fileOffset(table, key: overwritten)
                }
                try transaction.commit()
            }
            let reading = try environment.beginRead()
            for (key, place) in places {
                #expect(try reading.fileOffset(table, key: key) == place, "round \(round)")
                #expect(
                    readFile(scratch.dataFile, place.offset, place.byteCount)
                        == pattern(key, try #require(sizes[key])))
            }
        }
        #expect(
            try DataFile.check(directory: scratch.path, includingValues: true) != .absent)
    }
}

@Suite struct SegmentRing {
    /// Values of 1 MiB, the oldest deleted as new ones come; four to a transaction.
    @Test func aRingOfSegmentsReusesItsPages() throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch, mapBytes: 1 << 30)
        let value = pattern(1, 1 << 20)
        let valuesMax = 64
        var oldest: UInt64 = 1
        var next: UInt64 = 1
        for round in 0..<60 {
            var transaction = try environment.beginWrite()
            for _ in 0..<4 {
                try transaction.reserve(table, key: next, byteCount: 1 << 20, append: true) {
                    $0.append(value.span)
                }
                next += 1
                if next - oldest > valuesMax {
                    #expect(try transaction.delete(table, key: oldest))
                    oldest += 1
                }
            }
            try transaction.commit()
            let entries = try environment.beginRead().statistics(table).entries
            #expect(entries == Int(next - oldest), "round \(round)")
        }
        // The file is no longer than what is alive, three transactions, and some leaves.
        #expect(environment.usedPages < (valuesMax + 3 * 4 + 2) * 257 + 64)
    }

    /// Kept at 85 % of the map less three transactions, with stretches that come and go.
    @Test func aFullRingNeverMeetsMapFull() throws {
        try fullRing(
            mapBytes: 64 << 20, valueBytes: (128 << 10) - 16, perTransaction: 4, rounds: 500)
    }

    /// The same at full size: writes 2.7 GiB.
    @Test(.enabled(if: getenv("BRIM_LONG_TESTS") != nil))
    func aFullRingOfFullSizeNeverMeetsMapFull() throws {
        try fullRing(
            mapBytes: 1 << 30, valueBytes: (1 << 20) - 16, perTransaction: 8, rounds: 500)
    }

    private func fullRing(
        mapBytes: Int, valueBytes: Int, perTransaction: Int, rounds: Int
    ) throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch, mapBytes: mapBytes)
        var opening = try environment.beginWrite()
        let stretches = try opening.openDatabase("stretches", integerKeys: false, create: true)
        try opening.commit()
        let value = pattern(1, valueBytes)
        let stretch = pattern(2, 3000)
        let valuesMax = mapBytes * 85 / 100 / (valueBytes + 16) - 3 * perTransaction
        var oldest: UInt64 = 1
        var next: UInt64 = 1
        for round in 0..<rounds {
            var transaction = try environment.beginWrite()
            // Every third commit is a small flush; the next ones take its stretches away.
            if round % 3 == 0 {
                try PairKey(next, UInt32(round)).withBytes { key throws(LMDBError) in
                    try transaction.put(stretches, key: key, bytes: stretch.span)
                }
            } else {
                try transaction.empty(stretches)
                for _ in 0..<perTransaction {
                    try transaction.put(table, key: next, bytes: value.span, append: true)
                    next += 1
                    if next - oldest > valuesMax {
                        #expect(try transaction.delete(table, key: oldest))
                        oldest += 1
                    }
                }
            }
            try transaction.commit()
        }
        #expect(try environment.keys(table) == Array(oldest..<next))
        #expect(next - oldest == valuesMax)
        #expect(try environment.beginRead().statistics(table).leafPages < 20)
        #expect(try environment.filledBytes() < mapBytes * 9 / 10)
    }
}
