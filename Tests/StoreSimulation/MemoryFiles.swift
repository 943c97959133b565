// MemoryFiles: the store's files in memory, which fail by plan: a crash at any call, no space, a
// full map, errors of reads, writes and syncs, a meta page that could not be written.
//
// Everything comes from the plan and from the chance that was handed in, so that the same seed
// meets the same faults. One thread only.

import Glibc
import LMDB
import Primitives
import Store
import Support

/// How the files misbehave now; all rates in calls per thousand.
package struct FaultPlan {
    /// No page can be added to the file, nor written.
    package var isFull = false
    /// So many transactions succeed, and then the disk is full; 0: it does not become full.
    package var fullAfter = 0
    package var beginFails = 0
    package var writeFails = 0
    package var syncFails = 0
    /// The meta page: it is not known which of two states a start will find.
    package var metaFails = 0
    package var reopenFails = 0
    /// So many values find no page that is free.
    package var fullMaps = 0
    /// The blocks beside the files: it is not known what a write has left of one.
    package var blockFails = 0
    /// The begin of a look, and a worker's read through its ring.
    package var readFails = 0
    /// The process dies, before the call or behind it.
    package var crashes = 0
    /// It dies because the power goes: what a transaction has written is gone or, if it was being
    /// synced, there as a whole.
    package var losesPower = false

    package init() {}

    package var isHarmless: Bool {
        !isFull && fullAfter == 0
            && beginFails + writeFails + syncFails + metaFails + reopenFails + readFails == 0
            && blockFails + fullMaps == 0
    }
}

/// What outlives a process.
package final class MemoryHome: StoreHome, @unchecked Sendable {
    // Sendable by name only: a simulation has one thread.
    package var plan = FaultPlan()
    package var chance: Chance
    /// The process is dead: nothing that it does has any effect.
    package private(set) var isDead = false
    /// Called at every call that changes something, with nothing locked that a worker would want.
    package var interleave: () -> Void = {}
    /// A transaction writes, or waits to.
    package private(set) var isWriting = false

    var durable = StoredState()
    var contents = PageContents()
    /// What the blocks hold; nil: there are none, as where an earlier release made the store.
    package var blocks: [[UInt8]]?
    /// Orders that files reserved alone which were moved aside.
    private(set) var lostOrders: UInt64 = 0
    /// There is no room to make them.
    package var refusesBlocks = false
    /// There is no room for what the files need beside them to be opened.
    package var refusesOpening = false
    /// The end of the data file is gone: it cannot be used.
    package var isCut = false
    /// They cannot be moved aside.
    package var refusesMoving = false
    /// Of the blocks alone, so that they change nothing that the other calls draw.
    private var blockChance: Chance
    private var isPanicked = false
    /// Faults of processes that looked at the files.
    package private(set) var markedStarts = 0
    /// A fault of this process would leave a mark; a kill leaves none.
    private var isLookedAt = false
    package private(set) var movedAside = 0
    private let secret: UInt64
    private let firstSecret: UInt64
    /// What something else than the store takes of the map, in pages.
    private let ballast: Int
    /// The number under which workers' rings find the file; -1: they have none.
    package var descriptor: Int32 = -1

    /// - Parameter likeness: Nine bytes: keys of this length that begin like these have one hash.
    package init(seed: UInt64, ballast: Int, likeness: String? = nil) {
        chance = Chance(seed: seed)
        secret = chance.next()
        firstSecret =
            likeness.map { [secret] in Self.firstSecret(of: $0, third: secret &* 5) } ?? secret
        blockChance = Chance(seed: seed ^ 0x0DE5)
        self.ballast = ballast
        loadBallast()
    }

    /// With this one, what the hash multiplies first is nothing.
    private static func firstSecret(of likeness: String, third: UInt64) -> UInt64 {
        let head = likeness.utf8.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        return head ^ (third | 1) ^ UInt64(likeness.utf8.count)
    }

    private func loadBallast() {
        if ballast > 0 { _ = durable.take(ballast, limit: .max) }
    }

    /// A new process begins, with what the last one left.
    package func revive() {
        isDead = false
        isPanicked = false
        isWriting = false
        isLookedAt = false
    }

    package func die() { isDead = true }

    /// The process ends by a fault of its own, a trap say.
    package func trap() {
        if isLookedAt, !isDead { markedStarts += 1 }
        isDead = true
    }

    /// The power is gone: nothing is left of pages that no durable state names.
    package func losePower() {
        isDead = true
        contents = PageContents()
        for table in durable.tables { for entry in table.entries { contents.write(entry.value) } }
    }

    /// What a worker's read brings; nil: the disk failed.
    package func read(at offset: UInt64, count: Int) -> [UInt8]? {
        guard !isDead, !chance.happens(perMille: plan.readFails) else { return nil }
        return contents.read(at: Int(clamping: offset), count: count)
    }

    // MARK: StoreHome

    package func open(
        sizeBytes: Int, reserveBytes: Int
    ) throws(LMDBError) -> any StoreFiles {
        guard !refusesOpening else { throw .noSpace }
        try call(plan.reopenFails, .io(errno: EIO))
        guard !isCut else { throw .corrupted }
        isPanicked = false
        isWriting = false
        return MemoryFiles(self, limit: (max(sizeBytes, durable.fileBytes) + reserveBytes) / 4096)
    }

    package func openForReading() -> Int32 { descriptor }
    package func newSecret() -> (UInt64, UInt64, UInt64, UInt64) {
        (firstSecret, secret &* 3, secret &* 5, secret &* 7)
    }

    package func moveAside(at unixSeconds: UInt32) throws(LMDBError) -> String? {
        guard durable.tables.contains(where: { !$0.entries.isEmpty }) else {
            isCut = false
            return nil
        }
        guard !isDead, !refusesMoving else { throw .io(errno: EIO) }
        let number = durable.tables[StoreTable.meta.rawValue].find(TableKey(first: 3))
        let reserved = number.map { Self.word($0.bytes, 0) } ?? 0
        if (blocks ?? []).allSatisfy({ Self.word($0, 16) < reserved }) {
            lostOrders = max(lostOrders, reserved)
        }
        durable = StoredState()
        isCut = false
        loadBallast()
        movedAside += 1
        return "aside"
    }

    package func raiseMarker() { if !isDead { isLookedAt = true } }
    package func clearMarker() { if !isDead { (isLookedAt, markedStarts) = (false, 0) } }
    package func close() {}

    package func openBlocks(_ count: Int) throws(LMDBError) {
        try callBlock()
        guard blocks == nil else { return }
        guard !plan.isFull, !refusesBlocks else { throw .noSpace }
        blocks = Array(repeating: [UInt8](repeating: 0, count: 4096), count: count)
    }

    package func read(block number: Int) throws(LMDBError) -> [UInt8] {
        guard let blocks, !isDead else { throw .io(errno: EIO) }
        return blocks[number]
    }

    package func write(block number: Int, _ bytes: [UInt8]) throws(LMDBError) {
        guard !isDead, let old = blocks?[number] else { throw .io(errno: EIO) }
        let crashes = blockChance.happens(perMille: plan.crashes)
        guard crashes || blockChance.happens(perMille: plan.blockFails) else {
            blocks?[number] = bytes
            return
        }
        // Lost, torn, or there.
        let count = [0, blockChance.below(40), bytes.count][blockChance.below(3)]
        blocks?[number] = Array(bytes.prefix(count) + old.dropFirst(count))
        if crashes { isDead = true }
        throw .io(errno: EIO)
    }

    private func callBlock() throws(LMDBError) {
        guard !isDead else { throw .io(errno: EIO) }
        if blockChance.happens(perMille: plan.blockFails) { throw .io(errno: EIO) }
    }

    // MARK: For the files

    /// One call: it may be the last.
    func call(_ rate: Int, _ error: LMDBError) throws(LMDBError) {
        guard !isDead else { throw .io(errno: EIO) }
        if chance.happens(perMille: plan.crashes) {
            isDead = true
            throw .io(errno: EIO)
        }
        if chance.happens(perMille: rate) { throw error }
    }

    func begin(isWriting: Bool) throws(LMDBError) {
        guard !isPanicked else { throw .panic }
        try call(isWriting ? plan.beginFails : plan.readFails, .io(errno: ENOMEM))
        guard isWriting else { return }
        guard !self.isWriting else { throw .busy }
        self.isWriting = true
    }

    func end() { isWriting = false }

    /// The end of a transaction: its pages, the sync, the meta page.
    func commit(_ state: StoredState) throws(LMDBError) {
        if plan.isFull { throw .noSpace }
        try call(plan.writeFails, .io(errno: EIO))
        do throws(LMDBError) {
            try call(plan.syncFails, .io(errno: EIO))
        } catch {
            if isDead, plan.losesPower, chance.below(2) == 0 { durable = state }
            throw error
        }
        if chance.happens(perMille: plan.metaFails) {
            if chance.below(2) == 0 { durable = state }
            isPanicked = true
            throw .io(errno: EIO)
        }
        durable = state
        if plan.fullAfter > 0 {
            plan.fullAfter -= 1
            plan.isFull = plan.fullAfter == 0
        }
        // Dead, but with all of it on disk.
        try call(0, .panic)
    }
}

/// Open files.
final class MemoryFiles: StoreFiles, @unchecked Sendable {
    let home: MemoryHome
    /// Pages of the map.
    let limit: Int

    init(_ home: MemoryHome, limit: Int) {
        self.home = home
        self.limit = limit
    }

    func beginRead() throws(LMDBError) -> any StoreReading {
        try home.begin(isWriting: false)
        return MemoryReading(self, home.durable)
    }

    func beginWrite() throws(LMDBError) -> any StoreWriting {
        home.interleave()
        try home.begin(isWriting: true)
        return MemoryWriting(self, home.durable)
    }
}

/// One state, looked at.
class MemoryReading: StoreReading {
    let files: MemoryFiles
    var state: StoredState
    var home: MemoryHome { files.home }

    init(_ files: MemoryFiles, _ state: StoredState) {
        self.files = files
        self.state = state
    }

    func find(_ table: StoreTable, _ key: TableKey) throws(LMDBError) -> StoredValue? {
        let stored = state.tables[table.rawValue]
        if stored.isDamaged(key) { throw .corrupted }
        return stored.find(key)
    }

    func get<R>(
        _ table: StoreTable, key: UInt64, _ body: (Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R? {
        try home.call(0, .corrupted)
        guard let value = try find(table, TableKey(first: key)) else { return nil }
        return try body(value.bytes.span)
    }

    func fileOffset(segment key: UInt64) throws(LMDBError) -> UInt64? {
        try home.call(0, .corrupted)
        let value = try find(.segments, TableKey(first: key))
        return value?.page.map { UInt64($0) * 4096 + 16 }
    }

    func firstKey(_ table: StoreTable) throws(LMDBError) -> UInt64? {
        try home.call(0, .corrupted)
        return state.tables[table.rawValue].entries.first?.key.first
    }

    func lastKey(_ table: StoreTable) throws(LMDBError) -> UInt64? {
        try home.call(0, .corrupted)
        return state.tables[table.rawValue].entries.last?.key.first
    }

    func entryCount(_ table: StoreTable) throws(LMDBError) -> Int {
        state.tables[table.rawValue].entries.count
    }

    func forEach(
        _ table: StoreTable, from start: UInt64,
        _ body: (UInt64, Span<UInt8>) throws(LMDBError) -> Bool
    ) throws(LMDBError) {
        try home.call(0, .corrupted)
        let stored = state.tables[table.rawValue]
        for at in stored.position(TableKey(first: start))..<stored.entries.count {
            let (key, value) = stored.entries[at]
            if stored.isDamaged(key) { throw .corrupted }
            guard try body(key.first, value.bytes.span) else { return }
        }
    }

    func forEachStretch(
        from start: PairKey, _ body: (PairKey, Span<UInt8>) throws(LMDBError) -> Bool
    ) throws(LMDBError) {
        try home.call(0, .corrupted)
        let stored = state.tables[StoreTable.stretches.rawValue]
        let first = stored.position(TableKey(first: start.first, second: start.second))
        for at in first..<stored.entries.count {
            let (key, value) = stored.entries[at]
            guard try body(PairKey(key.first, key.second), value.bytes.span) else { return }
        }
    }

    func stretch<R>(
        atOrBelow key: PairKey, _ body: (PairKey, Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R? {
        try home.call(0, .corrupted)
        let stored = state.tables[StoreTable.stretches.rawValue]
        let at = stored.position(TableKey(first: key.first, second: key.second &+ 1)) - 1
        guard at >= 0 else { return nil }
        let (found, value) = stored.entries[at]
        return try body(PairKey(found.first, found.second), value.bytes.span)
    }
}

/// A state that is being changed.
final class MemoryWriting: MemoryReading, StoreWriting {
    private var freed: [Int] = []
    private var dirty: [Int] = []
    private var touched = 0
    private var isOver = false
    /// A call has thrown: nothing but dropping it is left.
    private var isBroken = false

    /// After an error LMDB takes nothing more of a transaction.
    private func check(_ table: StoreTable, _ key: TableKey) throws(LMDBError) {
        precondition(!isBroken, "a transaction is used after an error")
        guard state.tables[table.rawValue].isDamaged(key) else { return }
        isBroken = true
        throw .corrupted
    }

    override init(_ files: MemoryFiles, _ state: StoredState) {
        super.init(files, state)
        self.state.number += 1
        // Freed pages are used from the second transaction after on.
        let number = self.state.number
        for (when, pages) in self.state.freed where when + 2 <= number {
            for page in pages { self.state.isUsed[page] = false }
        }
        self.state.freed.removeAll { $0.number + 2 <= number }
    }

    deinit { if !isOver { home.end() } }

    func put(_ table: StoreTable, key: UInt64, bytes: Span<UInt8>) throws(LMDBError) {
        try put(table, TableKey(first: key), bytes.withUnsafeBufferPointer { Array($0) })
    }

    func put(stretch key: PairKey, bytes: Span<UInt8>) throws(LMDBError) {
        let copy = bytes.withUnsafeBufferPointer { Array($0) }
        try put(.stretches, TableKey(first: key.first, second: key.second), copy)
    }

    func put(
        segment key: UInt64, byteCount: Int, append: Bool, from region: Region, at offset: Int,
        count: Int
    ) throws(LMDBError) {
        let table = state.tables[StoreTable.segments.rawValue]
        if append, let last = table.entries.last?.key.first, last >= key { throw .keyExists }
        var bytes = region.withBytes(offset, count) { span in
            span.withUnsafeBufferPointer { Array($0) }
        }
        bytes += [UInt8](repeating: 0, count: byteCount - count)
        try put(.segments, TableKey(first: key), bytes)
    }

    private func put(
        _ table: StoreTable, _ key: TableKey, _ bytes: [UInt8]
    ) throws(LMDBError) {
        home.interleave()
        try home.call(0, .panic)
        try check(table, key)
        try touch()
        _ = remove(table, key)
        var page: Int?
        if !StoredValue.isSmall(bytes.count) { page = try take(StoredValue.pages(bytes.count)) }
        let value = StoredValue(bytes, page: page)
        home.contents.write(value)
        state.tables[table.rawValue].put(key, value)
    }

    private func take(_ count: Int) throws(LMDBError) -> Int {
        if home.plan.fullMaps > 0 {
            home.plan.fullMaps -= 1
            throw .mapFull
        }
        guard let page = state.take(count, limit: files.limit) else { throw .mapFull }
        return page
    }

    /// A change copies the pages of the tree that lead to it.
    private func touch() throws(LMDBError) {
        touched += 1
        let wanted = min(5 + touched / 8, state.treePagesWanted + 4)
        while dirty.count < wanted { dirty.append(try take(1)) }
    }

    private func remove(_ table: StoreTable, _ key: TableKey) -> Bool {
        guard let old = state.tables[table.rawValue].remove(key) else { return false }
        if let page = old.page {
            freed += page..<page + StoredValue.pages(old.bytes.count)
        }
        return true
    }

    func delete(_ table: StoreTable, key: UInt64) throws(LMDBError) -> Bool {
        try delete(table, TableKey(first: key))
    }

    func delete(stretch key: PairKey) throws(LMDBError) -> Bool {
        try delete(.stretches, TableKey(first: key.first, second: key.second))
    }

    private func delete(_ table: StoreTable, _ key: TableKey) throws(LMDBError) -> Bool {
        home.interleave()
        try home.call(0, .panic)
        try check(table, key)
        guard state.tables[table.rawValue].find(key) != nil else { return false }
        try touch()
        return remove(table, key)
    }

    func commit() throws(LMDBError) {
        precondition(!isOver && !isBroken)
        home.interleave()
        isOver = true
        defer { home.end() }
        guard touched > 0 else { return }
        state.treePages += dirty
        let surplus = max(state.treePages.count - max(state.treePagesWanted, dirty.count), 0)
        freed += state.treePages.prefix(surplus)
        state.treePages.removeFirst(surplus)
        state.freed.append((state.number, freed))
        try home.commit(state)
    }
}
