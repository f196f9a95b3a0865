import System

/// Shows how much was read in one line of a terminal at standard error, for work that takes over 0.5 s.
struct Progress {
  private let byteCount: Int?
  private var readBytes = 0
  private var shownAt = SystemClock.nanoseconds
  private var isShown = false
  private let isTerminal = Terminal.isAt(2)

  /// - Parameter byteCount: of everything; nil: unknown.
  init(byteCount: Int? = nil) { self.byteCount = byteCount }

  mutating func add(_ bytes: Int) {
    readBytes += bytes
    guard isTerminal, SystemClock.nanoseconds - shownAt > 500_000_000 else { return }
    shownAt = SystemClock.nanoseconds
    isShown = true
    let share = byteCount.map { $0 > 0 ? " (\(min(100, readBytes * 100 / $0))%)" : "" } ?? ""
    write("\r\(readBytes >> 20) MiB read\(share)  ")
  }

  /// Clears the line, at the end or before other output.
  mutating func clear() {
    if isShown { write("\r\u{1b}[K") }
    isShown = false
  }

  private func write(_ text: String) { try? OutputFile.standardError.write(Array(text.utf8).span) }
}
