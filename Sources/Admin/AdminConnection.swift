// AdminConnection: one HTTP/1 connection: its limits of size and time, and its answers in order.

internal import NIOCore
internal import NIOHTTP1
internal import Server

/// What the two handlers of a connection know of each other.
final class ConnectionState {
    /// Bytes that came of a head that is not whole.
    var headBytes = 0
    var awaitsHead = true
    /// The last answer is on its way; what still comes is nobody's.
    var isOver = false
}

/// Counts the bytes of a head before they are parsed, so that no endless one is kept.
final class HeadGuard: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let state: ConnectionState
    private var isFirst = true

    init(_ state: ConnectionState) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data)
        guard !state.isOver else { return }
        if isFirst, bytes.readableBytesView.starts(with: "PRI * HTTP/2".utf8) {
            return refuse(context, "505 HTTP Version Not Supported")
        }
        isFirst = false
        if state.awaitsHead { state.headBytes += bytes.readableBytes }
        context.fireChannelRead(data)
        if state.awaitsHead, !state.isOver, state.headBytes > AdminServer.Limits.headBytesMax {
            refuse(context, "431 Request Header Fields Too Large")
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ status: String) {
        state.isOver = true
        let text = "HTTP/1.1 \(status)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        context.writeAndFlush(Self.wrapOutboundOut(context.channel.allocator.buffer(string: text)))
            .assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }
}

/// Answers requests, one after the other.
final class AdminConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let core: AdminCore
    private let state: ConnectionState
    private let isLocal: Bool
    private var isCounted = false
    private var head: HTTPRequestHead?
    private var bodyBytes = 0
    private var timer: Scheduled<Void>?

    init(_ core: AdminCore, _ state: ConnectionState, isLocal: Bool) {
        self.core = core
        self.state = state
        self.isLocal = isLocal
    }

    // MARK: Connection

    func handlerAdded(context: ChannelHandlerContext) {
        guard core.connectionCount < AdminServer.Limits.connectionsMax else {
            state.isOver = true
            context.close(promise: nil)
            return
        }
        core.connectionCount += 1
        isCounted = true
        expect(context, seconds: AdminServer.Limits.headSecondsMax, isIdle: false)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        if isCounted { core.connectionCount -= 1 }
        isCounted = false
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !state.isOver, error is HTTPParserError else {
            context.close(promise: nil)
            return
        }
        refuse(context, AdminResponse(400, "this is not HTTP\n"))
    }

    /// Closes the connection unless something comes to its end before: with an answer if a request
    /// has begun.
    private func expect(_ context: ChannelHandlerContext, seconds: Int, isIdle: Bool) {
        timer?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: .seconds(Int64(seconds))) {
            let (connection, context) = bound.value
            if connection.state.isOver || isIdle && connection.state.headBytes == 0 {
                // Also a last answer that nobody reads has its time.
                context.close(promise: nil)
            } else {
                connection.refuse(context, AdminResponse(408, "the request took too long\n"))
            }
        }
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !state.isOver else { return }
        switch Self.unwrapInboundIn(data) {
        case .head(let head): begin(context, head)
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            if bodyBytes > AdminServer.Limits.bodyBytesMax {
                refuse(context, AdminResponse(413, "a body may have 64 KiB\n"))
            }
        case .end: end(context)
        }
    }

    private func begin(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        guard context.channel.isWritable else {
            // It asks for more, and does not read what it was answered.
            state.isOver = true
            context.close(promise: nil)
            return
        }
        self.head = head
        state.awaitsHead = false
        state.headBytes = 0
        bodyBytes = 0
        let bytes = head.headers.reduce(head.uri.utf8.count + 16) {
            $0 + $1.name.utf8.count + $1.value.utf8.count + 4
        }
        let announced = head.headers["content-length"].compactMap { Int($0) }.max() ?? 0
        if bytes > AdminServer.Limits.headBytesMax {
            refuse(context, AdminResponse(431, "the head of a request may have 8 KiB\n"))
        } else if head.headers.contains(name: "transfer-encoding") {
            refuse(context, AdminResponse(501, "no transfer encoding is understood\n"))
        } else if announced > AdminServer.Limits.bodyBytesMax {
            refuse(context, AdminResponse(413, "a body may have 64 KiB\n"))
        } else if head.version.major != 1 {
            refuse(context, AdminResponse(505, "HTTP/1.1 is spoken here\n"))
        } else if head.version.minor > 0, head.headers["host"].count != 1 {
            refuse(context, AdminResponse(400, "one Host is needed\n"))
        } else {
            expect(context, seconds: AdminServer.Limits.headSecondsMax, isIdle: false)
        }
    }

    private func end(_ context: ChannelHandlerContext) {
        guard let head else { return }
        let request = AdminRequest(
            method: head.method.rawValue, target: head.uri,
            headers: head.headers.map { ($0.name.lowercased(), $0.value) }, isLocal: isLocal)
        let response = core.router.answer(request)
        let isKept = head.isKeepAlive && head.version.minor > 0
        send(context, response, hasBody: head.method != .HEAD, isKept: isKept)
        self.head = nil
        state.awaitsHead = true
        if isKept { expect(context, seconds: AdminServer.Limits.idleSecondsMax, isIdle: true) }
    }

    /// Answers before the request has ended, and closes.
    private func refuse(_ context: ChannelHandlerContext, _ response: AdminResponse) {
        send(context, response, hasBody: head?.method != .HEAD, isKept: false)
    }

    private func send(
        _ context: ChannelHandlerContext, _ response: AdminResponse, hasBody: Bool, isKept: Bool
    ) {
        var headers = HTTPHeaders([
            ("Content-Type", response.contentType),
            ("Content-Length", "\(response.body.count)"),
            ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
        ])
        for (name, value) in response.headers { headers.add(name: name, value: value) }
        if !isKept { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: response.status),
            headers: headers)
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        if hasBody {
            let body = context.channel.allocator.buffer(bytes: response.body)
            context.write(Self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let done = context.writeAndFlush(Self.wrapOutboundOut(.end(nil)))
        guard !isKept else { return }
        state.isOver = true
        expect(context, seconds: AdminServer.Limits.headSecondsMax, isIdle: false)
        done.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }
}
