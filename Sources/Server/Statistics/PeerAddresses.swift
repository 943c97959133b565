// PeerAddresses: both ends of a connection, as `stats conns` words them.

internal import Uring

/// The addresses of an open socket; "unknown" where the system does not tell.
struct PeerAddresses {
    let peer: String
    let local: String

    init(descriptor: Int32) {
        let socket = Socket(descriptor: descriptor)
        let here = SocketAddress.local(of: socket)
        local = here.map(\.labelled) ?? "unknown"
        if let there = SocketAddress.peer(of: socket), there.port != nil {
            peer = there.labelled
        } else {
            peer = local
        }
    }
}
