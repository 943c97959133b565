// ExtendedOptions: `-o` and `--extended`, memcached's list of further options.
//
// Most of them tune slabs, LRU threads and an external store that Brim does not have: they are
// passed over with one warning for all. What has a meaning here becomes a flag; what is unknown
// gets a warning, as a newer memcached may know it.

/// What a list of further options comes to.
struct ExtendedOptions {
    var arguments: [String] = []
    var idle: [String] = []
    var unknown: [String] = []

    /// Adds `name` or `name=value`, joined by commas.
    mutating func read(_ list: String) throws(UsageError) {
        for option in list.split(separator: ",") {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            guard let name = parts.first else { continue }
            switch name {
            case "idle_timeout":
                guard parts.count == 2 else { throw UsageError("-o idle_timeout needs a value") }
                arguments.append("--idle-timeout=\(parts[1])")
            case "ssl_chain_cert", "ssl_key":
                throw UsageError("-o \(name) (TLS) is not supported yet")
            default:
                if Self.tuning.contains(name) || Self.families.contains(where: name.hasPrefix) {
                    if !idle.contains(name) { idle.append(name) }
                } else {
                    unknown.append(name)
                }
            }
        }
    }

    /// One line for all that have no effect, one for each that nobody knows.
    var warnings: [String] {
        var lines = unknown.map { "-o \($0) ignored: there is no such option" }
        if !idle.isEmpty {
            lines.append(
                "-o \(idle.joined(separator: ",")) without effect: tunes what does not exist here")
        }
        return lines
    }

    private static let tuning: Set<String> = [
        "maxconns_fast", "no_maxconns_fast", "hashpower", "tail_repair_time", "hash_algorithm",
        "lru_crawler", "no_lru_crawler", "lru_maintainer", "no_lru_maintainer", "hot_lru_pct",
        "warm_lru_pct", "hot_max_factor", "warm_max_factor", "temporary_ttl", "track_sizes",
        "no_hashexpand", "modern", "no_modern", "drop_privileges", "no_drop_privileges",
        "inline_ascii_resp", "no_inline_ascii_resp", "watcher_logbuf_size", "worker_logbuf_size",
        "resp_obj_mem_limit", "read_buf_mem_limit", "no_chunked_items", "chunked_items",
        "no_lru_segmented", "no_slab_reassign", "meta_response_old",
    ]
    private static let families = ["slab_", "lru_crawler_", "ext_", "no_slab_", "no_ext_"]
}
