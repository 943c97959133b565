// GhostTests: how long a key that left memory is remembered, by how many have left since.

import SegmentLog
import Support
import Testing

@Suite struct GhostTests {
    private static let largeBytes = 10_000
    /// As many departures as a ghost counts for; an epoch is a sixteenth of them.
    private static let lifetime = 1600

    /// A hash that is alone in its group; the others' are above all of them.
    private static func hash(_ number: UInt64) -> UInt64 { number << 52 }

    private struct Model {
        let ghosts: Ghosts
        var chance = Chance(seed: 9)

        init() throws {
            ghosts = try Ghosts(Geometry(memoryBytes: 4 << 20, writers: 2, diskBytes: 0))
        }

        /// Large ones leave.
        mutating func others(_ count: Int) {
            for _ in 0..<count { leave(1 << 63 | chance.next(), bytes: GhostTests.largeBytes) }
        }

        func leave(_ hash: UInt64, bytes: Int) {
            ghosts.insert(hash, bytes: bytes) { GhostTests.lifetime }
        }
    }

    @Test func aSmallRecordIsRememberedFourTimesAsLong() throws {
        var model = try Model()
        defer { model.ghosts.discardMemory() }
        model.others(Self.lifetime)
        for number in 0..<2 as Range<UInt64> {
            model.leave(Self.hash(number), bytes: Self.largeBytes)
            model.leave(Self.hash(2 + number), bytes: 4000)
        }
        model.others(Self.lifetime / 2)
        #expect(model.ghosts.take(Self.hash(0)) && model.ghosts.take(Self.hash(2)))
        #expect(!model.ghosts.take(Self.hash(0)))
        model.others(Self.lifetime)
        #expect(!model.ghosts.take(Self.hash(1)))
        model.others(Self.lifetime * 2)
        #expect(model.ghosts.take(Self.hash(3)))
        // Of equals none is small.
        model.leave(Self.hash(4), bytes: Self.largeBytes * 2 / 3)
        model.others(Self.lifetime * 2)
        #expect(!model.ghosts.take(Self.hash(4)))
        model.leave(Self.hash(5), bytes: 4000)
        model.others(Self.lifetime * 5)
        #expect(!model.ghosts.take(Self.hash(5)))
    }

    /// A date has a byte: what is too old must not look young when it has turned once.
    @Test func whatIsForgottenStaysForgotten() throws {
        var model = try Model()
        defer { model.ghosts.discardMemory() }
        model.others(Self.lifetime)
        let epoch = Self.lifetime / 16
        for at in 0..<300 as Range<UInt64> {
            model.leave(Self.hash(at), bytes: at % 2 == 0 ? Self.largeBytes : 100)
        }
        model.others(Self.lifetime * 5)
        for _ in 0..<600 {
            model.others(epoch)
            let remembered = (0..<300 as Range<UInt64>).count { model.ghosts.take(Self.hash($0)) }
            #expect(remembered == 0)
        }
    }
}
