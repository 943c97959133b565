// Rooms: memory outside the log for what is not complete yet: a value being received, a record
// being read from disk.
//
// Small rooms of one use share a frame, which is free again when the last of them is closed; a
// large one is a chain of frames, which becomes a segment of its own when its record is complete.

internal import Primitives

/// What a room is for.
public enum RoomUse: BitwiseCopyable {
    /// A value that arrives, or is made.
    case value
    /// A record that is read from disk.
    case reading
    /// What a client has sent and cannot be executed yet.
    case input
    /// The same, of a kilobyte at most: of who may hold no more.
    case shortInput
}

/// The frame that a writer's small rooms of each use share now, plus one, and how much of it is
/// used.
struct SharedFrames: BitwiseCopyable {
    private struct Open: BitwiseCopyable {
        var frame = 0
        var tail = 0
    }

    /// How many there are: input of any length shares one.
    static let count = 3

    private var value = Open()
    private var reading = Open()
    private var input = Open()
    /// Frames in which the writer has small values, the one that they share now among them.
    var valueFrames = 0

    private subscript(use: RoomUse) -> Open {
        get {
            switch use {
            case .value: value
            case .reading: reading
            case .input, .shortInput: input
            }
        }
        set {
            switch use {
            case .value: value = newValue
            case .reading: reading = newValue
            case .input, .shortInput: input = newValue
            }
        }
    }

    /// The frame of this use; 0 if there is none.
    func frame(_ use: RoomUse) -> Int { self[use].frame }

    func hasSpace(_ bytes: Int, _ use: RoomUse, of segmentBytes: Int) -> Bool {
        self[use].frame != 0 && self[use].tail + bytes <= segmentBytes
    }

    /// Where so many bytes begin in it.
    mutating func take(_ bytes: Int, _ use: RoomUse) -> Int {
        defer { self[use].tail += bytes }
        return self[use].tail
    }

    /// Small rooms come from this frame from now on; from none if it is 0.
    mutating func begin(_ frame: Int, _ use: RoomUse) {
        self[use] = Open(frame: frame, tail: 0)
    }
}

/// Memory of one writer that is not part of the log. Must be closed or made a segment.
public struct Room: BitwiseCopyable {
    /// First (or only) frame.
    public var frame: Int
    /// Where the room begins in the frame; 0 for a chain.
    public var start: Int
    public var bytes: Int
    public var isChained: Bool
    public var use: RoomUse
    @inlinable public init(
        frame: Int, start: Int, bytes: Int, isChained: Bool, use: RoomUse = .value
    ) {
        self.use = use
        self.frame = frame
        self.start = start
        self.bytes = bytes
        self.isChained = isChained
    }
}

extension Writer {
    /// Frames that rooms may take together; a large value is let in beside them while it is the
    /// only one. What is large, or read for peers who may not take it, leaves the last of them to
    /// small values, and these leave some to what clients have sent, of which what is long leaves
    /// some to what is short: so each is received whatever the others do, and what waits behind its
    /// own value leaves.
    private var roomFramesMax: Int { log.geometry.frameCount / 4 }

    /// Whether rooms may have so many frames more, for one of this use. Small values have one of
    /// each writer's whatever the others have: what has been sent may fill all that there is, and
    /// be gone only when its values have found their places.
    private func mayStage(_ frames: Int, for use: RoomUse, isChained: Bool = false) -> Bool {
        let most =
            switch use {
            case .value where !isChained: roomFramesMax
            case .value, .reading: roomFramesMax - max(roomFramesMax / 8, 1)
            case .input: roomFramesMax + max(roomFramesMax / 8, 1)
            case .shortInput: roomFramesMax + 2 * max(roomFramesMax / 8, 1)
            }
        if use == .value, !isChained, shared.valueFrames == 0 { return true }
        return Int(log.frames.stagedFrames.loadRelaxed()) + frames <= most
    }

    /// Whether the frame that small rooms of one use share has space for this one. Long input may
    /// not fill those that were opened for what is short.
    private func mayShare(_ bytes: Int, _ use: RoomUse) -> Bool {
        shared.hasSpace(bytes, use, of: log.geometry.segmentBytes)
            && (use != .input || mayStage(0, for: .input))
    }

    /// Room for `bytes`; nil if there is none now. Says how much is wanted, then.
    ///
    /// - Parameter isBrief: the room is closed or made a segment before the caller returns, so what
    ///   trickles in (and may be the very value it is made of) must not keep it from opening.
    public mutating func openRoom(
        _ bytes: Int, for use: RoomUse = .value, isBrief: Bool = false
    ) -> Room? {
        precondition(bytes > 0)
        if bytes > log.geometry.sharedRecordBytesMax { return openChain(bytes, use, isBrief) }
        let padded = Record.aligned(bytes)
        if !mayShare(padded, use) {
            guard mayStage(1, for: use) else {
                want(1)
                return nil
            }
            leaveSharedFrame(use)
            guard let frame = log.frames.take() else {
                want(1)
                return nil
            }
            log.frames.stagedFrames.add(1)
            log.frames.stagedCount(frame).storeRelease(1)
            shared.begin(frame + 1, use)
            if use == .value { shared.valueFrames += 1 }
        }
        let frame = shared.frame(use) - 1
        log.frames.stagedCount(frame).add(1)
        return Room(
            frame: frame, start: shared.take(padded, use), bytes: bytes, isChained: false,
            use: use)
    }

    /// Room for a record that is read from disk; nil if there is none now. While every frame holds
    /// what is not on disk yet, it comes from a frame kept for this: a get need not wait for a
    /// commit.
    public mutating func openReadingRoom(_ bytes: Int) -> Room? {
        precondition(bytes > 0 && bytes <= log.geometry.segmentBytes)
        if let room = openRoom(bytes, for: .reading) { return room }
        // While others have their share of the frames, the rest is for who keeps it briefly.
        return log.frames.freeCount == 0 ? openKeptRoom(bytes) : nil
    }

    /// Room in the frame that is kept for reads, for a record that leaves as soon as it is read;
    /// nil if there is none now.
    public mutating func openKeptRoom(_ bytes: Int) -> Room? {
        precondition(bytes > 0 && bytes <= log.geometry.segmentBytes)
        let padded = Record.aligned(bytes)
        guard readingFrame != 0, readingTail + padded <= log.geometry.frameBytes else { return nil }
        log.frames.stagedCount(readingFrame - 1).add(1)
        defer { readingTail += padded }
        return Room(
            frame: readingFrame - 1, start: readingTail, bytes: bytes, isChained: false,
            use: .reading)
    }

    /// Takes the frame of `openKeptRoom`, for as long as the writer lives.
    public mutating func keepReadingFrame() {
        guard readingFrame == 0, let frame = log.frames.take() else { return }
        log.frames.stagedCount(frame).storeRelease(1)
        readingFrame = frame + 1
    }

    /// The room is not needed any more (its bytes were copied, or nobody wants them).
    public mutating func closeRoom(_ room: Room) {
        if !room.isChained { return giveStaging(room.frame, room.use) }
        if room.use == .value { log.frames.stagedChains.subtract(1) }
        var frame: Int? = room.frame
        while let here = frame {
            frame = log.frames.next(here)
            log.frames.stagedFrames.subtract(1)
            log.frames.give(here)
        }
    }

    private mutating func leaveSharedFrame(_ use: RoomUse) {
        let frame = shared.frame(use)
        guard frame != 0 else { return }
        shared.begin(0, use)
        giveStaging(frame - 1, use)
    }

    private mutating func giveStaging(_ frame: Int, _ use: RoomUse) {
        let left = log.frames.stagedCount(frame).subtract(1) - 1
        if left == 0 {
            if use == .value { shared.valueFrames -= 1 }
            log.frames.stagedFrames.subtract(1)
            log.frames.give(frame)
        } else if left == 1, readingFrame == frame + 1 {
            readingTail = 0
            // Whoever found the frame full may look again.
            log.frames.news.add(1)
        } else if left == 1, shared.frame(use) == frame + 1 {
            // Only this writer's own hold is left.
            leaveSharedFrame(use)
        }
    }

    mutating func want(_ frames: Int) {
        log.count(.waits)
        if log.frames.wanted.loadRelaxed() < UInt64(frames) {
            log.frames.wanted.storeRelaxed(UInt64(frames))
        }
    }

    /// A chain of at least one frame, for a call's time.
    public mutating func openChain(_ bytes: Int) -> Room? { openChain(bytes, .value, true) }

    private mutating func openChain(_ bytes: Int, _ use: RoomUse, _ isBrief: Bool) -> Room? {
        let needed = log.geometry.framesNeeded(bytes)
        let isAlone =
            use == .value
            ? log.frames.stagedChains.loadRelaxed() == 0
            : log.frames.stagedFrames.loadRelaxed() == 0
        guard isBrief || isAlone || mayStage(needed, for: use, isChained: true) else {
            log.count(.waits)
            return nil
        }
        guard log.frames.freeCount >= needed else {
            // What cannot be had must not drive out what is there.
            let staged = Int(log.frames.stagedFrames.loadRelaxed())
            let beside = max(staged - log.geometry.framesSharedMax, 0)
            log.canHold(frames: needed + beside) ? want(needed) : log.count(.waits)
            return nil
        }
        var first: Int?
        for _ in 0..<needed {
            guard let frame = log.frames.take() else {
                if let first { closeTaken(first) }
                want(needed)
                return nil
            }
            log.frames.setNext(frame, first)
            first = frame
        }
        guard let first else { return nil }
        log.frames.stagedFrames.add(UInt64(needed))
        if use == .value { log.frames.stagedChains.add(1) }
        return Room(frame: first, start: 0, bytes: bytes, isChained: true, use: use)
    }

    private mutating func closeTaken(_ first: Int) {
        var frame: Int? = first
        while let here = frame {
            frame = log.frames.next(here)
            log.frames.give(here)
        }
    }

    /// Turns a chained room whose record is complete into a segment; nil if no number is free.
    /// The segment is handed on once its slot is set: call `handOn(chain:)` then.
    public mutating func makeSegment(of room: Room, expiry: UInt32) -> Place? {
        precondition(room.isChained)
        guard let segment = log.segments.open(.chain) else { return nil }
        let segments = log.segments
        segments.filled(segment).storeRelaxed(UInt32(room.bytes))
        segments.cut(segment).storeRelaxed(UInt32(room.bytes))
        segments.records(segment).storeRelaxed(1)
        segments.earliestExpiry(segment).storeRelaxed(expiry)
        segments.latestExpiry(segment).storeRelaxed(expiry == 0 ? .max : expiry)
        segments.overlap(segment).storeRelaxed(segments.sequenceLimit())
        segments.setFrame(segment, room.frame)
        log.frames.stagedFrames.subtract(UInt64(log.geometry.framesNeeded(room.bytes)))
        log.frames.stagedChains.subtract(1)
        // Another value that waited for its share of the rooms may come now.
        log.frames.news.add(1)
        log.noteExpiry(expiry)
        return Place(segment: segment, offset: 0)
    }

    public mutating func handOn(chain place: Place) { handOn(place.segment) }
}

extension SegmentLog {
    /// The contiguous bytes from `index` on of something that begins `start` bytes into a chain
    /// of frames: offset in the frames' memory, and count up to the end of that frame.
    public func piece(chain first: Int, at index: Int) -> (offset: Int, count: Int) {
        var frame = first
        var rest = index
        while rest >= geometry.segmentBytes {
            guard let next = frames.next(frame) else { return (0, 0) }
            frame = next
            rest -= geometry.segmentBytes
        }
        return (frames.offset(frame) + rest, geometry.segmentBytes - rest)
    }
}
