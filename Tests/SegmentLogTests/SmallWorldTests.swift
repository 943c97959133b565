// SmallWorldTests: every sequence of a few moves over two keys and two values, on a log of a few
// frames, against the model. What random histories meet by luck is met here for certain.

import Testing

@Suite(.serialized) struct SmallWorldTests {
    /// Nothing leaves memory: answers equal the model's.
    @Test func withRoomEverySequenceIsADictionary() throws {
        try tryAll(
            [
                .setA, .setALonger, .setB, .setBLonger, .deleteA, .deleteB, .touchA, .tick,
                .flush, .seal,
            ], length: 6, hasDisk: false, mayMiss: false)
    }

    /// Frames are taken away and used again: a miss is allowed, a wrong or older value never.
    @Test func whenTightNoSequenceBringsBackAnOlderValue() throws {
        let world = try tryAll(
            [
                .setA, .setALonger, .setB, .deleteA, .deleteB, .touchA, .hitA, .hitB, .tick,
                .seal, .evict,
            ], length: 6, hasDisk: false, mayMiss: true)
        #expect(world.misses > 0)
    }

    /// What leaves memory rests on disk: answers equal the model's, wherever records lie, and
    /// whatever happens between the beginning of a read and its end.
    @Test func withADiskEverySequenceIsADictionary() throws {
        let world = try tryAll(
            [
                .setA, .setALonger, .setB, .deleteA, .touchA, .hitA, .readA, .flush, .seal,
                .commit, .evict,
            ], length: 6, hasDisk: true, mayMiss: false)
        #expect(world.reads > 0)
    }

    /// The same, begun with a record of each key on disk only, and with a disk that shrinks.
    @Test func recordsOnDiskAreNeverOlderThanTheModel() throws {
        let world = try tryAll(
            [
                .setA, .setBLonger, .deleteA, .touchA, .hitA, .readA, .tick, .flush, .evict,
                .rest, .shrink,
            ], length: 5, hasDisk: true, mayMiss: true, after: [.setA, .setB, .rest])
        #expect(world.reads > 0 && world.misses > 0)
    }

    /// Plays every sequence of `length` moves, each after the same beginning, and compares after
    /// every move: once for each beginning that sequences share.
    @discardableResult
    private func tryAll(
        _ moves: [Move], length: Int, hasDisk: Bool, mayMiss: Bool, after beginning: [Move] = []
    ) throws -> SmallWorld {
        let world = try SmallWorld(hasDisk: hasDisk)
        var choice = [Int](repeating: 0, count: length)
        var changed = 0
        while true {
            for move in beginning { world.perform(move) }
            for (position, number) in choice.enumerated() {
                world.perform(moves[number])
                if position < changed || world.isTrue(mayMiss: mayMiss) { continue }
                let played = (beginning + choice[...position].map { moves[$0] })
                Issue.record("wrong after \(played)")
                return world
            }
            guard world.clear() else {
                Issue.record("something is not given back after \(choice.map { moves[$0] })")
                return world
            }
            // The last move changes fastest.
            changed = length - 1
            while changed >= 0, choice[changed] == moves.count - 1 {
                choice[changed] = 0
                changed -= 1
            }
            guard changed >= 0 else { return world }
            choice[changed] += 1
        }
    }
}
