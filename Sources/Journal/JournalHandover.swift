import System

/// What a process passes to the newer one that takes its place.
package struct JournalHandover: Sendable {
  /// The lock of the folder, which both processes have from now on.
  package let lock: HandedLock
  /// The keys in flight; `InheritedKeys.bytes` passes them on.
  package let keys: InheritedKeys
}

/// A duplicate of the lock's descriptor, closed when it is freed.
package final class HandedLock: Sendable {
  private let descriptor: FileDescriptor

  /// To be passed to the other process.
  package var number: Int32 { descriptor.number }

  init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}

extension InheritedKeys.Key {
  init(_ write: KeyedWrite) {
    self.init(
      fingerprint: write.fingerprint, requestIDHigh: write.requestIDHigh, requestIDLow: write.requestIDLow)
  }
}
