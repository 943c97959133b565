// ArgumentFault: why a request for a load makes no sense.

/// One line that names the argument and what is wanted of it.
public struct ArgumentFault: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
