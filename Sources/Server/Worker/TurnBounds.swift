// TurnBounds: what a turn may do besides filling its output, so that others come soon.

/// The bounds of one turn.
struct TurnBounds: BitwiseCopyable {
    /// Requests that one connection may have.
    private(set) var requestsMax = 0
    /// What the door had copied of large values when the turn began.
    private var draftedBefore = 0
    /// Texts that were put together: statistics, and what else is not for every day.
    private var texts = 0
    /// The connection that had the last of them.
    private var textOf = -1

    /// A turn begins. `requestsMax`: of a connection while others are ready; who is alone need not
    /// yield.
    mutating func begin(requestsMax: Int, isAlone: Bool, draftedBytes: Int) {
        self.requestsMax =
            isAlone ? max(requestsMax, ServerLimits.requestsPerTurnAlone) : requestsMax
        draftedBefore = draftedBytes
        texts = 0
        textOf = -1
    }

    /// Whether a connection has had a text in this turn, and no other has had one since.
    func hasText(_ slot: Int) -> Bool { textOf == slot }

    /// One more text was put together for a connection. Answers whether that is enough.
    mutating func addText(_ slot: Int) -> Bool {
        textOf = slot
        texts += 1
        return texts >= ServerLimits.textsPerTurnMax
    }

    /// Whether the door has copied enough in this turn.
    func isDraftedOut(_ draftedBytes: Int) -> Bool {
        draftedBytes &- draftedBefore >= ServerLimits.draftedBytesPerTurnMax
    }
}
