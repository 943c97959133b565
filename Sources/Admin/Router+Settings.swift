// Router+Settings: the settings as JSON: what holds now, what would after a restart, what could
// change without one.

internal import Server

extension Router {
    static func configText(_ known: (facts: [SettingFact], fault: String?)) -> JSONText {
        var text = JSONText()
        text.object { text in
            text.name("settings")
            text.object { text in
                for fact in known.facts {
                    text.name(fact.name)
                    add(fact, to: &text)
                }
            }
            addNames("not_default", known.facts.filter { $0.value != $0.byDefault }, to: &text)
            addNames("not_configured", known.facts.filter { $0.value != $0.configured }, to: &text)
            if let fault = known.fault {
                text.name("error")
                text.string(fault)
            }
        }
        return text
    }

    private static func add(_ fact: SettingFact, to text: inout JSONText) {
        text.object { text in
            let values = [
                ("value", fact.value), ("configured", fact.configured),
                ("default", fact.byDefault),
            ]
            for (name, value) in values {
                text.name(name)
                text.string(value)
            }
            text.name("reloadable")
            text.boolean(fact.isReloadable)
        }
    }

    private static func addNames(
        _ name: String, _ facts: [SettingFact], to text: inout JSONText
    ) {
        text.name(name)
        text.array { text in for fact in facts { text.string(fact.name) } }
    }
}
