// RunTables: the memory that a worker takes at its start.

internal import Primitives

/// Regions of one worker, by the plan and the count of its connections.
struct RunTables: BitwiseCopyable {
    let pending: PendingRequests
    let keys: KeyText
    /// What values are made of.
    let values: ValueText
    /// Keys that were missed and are to be stored next, as a client of a cache does that reads
    /// them elsewhere; here this takes no time. Nothing new is sent while there are any, so there
    /// are never more than keys in `depth` requests.
    let lookAside: Rings<UInt32>
    let buffers: WireBuffers

    init(plan: LoadPlan, connectionCount: Int) throws(LoadFailure) {
        let sendBytes = (plan.longestRequestBytes * plan.depth + 63) / 64 * 64
        do throws(MemoryError) {
            keys = try KeyText(sizes: plan.keySizes)
            pending = try PendingRequests(
                connectionCount: connectionCount, depth: plan.depth,
                keysMax: plan.keysPerRequestMax,
                hasVersions: plan.verifies)
            buffers = try WireBuffers(connectionCount: connectionCount, sendBytesMax: sendBytes)
            values = try ValueText(bytesMax: plan.valueSizes.most)
            lookAside = try Rings(
                connectionCount: plan.followsMisses ? connectionCount : 0,
                capacity: plan.depth * plan.keysPerRequestMax)
        } catch {
            throw .memory(
                byteCount: WireBuffers.byteCount(
                    connectionCount: connectionCount, sendBytesMax: sendBytes))
        }
    }
}
