// Account: where all frames are, for simulations: whatever becomes of what a frame held, it is
// found again.

internal import Primitives

/// What was found while nothing moved.
package struct FrameAccount {
    /// Frames of rooms.
    package let inRooms: Int
    /// Frames that are in no queue, no segment, and no room: writers have put them aside.
    package let aside: Int
}

extension SegmentLog {
    /// Counts the frames of all queues and segments.
    package func frameAccount() -> FrameAccount {
        var found = frames.freeCount + frames.quarantinedCount + frames.surrenderedCount
        for segment in 1..<segments.count where segments.state(segment) != .free {
            var frame = segments.frame(segment)
            while let here = frame {
                found += 1
                frame = frames.next(here)
            }
        }
        let inRooms = Int(frames.stagedFrames.loadRelaxed())
        return FrameAccount(inRooms: inRooms, aside: frames.count - found - inRooms)
    }
}
