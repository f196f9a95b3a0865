import Synchronization

/// The gateways, Cores and other servers that one test has started.
///
/// `.scopedFixtures` makes them for each test and stops them when it ends.
package final class Fixtures: Sendable {
  /// The fixtures of the running test.
  @TaskLocal package static var current: Fixtures?

  package struct NoScope: Error, CustomStringConvertible {
    package var description: String { "this suite starts servers: give it the trait .scopedFixtures" }
  }

  private struct Entry: Sendable {
    let stop: @Sendable () throws -> Void
    let log: (@Sendable () -> String)?
    var shownCharacters = 0
  }

  /// Enough for the last lines of a log, without hiding the test's own message.
  private static let shownCharactersMax = 4_000

  private let entries = Mutex<[Entry]>([])

  /// The fixtures of the running test; throws in a suite without the trait.
  package static func ofTest() throws -> Fixtures {
    guard let current else { throw NoScope() }
    return current
  }

  /// Keeps what `body` starts until the process ends, for tests that share it.
  package static func shared<Result>(_ body: () throws -> Result) rethrows -> Result {
    try $current.withValue(Fixtures(), operation: body)
  }

  /// - Parameters:
  ///   - log: what the server has written so far; a failure shows it.
  ///   - stop: called when the test ends, even if the test itself has already stopped the server.
  package func add(log: (@Sendable () -> String)? = nil, stop: @escaping @Sendable () throws -> Void) {
    entries.withLock { $0.append(Entry(stop: stop, log: log)) }
  }

  /// Keeps an object until the test ends.
  package func keep(_ object: some AnyObject & Sendable) { add { withExtendedLifetime(object) {} } }

  /// What each server has written since the last call; servers that wrote nothing are left out.
  func takeLogs() -> [String] {
    entries.withLock { entries in
      entries.indices.compactMap { index in
        guard let log = entries[index].log?() else { return nil }
        let new = log.dropFirst(entries[index].shownCharacters)
        entries[index].shownCharacters = log.count
        return new.isEmpty ? nil : "log of a gateway:\n\(new.suffix(Self.shownCharactersMax))"
      }
    }
  }

  /// Stops all of them, the last one first; returns the errors.
  func stopAll() -> [any Error] {
    var errors: [any Error] = []
    while let entry = entries.withLock({ $0.popLast() }) {
      do { try entry.stop() } catch { errors.append(error) }
    }
    return errors
  }
}
