import Journal
import Policies

extension Journal {
  /// Opens the journal that the settings configure; nil if they configure none.
  convenience init?(
    _ settings: GatewaySettings, _ report: @escaping @Sendable (String) -> Void
  ) throws(StartFault) {
    guard let settings = settings.idempotency else { return nil }
    do throws(JournalFault) {
      try self.init(JournalSettings(settings), report: report)
    } catch {
      throw StartFault(description: "idempotency: \(error)")
    }
  }
}

extension JournalSettings {
  init(_ settings: IdempotencySettings) {
    self.init(
      folder: settings.folder, ttlSeconds: settings.ttlSeconds, keysMax: settings.keysMax,
      keysPerClientMax: settings.keysPerClientMax, diskBytesMax: settings.diskBytesMax)
  }
}
