// WholeClient: one connection: requests that wait to be sent, those under way, and what came back.

import Simulation
import Support

final class WholeClient {
    let peer: SimulatedNetwork.Peer
    /// Counts all connections of a play.
    let number: Int
    /// It speaks the binary protocol.
    let isBinary: Bool
    private var askedCount: UInt32 = 0
    private(set) var unsent: [UInt8] = []
    private var sentBytes = 0
    private var askedBytes = 0
    /// Asked and not answered yet, the oldest first.
    private(set) var questions: [Question] = []
    private var received: [UInt8] = []
    var hasFinished = false

    init(_ peer: SimulatedNetwork.Peer, number: Int, isBinary: Bool) {
        self.peer = peer
        self.number = number
        self.isBinary = isBinary
    }

    var isAnswered: Bool { questions.isEmpty }
    /// Whether a date is under way.
    var hasDates: Bool { questions.contains { $0.lifetime.isDate } }

    func ask(_ question: Question) {
        var question = question
        if isBinary { question.dialect = .binary }
        question.number = askedCount
        askedCount += 1
        let bytes = question.bytes
        question.complete = askedBytes + question.bytesToBegin(of: bytes)
        askedBytes += bytes.count
        unsent += bytes
        questions.append(question)
    }

    /// The next bytes to send, at most so many: requests that can be executed with them begin.
    func takeUnsent(_ limit: Int, _ world: WholeWorld) -> [UInt8] {
        let part = Array(unsent.prefix(limit))
        unsent.removeFirst(part.count)
        sentBytes += part.count
        for at in questions.indices where questions[at].began == nil {
            guard questions[at].complete <= sentBytes else { break }
            world.begin(&questions[at], by: self)
        }
        return part
    }

    // MARK: Hearing

    /// Reads answers as far as they are whole.
    func hear(_ bytes: [UInt8], _ world: WholeWorld) {
        received += bytes
        while !received.isEmpty {
            guard let question = questions.first, let began = question.began else {
                return world.fail("c\(number): an answer to nothing: \(describe(received))")
            }
            if question.isQuiet {
                guard let wasSilent = wasSilent(question) else { return }
                if wasSilent {
                    questions.removeFirst()
                    world.endSilently(question, isCertain: question.dialect != .classic)
                    continue
                }
            }
            switch question.hear(received, world.law.seconds(since: began)) {
            case .more: return
            case .wrong(let what): return world.fail("c\(number): \(what)")
            case .answer(let count, let verdicts):
                received.removeFirst(count)
                questions.removeFirst()
                world.end(question, verdicts, by: self)
            }
            if world.isOver { return }
        }
    }

    /// Whether what has come belongs to the request behind a quiet one; nil: that cannot be told
    /// yet. Only a classic command is never answered; `mn` follows a meta command.
    private func wasSilent(_ question: Question) -> Bool? {
        switch question.dialect {
        case .classic: true
        case .meta: received.prefix(2) == [0x4D, 0x4E]
        case .binary:
            received.count < 16
                ? nil : BinaryPacket.number(received[12..<16]) != UInt64(question.number)
        }
    }

    /// The connection is gone: what is under way is done or not.
    func abandon(_ world: WholeWorld) {
        for question in questions { world.abandon(question) }
        questions = []
        unsent = []
        received = []
    }
}
