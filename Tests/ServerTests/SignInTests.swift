// SignInTests: nothing is served before a peer has signed in, whatever it sends, and everything is
// after it has; tries that fail are slowed down. (Over real sockets: Tests/processes/sign_in.py.)

import Server
import ServerSimulation
import Simulation
import Testing

@Suite struct SignInTests {
    private static let people = Access(
        text: Array("anna:secret\nbert:$sha256$salt$\(saltedDigest)\n".utf8))
    /// Of "saltpassword".
    private static let saltedDigest =
        "13601bda4ea78e55a07b98866d2be6be0744e3866f13c00c811cab608a28f322"

    private static func world(
        sasl: Bool = true, file: Bool = true, _ protocols: ServedProtocols = .auto
    ) throws -> World {
        try World(access: people) {
            $0.sasl.isEnabled = sasl
            if file { $0.authFile = "given" }
            $0.protocols = protocols
        }
    }

    /// A name may have several lines, with salt and without, and a password whose digest is given
    /// may be longer than a line.
    @Test func everyLineOfANameCounts() {
        let long = String(repeating: "x", count: 300)
        // Of "pepper" and these.
        let digest = "7b8ba0672593c6d34f54ce8865144b3e7b84be45b282252f44f8084a5c36bbf3"
        let access = Access(
            text: Array(
                ("bert:first\nanna:secret\nbert:$sha256$salt$\(Self.saltedDigest)\nbert:last\n"
                    + "dora:$sha256$pepper$\(digest)\n").utf8))
        func admits(_ user: String, _ password: String) -> Bool {
            access.admits(user: Array(user.utf8), password: Array(password.utf8))
        }
        #expect(admits("bert", "first") && admits("bert", "password") && admits("bert", "last"))
        #expect(admits("anna", "secret"))
        #expect(!admits("anna", "first") && !admits("bert", "secret") && !admits("bert", "salt"))
        #expect(!admits("carl", "first") && !admits("", "") && !admits("bert", ""))
        #expect(!admits("bert", long) && !admits(long, "first"))
        #expect(admits("dora", long) && !admits("dora", long + "x"))
        #expect(!admits("dora", String(repeating: "x", count: 2000)))
    }

    /// Every command of the text protocols, with its value if it has one.
    static let commands = [
        "get k", "gets k", "gat 0 k", "gats 0 k", "add k 0 0 1\r\nx", "replace k 0 0 1\r\nx",
        "append k 0 0 1\r\nx", "prepend k 0 0 1\r\nx", "cas k 0 0 1 1\r\nx", "delete k", "incr k 1",
        "decr k 1", "touch k 0", "flush_all", "verbosity 1", "stats", "stats settings",
        "stats conns", "stats reset", "stats cachedump 1 0", "stats detail dump",
        "cache_memlimit 64",
        "shutdown", "slabs automove 0", "lru mode flat", "lru_crawler metadump all",
        "lru_crawler mgdump all", "watch", "mg k v", "md k", "ma k", "me k", "nonsense", "",
    ]

    @Test(arguments: commands)
    func aTextCommandIsRefusedBefore(_ command: String) throws {
        let world = try Self.world()
        let peer = world.connect()
        let refused = "CLIENT_ERROR unauthenticated\r\n"
        #expect(try world.ask(command + "\r\n", peer) == refused)
        // What was a value is no command, and nothing has changed.
        #expect(try world.ask("set k 0 0 11\r\nanna secret\r\n", peer) == "STORED\r\n")
        #expect(try world.ask("get k\r\n", peer) == "END\r\n")
    }

    @Test(arguments: 0...0x30 as ClosedRange<UInt8>)
    func aBinaryCommandIsRefusedBefore(_ opcode: UInt8) throws {
        let world = try Self.world()
        let peer = world.connect()
        var extras = 0
        var key: [UInt8] = Array("k".utf8)
        switch opcode {
        case 0x01...0x03, 0x11...0x13: extras = 8
        case 0x05, 0x06, 0x15, 0x16: extras = 20
        case 0x1b: (extras, key) = (4, [])
        case 0x1c...0x1e, 0x23, 0x24: extras = 4
        case 0x07, 0x08, 0x0a, 0x0b, 0x17, 0x18, 0x20: key = []
        default: break
        }
        world.network.send(
            Packet(opcode, key: key, extras: [UInt8](repeating: 0, count: extras)).bytes,
            from: peer)
        try world.settle()
        let status = Packet.statuses(world.network.takeReceived(by: peer))
        switch opcode {
        case 0x0b, 0x20: #expect(status == [0], "version, mechanisms")
        default: #expect(status == [0x20], "opcode \(opcode)")
        }
        let triesToSignIn = opcode == 0x21 || opcode == 0x22
        #expect(world.network.isClosed(peer) == (status == [0x20] && !triesToSignIn))
    }

    @Test func whoHasSignedInIsServed() throws {
        let world = try Self.world()
        let text = world.connect()
        #expect(
            try world.ask("version\r\nmn\r\nms any 13\r\nbert password\r\nmg k\r\n", text)
                == "VERSION 1.6.45\r\nMN\r\nHD\r\nEN\r\n")
        let binary = world.connect()
        let plain = Array("PLAIN".utf8)
        var sent = Packet(0x21, key: plain).bytes
        sent += Packet(0x22, key: plain, value: Array("\0anna\0secret".utf8)).bytes
        sent += Packet(0x00, key: Array("k".utf8)).bytes
        world.network.send(sent, from: binary)
        try world.settle()
        #expect(Packet.statuses(world.network.takeReceived(by: binary)) == [0x21, 0, 1])
        #expect(world.shared.total("signIns") == 3 && world.shared.total("signInErrors") == 0)
    }

    /// As memcached with SASL: a refused token leaves the connection, a refused command ends it.
    @Test func aRefusedTokenMayBeTriedAgainAndACommandMayNot() throws {
        let world = try Self.world()
        let peer = world.connect()
        let plain = Array("PLAIN".utf8)
        func say(_ packet: Packet) throws -> [UInt16] {
            world.network.send(packet.bytes, from: peer)
            try world.pass(seconds: 2)
            return Packet.statuses(world.network.takeReceived(by: peer))
        }
        let wrong = Packet(0x21, key: plain, value: Array("\0anna\0wrong".utf8))
        #expect(try say(Packet(0x20)) == [0])
        #expect(try say(wrong) == [0x20])
        #expect(try say(wrong) == [0x20])
        #expect(!world.network.isClosed(peer))
        #expect(try say(Packet(0x00, key: Array("k".utf8))) == [0x20])
        #expect(world.network.isClosed(peer))
    }

    @Test func refusalsAreToldLaterAndTheFifthIsTheLast() throws {
        let world = try Self.world()
        let peer = world.connect()
        let wrong = "set k 0 0 10\r\nanna wrong\r\n"
        let refused = "CLIENT_ERROR authentication failure\r\n"
        #expect(try world.ask(wrong, peer) == refused)
        for _ in 0..<4 {
            #expect(try world.ask(wrong, peer) == "")
            // Nobody else stands.
            let other = world.connect()
            #expect(
                try world.ask("set k 0 0 11\r\nanna secret\r\nmn\r\n", other) == "STORED\r\nMN\r\n")
            try world.pass(seconds: 2)
            #expect(world.received(peer) == refused)
        }
        #expect(world.network.isClosed(peer))
        #expect(world.shared.total("signInErrors") == 5)
        #expect(world.shared.total("closedBySignIn") == 1)
        #expect(world.shared.total("closedByRequest") == 0)
    }

    @Test(arguments: [
        ("set k 0 0 10\r\nannasecret\r\n", "CLIENT_ERROR bad authentication token format\r\n"),
        ("set k 0 0 11\r\nanna secretXX", "CLIENT_ERROR bad command line termination\r\n"),
        (
            "set k 0 0 1025\r\n\(String(repeating: "x", count: 1025))\r\n",
            "CLIENT_ERROR auth token too long\r\n"
        ),
        ("set k 0 0 2147483646\r\n", "CLIENT_ERROR auth token too long\r\n"),
        ("set k 0 0\r\n", "CLIENT_ERROR unauthenticated\r\n"),
        ("set k 0 0 11 noreply\r\nanna secret\r\n", "STORED\r\n"),
    ])
    func tokensAreJudgedInMemcachedsWords(_ sent: String, _ answer: String) throws {
        let world = try Self.world()
        let peer = world.connect()
        #expect(try world.ask(sent, peer) == answer)
        #expect(try world.ask("mn\r\n", peer) == "MN\r\n")
    }

    @Test func aServerThatOnlySpeaksTheOtherProtocolCloses() throws {
        let onlyText = try Self.world(sasl: false)
        let binary = onlyText.connect()
        onlyText.network.send(Packet(0x0b).bytes, from: binary)
        try onlyText.settle()
        #expect(onlyText.network.takeReceived(by: binary).isEmpty)
        #expect(onlyText.network.isClosed(binary))
        let onlyBinary = try Self.world(file: false)
        let text = onlyBinary.connect()
        #expect(try onlyBinary.ask("stats\r\n", text) == "")
        #expect(onlyBinary.network.isClosed(text))
    }

    @Test func credentialsAreComparedWhole() {
        func admits(_ user: String, _ password: String) -> Bool {
            Self.people.admits(user: Array(user.utf8), password: Array(password.utf8))
        }
        #expect(admits("anna", "secret") && admits("bert", "password"))
        for (user, password) in [
            ("anna", "password"), ("bert", "secret"), ("anna", ""), ("", "secret"),
            ("ann", "secret"),
            ("anna", "secre"), ("anna", "secret "), ("bert", "saltpassword"),
            ("bert", "$sha256$salt$\(Self.saltedDigest)"),
        ] {
            #expect(!admits(user, password), "\(user) \(password)")
        }
        #expect(!Access().admits(user: [], password: []))
    }
}

/// A binary request.
struct Packet {
    let bytes: [UInt8]

    init(
        _ opcode: UInt8, key: [UInt8] = [], value: [UInt8] = [], extras: [UInt8] = [],
        opaque: UInt8 = 0
    ) {
        var packet = [UInt8](repeating: 0, count: 24)
        let body = key.count + value.count + extras.count
        (packet[0], packet[1]) = (0x80, opcode)
        (packet[2], packet[3]) = (UInt8(key.count >> 8), UInt8(key.count & 255))
        packet[4] = UInt8(extras.count)
        (packet[10], packet[11]) = (UInt8(body >> 8 & 255), UInt8(body & 255))
        packet[15] = opaque
        bytes = packet + extras + key + value
    }

    /// The statuses of replies.
    static func statuses(_ replies: [UInt8]) -> [UInt16] {
        var statuses: [UInt16] = []
        var rest = replies[...]
        while rest.count >= 24 {
            let head = Array(rest.prefix(24))
            statuses.append(UInt16(head[6]) << 8 | UInt16(head[7]))
            rest = rest.dropFirst(24 + head[8..<12].reduce(0) { $0 << 8 | Int($1) })
        }
        return statuses
    }
}
