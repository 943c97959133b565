// Target: the server under load, as the user names it and as a socket address.

public import Uring

/// A server to measure.
public struct Target: Equatable, Sendable {
    /// What tables call it; its address where no name was given.
    public let name: String
    public let address: SocketAddress

    /// Reads `[NAME=]HOST[:PORT]`, `[NAME=][ADDRESS]:PORT` or `[NAME=]unix:PATH`. Asks the
    /// resolver; the first address counts. The port is 11211 where none is given.
    public init(parsing text: String) throws(ArgumentFault) {
        var place = text[...]
        var name: Substring?
        if let equals = text.firstIndex(of: "="), !text.hasPrefix("unix:") {
            name = text[..<equals]
            place = text[text.index(after: equals)...]
        }
        guard name?.isEmpty != true, !place.isEmpty else {
            throw ArgumentFault("target '\(text)' is not HOST:PORT or unix:PATH")
        }
        address = try Self.address(String(place))
        self.name = name.map(String.init) ?? String(place)
    }

    private init(name: String, address: SocketAddress) {
        self.name = name
        self.address = address
    }

    /// The same host with another port.
    func replacing(port: UInt16) -> Target {
        switch address {
        case .ipv4(let bits, _):
            Target(name: name, address: .ipv4(bits, port: port))
        case .ipv6(let high, let low, let scope, _):
            Target(name: name, address: .ipv6(high: high, low: low, scope: scope, port: port))
        case .unix: self
        }
    }

    /// A unix socket whose path has one text in place of another; others stay as they are.
    func replacing(_ text: String, with other: String) -> Target {
        guard case .unix(let path) = address else { return self }
        return Target(name: name, address: .unix(path: path.replacing(text, with: other)))
    }

    private static func address(_ place: String) throws(ArgumentFault) -> SocketAddress {
        if place.hasPrefix("unix:") {
            let path = String(place.dropFirst(5))
            guard !path.isEmpty, path.utf8.count <= SocketAddress.pathBytesMax else {
                throw ArgumentFault(
                    "'\(place)': a path has 1 to \(SocketAddress.pathBytesMax) bytes")
            }
            return .unix(path: path)
        }
        do throws(SocketError) {
            var endpoint = try Endpoint(parsing: place)
            if endpoint.host == nil { endpoint.host = "127.0.0.1" }
            let found = try SocketAddress.resolve(endpoint, defaultPort: 11211)
            guard let first = found.first else { throw SocketError.malformed(place) }
            return first
        } catch {
            throw ArgumentFault("\(error)")
        }
    }
}
