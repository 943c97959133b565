// Committer: the only thread that writes to the disk. One synced commit per flush interval holds
// what all workers wrote: sealed segments whole, of open ones what is new.
//
// A commit n begins by counting itself in, then asks every worker for its cut, so everything that
// was written before it began is in it. What fails stays where it is and is tried again.

internal import LMDB
internal import Primitives
internal import SegmentLog

/// The committer thread's state. Made, used and ended on that thread.
struct Committer: ~Copyable {
    let store: TieredStore
    let log: SegmentLog
    let disk: Disk
    let signals: Signals
    private let wake: @Sendable (Int) -> Void
    /// Its own pen: records that are rescued, tombstones that are carried forward.
    var writer: Writer
    /// A key directory being made or read; a segment read back from disk.
    let directory: Region
    let scratch: Region

    /// Sealed segments that wait, in the order in which they were sealed.
    var pending: [Int] = []
    /// For each open segment (by sequence), where its stretches on disk begin, and up to where.
    var stretches: [UInt64: (offsets: [UInt32], end: Int)] = [:]
    /// Stretches of the last run, to be deleted once their records are committed anew.
    var leftovers: [PairKey] = []
    /// Segments on disk, ascending by sequence, from `oldest` on.
    var resident: [Resident] = []
    /// Segments that leave the disk as soon as they can.
    var condemned: [Condemned] = []
    var reapAt: UInt64 = 0
    private var didStart = false
    /// The newest commit for which all writers have published their cuts.
    var cutsTaken: UInt64 = 0
    /// Sequences of segments that hold older records than their place in the log says.
    var returned: [UInt64] = []
    var written = (orders: UInt64(0), mark: UInt64(0), flushAt: UInt64(0), changes: UInt64(0))
    var lastKey: UInt64 = 0
    var isFailing = false
    var retryAt: UInt64 = 0
    /// The last commit did not come about: what it was for is below the cuts and still waits.
    private var owesCommit = false
    /// Up to which sequence the oldest segments held nothing live when so many commits had begun.
    var superseded = (last: UInt64(0), begun: UInt64(0))
    var didWarnIndex = false

    /// A segment on disk.
    struct Resident {
        var sequence: UInt64
        var segment: Int
        var bytes: Int
        /// The commit that wrote it; 0 if it was found on disk.
        var commit: UInt64
    }

    /// A segment whose slots are gone.
    struct Condemned {
        var resident: Resident
        /// Whether all tombstones that it owes could be written.
        var isPaid: Bool
        /// A segment of the committer's that holds what this one owes, if it was sealed; 0: none.
        var owed: Int
        var owedSequence: UInt64
        var turns: Frames.Snapshot
    }

    /// Orders reserved ahead of the highest given out.
    static let reservation: UInt64 = 1 << 28
    /// A smaller value would lie inside a page of the tree, where no ring could read it.
    static let valueBytesMin = 4096
    /// How long a worker may take to end its turn.
    static let answerNanosecondsMax: UInt64 = 5_000_000_000

    init(_ store: TieredStore, disk: Disk, wake: @escaping @Sendable (Int) -> Void) {
        self.store = store
        self.disk = disk
        self.wake = wake
        log = store.log
        signals = store.signals
        writer = Writer(store.log, number: store.configuration.workers + 1)
        // Out of `-m`, see `Disk.memoryBytes`; a failure here is a failure to start.
        directory = Committer.room(2 << 20)
        // A segment of an earlier run may be larger than this run's.
        scratch = Committer.room(Geometry.frameBytesMax)
    }

    private static func room(_ bytes: Int) -> Region {
        do {
            return try Region.map(byteCount: bytes)
        } catch {
            preconditionFailure("the system has no memory left at the start")
        }
    }

    // MARK: The thread

    mutating func run() {
        let interval = UInt64(disk.configuration.flushIntervalMilliseconds) * 1_000_000
        var next = Clock.monotonicNanoseconds() + interval
        while true {
            if signals.stopping.loadAcquire() != 0 { break }
            adoptRecovered()
            serveLoads()
            keepWithinBudget()
            let now = Clock.monotonicNanoseconds()
            let isDue = now >= next && isDirty()
            if isDue || isUrgent() {
                if now >= retryAt {
                    next = now + interval
                    _ = commit()
                    continue
                }
            } else if now >= next {
                next = now + interval
            }
            let target = isFailing ? max(next, retryAt) : next
            let left = Int64(clamping: target) - Int64(clamping: Clock.monotonicNanoseconds())
            signals.committer.wait(nanoseconds: max(left, 100_000))
        }
        finish()
    }

    /// The last commit: everything there is, tried again until the deadline.
    private mutating func finish() {
        writer.close()
        // Nothing may be written over a store that could not be read.
        guard retryAt != .max else { return }
        while !commit() {
            if Clock.monotonicNanoseconds() >= signals.deadline.loadAcquire() {
                store.journal.error("stopped before everything was committed")
                return
            }
            Pause.sleep(nanoseconds: 50_000_000)
        }
    }

    /// Whether anything was written since the last commit.
    private func isDirty() -> Bool {
        if owesCommit { return true }
        if !pending.isEmpty || log.sealed.count > 0 { return true }
        if signals.changes.loadAcquire() != written.changes { return true }
        if writer.main.segment != 0, writer.hasUncut { return true }
        for worker in 0..<store.configuration.workers
        where log.isDirty(worker).loadRelaxed() != 0 { return true }
        return false
    }

    private func isUrgent() -> Bool {
        if signals.awaited.loadAcquire() > signals.completed.loadAcquire() { return true }
        let mark = max(min(8, log.geometry.frameCount / 16), 1)
        if log.sealed.count + pending.count >= mark { return true }
        // Memory is short, and what could go is not on disk yet.
        return log.frames.freeCount == 0 && log.sealed.count + pending.count > 0
    }

    /// Takes over the segments that recovery has found.
    private mutating func adoptRecovered() {
        while let number = signals.restored.pop() {
            let segment = Int(number)
            let filled = Int(log.segments.filled(segment).loadRelaxed())
            let records = Int(log.segments.records(segment).loadRelaxed())
            addResident(
                Resident(
                    sequence: log.segments.sequence(segment), segment: segment,
                    bytes: Self.diskBytes(filled, records), commit: 0))
        }
    }

    func wakeAll() {
        for worker in 0..<store.configuration.workers { wake(worker) }
    }

    // MARK: One commit

    /// Commits everything written so far. False if it failed; then it will be tried again.
    mutating func commit(askingWorkers: Bool = true) -> Bool {
        let number = signals.begun.add(1) + 1
        let began = Clock.unixNanoseconds()
        let start = Clock.monotonicNanoseconds()
        owesCommit = true
        guard var open = collectCuts(askingWorkers) else { return false }
        cutsTaken = number
        while let segment = log.sealed.pop() { pending.append(Int(segment)) }
        // One that was sealed since it answered is written whole.
        let waiting = pending
        open.removeAll { waiting.contains($0) }
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            try write(files, open: open)
        } catch {
            didFail(number, error)
            return false
        }
        didSucceed(number, began: began, start: start)
        return true
    }

    /// Asks every writer how far its open segment is complete; returns those segments. Nil if
    /// one does not answer: then nothing may be called committed.
    private mutating func collectCuts(_ askingWorkers: Bool) -> [Int]? {
        writer.cutNow()
        var open: [Int] = []
        if writer.main.segment != 0 { open.append(writer.main.segment) }
        guard askingWorkers else { return open }
        for worker in 0..<store.configuration.workers { log.askCut(worker) }
        wakeAll()
        let deadline = Clock.monotonicNanoseconds() + Self.answerNanosecondsMax
        for worker in 0..<store.configuration.workers {
            while log.isClosed(worker).loadAcquire() == 0 {
                if let segment = log.answeredCut(worker) {
                    if segment != 0 { open.append(segment) }
                    break
                }
                if Clock.monotonicNanoseconds() > deadline {
                    store.journal.warning("a worker did not answer, the commit is put off")
                    return nil
                }
                Pause.short()
            }
        }
        return open
    }

    private mutating func didSucceed(_ number: UInt64, began: UInt64, start: UInt64) {
        owesCommit = false
        if !didStart {
            didStart = true
            disk.didStart()
        }
        if isFailing {
            isFailing = false
            disk.counters[.isFailing] = 0
            store.journal.info("commits succeed again")
        }
        let spent = Clock.monotonicNanoseconds() - start
        disk.counters.add(.commits, 1)
        disk.counters.add(.commitNanoseconds, Int(clamping: spent))
        disk.counters[.commitNanosecondsMax] = max(disk.counters[.commitNanosecondsMax], spent)
        signals.completedSince.storeRelease(began)
        signals.completed.storeRelease(number)
        wakeAll()
    }

    private mutating func didFail(_ number: UInt64, _ error: LMDBError) {
        disk.counters.add(.failedCommits, 1)
        log.orderLimit.storeRelease(Record.orderMax)
        signals.failed.storeRelease(number)
        if !isFailing {
            isFailing = true
            disk.counters[.isFailing] = 1
            store.journal.error(
                "a commit failed, serving from memory until one succeeds reason=\"\(error)\"")
        }
        switch error {
        case .mapFull:
            retryAt = 0
            _ = dropOldest(8)
            reapAt = 0
            reap(isUrgent: true)
        case .panic:
            retryAt = Clock.monotonicNanoseconds() + 500_000_000
            if disk.reopen() { store.journal.warning("the store was opened again") }
        default:
            retryAt = Clock.monotonicNanoseconds() + 500_000_000
        }
        wakeAll()
    }

    // MARK: Transactions

    /// Writes what is pending in as many transactions as its size asks for. The first carries the
    /// metadata and the open segments' stretches.
    private mutating func write(_ files: DiskFiles, open: [Int]) throws(LMDBError) {
        let changes = signals.changes.loadAcquire()
        var isFirst = true
        while isFirst || !pending.isEmpty {
            var batch: [Int] = []
            var bytes = 0
            var transaction = try files.environment.beginWrite()
            if isFirst {
                try writeMeta(files, &transaction)
                bytes += try writeStretches(files, &transaction, open)
            }
            for segment in pending {
                // A chain has transactions of its own, below, after the metadata.
                if log.segments.kind(segment) == .chain { break }
                let size = Int(log.segments.filled(segment).loadRelaxed())
                if !batch.isEmpty, bytes + size > Disk.transactionBytes { break }
                bytes += try writeSegment(files, &transaction, segment)
                batch.append(segment)
            }
            if batch.count == pending.count { try deleteLeftovers(files, &transaction) }
            try transaction.commit()
            didWrite(isFirst, open, batch, bytes: bytes, changes: changes)
            publish(files, batch)
            isFirst = false
            while let segment = pending.first, log.segments.kind(segment) == .chain {
                try writeChain(files, segment)
                pending.removeFirst()
                didPublish(segment, fileOffset: nil)
            }
            if !pending.isEmpty { keepWithinBudget() }
        }
    }

    /// What a transaction that has committed changes in memory.
    private mutating func didWrite(
        _ isFirst: Bool, _ open: [Int], _ batch: [Int], bytes: Int, changes: UInt64
    ) {
        disk.counters.add(.bytesWritten, bytes)
        if isFirst {
            noteMeta(changes)
            for segment in open { noteStretch(segment) }
        }
        pending.removeFirst(batch.count)
        for segment in batch {
            stretches[log.segments.sequence(segment)] = nil
        }
        if pending.isEmpty { leftovers = [] }
    }

    /// One sealed segment: its bytes, its directory, and its stretches go.
    private mutating func writeSegment(
        _ files: DiskFiles, _ transaction: inout WriteTransaction, _ segment: Int
    ) throws(LMDBError) -> Int {
        let count = Directory.make(segment, log, into: directory)
        let filled = Int(log.segments.filled(segment).loadRelaxed())
        let sequence = log.segments.sequence(segment)
        let key = DiskFiles.segmentKey(sequence)
        let frame = Int(log.segments.frame(segment).loadAcquire()) - 1
        let offset = log.frames.offset(frame)
        try transaction.reserve(
            files.segments, key: key, byteCount: max(filled, Self.valueBytesMin),
            append: key > lastKey
        ) { target in
            log.frames.memory.withBytes(offset, filled) { target.append($0) }
        }
        lastKey = max(lastKey, key)
        try putDirectory(files, &transaction, sequence, count)
        try deleteStretches(files, &transaction, sequence)
        return filled + Directory.bytes(count: count)
    }

    func putDirectory(
        _ files: DiskFiles, _ transaction: inout WriteTransaction, _ sequence: UInt64,
        _ count: Int
    ) throws(LMDBError) {
        let bytes = Directory.bytes(count: count)
        try directory.withBytes(0, bytes) { span throws(LMDBError) in
            try transaction.put(files.directories, key: sequence, bytes: span)
        }
    }

    private func deleteStretches(
        _ files: DiskFiles, _ transaction: inout WriteTransaction, _ sequence: UInt64
    ) throws(LMDBError) {
        for offset in stretches[sequence]?.offsets ?? [] {
            _ = try PairKey(sequence, offset).withBytes { key throws(LMDBError) in
                try transaction.delete(files.stretches, key: key)
            }
        }
    }

    private func deleteLeftovers(
        _ files: DiskFiles, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        for key in leftovers {
            _ = try key.withBytes { bytes throws(LMDBError) in
                try transaction.delete(files.stretches, key: bytes)
            }
        }
    }

    /// What open segments hold since the last commit, as one value each.
    func writeStretches(
        _ files: DiskFiles, _ transaction: inout WriteTransaction, _ open: [Int]
    ) throws(LMDBError) -> Int {
        var bytes = 0
        for segment in open {
            let sequence = log.segments.sequence(segment)
            let start = stretches[sequence]?.end ?? 0
            let end = Int(log.segments.cut(segment).loadAcquire())
            guard end > start else { continue }
            let frame = Int(log.segments.frame(segment).loadAcquire()) - 1
            guard frame >= 0 else { continue }
            let offset = log.frames.offset(frame)
            fillChecksums(offset, start..<end)
            try PairKey(sequence, UInt32(start)).withBytes { key throws(LMDBError) in
                try log.frames.memory.withBytes(offset + start, end - start) {
                    span throws(LMDBError) in
                    try transaction.put(files.stretches, key: key, bytes: span)
                }
            }
            bytes += end - start
        }
        return bytes
    }

    private func fillChecksums(_ base: Int, _ range: Range<Int>) {
        var position = range.lowerBound
        while position < range.upperBound {
            let record = Record(log.frames.memory, at: base + position)
            if !record.isFiller { record.fillChecksum() }
            position += record.totalBytes
        }
    }

    mutating func noteStretch(_ segment: Int) {
        let sequence = log.segments.sequence(segment)
        let end = Int(log.segments.cut(segment).loadAcquire())
        var known = stretches[sequence] ?? ([], 0)
        guard end > known.end else { return }
        known.offsets.append(UInt32(known.end))
        known.end = end
        stretches[sequence] = known
    }

    private func writeMeta(
        _ files: DiskFiles, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        let highest = log.highestOrder()
        if highest + Self.reservation / 2 > written.orders {
            try transaction.put(files.meta, .orders, highest + Self.reservation)
        }
        // The time before the mark: it is cleared after the mark is raised.
        let due = signals.flushAt.loadAcquire()
        let mark = log.flushMark.loadAcquire()
        if mark != written.mark { try transaction.put(files.meta, .flushMark, mark) }
        if due != written.flushAt { try transaction.put(files.meta, .flushAt, due) }
        if written.orders == 0 {
            try transaction.put(files.meta, .frameBytes, UInt64(log.geometry.frameBytes))
        }
    }

    /// The transaction with the metadata is durable: what it reserved may be used.
    private mutating func noteMeta(_ changes: UInt64) {
        guard let files = disk.files() else { return }
        let word: (MetaKey) -> UInt64? = { key in
            guard let transaction = try? files.environment.beginRead() else { return nil }
            return try? transaction.get(files.meta, key: key.rawValue) { $0.word(at: 0) }
        }
        written.orders = word(.orders) ?? written.orders
        written.mark = word(.flushMark) ?? written.mark
        written.flushAt = word(.flushAt) ?? written.flushAt
        written.changes = changes
        log.orderLimit.storeRelease(max(written.orders, log.orderLimit.loadRelaxed()))
    }

    /// Tells where the segments of a committed batch lie; from now on memory may let go of them.
    private mutating func publish(_ files: DiskFiles, _ batch: [Int]) {
        guard !batch.isEmpty else { return }
        let places: [UInt64?]
        do throws(LMDBError) {
            let transaction = try files.environment.beginRead()
            var found: [UInt64?] = []
            for segment in batch {
                let key = DiskFiles.segmentKey(log.segments.sequence(segment))
                found.append(try transaction.fileOffset(files.segments, key: key)?.offset)
            }
            places = found
        } catch {
            places = batch.map { _ in nil }
        }
        for (segment, place) in zip(batch, places) { didPublish(segment, fileOffset: place) }
    }

    /// A segment is on disk. Without a file offset (it lies inside a page of the tree, being tiny)
    /// it cannot be read through a ring and stays a load.
    mutating func didPublish(_ segment: Int, fileOffset: UInt64?) {
        let filled = Int(log.segments.filled(segment).loadRelaxed())
        log.segments.fileOffset(segment).storeRelease(fileOffset ?? Segments.noFileOffset)
        log.segments.setState(segment, .clean)
        log.logRegion.push(UInt32(segment))
        addResident(
            Resident(
                sequence: log.segments.sequence(segment), segment: segment,
                bytes: Self.diskBytes(filled, Int(log.segments.records(segment).loadRelaxed())),
                commit: signals.begun.loadRelaxed()))
        disk.counters.add(.segmentsWritten, 1)
        disk.counters.add(.recordsWritten, Int(log.segments.records(segment).loadRelaxed()))
    }

    mutating func addResident(_ new: Resident) {
        var position = resident.count
        while position > 0, resident[position - 1].sequence > new.sequence { position -= 1 }
        resident.insert(new, at: position)
        if log.segments.overlap(new.segment).loadRelaxed() & Segments.returnedBit != 0 {
            returned.append(new.sequence)
        }
        disk.counters.add(.segments, 1)
        disk.counters.add(.bytes, new.bytes)
    }
}
