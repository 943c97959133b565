// DirectoryReader: takes one directory after the other from the front, and puts what it names into
// the index, some entries in a step.
//
// A recovery has one, and a second one on a thread of its own where a core is free for it. Which of
// two readers meets a key's newest record first does not matter: `IndexRefill` compares orders with
// the shard locked. What one of them has taken counts as unread until all of it is in the index, so
// nothing settles, nor may leave the disk, that the other would have to know of.

internal import LMDB
internal import Primitives
internal import SegmentLog
internal import Synchronization

/// Reads directories, step by step. Used by one thread.
struct DirectoryReader: ~Copyable {
    private let store: TieredStore
    private let log: SegmentLog
    private let board: RecoveryBoard
    /// The directory being read.
    private let directory: Region
    private let entriesPerStep: Int
    private var taken: Taken?
    private var merge: Merge?

    /// What was taken from the front; it may be that it could not be read yet.
    private struct Taken {
        let head: DirectorySurvey.Head
        let isForCommitter: Bool
    }

    /// How far a directory has been merged.
    private struct Merge {
        let copy: DirectoryCopy
        let view: Directory.View
        let segment: Int
        var next = 0
        var items = 0
        var refused = 0
    }

    /// - Parameter room: from `makeRoom`; it is the reader's from now on.
    init(_ store: TieredStore, _ board: RecoveryBoard, in room: Region, entriesPerStep: Int) {
        precondition(entriesPerStep > 0)
        self.store = store
        self.board = board
        self.entriesPerStep = entriesPerStep
        log = store.log
        directory = room
    }

    /// Memory for a directory.
    static func makeRoom() throws(MemoryError) -> Region {
        try Region.map(byteCount: Directory.regionBytes)
    }

    func discardMemory() { directory.discardAll() }

    /// Room for a directory, while none is in it.
    var room: Region {
        precondition(taken == nil)
        return directory
    }

    /// Whether it has taken a directory that it has not brought to its end.
    var isBusy: Bool { taken != nil }

    /// Reads a directory, or merges some of its entries; false when there is none left to take.
    ///
    /// - Throws: nothing was read, and can be later.
    mutating func step(_ files: any StoreFiles, now: UInt32) throws(LMDBError) -> Bool {
        guard let taken = taken ?? take() else { return false }
        self.taken = taken
        let refill = IndexRefill(log: log, files: files, now: now, remade: board.remade)
        if var merge {
            mergeSome(&merge, entriesPerStep, refill)
            self.merge = merge
            if merge.next == merge.view.count { finish(taken, merge) }
            return true
        }
        try read(files, taken, refill)
        return true
    }

    private func take() -> Taken? {
        let wanted = store.signals.oldestWanted
        return board.front.withLock { front in
            // The disk is full: what leaves it must be known first.
            if wanted.loadAcquire() > 0, let head = front.takeOldest() {
                wanted.subtract(1)
                return Taken(head: head, isForCommitter: true)
            }
            return front.takeNewest().map { Taken(head: $0, isForCommitter: false) }
        }
    }

    // MARK: Reading

    private mutating func read(
        _ files: any StoreFiles, _ taken: Taken, _ refill: IndexRefill
    ) throws(LMDBError) {
        let sequence = taken.head.sequence
        if let found = try readDirectory(files, sequence) {
            switch begin(found, taken.head) {
            case .merge(let begun): merge = begun
            case .failure(let failure): didFail(taken, failure)
            }
            return
        }
        // The lock keeps the committer from rebuilding a segment whose stretches are read here.
        let store = store
        let failure = try store.unsealed.withLock {
            (unsealed: inout [UInt64]) throws(LMDBError) -> Failure? in
            // It may have been rebuilt just now.
            var found = try readDirectory(files, sequence)
            if found == nil, unsealed.contains(sequence) {
                found = try readUnsealed(files, sequence)
                guard found != nil else { return .unreadable }
            }
            guard let found else {
                guard try isGone(files, sequence) else { return .unreadable }
                didRead(taken)
                return nil
            }
            switch begin(found, taken.head) {
            case .merge(var merge):
                mergeSome(&merge, merge.view.count, refill)
                finish(taken, merge)
                return nil
            case .failure(let failure): return failure
            }
        }
        if let failure { didFail(taken, failure) }
    }

    /// Why what a directory names is not brought back.
    private enum Failure {
        case unreadable
        /// There is no number for its segment.
        case unnumbered(records: Int)
    }

    private enum Begun {
        case merge(Merge)
        case failure(Failure)
    }

    private struct DirectoryCopy {
        var byteCount: Int
        /// Nil: the segment itself is missing.
        var segmentBytes: Int?
        var fileOffset: UInt64?
        var isUnsealed = false
    }

    /// Copies a directory, in a short transaction: a long one would pin the pages that commits
    /// free. Nil if it is not there, or cannot be read or made anew.
    ///
    /// - Throws: it cannot be read now, or there is no memory to make it anew.
    private func readDirectory(
        _ files: any StoreFiles, _ sequence: UInt64
    ) throws(LMDBError) -> DirectoryCopy? {
        let directory = directory
        let key = SegmentKey.make(sequence)
        let transaction = try files.beginRead()
        let count = try unlessDamaged { () throws(LMDBError) -> Int? in
            try transaction.get(.directories, key: sequence) { bytes -> Int in
                let count = min(bytes.count, directory.byteCount)
                directory.store(bytes.extracting(0..<count), at: 0)
                return count
            }
        }
        guard let count else { return nil }
        var copy = DirectoryCopy(byteCount: count)
        // Damaged in front of the value: this segment's values are lost, its keys not.
        copy.segmentBytes = try unlessDamaged { () throws(LMDBError) -> Int? in
            try transaction.get(.segments, key: key) { $0.count }
        }
        if copy.segmentBytes != nil {
            copy.fileOffset = try unlessDamaged { () throws(LMDBError) -> UInt64? in
                try transaction.fileOffset(segment: key)
            }
        }
        if Directory.View(directory, byteCount: copy.byteCount, of: sequence) == nil {
            let image = try Self.makeImage()
            defer { image.discard(0, image.byteCount) }
            let count = try SegmentImage.remakeDirectory(
                transaction, sequence, by: image,
                overlap: store.signals.firstSequence.loadAcquire(), log.hasher, into: directory)
            guard let count else { return nil }
            copy.byteCount = Directory.bytes(count: count)
            board.remade.insert(sequence)
        }
        return copy
    }

    /// Memory for a segment. That there is none says nothing about what is on the disk.
    private static func makeImage() throws(LMDBError) -> Region {
        do throws(MemoryError) {
            return try Region.map(byteCount: Geometry.frameBytesMax)
        } catch {
            throw .outOfMemory
        }
    }

    /// Makes the directory of a segment that the last run had open, from its stretches.
    private func readUnsealed(
        _ files: any StoreFiles, _ sequence: UInt64
    ) throws(LMDBError) -> DirectoryCopy? {
        let image = try Self.makeImage()
        defer { image.discard(0, image.byteCount) }
        let transaction = try files.beginRead()
        let end = try unlessDamaged { () throws(LMDBError) -> Int? in
            try Stretches.collect(transaction, sequence, into: image)
        }
        guard let end, case let sound = SegmentImage.soundBytes(image, count: end), sound.isWhole
        else { return nil }
        let count = Directory.make(
            image: image, filled: sound.bytes,
            overlap: store.signals.firstSequence.loadAcquire(), log.hasher, into: directory)
        return DirectoryCopy(
            byteCount: Directory.bytes(count: count), segmentBytes: sound.bytes, fileOffset: nil,
            isUnsealed: true)
    }

    /// Whether a directory has left the disk since its head was read.
    private func isGone(
        _ files: any StoreFiles, _ sequence: UInt64
    ) throws(LMDBError) -> Bool {
        let transaction = try files.beginRead()
        return try unlessDamaged { () throws(LMDBError) -> Bool? in
            try transaction.get(.directories, key: sequence) { _ in true } == nil
        } ?? false
    }

    // MARK: Merging

    /// So many entries ahead the index's memory is asked for.
    private static let entriesAhead = 16

    /// Gives a number to the segment whose directory was copied.
    private func begin(_ copy: DirectoryCopy, _ head: DirectorySurvey.Head) -> Begun {
        guard let view = Directory.View(directory, byteCount: copy.byteCount) else {
            return .failure(.unreadable)
        }
        let segment = log.segments.restore(
            view.kind, sequence: head.sequence, filled: view.filled, records: view.count,
            overlap: view.overlap, earliest: view.earliest, latest: view.latest,
            fileOffset: view.kind == .chain ? nil : copy.fileOffset)
        guard let segment else { return .failure(.unnumbered(records: view.count)) }
        log.segments.lowestOrder(segment).storeRelaxed(view.lowestOrder)
        return .merge(Merge(copy: copy, view: view, segment: segment))
    }

    /// Puts the next entries of a directory into the index.
    private func mergeSome(_ merge: inout Merge, _ count: Int, _ refill: IndexRefill) {
        let view = merge.view
        let segment = merge.segment
        let end = merge.next + min(count, view.count - merge.next)
        for number in merge.next..<end {
            let ahead = number + Self.entriesAhead
            if ahead < view.count { log.index.prefetch(view.hash(ahead)) }
            let entry = view[number]
            guard entry.offset < view.filled, entry.offset % 8 == 0 else { continue }
            if entry.isTombstone { log.segments.noteDeadUnread(segment) }
            switch refill.merge(entry, at: Place(segment: segment, offset: entry.offset)) {
            case .inserted: merge.items += 1
            case .refused: merge.refused += 1
            case .replaced, .older: break
            }
        }
        merge.next = end
    }

    // MARK: The end of a directory

    /// All of a directory's entries are in the index: its segment is handed over, and what nothing
    /// unread can have overtaken answers from now on.
    private mutating func finish(_ taken: Taken, _ merge: Merge) {
        let sequence = taken.head.sequence
        let (copy, view) = (merge.copy, merge.view)
        // What is not sealed is no segment on disk yet.
        if copy.isUnsealed {
            _ = store.takenUnsealed.withLock { $0.insert(sequence) }
        } else {
            store.signals.restored.push(UInt32(merge.segment))
        }
        let isWhole =
            copy.segmentBytes.map { view.kind == .chain || $0 >= view.filled } ?? false
        board.counts.withLock { counts in
            counts.segments += 1
            counts.items += merge.items
            counts.refused += merge.refused
            if !isWhole { counts.damaged += 1 }
        }
        let segmentBytes = log.geometry.segmentBytes
        didRead(taken) { front in
            front.add(
                merge.segment, sequence, isWhole: isWhole,
                isReturned: view.overlap & Segments.returnedBit != 0,
                waitsForRebuild: copy.isUnsealed && view.filled > segmentBytes)
        }
    }

    /// What a directory names is not brought back, and what it may have overtaken never answers.
    private mutating func didFail(_ taken: Taken, _ failure: Failure) {
        let sequence = taken.head.sequence
        switch failure {
        case .unreadable:
            board.counts.withLock { $0.damaged += 1 }
            store.events.error(.keyDirectoryUnreadable, "sequence=\(sequence)")
        case .unnumbered(let records):
            board.counts.withLock { $0.refused += records }
            store.events.error(.segmentUnnumbered, "sequence=\(sequence) records=\(records)")
        }
        didRead(taken, isUnreadable: true)
    }

    /// Nothing is in hand any more; tells the front what came of it.
    private mutating func didRead(
        _ taken: Taken, isUnreadable: Bool = false, _ tell: (inout RecoveryFront) -> Void = { _ in }
    ) {
        // What the survey found damaged, and could be made anew.
        if taken.head.isDamaged, !isUnreadable { board.counts.withLock { $0.damaged += 1 } }
        board.front.withLock { front in
            tell(&front)
            if isUnreadable { front.didFail(taken.head) }
            front.didRead(taken.head)
        }
        self.taken = nil
        merge = nil
        let (board, segments, signals) = (board, log.segments, store.signals)
        store.interleave {
            board.settle(segments, signals)
            if taken.isForCommitter { signals.committer.wake() }
        }
    }
}

/// A second reader, for a thread of its own: it reads what the recovery has not taken, and ends
/// when there is nothing left. Used by one thread.
struct RecoveryHelper: ~Copyable {
    private let store: TieredStore
    private let disk: Disk
    private var reader: DirectoryReader

    init(
        _ store: TieredStore, disk: Disk, _ board: RecoveryBoard, entriesPerStep: Int
    ) throws(MemoryError) {
        self.store = store
        self.disk = disk
        reader = DirectoryReader(
            store, board, in: try DirectoryReader.makeRoom(), entriesPerStep: entriesPerStep)
    }

    func discardMemory() { reader.discardMemory() }

    mutating func step(at now: ClockReading) -> NextStep {
        store.interleaving?.catchUp()
        let signals = store.signals
        if signals.stopping.loadAcquire() != 0 {
            // What it has taken the last commit may have to know.
            let isWanted = reader.isBusy && signals.lastCommit.loadAcquire() == 0
            guard isWanted else { return .ended }
        }
        do throws(LMDBError) {
            guard let files = disk.files() else { throw .panic }
            return try reader.step(files, now: now.unixSeconds) ? .nothing : .ended
        } catch {
            return .time(now.nanoseconds + 20_000_000)
        }
    }
}
