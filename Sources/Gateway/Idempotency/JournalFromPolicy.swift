import Journal
import Policies
import System

extension Journal {
  /// Opens the journal that the settings configure; nil if they configure none.
  ///
  /// - Parameter handover: of the process that this one replaces; nil: there is none. The journal stays on, off and in its
  ///   folder: a write in flight there may be repeated here.
  convenience init?(
    _ settings: GatewaySettings, _ handover: Handover?, _ report: @escaping @Sendable (String) -> Void
  ) throws(StartFault) {
    do throws(JournalFault) {
      guard let settings = settings.idempotency else {
        guard handover?.journal == nil else { throw .restartNeeded("the running gateway has a journal of keys") }
        return nil
      }
      guard let handover else {
        try self.init(JournalSettings(settings), report: report)
        return
      }
      guard let older = handover.journal else { throw .restartNeeded("the running gateway has no journal of keys") }
      var isRunning = false
      try self.init(
        JournalSettings(settings), lock: older.takeLock(),
        keys: { () throws(JournalFault) in
          let keys = try InheritedKeys(from: older)
          isRunning = keys != nil
          return keys
        }, report: report)
      guard isRunning else {
        report(
          "upgrade: the older process ended before it handed over its idempotency keys; this one continues from its files"
        )
        return
      }
      startThread(named: "predecessor") { [self] in
        // After a fault its keys stay in flight.
        do throws(Errno) { try older.waitForEnd() } catch { return }
        predecessorEnded()
      }
    } catch {
      throw StartFault(description: "\(error)")
    }
  }
}

extension InheritedKeys {
  /// Nil if the older process has ended: all claims are in its segments then.
  fileprivate init?(from older: InheritedJournal) throws(JournalFault) {
    var received: [UInt8]?
    do throws(Errno) { received = try older.receiveKeys() } catch { throw .keysUnreadable }
    guard let received else { return nil }
    guard let keys = InheritedKeys(received.span) else { throw .keysUnreadable }
    self = keys
  }
}

extension JournalSettings {
  init(_ settings: IdempotencySettings) {
    self.init(
      folder: settings.folder, ttlSeconds: settings.ttlSeconds, keysMax: settings.keysMax,
      keysPerClientMax: settings.keysPerClientMax, diskBytesMax: settings.diskBytesMax)
  }
}
