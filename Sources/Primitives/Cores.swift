// Cores: how much of the machine this process may use.

internal import CPrimitives

/// The cores of the machine.
public enum Cores {
    /// Cores this process may run on, at least 1 (affinity counts, shares of time do not).
    public static var available: Int { max(Int(cprim_core_count()), 1) }
}
