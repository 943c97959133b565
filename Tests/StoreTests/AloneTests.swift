// AloneTests: a run that serves from memory alone beside a store that is there. What it changes the
// store does not learn, so no later start takes that store up.

import Primitives
import Store
import StoreSimulation
import Testing

@Suite struct AloneTests {
    private let memoryBytes = 12 << 20

    private func start(_ home: MemoryHome, onceOpen: () -> Void = {}) throws -> Stepped {
        try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: 12 << 20, at: Stepped.beginning,
            onceOpen: onceOpen)
    }

    private func kill(_ store: Stepped, _ home: MemoryHome) {
        home.die()
        store.played.discardMemory()
    }

    /// A store with "changed" and "removed" in it.
    private func used() throws -> MemoryHome {
        let home = MemoryHome(seed: 3, ballast: 0)
        let first = try start(home)
        for name in ["changed", "removed"] { #expect(first.set(name, [1], isQuiet: true)) }
        #expect(first.stop().isCommitted)
        first.played.discardMemory()
        home.revive()
        return home
    }

    /// Opens the store of a home as a server does.
    private func open(
        _ home: MemoryHome, _ lines: Lines
    ) throws(StoreError) -> TieredStore {
        var configuration = StoreConfiguration(
            memoryBytes: memoryBytes, workers: 1, itemBytesMax: 1 << 20)
        configuration.disk = DiskConfiguration(directory: "memory", sizeBytes: 12 << 20)
        return try TieredStore(
            configuration: configuration, events: lines.events, home: home,
            now: Stepped.beginning.unixSeconds)
    }

    /// The next start finds nothing that is old; the one after it finds what that has set.
    private func expectNothingOld(_ home: MemoryHome) throws {
        let next = try start(home)
        next.recover()
        for name in ["changed", "removed"] { #expect(!next.isThere(name), "\(name)") }
        #expect(next.set("fresh", [3], isQuiet: true))
        #expect(next.commit())
        kill(next, home)
        let last = try start(home)
        last.recover()
        #expect(last.isThere("fresh"))
        kill(last, home)
    }

    @Test func aStoreForWhichThereIsNoRoomIsNotTakenUpAgain() throws {
        let home = try used()
        home.refusesOpening = true
        let lines = Lines()
        let alone = try open(home, lines)
        let client = Client(alone, now: World.unixNow)
        #expect(client.get("changed") == nil)
        #expect(client.set("changed", "new") == .stored)
        client.close()
        #expect(lines.contains("store.moved_aside"))
        #expect(lines.contains("store.without_space"))
        home.refusesOpening = false
        try expectNothingOld(home)
    }

    @Test func aStoreThatCannotBeReadIsNotTakenUpAgain() throws {
        let home = try used()
        let alone = try start(home) { home.plan.readFails = 1000 }
        home.plan.readFails = 0
        #expect(alone.played.isMemoryOnly)
        #expect(alone.set("changed", [2], isQuiet: true))
        _ = alone.delete("removed", isQuiet: true)
        for _ in 0..<100 { alone.step() }
        #expect(alone.isThere("changed") && !alone.isThere("removed"))
        kill(alone, home)
        try expectNothingOld(home)
    }

    /// Where it cannot be moved aside either, nobody is served: the start says why, and the store
    /// is what it was.
    @Test(arguments: [false, true]) func aStoreThatCannotBeLeftEndsTheStart(
        isOpened: Bool
    ) throws {
        let home = try used()
        home.refusesMoving = true
        let lines = Lines()
        home.refusesOpening = !isOpened
        var found: StoreError?
        do throws(StoreError) {
            let store = try open(home, lines)
            home.plan.readFails = 1000
            defer {
                store.stop(deadlineNanoseconds: 0)
                home.plan.readFails = 0
            }
            try store.startServing { _ in }
        } catch {
            found = error
        }
        guard case .directory("memory", let reason) = found else {
            Issue.record("\(String(describing: found))")
            return
        }
        #expect(reason.contains("moved aside"), "\(reason)")
        #expect(!lines.contains("store.moved_aside"))
        home.refusesOpening = false
        home.revive()
        let next = try start(home)
        next.recover()
        #expect(next.isThere("changed") && next.isThere("removed"))
        kill(next, home)
    }

    /// Where there is no store, none is moved aside.
    @Test func nothingIsMovedAsideWhereNoStoreIs() throws {
        let home = MemoryHome(seed: 3, ballast: 0)
        home.refusesOpening = true
        home.refusesMoving = true
        let lines = Lines()
        _ = try open(home, lines)
        #expect(lines.contains("store.without_space"))
        #expect(!lines.contains("store.moved_aside"))
        #expect(home.movedAside == 0)
    }
}
