// What a request counts as for those who watch single requests (Observers.swift).

internal import Memcache

extension Request {
    /// Nil for what is not counted.
    var observed: Observed? {
        switch verb {
        case .get, .gets, .gat, .gats, .metaGet: return .get
        case .set, .add, .replace, .append, .prepend, .cas, .metaSet: return .set
        case .delete, .metaDelete: return .delete
        case .binary: break
        default: return nil
        }
        switch BinaryOpcode(rawValue: opcode) {
        case .get, .getQ, .getK, .getKQ, .getAndTouch, .getAndTouchQ, .getAndTouchK,
            .getAndTouchKQ:
            return .get
        case .set, .setQ, .add, .addQ, .replace, .replaceQ, .append, .appendQ, .prepend,
            .prependQ:
            return .set
        case .delete, .deleteQ: return .delete
        default: return nil
        }
    }
}
