// SharedMemory: memory of the store that connections of all workers share, and who gives it back
// when others wait for it.
//
// A worker whose connections find none says so to all (`want`), again with each alarm while that is
// so. Of those who hold some and have stood still, no more give way than there are who wait.

internal import Primitives
internal import Store

/// Memory of the store that connections occupy for longer than a turn, and that has a limit.
enum SharedMemory: Int, BitwiseCopyable {
    /// Room for large values on their way in.
    case staging
    /// Holds on large values on their way out.
    case pins
}

extension Worker where Network: ~Copyable {
    /// Whether a connection is being sent a large value: from pinned memory, or from where it was
    /// read to.
    private func isSending(_ slot: Int, pinned: Bool) -> Bool {
        guard connections[slot].phase == .open, connections[slot].outgoing != nobody else {
            return false
        }
        return transfers.outgoing[connections[slot].outgoing].isPinned == pinned
    }

    /// Reads from disk that wait for memory that connections may hold.
    var shortReadCount: Int {
        reads.used.count { reads[$0].state == .waitingForRoom || reads[$0].state == .bringing }
    }

    /// A connection finds none of such memory left. The wish is repeated while anyone waits.
    mutating func want(_ memory: SharedMemory) {
        switch memory {
        case .staging: wants.staging = true
        case .pins: wants.pins = true
        }
        shared.want(memory, for: waitingForFrames + 1, at: now.nanoseconds)
    }

    /// A read from disk finds no memory: whoever holds some, and does nothing, is in its way.
    mutating func wantFrames() {
        want(.staging)
        want(.pins)
    }

    /// Whether some worker waits for such memory.
    mutating func isWanted(_ memory: SharedMemory) -> Bool {
        let wish = shared.wantedAt(memory)
        return wish != 0 && elapsed(since: wish) <= ServerLimits.wishNanosecondsMax
    }

    /// How many connections may give way for it now: as many as wait here, or elsewhere.
    mutating func wantedCount(_ memory: SharedMemory) -> Int {
        guard isWanted(memory) else { return 0 }
        return max(waitingForFrames, shared.wantedCount(memory), 1)
    }

    /// Closes as many as that of those who occupy it and have stood still, if there are so many.
    mutating func relieveWanted(_ memory: SharedMemory) {
        for _ in 0..<min(wantedCount(memory), ServerLimits.relievedFramesPerAlarmMax) {
            guard relieve(memory, sparing: -1) else { return }
        }
    }

    /// Closes the connection that occupies such memory and has stood still longest, if that is
    /// long. False: there is none.
    mutating func relieve(_ memory: SharedMemory, sparing slot: Int) -> Bool {
        let victim = watched.eldest(
            // Who sends a value is judged by its pace: `givePlaces`.
            where: { $0 != slot && isSending($0, pinned: memory == .pins) },
            by: { stalledSince($0, longerThan: ServerLimits.wantedStallNanosecondsMax) })
        guard let victim else { return false }
        close(victim, .closedStalledForOthers)
        return true
    }

    /// Everyone who pins memory has taken enough, and others have waited long all the same: those
    /// who take nothing now give way, whoever has longest first, one for each who waits.
    mutating func relievePinsAtLast() {
        guard isWanted(.pins) else {
            wants.pinsSince = nil
            return
        }
        let since = wants.pinsSince ?? now.nanoseconds
        wants.pinsSince = since
        guard elapsed(since: since) > ServerLimits.pinNanosecondsMax else { return }
        for _ in 0..<min(wantedCount(.pins), ServerLimits.relievedPerAlarmMax) {
            let victim = watched.eldest(
                where: { isSending($0, pinned: true) },
                by: { stillSince($0) })
            guard let victim else { break }
            close(victim, .closedStalledForOthers)
        }
    }

    /// Connections, and reads from disk, that wait here for memory of the store that others hold.
    var waitingForFrames: Int {
        queues[.pins].members.count + queues[.frames].members.count
            + queues[.places].members.count + shortReadCount
    }

    func tell(_ memory: SharedMemory, isWanted: Bool) {
        guard isWanted else { return shared.endWant(memory) }
        shared.want(memory, for: waitingForFrames, at: now.nanoseconds)
    }
}
