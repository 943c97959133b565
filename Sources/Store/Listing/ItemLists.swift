// ItemLists: lists of all items, in memory and on disk, that connections have asked for: what was
// made of each and not taken yet, and how far it has come.
//
// One thread makes them (`Lister`), into a bounded buffer for each; a connection takes from its
// own. Where nobody takes, nothing is made. Everything is under one lock, which is held for as long
// as some kilobytes are copied.

public import Primitives
internal import SegmentLog
internal import Synchronization

/// The lists of one store. Any thread may use them.
public final class ItemLists: Sendable {
    /// Writes the line of an item, whose key lies in the span.
    public typealias Line = @Sendable (ListedItem, Span<UInt8>, inout ByteWriter) -> Void

    /// Lists at a time.
    public static let listsMax = 16
    /// What a connection has not taken yet, at most.
    public static let bufferBytes = 256 << 10
    /// What is made in one step, at most; without so much room no step is made.
    static let batchBytes = 128 << 10
    /// Before the end of a batch that much is left to the items that are looked at together.
    static let batchBytesWanted = 32 << 10

    /// What there was to take.
    public enum Taken: BitwiseCopyable, Sendable {
        case bytes
        /// Nothing yet: the connection is told when there is.
        case nothing
        /// That was all.
        case end
    }

    /// What is looked at under one lock, and listed whole or not at all.
    struct Unit: BitwiseCopyable {
        var shard = 0
        var group = 0
        var part = 0
        /// So many parts, unless the group ends before.
        var span = Index.partCount
        var parts: Range<Int> { part..<min(part + span, Index.partCount) }
    }

    /// A list to go on with.
    struct Job {
        var id: Int
        var unit: Unit
        var line: Line
    }

    private struct List {
        let id: Int
        let line: Line
        /// Tells the connection's worker that there is something to take.
        let tell: @Sendable () -> Void
        var unit = Unit()
        var isComplete = false
        /// Bytes ever put into the buffer, and ever taken.
        var made = 0
        var taken = 0
        /// The connection has been told since it found nothing.
        var isTold = false

        var room: Int { ItemLists.bufferBytes - (made - taken) }
        var isPaused: Bool { !isComplete && room < ItemLists.batchBytes }
    }

    private struct State {
        var lists = [List?](repeating: nil, count: ItemLists.listsMax)
        var nextID = 1
        /// Where to look for the next list to go on with.
        var turn = 0

        func position(_ id: Int) -> Int? { lists.firstIndex { $0?.id == id } }
    }

    private let state = Mutex(State())
    private let signals: Signals
    /// A buffer for each list.
    private let buffers: Region
    /// The lister's own: a batch, and behind it two beginnings of records.
    let workspace: Region
    static let headsOffset = batchBytes
    static let headBytes = 512

    init(_ signals: Signals) throws(MemoryError) {
        self.signals = signals
        buffers = try Region.map(byteCount: Self.listsMax * Self.bufferBytes)
        workspace = try Region.map(byteCount: Self.batchBytes + 4096)
    }

    func discardMemory() {
        buffers.discardAll()
        workspace.discardAll()
    }

    // MARK: Connections

    /// Begins a list; nil: there are too many, or what the disk holds is not known yet, because
    /// recovery runs.
    public func begin(
        _ line: @escaping Line, tell: @escaping @Sendable () -> Void
    ) -> Int? {
        guard signals.recoveryUnreported.loadAcquire() == 0 else { return nil }
        let id: Int? = state.withLock { state in
            guard let place = state.lists.firstIndex(where: { $0 == nil }) else { return nil }
            let id = state.nextID
            state.nextID += 1
            state.lists[place] = List(id: id, line: line, tell: tell)
            return id
        }
        if id != nil { signals.lister.wake() }
        return id
    }

    /// Nobody wants the list any more, or it was taken whole.
    public func end(_ id: Int) {
        state.withLock { state in
            guard let place = state.position(id) else { return }
            state.lists[place] = nil
            buffers.discard(place * Self.bufferBytes, Self.bufferBytes)
        }
    }

    /// Whether there is nothing to take now, and will be later; then its connection is told.
    public func isWaiting(_ id: Int) -> Bool {
        state.withLock { state in
            guard let place = state.position(id), let list = state.lists[place] else {
                return false
            }
            let isWaiting = list.made == list.taken && !list.isComplete
            if isWaiting { state.lists[place]?.isTold = false }
            return isWaiting
        }
    }

    /// Takes up to so many bytes of what was made.
    public func take(_ id: Int, bytesMax: Int, into writer: inout ByteWriter) -> Taken {
        var draft = writer
        let (taken, isResumed) = state.withLock { state -> (Taken, Bool) in
            guard let place = state.position(id), var list = state.lists[place] else {
                return (.end, false)
            }
            let wasPaused = list.isPaused
            let start = list.taken % Self.bufferBytes
            let room = min(bytesMax, draft.room)
            let count = min(list.made - list.taken, room, Self.bufferBytes - start)
            guard count > 0 else { return (list.isComplete ? .end : .nothing, false) }
            draft.append(buffers, place * Self.bufferBytes + start, count)
            list.taken += count
            state.lists[place] = list
            return (.bytes, wasPaused && !list.isPaused)
        }
        writer = draft
        if isResumed { signals.lister.wake() }
        return taken
    }

    /// Lists that are being made, and of those the ones that wait for their connection.
    public var counts: (made: Int, paused: Int) {
        state.withLock { state in
            let lists = state.lists.compactMap { $0 }
            return (lists.count, lists.count { $0.isPaused })
        }
    }

    /// What must hold between two steps of the lister; a sentence if it does not.
    func check() -> String? {
        state.withLock { state in
            var seen: Set<Int> = []
            for list in state.lists.compactMap({ $0 }) {
                guard seen.insert(list.id).inserted else { return "a list is made twice" }
                guard list.taken >= 0, list.taken <= list.made, list.room >= 0 else {
                    return "a list of \(list.made) bytes, \(list.taken) of them taken"
                }
                guard list.unit.span >= 1, list.unit.part < Index.partCount else {
                    return "a list goes on with nothing"
                }
            }
            return nil
        }
    }

    // MARK: The lister

    /// The next list that there is room for; they take turns. Nil: there is none.
    func next() -> Job? {
        state.withLock { state in
            for step in 1...Self.listsMax {
                let place = (state.turn + step) % Self.listsMax
                guard let list = state.lists[place], !list.isComplete, !list.isPaused else {
                    continue
                }
                state.turn = place
                return Job(id: list.id, unit: list.unit, line: list.line)
            }
            return nil
        }
    }

    /// Puts the first `count` bytes of the workspace into a list's buffer. `unit`: where it
    /// goes on; nil: that was all.
    func add(_ id: Int, count: Int, next unit: Unit?) {
        let tell: (@Sendable () -> Void)? = state.withLock { state in
            guard let place = state.position(id), var list = state.lists[place] else {
                return nil
            }
            precondition(count <= list.room)
            let start = list.made % Self.bufferBytes
            let first = min(count, Self.bufferBytes - start)
            let buffer = place * Self.bufferBytes
            buffers.copy(from: workspace, at: 0, to: buffer + start, count: first)
            buffers.copy(from: workspace, at: first, to: buffer, count: count - first)
            list.made += count
            if let unit { list.unit = unit } else { list.isComplete = true }
            let isTelling = !list.isTold && (count > 0 || list.isComplete)
            if isTelling { list.isTold = true }
            state.lists[place] = list
            return isTelling ? list.tell : nil
        }
        tell?()
    }
}
