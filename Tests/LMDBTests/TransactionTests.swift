// TransactionTests: round trips, aborts, limits, handles.

import Glibc
import LMDB
import Testing

func opened(
    _ scratch: Scratch, mapBytes: Int = 64 << 20
) throws(LMDBError) -> (Environment, Database) {
    let environment = try Environment(path: scratch.path, mapBytes: mapBytes, databasesMax: 8)
    var transaction = try environment.beginWrite()
    let table = try transaction.openDatabase("table", integerKeys: true, create: true)
    try transaction.commit()
    return (environment, table)
}

extension Environment {
    /// One transaction of puts.
    func store(_ table: Database, _ entries: [(UInt64, [UInt8])]) throws(LMDBError) {
        var transaction = try beginWrite()
        for (key, value) in entries { try transaction.put(table, key: key, bytes: value.span) }
        try transaction.commit()
    }
    func load(_ table: Database, _ key: UInt64) throws(LMDBError) -> [UInt8]? {
        let transaction = try beginRead()
        return try transaction.get(table, key: key) { bytes($0) }
    }
    func keys(_ table: Database) throws(LMDBError) -> [UInt64] {
        let transaction = try beginRead()
        var keys: [UInt64] = []
        try transaction.forEach(table) { key, _ in
            keys.append(key)
            return true
        }
        return keys
    }
}

@Suite struct Transactions {
    @Test func valuesOfEverySizeComeBack() throws {
        let scratch = Scratch()
        let sizes = [0, 1, 7, 100, 2013, 2014, 2021, 2022, 2023, 4080, 4081, 70_000, 1 << 20]
        do {
            let (environment, table) = try opened(scratch)
            try environment.store(
                table, sizes.enumerated().map { (UInt64($0), pattern(UInt64($0), $1)) })
            for (key, size) in sizes.enumerated() {
                #expect(try environment.load(table, UInt64(key)) == pattern(UInt64(key), size))
            }
            #expect(try environment.load(table, 999) == nil)
        }
        let (environment, table) = try opened(scratch)
        for (key, size) in sizes.enumerated() {
            #expect(try environment.load(table, UInt64(key)) == pattern(UInt64(key), size))
        }
    }

    /// However much one transaction looks at: at 16 MiB the pages are let go. What lies around one
    /// is mapped with it.
    @Test(arguments: [3000, 60_000]) func aWalkKeepsLittleOfTheFileMapped(valueBytes: Int) throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch, mapBytes: 128 << 20)
        // Some of what lies in between is walked past.
        for batch in 0..<10 {
            try environment.store(
                table,
                (0..<100).map {
                    let key = UInt64(batch * 100 + $0)
                    return (key, pattern(key, $0 % 2 == 0 ? valueBytes : 61_000))
                })
        }
        var most = 0
        let transaction = try environment.beginRead()
        try transaction.forEach(table) { key, value throws(LMDBError) in
            let isRight = key % 2 != 0 || bytes(value) == pattern(key, valueBytes)
            #expect(isRight)
            if key % 20 == 0 { most = max(most, try mappedBytes(of: scratch)) }
            return true
        }
        #expect(most > 1 << 20, "nothing was looked at")
        #expect(most <= 17 << 20)
    }

    /// Bytes of the data file that this process has in its memory.
    private func mappedBytes(of scratch: Scratch) throws(LMDBError) -> Int {
        let descriptor = open("/proc/self/smaps", O_RDONLY)
        defer { close(descriptor) }
        var (list, piece) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
        while case let count = read(descriptor, &piece, piece.count), count > 0 {
            list += piece.prefix(count)
        }
        var isFile = false
        for line in String(decoding: list, as: UTF8.self).split(separator: "\n") {
            if line.contains("-"), line.hasSuffix(scratch.path + "/data.mdb") { isFile = true }
            if isFile, line.hasPrefix("Rss:") {
                return Int(line.split(separator: " ")[1]).map { $0 << 10 } ?? 0
            }
        }
        throw .notFound
    }

    @Test func byteKeysAreOrderedAsBytes() throws {
        let scratch = Scratch()
        let environment = try Environment(path: scratch.path, mapBytes: 1 << 22, databasesMax: 4)
        var transaction = try environment.beginWrite()
        let table = try transaction.openDatabase("pairs", integerKeys: false, create: true)
        let keys = [
            PairKey(1 << 40, 0), PairKey(2, 7), PairKey(1, 0xFFFF_FFFF), PairKey(2, 0x0100),
        ]
        for key in keys {
            try key.withBytes { bytes throws(LMDBError) in
                try transaction.put(table, key: bytes, bytes: pattern(key.first, 30).span)
            }
        }
        try transaction.commit()
        let reading = try environment.beginRead()
        var seen: [PairKey] = []
        try reading.withCursor(table) { cursor throws(LMDBError) in
            var isThere = try PairKey(1, 0).withBytes { bytes throws(LMDBError) in
                try cursor.seek(atOrAbove: bytes)
            }
            while isThere {
                seen.append(try cursor.withKeyBytes { PairKey($0)! })
                isThere = try cursor.next()
            }
        }
        #expect(
            seen == [
                PairKey(1, 0xFFFF_FFFF), PairKey(2, 7), PairKey(2, 0x0100), PairKey(1 << 40, 0),
            ])
        let value = try keys[1].withBytes { bytes throws(LMDBError) in
            try reading.get(table, key: bytes) { $0.count }
        }
        #expect(value == 30)
    }

    @Test func whatIsNotCommittedIsForgotten() throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch)
        try environment.store(table, [(1, [1])])
        do {
            var transaction = try environment.beginWrite()
            try transaction.put(table, key: 1, bytes: [2].span)
            try transaction.put(table, key: 2, bytes: [2].span)
        }
        var transaction = try environment.beginWrite()
        try transaction.delete(table, key: 1)
        transaction.abort()
        #expect(try environment.load(table, 1) == [1])
        #expect(try environment.load(table, 2) == nil)
    }

    @Test func thereIsOneWriterAtATime() throws {
        let scratch = Scratch()
        let (environment, _) = try opened(scratch)
        let transaction = try environment.beginWrite()
        #expect(throws: LMDBError.busy) { _ = try environment.beginWrite() }
        transaction.abort()
        let next = try environment.beginWrite()
        try next.commit()
    }

    @Test func aDirectoryIsOpenOnce() throws {
        let scratch = Scratch()
        do {
            let (environment, _) = try opened(scratch)
            #expect(throws: LMDBError.busy) {
                _ = try Environment(path: scratch.path + "/.", mapBytes: 1 << 20, databasesMax: 1)
            }
            _ = environment.usedPages
        }
        _ = try opened(scratch)
    }

    @Test func aFullMapIsReportedAndLeavesTheEnvironmentUsable() throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch, mapBytes: 4 << 20)
        try environment.store(table, [(1, pattern(1, 1 << 20))])
        for _ in 0..<3 {
            #expect(throws: LMDBError.mapFull) {
                try environment.store(
                    table, (2..<10).map { (UInt64($0), pattern(UInt64($0), 1 << 20)) })
            }
        }
        #expect(try environment.keys(table) == [1])
        try environment.store(table, [(2, pattern(2, 1 << 20))])
        var transaction = try environment.beginWrite()
        #expect(try transaction.delete(table, key: 1))
        #expect(try !transaction.delete(table, key: 1))
        try transaction.commit()
        #expect(try environment.load(table, 2) == pattern(2, 1 << 20))
    }

    @Test func appendingBelowTheLastKeyIsRefused() throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch)
        var transaction = try environment.beginWrite()
        for key: UInt64 in [3, 5, 9] {
            try transaction.put(table, key: key, bytes: [UInt8(key)].span, append: true)
        }
        do {
            try transaction.put(table, key: 5, bytes: [0].span, append: true)
            Issue.record("appended below the last key")
        } catch { #expect(error == .keyExists) }
        try transaction.put(table, key: 4, bytes: [4].span)
        try transaction.commit()
        #expect(try environment.keys(table) == [3, 4, 5, 9])
        let reading = try environment.beginRead()
        #expect(try reading.firstKey(table) == 3)
        #expect(try reading.lastKey(table) == 9)
    }

    @Test func reservedValuesAreWrittenInPlaceAndTheRestIsZero() throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch)
        let piece = pattern(1, 100_000)
        var transaction = try environment.beginWrite()
        try transaction.reserve(table, key: 1, byteCount: 1 << 20) { writer in
            writer.append(zeros: 4)
            writer.append(piece.span)
            writer.append(piece.span)
            writer.overwrite(at: 0, with: [1, 2, 3, 4].span)
        }
        try transaction.reserve(table, key: 2, byteCount: 10) { $0.append([9].span) }
        try transaction.reserve(table, key: 3, byteCount: 0) { _ in }
        try transaction.commit()
        let value = try #require(try environment.load(table, 1))
        #expect(value.count == 1 << 20)
        #expect(Array(value[0..<4]) == [1, 2, 3, 4])
        #expect(Array(value[4..<100_004]) == piece)
        #expect(Array(value[100_004..<200_004]) == piece)
        #expect(value[200_004...].allSatisfy { $0 == 0 })
        #expect(try environment.load(table, 2) == [9] + Array(repeating: 0, count: 9))
        #expect(try environment.load(table, 3) == [])
    }

    @Test func emptyingRemovesAllAndGivesThePagesBack() throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch)
        try environment.store(table, (0..<20).map { (UInt64($0), pattern(UInt64($0), 1 << 20)) })
        let filled = try environment.filledBytes()
        #expect(filled > 20 << 20)
        var transaction = try environment.beginWrite()
        let sizes = try transaction.statistics(table)
        #expect(sizes.entries == 20 && sizes.overflowPages == 20 * 257 && sizes.depth == 1)
        try transaction.empty(table)
        #expect(try transaction.statistics(table).entries == 0)
        try transaction.commit()
        #expect(try environment.keys(table) == [])
        #expect(try environment.filledBytes() < 1 << 20)
        #expect(environment.usedPages * environment.pageBytes > 20 << 20)
    }

    @Test func databasesKeepTheirKindOfKeys() throws {
        let scratch = Scratch()
        let (environment, _) = try opened(scratch)
        var transaction = try environment.beginWrite()
        #expect(throws: LMDBError.notFound) {
            _ = try transaction.openDatabase("none", integerKeys: true, create: false)
        }
        #expect(throws: LMDBError.other(code: -30784)) {
            _ = try transaction.openDatabase("table", integerKeys: false, create: true)
        }
        let again = try transaction.openDatabase("table", integerKeys: true, create: false)
        try transaction.put(again, key: 1, bytes: [1].span)
        try transaction.commit()
    }

    @Test func readersSeeOneStateUntilRenewed() throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch)
        try environment.store(table, [(1, [1])])
        var reading = try environment.beginRead()
        try environment.store(table, [(1, [2])])
        #expect(try reading.get(table, key: 1) { bytes($0) } == [1])
        reading.reset()
        do {
            _ = try reading.get(table, key: 1) { $0.count }
            Issue.record("read after reset")
        } catch { #expect(error != .notFound) }
        try reading.renew()
        #expect(try reading.get(table, key: 1) { bytes($0) } == [2])
        #expect(try environment.clearDeadReaders() == 0)
        try environment.sync()
    }

    @Test func cursorsMoveBothWays() throws {
        let scratch = Scratch()
        let (environment, table) = try opened(scratch)
        let keys = (0..<3000).map { UInt64($0 * 3 + 1) }
        try environment.store(table, keys.shuffled().map { ($0, pattern($0, 50)) })
        #expect(try environment.keys(table) == keys)
        let reading = try environment.beginRead()
        try reading.withCursor(table) { cursor throws(LMDBError) in
            var visited: [UInt64?] = []
            visited.append(try cursor.seek(atOrAbove: 5) ? try cursor.key() : nil)
            visited.append(try cursor.previous() ? try cursor.key() : nil)
            visited.append(try cursor.last() ? try cursor.key() : nil)
            visited.append(try cursor.next() ? try cursor.key() : nil)
            visited.append(try cursor.seek(atOrAbove: .max) ? try cursor.key() : nil)
            visited.append(try cursor.first() ? try cursor.key() : nil)
            visited.append(try cursor.previous() ? try cursor.key() : nil)
            #expect(visited == [7, 4, keys.last, nil, nil, 1, nil])
        }
        var some: [UInt64] = []
        try reading.forEach(table, from: 100) { key, _ in
            some.append(key)
            return some.count < 3
        }
        #expect(some == [100, 103, 106])
    }
}
