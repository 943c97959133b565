// SameTagTests: keys whose slots cannot be told apart without reading what they name, more of them
// than a command remembers. By chance that does not happen; here all keys have one hash.

import Primitives
import Store
import StoreSimulation
import Testing

@Suite struct SameTagTests {
    static let hash: UInt64 = 0x1234_5678_9ABC_DEF0
    static let names = ["a", "b", "c", "d", "e"]

    /// A store in which all of these lie on disk only.
    private static func make() throws -> (Stepped, MemoryHome) {
        let home = MemoryHome(seed: 1, ballast: 0)
        let store = try Stepped(
            home, memoryBytes: 16 << 20, sizeBytes: 64 << 20, at: Stepped.beginning)
        for name in names { #expect(store.setAlike(name, hash)) }
        #expect(store.commit())
        for round in 0..<20 {
            store.fill(100, from: 100 * round)
            for _ in 0..<20 { store.step() }
        }
        return (store, home)
    }

    /// Looks until there is an answer, as a worker does; answers how often it read, nil if the
    /// command went in circles.
    private static func look(
        _ store: Stepped, _ home: MemoryHome, _ name: String,
        _ command: (inout Door, Span<UInt8>, Differing) -> DiskRead?
    ) throws -> Int? {
        let key = Array(name.utf8)
        let buffer = try Region.map(byteCount: 1 << 20)
        defer { buffer.discardAll() }
        var differing = Differing()
        for reads in 0..<20 {
            store.quiet.beginTurn(now: store.now.unixSeconds)
            defer { store.quiet.endTurn() }
            guard let read = command(&store.quiet, key.span, differing) else { return reads }
            #expect(!read.isLoad)
            let found = try #require(home.read(at: read.fileOffset, count: read.firstBytes))
            buffer.store(found.span, at: 0)
            switch store.quiet.examine(
                read, key: key.span, in: buffer, at: 0, count: found.count)
            {
            case .other: store.quiet.exclude(read, in: &differing)
            case .record:
                store.quiet.abandon(read)
                return reads + 1
            default:
                Issue.record("what was read is neither the key's nor another's")
                return nil
            }
        }
        return nil
    }

    private static func find(
        _ door: inout Door, _ key: Span<UInt8>, _ differing: Differing
    ) -> DiskRead? {
        switch door.find(key, hash: hash, except: differing) {
        case .disk(let read): return read
        case .memory(let found):
            door.release(found)
            return nil
        case .miss, .dead: return nil
        }
    }

    /// A get of a key that is not there ends, and so does one of the last of them.
    @Test(arguments: ["e", "other"]) func aGetEnds(_ name: String) throws {
        let (store, home) = try Self.make()
        let reads = try #require(try Self.look(store, home, name, Self.find))
        #expect(reads >= 3 && reads <= Self.names.count)
        // What it remembered is still there.
        var left = 0
        for name in Self.names where try Self.look(store, home, name, Self.find) ?? 0 > 0 {
            left += 1
        }
        #expect(left >= 2)
        #expect(store.store.statistics().evictions > 0)
        #expect(store.played.check() == nil)
        home.die()
        store.played.discardMemory()
    }

    /// A change that has to know the key's record ends; it says the truth, also where the key's
    /// slot went for another look.
    @Test func aChangeEnds() throws {
        let (store, home) = try Self.make()
        var isStored = false
        let reads = try Self.look(store, home, "other") { door, key, differing in
            let outcome = door.store(
                .add, key: key, hash: Self.hash, value: key, flags: 0, expiry: 0,
                isExpired: false, cas: 0, except: differing)
            switch outcome {
            case .read(let read): return read
            case .stored: isStored = true
            default: Issue.record("\(outcome)")
            }
            return nil
        }
        #expect(reads != nil && isStored)
        home.die()
        store.played.discardMemory()
    }
}

extension Stepped {
    fileprivate func setAlike(_ name: String, _ hash: UInt64) -> Bool {
        let key = Array(name.utf8)
        busy.beginTurn(now: now.unixSeconds)
        defer { busy.endTurn() }
        let outcome = busy.store(
            .set, key: key.span, hash: hash, value: key.span, flags: 0, expiry: 0,
            isExpired: false, cas: 0)
        if case .stored = outcome { return true }
        return false
    }
}
