// SegmentStateTests: the arrows of a segment's life, as the table in Segments has them.

import SegmentLog
import Testing

@Suite struct SegmentStateTests {
    private let states: [SegmentState] = [
        .free, .open, .sealed, .clean, .resting, .leaving, .dying, .unsettled,
    ]

    private func reachable(from start: SegmentState) -> [SegmentState] {
        var found = [start]
        var next = 0
        while next < found.count {
            let state = found[next]
            found += states.filter { state.mayBecome($0) && !found.contains($0) }
            next += 1
        }
        return found
    }

    @Test func everyStateIsReachedAndLeft() {
        for state in states {
            #expect(reachable(from: .free).contains(state), "\(state)")
            #expect(reachable(from: state).contains(.free), "\(state)")
            #expect(!state.mayBecome(state), "\(state)")
        }
    }

    /// What nobody reads any more is not given a frame again, and nothing is sealed twice.
    @Test func noWayLeadsBackFromTheEnd() {
        #expect(states.filter { SegmentState.dying.mayBecome($0) } == [.free])
        #expect(states.filter { $0.mayBecome(.sealed) } == [.open])
        #expect(states.filter { $0.mayBecome(.open) } == [.free])
        #expect(states.filter { $0.mayBecome(.unsettled) } == [.free])
    }
}
