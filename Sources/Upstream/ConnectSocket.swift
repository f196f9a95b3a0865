import CLibcurl
import Reactor
import System

/// A descriptor that libcurl uses while it connects.
///
/// libcurl 7.88 closes the socket that lost a happy-eyeballs race before it reports the removal. By then another thread
/// may have been given the same descriptor number and handed it to this loop, so it is unwatched only while it is the
/// same file.
final class ConnectSocket: EventHandler {
  let descriptor: Int32
  private var identity: DescriptorIdentity?
  private unowned let connection: UpstreamConnection
  private let loop: EventLoop
  private var registration = Registration.none

  init(_ descriptor: Int32, _ connection: UpstreamConnection, _ loop: EventLoop) {
    self.descriptor = descriptor
    self.connection = connection
    self.loop = loop
    super.init()
    registration = loop.register(self)
  }

  /// - Parameter what: one of CURL_POLL_IN, OUT, INOUT.
  func watch(_ what: Int32) {
    var readiness: Readiness = []
    if what & CURL_POLL_IN != 0 { readiness.insert(.readable) }
    if what & CURL_POLL_OUT != 0 { readiness.insert(.writable) }
    identity = DescriptorIdentity(of: descriptor)
    // If epoll fails, the connect ends at its deadline.
    try? loop.watch(descriptor, for: registration, level: readiness)
  }

  override func ready(_ readiness: Readiness) {
    var mask: Int32 = 0
    if readiness.has(.readable) { mask |= CURL_CSELECT_IN }
    if readiness.has(.writable) { mask |= CURL_CSELECT_OUT }
    if readiness.has(.hungUp) { mask |= CURL_CSELECT_ERR }
    connection.drive(descriptor, mask)
  }

  func end() {
    if let identity, identity == DescriptorIdentity(of: descriptor) { loop.unwatch(descriptor) }
    loop.unregister(registration)
  }
}
