// ExecuteSignIn: who signs in, and who is refused. What may pass before that is the parser's.
//
// Once for a connection, so text is taken apart with ordinary arrays. A second refusal in a row is
// answered after a second, in which only its own connection stands; the fifth is the last.

internal import Memcache
internal import Primitives
internal import Store

/// What a connection's tries to sign in came to.
struct SignInTries: BitwiseCopyable {
    static let refusalsMax = 5

    var refusals: UInt8 = 0
    /// Whether the try that is executed again has been waited for.
    var isPaidFor = false

    /// Whether a refusal is not told yet: the first is told at once.
    var mustPay: Bool { refusals > 0 && !isPaidFor }
}

/// What a token is.
private enum TokenVerdict {
    case admitted, refused
    /// It is no user and password.
    case malformed
    /// SASL: the mechanism was named, the token is to follow.
    case awaited
}

extension Worker where Network: ~Copyable {
    mutating func executeSignIn(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        let request = batch[index].request
        guard !request.isBinary || shared.settings.sasl.isEnabled else {
            answerBinaryError(slot, request.head, BinaryStatus.unknownCommand, space)
            return true
        }
        let token = request.isBinary ? saslToken(index) : textToken(index)
        if case .refused = token, connections[slot].signIn.mustPay {
            connections[slot].signIn.isPaidFor = true
            connections[slot].waiting.done()
            beginWait(slot, .penalty)
            return false
        }
        connections[slot].signIn.isPaidFor = false
        counters.add(.signIns)
        if request.isBinary { counters.add(.saslSignIns) }
        switch token {
        case .admitted:
            connections[slot].signIn.refusals = 0
            connections[slot].parser.admit()
        case .refused:
            counters.add(.signInErrors)
            if request.isBinary { counters.add(.saslSignInErrors) }
            connections[slot].signIn.refusals += 1
            if connections[slot].signIn.refusals >= SignInTries.refusalsMax {
                connections[slot].leaving = .refused
            }
        case .malformed:
            counters.add(.signInErrors)
            if request.isBinary { counters.add(.saslSignInErrors) }
        case .awaited: break
        }
        var writer = replyWriter(space)
        if request.isBinary {
            writeSASL(token, request.head, to: &writer)
        } else {
            writeSignIn(token, request.verb, to: &writer)
        }
        addReply(slot, writer, space)
        return true
    }

    private mutating func writeSASL(
        _ token: TokenVerdict, _ head: BinaryHead, to writer: inout ByteWriter
    ) {
        switch token {
        case .admitted: BinaryReply.text(head, "Authenticated", to: &writer)
        case .awaited: BinaryReply.header(head, status: BinaryStatus.authContinue, to: &writer)
        case .refused, .malformed: BinaryReply.error(head, BinaryStatus.authError, to: &writer)
        }
    }

    private mutating func writeSignIn(
        _ token: TokenVerdict, _ verb: Verb, to writer: inout ByteWriter
    ) {
        switch token {
        case .admitted where verb == .metaSignIn: writer.append("HD\r\n")
        case .admitted, .awaited: Reply.stored(to: &writer)
        case .refused: writer.append("CLIENT_ERROR authentication failure\r\n")
        case .malformed: writer.append("CLIENT_ERROR bad authentication token format\r\n")
        }
    }

    // MARK: Tokens

    private mutating func bytes(_ index: Int, _ slice: Slice) -> [UInt8] {
        let place = batch[index].input
        return (0..<Int(slice.count)).map {
            place.region.uint8(at: place.offset + Int(slice.offset) + $0)
        }
    }

    /// `user password`.
    private mutating func textToken(_ index: Int) -> TokenVerdict {
        let token = bytes(index, batch[index].request.value)
        guard let blank = token.firstIndex(of: UInt8(ascii: " ")), blank > 0,
            blank + 1 < token.count
        else { return .malformed }
        return isAdmitted(Array(token[..<blank]), Array(token[(blank + 1)...]))
    }

    /// PLAIN: whom to act for (passed over), user and password, with a zero between them.
    private mutating func saslToken(_ index: Int) -> TokenVerdict {
        let request = batch[index].request
        guard bytes(index, request.argument).elementsEqual("PLAIN".utf8) else { return .refused }
        guard request.value.count > 0 else {
            return request.opcode == BinaryOpcode.saslStart.rawValue ? .awaited : .refused
        }
        let parts = bytes(index, request.value).split(
            separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return .refused }
        return isAdmitted(Array(parts[1]), Array(parts[2]))
    }

    private mutating func isAdmitted(_ user: [UInt8], _ password: [UInt8]) -> TokenVerdict {
        shared.access.admits(user: user, password: password) ? .admitted : .refused
    }
}
