import Testing

/// Whole fleets of real processes, one at a time.
@Suite("System", .serialized, .timeLimit(.minutes(15)))
struct SystemTests {}
