// BlockFileTests: blocks that are overwritten in place, on a disk that takes nothing else.

import Glibc
import LMDB
import Support
import Testing

@Suite(.serialized) struct BlockFileTests {
    private func block(_ byte: UInt8) -> [UInt8] {
        [UInt8](repeating: byte, count: BlockFile.blockBytes)
    }

    @Test func whatWasWrittenIsThereAgain() throws {
        let scratch = Scratch()
        do {
            let file = try BlockFile(directory: scratch.path, name: "blocks", blockCount: 2)
            #expect(try file.read(1) == block(0))
            try file.write(0, block(7).span)
        }
        let file = try BlockFile(directory: scratch.path, name: "blocks", blockCount: 2)
        #expect(try file.read(0) == block(7))
        #expect(try file.read(1) == block(0))
        var status = stat()
        #expect(stat(scratch.path + "/blocks", &status) == 0)
        #expect(status.st_size == 2 * 4096)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    /// One that was made by half has its missing blocks afterwards, and keeps what it has.
    @Test func aShortFileIsLengthened() throws {
        let scratch = Scratch()
        do {
            let file = try BlockFile(directory: scratch.path, name: "blocks", blockCount: 2)
            try file.write(0, block(7).span)
        }
        #expect(truncate(scratch.path + "/blocks", 5000) == 0)
        let file = try BlockFile(directory: scratch.path, name: "blocks", blockCount: 2)
        #expect(try file.read(0) == block(7))
        #expect(try file.read(1) == block(0))
    }

    @Test func aLinkIsRefused() throws {
        let scratch = Scratch()
        #expect(symlink("/dev/null", scratch.path + "/blocks") == 0)
        #expect(throws: LMDBError.io(errno: ELOOP)) {
            _ = try BlockFile(directory: scratch.path, name: "blocks", blockCount: 2)
        }
    }

    /// No file may grow: a new one is refused, and one that is there is written all the same.
    @Test func aDiskThatIsFullTakesWhatHasItsPlace() async {
        await #expect(processExitsWith: .success) {
            let scratch = Scratch()
            let file = try BlockFile(directory: scratch.path, name: "blocks", blockCount: 2)
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let hard = limit.rlim_max
            limit.rlim_cur = 8192
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            try file.write(1, [UInt8](repeating: 9, count: 4096).span)
            #expect(throws: LMDBError.noSpace) {
                _ = try BlockFile(directory: scratch.path, name: "larger", blockCount: 3)
            }
            limit.rlim_cur = hard
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            #expect(try file.read(1) == [UInt8](repeating: 9, count: 4096))
        }
    }
}
