// Activation: the sockets that a service manager opened for this process.

internal import Server

enum Activation {
    private static let descriptorMin: Int32 = 3

    /// The sockets that are meant for `processID`, in order; none if the variables name another.
    static func sockets(
        _ environment: [String: String], processID: Int32
    ) throws(UsageError) -> [InheritedSocket] {
        guard environment["LISTEN_PID"] == "\(processID)", let text = environment["LISTEN_FDS"]
        else { return [] }
        guard let count = Values.count(text), count <= Settings.listenAddressesMax else {
            throw UsageError(
                "bad value for LISTEN_FDS: '\(text)'"
                    + " (allowed: 0 to \(Settings.listenAddressesMax))")
        }
        let names = (environment["LISTEN_FDNAMES"] ?? "")
            .split(separator: ":", omittingEmptySubsequences: false)
        var sockets: [InheritedSocket] = []
        for index in 0..<count {
            let name = index < names.count ? String(names[index]) : ""
            guard name != "brim-tls" else {
                throw UsageError("LISTEN_FDNAMES: brim-tls is not supported yet: there is no TLS")
            }
            sockets.append(
                InheritedSocket(
                    descriptor: descriptorMin + Int32(index), isAdmin: name == "brim-admin"))
        }
        return sockets
    }

    /// What is said of it to no process that this one starts.
    static let variables = [
        "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC",
        "WATCHDOG_PID",
    ]
}
