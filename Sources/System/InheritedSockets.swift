import Synchronization

/// Sockets that this process received from the one that started it, in their order: a service manager, or a gateway
/// that hands over to a newer one.
package struct InheritedSockets: Sendable {
  package let all: [InheritedSocket]

  package init(_ sockets: [InheritedSocket] = []) { all = sockets }

  package subscript(name: String) -> [InheritedSocket] { all.filter { $0.name == name } }
}

/// A socket with the name that its sender gave it; closed unless it is taken.
package final class InheritedSocket: Sendable {
  package let name: String
  /// The descriptor, for messages.
  package let number: Int32
  private let descriptor: Mutex<FileDescriptor?>

  package init(_ descriptor: consuming FileDescriptor, name: String) {
    self.name = name
    number = descriptor.number
    self.descriptor = Mutex(descriptor)
  }

  /// Gives up ownership. Call it once.
  package func take() -> FileDescriptor {
    guard let taken = descriptor.withLock({ $0.take() }) else { preconditionFailure("taken twice") }
    return taken
  }
}
