// LockFileTests: LMDB's lock file has its place on the disk before LMDB writes to its mapping, and
// a store that finds no room, or no regular file, says so.

import Glibc
import LMDB
import Support
import Testing

@Suite struct LockFileTests {
    private func opened(_ scratch: Scratch, readers: Int) throws -> Environment {
        try Environment(
            path: scratch.path, mapBytes: 1 << 20, databasesMax: 1, readersMax: readers)
    }

    private func status(_ path: String) throws -> stat {
        var status = stat()
        try #require(stat(path, &status) == 0)
        return status
    }

    /// LMDB itself writes to the first page alone.
    @Test(arguments: [nil, 0, 1000, 8192, 1 << 20] as [off_t?])
    func allThatLMDBMayWriteToHasItsPlace(bytesFound: off_t?) throws {
        let scratch = Scratch()
        let path = scratch.path + "/lock.mdb"
        if let bytesFound {
            writeFile(path, [])
            #expect(truncate(path, bytesFound) == 0)
        }
        let environment = try opened(scratch, readers: 120)
        let found = try status(path)
        #expect(found.st_blocks * 512 >= 8192)
        #expect(found.st_size >= 8192)
        _ = try environment.beginRead()
    }

    /// What holds all of its blocks is left as it is; so is what another environment of a process
    /// that has died has written.
    @Test func whatHasItsPlaceStays() throws {
        let scratch = Scratch()
        let path = scratch.path + "/lock.mdb"
        writeFile(path, [UInt8](repeating: 7, count: 8192))
        do { _ = try opened(scratch, readers: 16) }
        let found = wholeFile(path)
        #expect(found.count == 8192)
        #expect(found[8191] == 7)
    }

    @Test(arguments: ["data.mdb", "lock.mdb"], [false, true])
    func whatIsNoRegularFileIsRefused(name: String, isPipe: Bool) throws {
        let scratch = Scratch()
        let path = scratch.path + "/" + name
        #expect((isPipe ? mkfifo(path, 0o600) : mkdir(path, 0o700)) == 0)
        #expect(throws: LMDBError.self) { _ = try opened(scratch, readers: 16) }
        if name == "data.mdb" || isPipe {
            #expect(throws: LMDBError.irregular) { _ = try opened(scratch, readers: 16) }
        }
    }

    /// A new file has room for its first transactions, and is as long as they are.
    @Test func aNewDataFileHasItsPlace() throws {
        let scratch = Scratch()
        let environment = try opened(scratch, readers: 16)
        let found = try status(scratch.dataFile)
        #expect(found.st_blocks * 512 >= 16 * 4096)
        #expect(found.st_size == 8192)
        #expect(environment.usedPages == 2)
    }

    /// The head of a new data file that found room for half of it is no damaged file.
    @Test func ofAFileThatCouldNotBeBegunNothingStays() async {
        await #expect(processExitsWith: .success) {
            let scratch = Scratch()
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let before = limit.rlim_cur
            limit.rlim_cur = 4096
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            #expect(throws: LMDBError.noSpace) {
                _ = try Environment(path: scratch.path, mapBytes: 1 << 20, databasesMax: 1)
            }
            #expect(try DataFile.check(directory: scratch.path) == .absent)
            limit.rlim_cur = before
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            _ = try Environment(path: scratch.path, mapBytes: 1 << 20, databasesMax: 1)
        }
    }
}
