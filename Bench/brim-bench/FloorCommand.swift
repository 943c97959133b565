// FloorCommand: `brim-bench floor`: a server that does nothing, to compare servers with.

internal import ArgumentParser
internal import Load

struct FloorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "floor",
        abstract: "Serves a fixed value, without a store: what the kernel takes for a get.",
        discussion: """
            Receives and sends as Brim does, with io_uring on one thread, but parses nothing: each \
            get of one key is answered with that key and the same value, each set with STORED. \
            What a server takes above this is its own.
              brim-bench compare --depth 16 --target floor=127.0.0.1:0 \
            --start "floor=brim-bench floor -l {host} -p {port}"
            """)

    @Option(name: .shortAndLong, help: "The address to listen on.")
    var listen = "127.0.0.1"

    @Option(name: .shortAndLong, help: "The port.")
    var port: UInt16 = 11211

    @Option(help: "Bytes of the value.")
    var valueBytes = 100

    func run() throws {
        guard valueBytes >= 0, valueBytes <= FloorServer.valueBytesMax else {
            throw ArgumentFault("value-bytes: 0 to \(FloorServer.valueBytesMax)")
        }
        let host = listen.contains(":") ? "[\(listen)]" : listen
        let target = try Target(parsing: "\(host):\(port)")
        var server = try FloorServer(target.address, valueBytes: valueBytes)
        try server.run()
    }
}
