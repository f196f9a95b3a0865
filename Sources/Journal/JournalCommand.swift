/// A key as operators see it, without the response.
package struct JournalKey: Sendable, Equatable {
  package enum State: String, Sendable, CaseIterable {
    case inFlight = "in_flight"
    case unknown, stored
    case notKept = "not_kept"
    /// The record cannot be read. Its key is not free.
    case unreadable
  }

  package let client: String
  package let instance: String
  /// Empty if the record cannot be read.
  package let key: String
  package internal(set) var state: State
  /// Of the response; nil if there is none, or none is known.
  package let status: Int?
  package let bodyBytes: Int
  package let requestIDHigh: UInt64
  package let requestIDLow: UInt64
  /// When the key was claimed; for a known outcome, when that was recorded.
  package let wallMicroseconds: Int64
}

/// What an operator knows about a write whose outcome the gateway does not know.
package enum KeyResolution: Sendable, Equatable {
  /// Core has executed it, with this status.
  case done(status: Int)
  /// Core has not executed it and never will: the key is free again.
  case notDone
}

package enum ResolveResult: Sendable, Equatable {
  case resolved
  case missing, inFlight, unreadable
  /// The outcome is known.
  case notUnknown
  /// The request may still be executed. The age is in whole seconds and may be too low in the first ten minutes after a
  /// restart of the system.
  case tooYoung(ageSeconds: Int)
  /// It may not be on disk.
  case failed
}

package enum ForgetResult: Sendable, Equatable {
  /// - Parameter kept: keys of unknown outcome that are too young: their requests may still be executed.
  case forgotten(Int, kept: Int = 0)
  case missing, inFlight, unreadable
  case tooYoung(ageSeconds: Int)
  /// It may not be on disk.
  case failed
}

package enum ShowResult: Sendable, Equatable {
  case found(JournalKey)
  case missing
  /// The journal is closed, or a newer process has it.
  case unavailable
}

/// What an operator wants from the journal's thread, or a loop for a key that is not in flight.
enum JournalCommand: Sendable {
  case show(client: String, instance: String, key: String, @Sendable (ShowResult) -> Void)
  case resolve(
    client: String, instance: String, key: String, KeyResolution, minimumAgeSeconds: Int, isTrial: Bool,
    @Sendable (ResolveResult) -> Void)
  /// Core's record shows the outcome of an unknown write.
  case reconcile(KeyedWrite, StoredResponse, @Sendable (Bool) -> Void)
  case forget(
    client: String, instance: String, key: String, minimumAgeSeconds: Int, isTrial: Bool,
    @Sendable (ForgetResult) -> Void)
  case forgetInstance(String, minimumAgeSeconds: Int, @Sendable (ForgetResult) -> Void)
  /// Ends a turn.
  case barrier(@Sendable () -> Void)
  case parentEnded
}
