// SocketTests: addresses in every form, listeners of every kind, errors with their reasons.

import Glibc
import Testing
import Uring

@Suite struct AddressTests {
    @Test(
        arguments: [
            ("localhost", "localhost", nil), ("127.0.0.1:11211", "127.0.0.1", 11211),
            ("[::1]:5", "::1", 5), ("[::1]", "::1", nil), ("::1", "::1", nil), ("::", "::", nil),
            ("*", nil, nil), ("*:80", nil, 80), (":80", nil, 80), ("host:0", "host", 0),
            ("[fe80::1%lo]:65535", "fe80::1%lo", 65535),
        ] as [(String, String?, UInt16?)])
    func endpointIsReadInEveryForm(_ text: String, _ host: String?, _ port: UInt16?) throws {
        #expect(try Endpoint(parsing: text) == Endpoint(host: host, port: port))
    }

    @Test(arguments: [
        "", "host:", "host:x", "host:65536", "host:-1", "host:+1", "[::1", "[::1]x", "[::1]:",
        "[host]:1", "host:1 ", "[]:1",
    ])
    func malformedEndpointIsRefused(_ text: String) {
        #expect(throws: SocketError.malformed(text)) { try Endpoint(parsing: text) }
    }

    @Test func namesAndNumbersResolve() throws {
        let four = try SocketAddress.resolve(Endpoint(host: "127.0.0.1", port: nil), defaultPort: 7)
        #expect(four == [.ipv4(0x7F00_0001, port: 7)])
        let six = try SocketAddress.resolve(Endpoint(host: "::1", port: 9), defaultPort: 7)
        #expect(six == [.ipv6(high: 0, low: 1, scope: 0, port: 9)])
        let name = try SocketAddress.resolve(Endpoint(host: "localhost", port: 1), defaultPort: 7)
        #expect(name.contains(.loopback(port: 1)) || name.contains(six[0]))
        let all = try SocketAddress.resolve(Endpoint(host: nil, port: 1), defaultPort: 7)
        #expect(all.contains(.ipv4(0, port: 1)))
    }

    @Test func unknownHostNamesTheHost() throws {
        do throws(SocketError) {
            _ = try SocketAddress.resolve(
                Endpoint(host: "256.1.1.1.invalid", port: 1), defaultPort: 7)
            Issue.record("resolved")
        } catch {
            #expect("\(error)".hasPrefix("no address for \"256.1.1.1.invalid\": "))
        }
    }

    @Test func addressesAreWrittenAsTheyAreRead() {
        #expect("\(SocketAddress.ipv4(0x0102_0304, port: 5))" == "1.2.3.4:5")
        let six = SocketAddress.ipv6(high: 0x2001_0DB8 << 32, low: 1, scope: 0, port: 80)
        #expect("\(six)" == "[2001:db8::1]:80")
        #expect(six.labelled == "tcp6:[2001:db8::1]:80")
        #expect(SocketAddress.loopback(port: 1).labelled == "tcp:127.0.0.1:1")
        #expect(SocketAddress.unix(path: "/a/b").labelled == "unix:/a/b")
    }
}

@Suite struct ListenerTests {
    private func hasIPv6() -> Bool {
        guard
            let listener = try? Listener.tcp(.ipv6(high: 0, low: 1, scope: 0, port: 0))
        else { return false }
        listener.close()
        return true
    }

    private func accepted(_ listener: Listener) -> Socket {
        Socket(descriptor: accept(listener.socket.descriptor, nil, nil))
    }

    @Test func tcpListenerSaysItsRealPortAndHandsItsOptionsDown() throws {
        let listener = try Listener.tcp(.loopback(port: 0))
        defer { listener.close() }
        let port = try #require(listener.address.port)
        #expect(port != 0)
        let client = try Socket.connected(to: .loopback(port: port))
        let near = accepted(listener)
        #expect(near.isWithoutDelay)
        #expect(client.isWithoutDelay)
        #expect(SocketAddress.peer(of: near) == SocketAddress.local(of: client))
        #expect(SocketAddress.local(of: near) == listener.address)
        try client.say("hi")
        #expect(near.hear(2) == "hi")
        near.close()
        client.close()
        #expect(SocketAddress.peer(of: client) == nil)
    }

    @Test func ipv6AndIPv4ShareAPort() throws {
        guard hasIPv6() else {
            print("skipped: no IPv6 on this machine")
            return
        }
        let six = try Listener.tcp(.ipv6(high: 0, low: 0, scope: 0, port: 0))
        defer { six.close() }
        let port = try #require(six.address.port)
        let four = try Listener.tcp(.ipv4(0, port: port))
        defer { four.close() }
        let client = try Socket.connected(to: .ipv6(high: 0, low: 1, scope: 0, port: port))
        let near = accepted(six)
        #expect(SocketAddress.peer(of: near)?.labelled.hasPrefix("tcp6:[::1]:") == true)
        near.close()
        client.close()
    }

    @Test func takenPortIsAnErrorThatSaysSo() throws {
        let listener = try Listener.tcp(.loopback(port: 0))
        defer { listener.close() }
        do throws(SocketError) {
            _ = try Listener.tcp(listener.address)
            Issue.record("bound twice")
        } catch {
            #expect(
                error
                    == .failed(
                        call: "bind", address: "\(listener.address)", errno: EADDRINUSE))
            #expect("\(error)".hasSuffix("Address already in use (EADDRINUSE)"))
        }
    }

    @Test func refusedConnectionIsAnErrorThatSaysSo() throws {
        let listener = try Listener.tcp(.loopback(port: 0))
        listener.close()
        #expect(
            throws: SocketError.failed(
                call: "connect", address: "\(listener.address)", errno: ECONNREFUSED)
        ) { try Socket.connected(to: listener.address) }
    }

    @Test func unixSocketHasItsModeAndGoesWithItsListener() throws {
        let path = temporaryPath("socket")
        for mode in [0o700, 0o666, 0o770] as [UInt32] {
            let listener = try Listener.unix(path: path, mode: mode)
            var status = stat()
            #expect(lstat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == mode)
            let client = try Socket.connected(to: .unix(path: path))
            let near = accepted(listener)
            #expect(SocketAddress.local(of: near) == .unix(path: path))
            #expect(SocketAddress.peer(of: near) == .unix(path: ""))
            try near.say("x")
            #expect(client.hear(1) == "x")
            near.close()
            client.close()
            listener.close()
            #expect(access(path, F_OK) != 0)
        }
    }

    @Test(.enabled(if: geteuid() == 0))
    func unixSocketBelongsToWhomItIsGiven() throws {
        let path = temporaryPath("socket")
        let listener = try Listener.unix(path: path, mode: 0o700, owner: (65_534, 65_533))
        defer { listener.close() }
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_uid == 65_534 && status.st_gid == 65_533)
        #expect(status.st_mode & 0o777 == 0o700)
    }

    @Test func staleSocketFileIsReplaced() throws {
        let path = temporaryPath("socket")
        let dead = try Listener.unix(path: path)
        dead.socket.close()
        #expect(access(path, F_OK) == 0)
        let listener = try Listener.unix(path: path)
        listener.close()
        #expect(access(path, F_OK) != 0)
    }

    @Test func liveSocketIsLeftAloneEvenWithAFullBacklog() throws {
        let path = temporaryPath("socket")
        let listener = try Listener.unix(path: path, backlog: 0)
        defer { listener.close() }
        #expect(throws: SocketError.occupied(path: path)) { try Listener.unix(path: path) }
        #expect(throws: SocketError.occupied(path: path)) { try Listener.unix(path: path) }
        #expect(access(path, F_OK) == 0)
    }

    @Test func otherFilesAreLeftAlone() throws {
        let path = temporaryPath("file")
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        #expect(throws: SocketError.notSocket(path: path)) { try Listener.unix(path: path) }
        let link = temporaryPath("link")
        #expect(symlink("/nowhere", link) == 0)
        #expect(throws: SocketError.notSocket(path: link)) { try Listener.unix(path: link) }
        unlink(path)
        unlink(link)
    }

    @Test func closeRemovesNoOtherSocketsFile() throws {
        let path = temporaryPath("socket")
        let first = try Listener.unix(path: path)
        unlink(path)
        let second = try Listener.unix(path: path)
        first.close()
        #expect(access(path, F_OK) == 0)
        second.close()
        #expect(access(path, F_OK) != 0)
    }

    @Test func unixPathHasALimit() throws {
        let directory = temporaryPath("")
        let longest = directory + String(repeating: "p", count: 107 - directory.utf8.count)
        let listener = try Listener.unix(path: longest)
        #expect(SocketAddress.local(of: listener.socket) == .unix(path: longest))
        listener.close()
        #expect(throws: SocketError.pathLength(longest + "p")) {
            try Listener.unix(path: longest + "p")
        }
        #expect(throws: SocketError.pathLength("")) { try Listener.unix(path: "") }
    }
}

@Suite struct RingErrorTests {
    @Test func refusalNamesTheErrorAndTheCure() {
        #expect(RingError.denied(errno: EPERM).explanation.contains("(EPERM)"))
        let refused = RingError.denied(errno: EPERM)
        #expect(refused.explanation(sysctl: 2).contains("io_uring_disabled is 2, for nobody"))
        #expect(refused.explanation(sysctl: 1).contains("io_uring_group"))
        #expect(refused.explanation(sysctl: 0).contains("seccomp"))
        #expect(refused.explanation(sysctl: nil).contains("seccomp"))
        let absent = RingError.denied(errno: ENOSYS)
        #expect(absent.explanation(sysctl: nil).contains("6.1"))
        #expect(absent.explanation(sysctl: 0).contains("io_uring_disabled is 0, so a seccomp"))
        #expect(RingError.memory.explanation.contains("memlock"))
        #expect(RingError.kernelLacks("multishot (6.0)").explanation.contains("multishot (6.0)"))
        #expect(RingError.submission(errno: EBADR).explanation.contains("EBADR"))
        for error in [RingError.denied(errno: EPERM), .denied(errno: 9999), .memory] {
            #expect(!error.explanation.contains("\n"))
        }
    }

    @Test func ringFitsItsShareOfLockedMemory() {
        var size = RingConfiguration()
        #expect(size.lockedBytes == (64 << 10) + (136 << 10) + (8 << 10))
        size.fit(lockedBytes: 1 << 20)
        #expect(size == RingConfiguration())
        size.ringCount = 5
        for limit in [1 << 20, 512 << 10, 100 << 10, 64 << 10] {
            size.fit(lockedBytes: limit)
            #expect(size.lockedBytes <= limit / 5)
            #expect(size.completions >= size.entries)
        }
        #expect(size.bufferBytes == RingConfiguration().bufferBytes)
        size.fit(lockedBytes: 0)
        #expect(size.lockedBytes == 3 * 4096)
        #expect(size.bufferCount == 256)
        var control = RingConfiguration.control
        control.fit(lockedBytes: 0)
        #expect(control.lockedBytes == 2 * 4096)
    }

    @Test func tokenKeepsItsThreePartsApart() {
        let token = Token(.timeout, slot: .max, generation: .max)
        #expect(token.generation == 0xFF_FFFF)
        #expect(Token(bits: token.bits) == token)
        #expect(Token(bits: .max).operation == .none)
        #expect(Token(.accept, slot: 1, generation: 0x100_0002).generation == 2)
    }
}
