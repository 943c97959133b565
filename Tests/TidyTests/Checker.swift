// Checker: the rules of how this project's files look, as functions of a path and a text.
//
// It knows nothing of the disk but through `exists`, so it is tested on bad samples.

/// What a file may do wrong.
enum Rule: String, CaseIterable {
    case lineLength, fileLength, functionLength, header
    case imports, fence, trap
    case openTask, machinePath, link
    case deadName, staleName, storedFields, suiteName
}

struct Finding: Equatable, CustomStringConvertible {
    let path: String
    let line: Int
    let rule: Rule
    let detail: String
    var description: String { "\(path):\(line): \(rule.rawValue): \(detail)" }
}

struct Checker {
    static let lineColumnsMax = 100
    static let fileLinesMax = 500
    static let functionLinesMax = 70
    static let headerLinesMax = 8

    /// Whether a path, relative to the package's folder, names something.
    let exists: (String) -> Bool

    /// Everything wrong with the file at `path`, relative to the package's folder.
    func findings(in path: String, _ text: String) -> [Finding] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var findings = openTasks(path, lines) + machinePaths(path, lines)
        if path.hasSuffix(".md") { return findings + links(path, lines) }
        findings += lineLengths(path, lines)
        guard [".swift", ".c", ".h", ".py", ".sh"].contains(where: path.hasSuffix) else {
            return findings
        }
        findings += fileLength(path, lines)
        guard path.hasSuffix(".swift"), path != "Package.swift" else { return findings }
        let source = SwiftSource(text)
        return findings + functionLengths(path, source) + header(path, lines)
            + imports(path, source) + fence(path, source) + traps(path, source)
    }

    // MARK: Size

    private func lineLengths(_ path: String, _ lines: [String]) -> [Finding] {
        // An expression of a dashboard is one string of JSON, which cannot be broken.
        guard !path.hasPrefix("config/grafana/") else { return [] }
        return lines.enumerated().compactMap { index, line in
            // A declaration of a pattern cannot be broken without changing it.
            guard line.count > Self.lineColumnsMax, line.prefixMatch(of: /\s+\/[^\/\s]/) == nil
            else { return nil }
            return Finding(
                path: path, line: index + 1, rule: .lineLength, detail: "\(line.count) columns")
        }
    }

    private func fileLength(_ path: String, _ lines: [String]) -> [Finding] {
        let count = lines.last == "" ? lines.count - 1 : lines.count
        guard count > Self.fileLinesMax else { return [] }
        return [Finding(path: path, line: count, rule: .fileLength, detail: "\(count) lines")]
    }

    private func functionLengths(_ path: String, _ source: SwiftSource) -> [Finding] {
        source.functions.filter { $0.lineCount > Self.functionLinesMax }.map {
            Finding(
                path: path, line: $0.line, rule: .functionLength, detail: "\($0.lineCount) lines")
        }
    }

    private func header(_ path: String, _ lines: [String]) -> [Finding] {
        let count = lines.prefix { $0.hasPrefix("//") && !$0.hasPrefix("///") }.count
        guard count < 1 || count > Self.headerLinesMax else { return [] }
        return [
            Finding(
                path: path, line: 1, rule: .header,
                detail: "opens with \(count) comment lines, 1 to \(Self.headerLinesMax) are wanted")
        ]
    }

    // MARK: Code

    private func imports(_ path: String, _ source: SwiftSource) -> [Finding] {
        guard let module = Layers.module(of: path), let allowed = Layers.imports[module] else {
            guard Layers.isLayered(path) else { return [] }
            return [Finding(path: path, line: 1, rule: .imports, detail: "module of no layer")]
        }
        return words(
            /(?:^|\s)import\s+(?:(?:struct|class|enum|func|protocol|typealias|var|let)\s+)?(\w+)/,
            path, source, .imports
        ) { !allowed.contains($0) }
    }

    private func fence(_ path: String, _ source: SwiftSource) -> [Finding] {
        guard let module = Layers.module(of: path), !Layers.fenced.contains(module) else {
            return []
        }
        return words(
            /\b(unsafe\w*|_unsafe\w*|Unsafe\w*|withUnsafe\w*|Unmanaged|unchecked\w*)\b/,
            path, source, .fence
        ) { _ in true }
    }

    /// A trap is for our own mistakes, and `precondition` is the one way to spell it.
    private func traps(_ path: String, _ source: SwiftSource) -> [Finding] {
        guard Layers.module(of: path) != nil else { return [] }
        return words(/(\bfatalError\b|\btry!|\bas!)/, path, source, .trap) { _ in true }
    }

    private func words(
        _ pattern: Regex<(Substring, Substring)>, _ path: String, _ source: SwiftSource,
        _ rule: Rule, _ isWrong: (String) -> Bool
    ) -> [Finding] {
        let pattern = pattern.wordBoundaryKind(.simple)
        return source.lines.enumerated().flatMap { index, line in
            line.matches(of: pattern)
                .map { String($0.output.1) }.filter(isWrong)
                .map { Finding(path: path, line: index + 1, rule: rule, detail: $0) }
        }
    }

    // MARK: Words

    private func openTasks(_ path: String, _ lines: [String]) -> [Finding] {
        let pattern = /\b(TO\x{44}O|FIX\x{4D}E|XX\x{58}|HA\x{43}K)\b(?!\s*\(#\d+\))/
            .wordBoundaryKind(.simple)
        return lines.enumerated().compactMap { index, line in
            guard let match = line.firstMatch(of: pattern) else { return nil }
            return Finding(
                path: path, line: index + 1, rule: .openTask,
                detail: "\(match.output.1) without an issue number")
        }
    }

    private func machinePaths(_ path: String, _ lines: [String]) -> [Finding] {
        let pattern = /(?:^|[^\w.~\/-])(\/(?:home|Users|root|work|workspace|workspaces)\/[\w.-]+)/
        return lines.enumerated().compactMap { index, line in
            guard let match = line.firstMatch(of: pattern) else { return nil }
            return Finding(
                path: path, line: index + 1, rule: .machinePath, detail: String(match.output.1))
        }
    }

    private func links(_ path: String, _ lines: [String]) -> [Finding] {
        var isCode = false
        var findings: [Finding] = []
        let folder = path.split(separator: "/").dropLast().map(String.init)
        for (index, line) in lines.enumerated() {
            if line.hasPrefix("```") { isCode.toggle() }
            guard !isCode else { continue }
            for match in line.matches(of: /\]\(([^)\s]+)\)/) {
                let target = match.output.1
                guard !target.contains("://"), !target.hasPrefix("#") else { continue }
                let steps = target.prefix { $0 != "#" }.split(separator: "/").map(String.init)
                if let resolved = resolve(steps, from: folder), exists(resolved) { continue }
                findings.append(
                    Finding(path: path, line: index + 1, rule: .link, detail: String(target)))
            }
        }
        return findings
    }

    private func resolve(_ steps: [String], from folder: [String]) -> String? {
        var place = folder
        for step in steps where step != "." {
            if step != ".." {
                place.append(step)
            } else if place.popLast() == nil {
                return nil
            }
        }
        return place.joined(separator: "/")
    }
}
