// TurnBounds: what a turn may do besides filling its output, so that others come soon.

/// The bounds of one turn.
struct TurnBounds: BitwiseCopyable {
    /// Requests that one connection may have.
    private(set) var requestsMax = 0
    /// What the door had copied of large values when the turn began.
    private var draftedBefore = 0

    /// A turn begins. `requestsMax`: of a connection while others are ready; who is alone need not
    /// yield.
    mutating func begin(requestsMax: Int, isAlone: Bool, draftedBytes: Int) {
        self.requestsMax =
            isAlone ? max(requestsMax, ServerLimits.requestsPerTurnAlone) : requestsMax
        draftedBefore = draftedBytes
    }

    /// Whether the door has copied enough in this turn.
    func isDraftedOut(_ draftedBytes: Int) -> Bool {
        draftedBytes &- draftedBefore >= ServerLimits.draftedBytesPerTurnMax
    }
}
