// WorkerTables: the memory that a worker takes at its start, and how it is laid out.

internal import Primitives

/// Regions of one worker, by the plan and the count of its connections.
struct WorkerTables: BitwiseCopyable {
    let pending: PendingRequests
    let keys: KeyText
    /// What values are made of.
    let values: ValueText
    let lookAside: LookAside
    /// Send buffers of all connections, then their carry buffers.
    let memory: Region
    let sendBufferBytes: Int

    init(plan: LoadPlan, connectionCount: Int) throws(LoadFailure) {
        let sendBytes = (plan.longestRequestBytes * plan.depth + 63) / 64 * 64
        let bytes = (sendBytes + Worker.carryBytesMax) * connectionCount
        sendBufferBytes = sendBytes
        do throws(MemoryError) {
            keys = try KeyText(sizes: plan.keySizes)
            pending = try PendingRequests(
                connectionCount: connectionCount, depth: plan.depth,
                keysMax: plan.keysPerRequestMax,
                hasVersions: plan.verifies)
            memory = try Region.map(byteCount: bytes)
            values = try ValueText(bytesMax: plan.valueSizes.most)
            lookAside = try LookAside(
                connectionCount: plan.followsMisses ? connectionCount : 0,
                keysMax: plan.depth * plan.keysPerRequestMax)
        } catch {
            throw .memory(byteCount: bytes)
        }
    }
}
