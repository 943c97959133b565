// DataFileTests: damaged files are refused or usable, and never crash; sound ones are let in.

import Glibc
import LMDB
import Support
import Testing

@Suite struct DataFiles {
    private func filled(_ scratch: Scratch) throws -> [UInt8] {
        do {
            let (environment, table) = try opened(scratch)
            for key: UInt64 in 1...40 {
                try environment.store(table, [(key, pattern(key, Int(key) * 700))])
            }
        }
        return wholeFile(scratch.dataFile)
    }

    @Test func noFileAndAnEmptyOneAreAbsent() throws {
        let scratch = Scratch()
        #expect(try DataFile.check(directory: scratch.path) == .absent)
        writeFile(scratch.dataFile, [])
        #expect(try DataFile.check(directory: scratch.path) == .absent)
        _ = try opened(scratch)
        #expect(
            try DataFile.check(directory: scratch.path) == .sound(lastPage: 2, transaction: 1))
        #expect(throws: LMDBError.io(errno: ENOENT)) {
            _ = try Environment(path: scratch.path + "/none", mapBytes: 1 << 20, databasesMax: 1)
        }
    }

    @Test func aFileThatIsSomethingElseIsInvalid() throws {
        let scratch = Scratch()
        let zeros = [UInt8](repeating: 0, count: 8192)
        for bytes in [[1], pattern(1, 100), pattern(2, 100_000), zeros] {
            writeFile(scratch.dataFile, bytes)
            #expect(throws: LMDBError.invalid) { _ = try DataFile.check(directory: scratch.path) }
            #expect(throws: LMDBError.invalid) { _ = try opened(scratch) }
            #expect(wholeFile(scratch.dataFile) == bytes)
        }
        let other = Scratch()
        var whole = try filled(other)
        whole[20] = 2
        writeFile(other.dataFile, whole)
        #expect(throws: LMDBError.versionMismatch) { _ = try opened(other) }
    }

    @Test func everyTruncationIsRefused() throws {
        let scratch = Scratch()
        let whole = try filled(scratch)
        let lengths =
            [1, 100, 4095, 4096, 8191, 8192, whole.count - 4096, whole.count - 1]
            + (1..<60).map { $0 * whole.count / 60 }
        for length in lengths {
            writeFile(scratch.dataFile, Array(whole[0..<length]))
            do {
                _ = try opened(scratch)
                Issue.record("\(length) of \(whole.count) bytes were opened")
            } catch {
                #expect(error == .invalid || error == .corrupted, "\(length)")
            }
        }
    }

    /// Pages taken and given back within one transaction are counted but never written.
    @Test func aFileMayEndBeforeItsLastPage() throws {
        let scratch = Scratch()
        do {
            let (environment, table) = try opened(scratch)
            for _ in 0..<5 { try environment.store(table, [(1, pattern(1, 5000))]) }
            var transaction = try environment.beginWrite()
            try transaction.put(table, key: 3, bytes: pattern(3, 10).span)
            try transaction.put(table, key: 2, bytes: pattern(2, 1 << 20).span)
            try transaction.delete(table, key: 2)
            try transaction.commit()
            #expect(
                environment.usedPages * environment.pageBytes > wholeFile(scratch.dataFile).count)
        }
        let whole = wholeFile(scratch.dataFile)
        do {
            let (environment, table) = try opened(scratch)
            #expect(try environment.load(table, 1) == pattern(1, 5000))
            #expect(try environment.load(table, 3) == pattern(3, 10))
            // The missing pages are used, then.
            try environment.store(table, [(4, pattern(4, 1 << 20))])
            #expect(try environment.load(table, 4) == pattern(4, 1 << 20))
        }
        // One that is shorter still has lost pages in use.
        writeFile(scratch.dataFile, Array(whole[0..<3 * 4096]))
        #expect(throws: LMDBError.corrupted) { _ = try DataFile.check(directory: scratch.path) }
    }

    @Test func aSoundFileStaysSoundThroughAnyWork() throws {
        var chance = Chance(seed: 5)
        for seed in 0..<8 {
            let scratch = Scratch()
            for _ in 0..<6 {
                let (environment, table) = try opened(scratch)
                for _ in 0..<12 {
                    var transaction = try environment.beginWrite()
                    for _ in 0..<Int.random(in: 1...120, using: &chance) {
                        let key = UInt64.random(in: 0..<400, using: &chance)
                        switch Int.random(in: 0..<10, using: &chance) {
                        case 0..<(seed % 4 + 2):
                            try transaction.delete(table, key: key)
                        case 9 where seed > 5 && Int.random(in: 0..<40, using: &chance) == 0:
                            try transaction.empty(table)
                        default:
                            let large = Int.random(in: 0..<4, using: &chance) == 0
                            let size = Int.random(in: 0...(large ? 40_000 : 300), using: &chance)
                            try transaction.put(table, key: key, bytes: pattern(key, size).span)
                        }
                    }
                    if Int.random(in: 0..<8, using: &chance) > 0 { try transaction.commit() }
                }
            }
            #expect(
                try DataFile.check(directory: scratch.path, includingValues: true) != .absent,
                "seed \(seed)")
        }
    }

    /// Every bit of the newer meta page that says where things are is covered.
    @Test func flippedBitsOfTheMetaPagesAreInvalidOrHarmless() throws {
        let scratch = Scratch()
        let whole = try filled(scratch)
        let keys = Array(1...40).map { UInt64($0) }
        var refused = 0
        for bit in 0..<2 * 152 * 8 {
            var bytes = whole
            let offset = bit / 8 % 152 + (bit / 8 / 152) * 4096
            bytes[offset] ^= 1 << UInt8(bit % 8)
            writeFile(scratch.dataFile, bytes)
            do throws(LMDBError) {
                _ = try DataFile.check(directory: scratch.path)
                guard bit % 5 == 0 else { continue }
                let (environment, table) = try opened(scratch)
                #expect(try environment.keys(table) == keys, "bit \(bit)")
            } catch {
                refused += 1
                #expect(
                    error == .invalid || error == .corrupted || error == .versionMismatch,
                    "bit \(bit): \(error)")
            }
        }
        // Magic, version, page size, flags, depths, roots, last page, transaction.
        #expect(refused > 2 * 8 * (2 + 4 + 4 + 4 + 2 + 8))
    }

    @Test func damagedFilesNeverCrash() throws {
        let scratch = Scratch()
        let notes = scratch.path + "/notes"
        #expect(run([probe, "write", scratch.path, "111", "1", notes]).code == 0)
        for seed in 1...3 {
            let outcome = run([probe, "damage", scratch.path, "\(seed)", "150"])
            let last = outcome.output.split(separator: "\n").last ?? ""
            #expect(outcome.code == 0, "seed \(seed), last said: \(last)")
            #expect(last.hasPrefix("refused"))
        }
    }

    /// A damaged page count would make LMDB free pages of others.
    @Test func aDamagedValueHeadIsReportedAndNotActedOn() throws {
        let scratch = Scratch()
        let place: FilePlace
        do {
            let (environment, table) = try opened(scratch)
            try environment.store(table, [(1, pattern(1, 50_000)), (2, pattern(2, 50_000))])
            place = try #require(try environment.beginRead().fileOffset(table, key: 1))
        }
        let whole = wholeFile(scratch.dataFile)
        for byte in [-16, -6, -4, -3] {
            var bytes = whole
            bytes[Int(place.offset) + byte] ^= 0x10
            writeFile(scratch.dataFile, bytes)
            #expect(try DataFile.check(directory: scratch.path) != .absent)
            #expect(throws: LMDBError.corrupted) {
                _ = try DataFile.check(directory: scratch.path, includingValues: true)
            }
            let (environment, table) = try opened(scratch)
            #expect(throws: LMDBError.corrupted) {
                _ = try environment.beginRead().fileOffset(table, key: 1)
            }
            var transaction = try environment.beginWrite()
            for attempt in 0..<3 {
                do throws(LMDBError) {
                    switch attempt {
                    case 0: try transaction.delete(table, key: 1)
                    case 1: try transaction.put(table, key: 1, bytes: [1].span)
                    default: try transaction.empty(table)
                    }
                    Issue.record("acted on a damaged page count (\(byte))")
                } catch { #expect(error == .corrupted) }
            }
        }
    }
}

@Suite struct Locks {
    @Test func aDirectoryHasOneHolder() throws {
        let scratch = Scratch()
        do {
            let first = try StoreLock(directory: scratch.path)
            #expect(throws: StoreLockError.inUse(processId: getpid())) {
                _ = try StoreLock(directory: scratch.path)
            }
            _ = consume first
        }
        let second = try StoreLock(directory: scratch.path)
        _ = consume second
        #expect(throws: StoreLockError.io(errno: ENOENT)) {
            _ = try StoreLock(directory: scratch.path + "/none")
        }
    }

    @Test func theLockEndsWithItsProcess() throws {
        let scratch = Scratch()
        let fifo = scratch.path + "/input"
        #expect(mkfifo(fifo, 0o600) == 0)
        let child = Child([
            "sh", "-c", "exec \"$0\" lock \"$1\" < \"$2\"", probe, scratch.path, fifo,
        ])
        let input = open(fifo, O_WRONLY)
        defer { close(input) }
        #expect(child.line() == "locked")
        #expect(throws: StoreLockError.inUse(processId: child.id)) {
            _ = try StoreLock(directory: scratch.path)
        }
        kill(child.id, SIGKILL)
        #expect(child.finish().code == -SIGKILL)
        _ = try StoreLock(directory: scratch.path)
    }

    @Test func directoriesAreMadeWithWhatIsAboveThem() throws {
        let scratch = Scratch()
        let path = scratch.path + "/a/b//c"
        try StoreDirectory.make(path)
        try StoreDirectory.make(path)
        _ = try StoreLock(directory: path)
        writeFile(scratch.path + "/file", [1])
        #expect(throws: LMDBError.io(errno: ENOTDIR)) {
            try StoreDirectory.make(scratch.path + "/file/below")
        }
    }

    @Test func aBadFileIsMovedAsideAndANewOneBegins() throws {
        let scratch = Scratch()
        let target = "data.mdb.aside"
        #expect(try DataFile.moveAside(directory: scratch.path, to: target) == nil)
        writeFile(scratch.dataFile, [])
        #expect(try DataFile.moveAside(directory: scratch.path, to: target) == nil)
        for round in 1...2 {
            let bad = pattern(UInt64(round), 9000)
            writeFile(scratch.dataFile, bad)
            #expect(throws: LMDBError.invalid) { _ = try opened(scratch) }
            let moved = try DataFile.moveAside(directory: scratch.path, to: target)
            let aside = try #require(moved)
            #expect(wholeFile(aside) == bad)
            let (environment, table) = try opened(scratch)
            try environment.store(table, [(1, pattern(1, 5000))])
            let place = try #require(try environment.beginRead().fileOffset(table, key: 1))
            let descriptor = try DataFile.openForReading(directory: scratch.path)
            defer { close(descriptor) }
            var value = [UInt8](repeating: 0, count: 5000)
            #expect(pread(descriptor, &value, 5000, off_t(place.offset)) == 5000)
            #expect(value == pattern(1, 5000))
        }
    }

    @Test func marksComeAndGo() throws {
        let scratch = Scratch()
        #expect(!StoreDirectory.hasMark("beginning", in: scratch.path))
        try StoreDirectory.set(mark: "beginning", in: scratch.path)
        try StoreDirectory.set(mark: "beginning", in: scratch.path)
        #expect(StoreDirectory.hasMark("beginning", in: scratch.path))
        try StoreDirectory.clear(mark: "beginning", in: scratch.path)
        try StoreDirectory.clear(mark: "beginning", in: scratch.path)
        #expect(!StoreDirectory.hasMark("beginning", in: scratch.path))
    }
}
