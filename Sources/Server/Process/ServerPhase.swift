// ServerPhase: where in its life the server is, for those who ask whether to send it work.

/// From the start to the end, in order.
public enum ServerPhase: UInt32, Sendable, CaseIterable {
    case starting, serving, draining, stopping
}
