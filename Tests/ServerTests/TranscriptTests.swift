// TranscriptTests: the transcripts against a worker on a simulated ring: as they are written, byte
// by byte, and cut at every position. How bytes were cut on their way must never show.

import ServerSimulation
import Simulation
import Testing
import Uring

@Suite struct TranscriptTests {
    @Test(arguments: Script.all.map(\.name))
    func everyTranscriptIsAnsweredAsWritten(_ name: String) throws {
        try replay(name, faults: .none) { world, bytes, peer in
            world.network.send(bytes, from: peer)
            try world.settle()
        }
    }

    @Test(arguments: Script.all.map(\.name))
    func everyTranscriptIsAnsweredAlikeByteByByte(_ name: String) throws {
        try replay(name, faults: .none) { world, bytes, peer in
            guard bytes.count <= 3000 else {
                world.network.send(bytes, from: peer)
                return try world.settle()
            }
            for byte in bytes {
                world.network.send([byte], from: peer)
                try world.turn(2)
            }
            try world.settle()
        }
    }

    @Test(arguments: Script.all.map(\.name))
    func everyTranscriptIsAnsweredAlikeOnARoughNetwork(_ name: String) throws {
        var faults = FaultPlan.rough
        faults.resets = 0
        try replay(name, faults: faults) { world, bytes, peer in
            world.network.send(bytes, from: peer)
            try world.settle()
        }
    }

    @Test(arguments: Script.all.map(\.name))
    func everyTranscriptIsAnsweredAlikeWhereverItIsCut(_ name: String) throws {
        let script = try #require(Script.all.first { $0.name == name })
        // Nobody frees memory here, and pages that are not touched cost nothing.
        let world = try World(memoryBytes: 512 << 20)
        for section in script.sections {
            guard let stream = plainStream(section) else { continue }
            let whole = try answer(world, stream, cut: 0)
            for cut in positions(stream.count) {
                let parted = try answer(world, stream, cut: cut)
                guard parted != whole else { continue }
                Issue.record("\(name) [\(section.name)] cut at \(cut) is answered differently")
                return
            }
        }
    }

    // MARK: Replaying

    private func replay(
        _ name: String, faults: FaultPlan,
        _ feed: (World, [UInt8], SimulatedNetwork.Peer) throws -> Void
    ) throws {
        let script = try #require(Script.all.first { $0.name == name })
        let world = try World(faults: faults)
        var names: [String: [UInt8]] = [:]
        for section in script.sections {
            // A delayed flush is the store's own thread's work, by the system's clock; and a
            // rough network takes its time with what is large (NetworkSimulationTests has that).
            if (name, section.name) == ("flush.txt", "later") { continue }
            if faults != .none, sentBytes(section) > 50_000 { continue }
            let peer = world.connect()
            try world.settle()
            var received: [UInt8] = []
            var isFinished = false
            for (number, step) in section.steps.enumerated() {
                let place = "\(name) [\(section.name)] step \(number)"
                switch step {
                case .send(let text): try feed(world, text.bytes(names), peer)
                case .pass(let seconds): try world.pass(seconds: seconds)
                case .close:
                    try world.settle()
                    received += world.network.takeReceived(by: peer)
                    #expect(received.isEmpty && world.network.isClosed(peer), "\(place)")
                    isFinished = true
                case .expect(let text, let skips):
                    received += world.network.takeReceived(by: peer)
                    guard take(text, skips, &received, &names) else {
                        let came = String(decoding: received.prefix(100), as: UTF8.self)
                        Issue.record(
                            "\(place) came, of \(received.count): \(came.debugDescription)")
                        return
                    }
                }
            }
            if !isFinished { world.network.finish(peer) }
            try world.settle()
            received += world.network.takeReceived(by: peer)
            #expect(received.isEmpty, "\(name) [\(section.name)] left over")
            #expect(world.network.isClosed(peer), "\(name) [\(section.name)] not closed")
        }
        #expect(world.shared.connectionCount == 0)
    }

    private func take(
        _ text: Script.Text, _ skips: Bool, _ received: inout [UInt8],
        _ names: inout [String: [UInt8]]
    ) -> Bool {
        if text.isPlain, !skips {
            let bytes = text.bytes(names)
            guard received.starts(with: bytes) else { return false }
            received.removeFirst(bytes.count)
            return true
        }
        if let count = text.count, !skips {
            guard text.matches(received.prefix(count), &names) else { return false }
            received.removeFirst(count)
            return true
        }
        while let end = received.firstIndex(of: 10) {
            let line = received[...end]
            let isMatch = text.matches(line, &names)
            received.removeFirst(end + 1)
            if isMatch { return true }
            guard skips else { return false }
        }
        return false
    }

    private func sentBytes(_ section: Script.Section) -> Int {
        section.steps.reduce(0) { sum, step in
            if case .send(let text) = step { sum + text.bytes([:]).count } else { sum }
        }
    }

    // MARK: Cutting

    /// All bytes of a section as one, if nothing in them depends on time or on earlier answers.
    private func plainStream(_ section: Script.Section) -> [UInt8]? {
        var stream: [UInt8] = []
        for step in section.steps {
            switch step {
            case .send(let text):
                guard text.isPlain else { return nil }
                stream += text.bytes([:])
            case .expect(_, let skips): if skips { return nil }
            case .pass: return nil
            case .close: break
            }
        }
        return stream.isEmpty ? nil : stream
    }

    private func positions(_ count: Int) -> [Int] {
        guard count > 600 else { return Array(1..<max(count, 1)) }
        let step = count / (count > 20_000 ? 16 : 100)
        return Array(1...30) + Array(stride(from: 41, to: count, by: step))
            + Array(count - 5..<count)
    }

    private func answer(_ world: World, _ stream: [UInt8], cut: Int) throws -> [UInt8] {
        let flusher = world.connect()
        _ = try world.ask("flush_all\r\nquit\r\n", flusher)
        let peer = world.connect()
        try world.settle()
        if cut > 0 {
            world.network.send(Array(stream[..<cut]), from: peer)
            try world.settle()
        }
        world.network.send(Array(stream[cut...]), from: peer)
        try world.settle()
        world.network.finish(peer)
        try world.settle()
        return withoutNumbers(world.network.takeReceived(by: peer))
    }

    /// The same for packets.
    private func withoutCas(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        var start = 0
        while start + 24 <= bytes.count, bytes[start] == 0x81 {
            for index in start + 16..<start + 24 { bytes[index] = 0 }
            start += 24 + bytes[start + 8..<start + 12].reduce(0) { $0 << 8 | Int($1) }
        }
        return bytes
    }

    /// The CAS at the end of a value's line, or behind a c, differs from run to run.
    private func withoutNumbers(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.first != 0x81 else { return withoutCas(bytes) }
        var lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where line.starts(with: "VALUE ".utf8) {
            let words = line.split(separator: 32)
            guard words.count == 5 else { continue }
            lines[index] = ArraySlice(words.dropLast().joined(separator: [32]))
        }
        for (index, line) in lines.enumerated() {
            guard ["HD ", "VA ", "ME "].contains(where: { line.starts(with: $0.utf8) }) else {
                continue
            }
            let words = line.split(separator: 32).filter { $0.first != UInt8(ascii: "c") }
            lines[index] = ArraySlice(words.joined(separator: [32]))
        }
        return Array(lines.joined(separator: [10]))
    }
}
