// NewestStateTests: a bit of the number that a commit has in the file has changed. The state
// before that commit is not taken for the newest one.

import Glibc
import Primitives
import Store
import Testing

@Suite struct NewestStateTests {
    /// Where the number is, in each of two pages that the head of the file has.
    private static let places = [144, 4096 + 144]

    /// Changes a bit of the number in one of the pages.
    private func flip(_ bit: Int, page: Int, in directory: String) throws {
        let descriptor = open(directory + "/data.mdb", O_RDWR)
        defer { close(descriptor) }
        var number: UInt64 = 0
        let place = off_t(Self.places[page])
        try #require(pread(descriptor, &number, 8, place) == 8)
        number ^= 1 << UInt64(bit)
        try #require(pwrite(descriptor, &number, 8, place) == 8)
    }

    /// Every commit's number with each of these bits changed, or that of the commit before it.
    @Test(arguments: [0, 1, 2, 13, 40]) func noCommitIsTakenBack(bit: Int) throws {
        let scratch = Scratch()
        let world = try World(directory: scratch.path)
        for life in 0..<4 {
            world.client.set("k", "value \(life)")
            world.client.set("gone \(life)", "old")
            if life > 0 { world.client.delete("gone \(life - 1)") }
            #expect(world.client.commit())
            world.client.pump(seconds: 0.1) { false }
            for page in 0..<2 {
                let copy = scratch.copy()
                try flip(bit, page: page, in: copy.path)
                let next = try World(directory: copy.path)
                #expect(next.client.recovered())
                let found = next.client.get("k")
                #expect(found == nil || found == "value \(life)", "life \(life), page \(page)")
                if life > 0 { #expect(next.client.get("gone \(life - 1)") == nil) }
                #expect(next.client.set("fresh", "1") == .stored)
                #expect(next.client.commit())
                next.stop()
            }
        }
        world.stop()
    }

    /// The last commit has the number of the one before the last: it gets its own back, and that is
    /// said.
    @Test func theLogSaysWhatWasPutRight() throws {
        let scratch = Scratch()
        let world = try World(directory: scratch.path)
        #expect(!world.lines.contains("commit_number_mended"))
        for number in 0..<3 {
            world.client.set("k", "value \(number)")
            #expect(world.client.commit())
        }
        world.stop()
        let path = scratch.path + "/data.mdb"
        let descriptor = open(path, O_RDWR)
        defer { close(descriptor) }
        var numbers: [UInt64] = [0, 0]
        for page in 0..<2 {
            try #require(pread(descriptor, &numbers[page], 8, off_t(Self.places[page])) == 8)
        }
        let (page, last) = numbers[0] > numbers[1] ? (0, numbers[0]) : (1, numbers[1])
        var older = last - 2
        try #require(pwrite(descriptor, &older, 8, off_t(Self.places[page])) == 8)
        let next = try World(directory: scratch.path)
        #expect(next.lines.contains("store.commit_number_mended from=\(older) to=\(last)"))
        #expect(next.client.recovered())
        #expect(next.client.get("k") == "value 2")
        next.stop()
    }
}
