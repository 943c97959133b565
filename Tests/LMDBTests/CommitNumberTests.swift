// CommitNumberTests: the number of a commit in a meta page is damaged, or was put back by LMDB: the
// newest state is opened, or none.

import Glibc
import LMDB
import Testing

@Suite struct CommitNumbers {
    private static let metaBytes = 152

    /// A file after so many commits, all but the first with a key each.
    private func filled(_ scratch: Scratch, commits: Int) throws -> [UInt8] {
        let (environment, table) = try opened(scratch)
        for key in 2...UInt64(commits) {
            try environment.store(table, [(key, pattern(key, Int(key) * 100))])
        }
        return wholeFile(scratch.dataFile)
    }

    private func number(_ bytes: [UInt8], page: Int) -> UInt64 {
        bytes[(page * 4096 + 144)..<(page * 4096 + 152)].reversed().reduce(0) {
            $0 << 8 | UInt64($1)
        }
    }

    private func keys(_ scratch: Scratch) throws -> [UInt64] {
        let (environment, table) = try opened(scratch)
        return try environment.keys(table)
    }

    @Test(arguments: 3...9) func noBitOfANumberTakesACommitBack(commits: Int) throws {
        let scratch = Scratch()
        let whole = try filled(scratch, commits: commits)
        let all = Array(2...UInt64(commits))
        var found = 0
        for page in 0..<2 {
            for bit in 0..<64 {
                var bytes = whole
                bytes[page * 4096 + 144 + bit / 8] ^= 1 << UInt8(bit % 8)
                writeFile(scratch.dataFile, bytes)
                do {
                    #expect(try keys(scratch) == all, "page \(page), bit \(bit)")
                    found += 1
                } catch {
                    #expect(error as? LMDBError == .invalid, "page \(page), bit \(bit)")
                }
            }
        }
        // Where the newest has the number of the commit before the last it gets its own back.
        #expect(found == (commits & 2 == 0 ? 0 : 1))
    }

    /// A meta page that could not be written: LMDB puts its number and its last page back, and
    /// leaves the new trees. Is that whole, it may be found; if not, it is not taken later.
    @Test(arguments: [false, true])
    func whatLMDBPutsBackIsFoundWholeOrNotAtAll(isCut: Bool) throws {
        let scratch = Scratch()
        let before = try filled(scratch, commits: 8)
        let page = number(before, page: 0) < number(before, page: 1) ? 0 : 1
        let last = number(before, page: page) + 1
        do {
            let (environment, table) = try opened(scratch)
            // With more pages than there were, or as many.
            try environment.store(table, [(2, pattern(1, isCut ? 20_000 : 200))])
        }
        var bytes = wholeFile(scratch.dataFile)
        #expect(number(bytes, page: page) == last + 1)
        for place in 136..<Self.metaBytes {
            bytes[page * 4096 + place] = before[page * 4096 + place]
        }
        writeFile(scratch.dataFile, bytes)
        let state: DataFileState
        do {
            let (environment, table) = try opened(scratch)
            #expect(
                try environment.load(table, 2) == pattern(isCut ? 2 : 1, 200), "\(isCut)")
            state = try DataFile.check(directory: scratch.path)
            // What was put right is told.
            #expect(environment.mendedNumber?.from == (isCut ? nil : number(before, page: page)))
            #expect(environment.mendedNumber?.to == (isCut ? nil : last + 1))
        }
        guard case .sound(_, let transaction) = state else {
            Issue.record("\(state)")
            return
        }
        #expect(transaction == (isCut ? last : last + 1))
        // What it has written may be overwritten by another commit, which does not get to its end.
        let settled = wholeFile(scratch.dataFile)
        do {
            let (environment, table) = try opened(scratch)
            try environment.store(table, [(3, pattern(9, isCut ? 300 : 20_000))])
        }
        bytes = wholeFile(scratch.dataFile)
        for place in 0..<2 * 4096 { bytes[place] = settled[place] }
        writeFile(scratch.dataFile, bytes)
        let (environment, table) = try opened(scratch)
        #expect(try environment.load(table, 2) == pattern(isCut ? 2 : 1, 200))
        #expect(try environment.load(table, 3) == pattern(3, 300))
    }
}
