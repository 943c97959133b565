// Churn: known numbers of allocations, retains and exclusivity checks, for the counting
// interposer.

import Glibc

final class Node {
    var next: Node?
    var count = 0
    init(_ next: Node?) { self.next = next }
}

final class Holder {
    var chain: Node?
    var shared: Node?
    var visits = 0
}

@inline(never)
func grow(_ holder: Holder) {
    holder.chain = Node(holder.chain)
}

/// A second reference: one retain, and one release of what was there.
@inline(never)
func share(_ holder: Holder) {
    holder.shared = holder.chain
}

/// A change during which something unknown runs: an exclusivity check.
@inline(never)
func visit(_ holder: Holder, _ step: (Int) -> Int) {
    func change(_ count: inout Int) { count = step(count) }
    change(&holder.visits)
}

func churn(control: String) {
    writeFile("/proc/self/comm", Array("brim-worker-7".utf8))
    let holder = Holder()
    writeFile(control, Array("start".utf8))
    usleep(200_000)
    for _ in 0..<1000 {
        grow(holder)
        share(holder)
        visit(holder) { $0 + Int(getpid() > 0 ? 1 : 0) }
    }
    writeFile(control, Array("stop".utf8))
    usleep(200_000)
    // Taken apart by hand: a chain that frees itself would recurse.
    while let node = holder.chain { holder.chain = node.next }
    say("visits \(holder.visits)")
}
